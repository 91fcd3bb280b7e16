"""Views: what is made of items, for people and for programs.

    line        an item on one line                   line(item, clock, width)
    fold        rows of one query counted, not shown  unfolded(items), folded_line(folded, clock)
    summary     a message on it                       summarise(message, width)
    tree        a frame as a tree of byte ranges      tree(span, width)
                or as a hexdump with names            hexdump(data, span, width)
    raft        messages between nodes                summarise_raft(message), raft_fields(part)
    json_object an item as one JSON object            json_text(item)
    recorded    an item as a line of a transcript     record(writer, item)
    report      statistics as tables or JSON          report(statistics), report_json(statistics)
    raft_report those of nodes                        raft_report(statistics, width), raft_json(statistics)
    table       figures and texts in any width        table(title, rows, width)
    live        a window over traffic on a screen     traffic_lines(snapshot, look, width, height)
                or as JSON                            traffic_json(snapshot, order, now)
    screen      lines that fit a screen of any size   head(..), grid(..), screenful(..)
    lookup      a code or a type in words             explain_word(word)

All of them derive what they show of a message from its declaration; `literals` writes the values. A message
that is better shown another way has a row in the table of `summary` or `json_object`, what is no message one
in that of `line`. Redaction is done before: a view shows what an item holds.
"""
