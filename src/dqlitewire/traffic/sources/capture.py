"""A packet capture as a source: records -> TCP segments -> byte streams -> the connections that are dqlite.

Each step is a module: `pcap` frames the records, `packets` reads one packet, `tcp` puts the streams together,
`flows` tells which of them are dqlite. Here they are joined, and what was left out is put into words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.flows import DqliteFlows
from dqlitewire.traffic.sources.inputs import ByteReader, Input
from dqlitewire.traffic.sources.packets import parser
from dqlitewire.traffic.sources.pcap import records
from dqlitewire.traffic.sources.pieces import Piece
from dqlitewire.traffic.sources.source import Source

TLS_HINT = "encrypted; capture behind the TLS proxy (its unix socket or loopback side) instead"
ETHERNET = 1  # a link type


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
    packets, known, parse = 0, -1, parser(ETHERNET)
    strange: SourceError | None = None  # the first link type that cannot be read
    for time, link, packet in records(ByteReader(input.read), source.notes.append, source.damage):
        packets += 1
        if link != known:
            known = link
            try:
                parse = parser(link)
            except SourceError as error:
                strange, parse = strange or error, _no_segment
        segment = parse(packet)
        if segment is not None and (done := flows.add(segment, time)):
            yield from done
    yield from flows.flush()
    if not flows.connections:
        raise strange or _nothing(input.name, packets, flows, ports)
    if strange is not None:
        source.notes.append(f"packets of {strange.seen} left out")
    _note_losses(source, flows)


def _no_segment(_: bytes) -> None:
    return None


def _note_losses(source: Source, flows: DqliteFlows) -> None:
    tcp = flows.reassembler
    if tcp.gaps:
        source.notes.append(f"{tcp.lost} bytes in {tcp.gaps} places were not captured")
    for kind in ("TLS", "HTTP"):
        if flows.others[kind]:
            source.notes.append(f"{flows.others[kind]} {kind} connections left out")


def _nothing(name: str, packets: int, flows: DqliteFlows, forced: Collection[int]) -> SourceError:
    others = flows.others
    if not packets:
        return SourceError(f"{name}: a capture without packets", "was the filter right?")
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
