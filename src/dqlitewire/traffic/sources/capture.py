"""A packet capture as a source: records -> TCP segments -> byte streams -> the connections that are dqlite.

Each step is a module: `pcap` frames the records, `packets` reads one packet, `tcp` puts the streams together,
`flows` tells which of them are dqlite. Here they are joined, and what was left out is put into words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.shorten import counted
from dqlitewire.traffic.sources.flows import DqliteFlows
from dqlitewire.traffic.sources.inputs import ByteReader, Input
from dqlitewire.traffic.sources.packets import ENCRYPTED, ETHERNET, LINKS, link_name
from dqlitewire.traffic.sources.pcap import records
from dqlitewire.traffic.sources.pieces import Piece
from dqlitewire.traffic.sources.source import Source

TLS_HINT = "encrypted; capture behind the TLS proxy (its unix socket or loopback side) instead"
LINK_HINT = "capture on an Ethernet or loopback interface, or with `tcpdump -i any`"
MAX_LINKS = 5  # link types that are named when they are left out


def pieces(input: Input, ports: Collection[int], source: Source) -> Iterator[Piece]:
    """Yield the dqlite traffic of a capture.

    Args:
        input: pcap or pcapng.
        ports: server ports that are dqlite; empty to find them by the handshake.
        source: gets notes about what is left out.

    Raises:
        SourceError: it is damaged, or holds no dqlite traffic.
    """
    flows = DqliteFlows(ports)
    packets, segments, known, parse = 0, False, ETHERNET, LINKS[ETHERNET]
    left_out: Counter[int] = Counter()  # packets of link types that cannot be read
    damaged: SourceError | None = None  # from where on nothing can be read
    try:
        for time, link, packet in records(ByteReader(input.read), source.notes.append, source.damage):
            packets += 1
            if link != known:
                if link not in LINKS:
                    left_out[link] += 1
                    continue
                known, parse = link, LINKS[link]
            segment = parse(packet)
            if segment is not None:
                segments = True
                if done := flows.add(segment, time):
                    yield from done
    except SourceError as error:
        damaged = error
    yield from flows.flush()
    if damaged is not None and not flows.connections:
        raise damaged
    if not flows.connections:
        raise _nothing(input.name, packets, flows, ports, left_out, None if segments else known)
    if damaged is not None:
        source.damage(str(damaged))
    if left_out:
        source.notes.append(_strange(left_out))
    _note_losses(source, flows)


def _strange(left_out: Counter[int]) -> str:
    """What was left out because of its link type, in words; "" if nothing was."""
    named = left_out.most_common(MAX_LINKS)
    kinds = [f"{counted(count, 'packet')} of {link_name(link)}" for link, count in named]
    if rest := left_out.total() - sum(count for _, count in named):
        kinds.append(f"{rest} of others")
    return f"left out: {', '.join(kinds)}" if kinds else ""


def _note_losses(source: Source, flows: DqliteFlows) -> None:
    tcp = flows.reassembler
    if tcp.gaps:
        source.notes.append(f"{tcp.lost} bytes in {tcp.gaps} places were not captured")
    for kind in ("TLS", "HTTP"):
        if flows.others[kind]:
            source.notes.append(f"{flows.others[kind]} {kind} connections left out")


def _nothing(
    name: str,
    packets: int,
    flows: DqliteFlows,
    forced: Collection[int],
    left_out: Counter[int],
    without_tcp: int | None,
) -> SourceError:
    """The error of a capture without dqlite; `without_tcp` is its link type if it had no TCP at all."""
    if not packets:
        return SourceError(f"{name}: a capture without packets", "was the filter right?")
    if packets == left_out.total():
        return SourceError(link_name(left_out.most_common(1)[0][0]), LINK_HINT)
    if without_tcp in ENCRYPTED:
        return SourceError(link_name(without_tcp), LINK_HINT)
    error = _no_dqlite(name, packets, flows, forced)
    return SourceError(error.seen, "; ".join(filter(None, (error.hint, _strange(left_out)))))


def _no_dqlite(name: str, packets: int, flows: DqliteFlows, forced: Collection[int]) -> SourceError:
    others = flows.others
    if forced:
        named = ", ".join(map(str, sorted(forced)))
        if not others["TLS"]:
            return SourceError(f"{name}: no TCP data on port {named} in {packets} packets")
    if others["TLS"]:
        most = flows.other_ports.most_common(1)[0][0]
        return SourceError(f"{name}: TLS traffic ({others['TLS']} connections, most to {most})", TLS_HINT)
    if others["HTTP"]:
        return SourceError(f"{name}: HTTP traffic, no dqlite in {packets} packets", "is this the API port?")
    hint = "name its port with --port if the capture began after the connections did"
    return SourceError(f"{name}: no dqlite handshake in {packets} packets", hint)
