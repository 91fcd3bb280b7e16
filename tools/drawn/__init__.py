"""What is drawn from the code: pages, drawings, schemas. `python tools/redraw.py` writes all of it.

A module has `files()`, files with their texts, and stands in the table of tools/redraw.py; or it has `PARTS`,
texts that `reference` puts into pages between `<!-- drawn: NAME -->` and `<!-- end -->`. None writes a file.

    module                      draws                                          from
    messages.pages              a page for each message, lists of them         REGISTRY, the order's TABLE
      layouts, byte_diagram     how the bytes of a message lie, as SVG         the declared FIELDS
      value_pages               values.md: types, parameters, rows             the vectors
      played, recorded          who answers; who refused what                  embedded server; tests/captures
    messages.raft_pages         raft.md, its drawings (raft_layouts)           dqlitewire.raft, recorded nodes
    messages.failure_pages      failures.md: codes, and what to do             explain_failure, tests/captures
    messages.limit_pages        limits.md: caps, and where each is met         Limits, lowered on the vectors
    order_drawing, reference    order (drawn, too), hazards, releases          TABLE, HazardKind, RELEASES
    survey_page                 hazards.md: what harmed which server           the survey's results
    schema, json_page           docs/schema, json.md                           annotations of the JSON views
    vectors                     fields of each vector, the vectors' schema     explain, FIELDS
    commands, picture           commands.md; a terminal for the README         the commands, run
    architecture                the map of the modules                         pyproject.toml, the imports
    performance, bounds         bars; figures that pages name                  bench/; values in the code
    compatibility               servers, clients, Pythons                      tables of the tests and tools
    pieces                      the examples, in the pages that build them     examples/

`drawing` is the pencil (SVG that follows the theme's colours); `text` writes Markdown and reads docstrings.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["DOCS", "ROOT"]

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
