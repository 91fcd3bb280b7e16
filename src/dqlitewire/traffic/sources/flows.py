"""Which TCP flows of a capture are dqlite, and which side of them is the client.

A capture of a machine holds much that is no dqlite, and dqlite has no port of its own. So each flow waits,
its bytes with it, until what has come of it tells what it is:

    deliveries -> _Waiting -> _judge -> a Half     it is dqlite, and this is the client's direction:
                                                   what waited and all that follows become pieces
                                     -> "TLS" ..   counted by that name; nothing of it is kept any more
                                     -> None       too little to tell; "other" once too much has come

What tells, the first of these that applies:

* a port that the user named, or a server endpoint on which a handshake was seen before (`_servers`);
* what the side that sent the SYN opens with: a handshake word, an upgrade to dqlite (`opening`);
* where the SYN was not captured: the same of either direction, since a handshake is its own proof;
* where the beginning is missing: what is there is read as dqlite both ways round, and the way in which more
  bytes are frames than not is taken. Trials are made after 4, 8, 16 deliveries and so on, so that their cost
  stays linear, and a last one when the flow ends or has waited long enough.

A flow is not waited for beyond `MAX_WAITING` bytes, all that wait not beyond `MAX_WAITING_ALL`, whichever
side they come from; each delivery counts `DELIVERY` more. How a direction begins is joined as it comes, up to
`MAX_OPENING` bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from dqlitewire.conversation import Frame, Garbage, Observer, RaftFrame, Side
from dqlitewire.conversation.first_bytes import HTTP_ANSWER
from dqlitewire.traffic.sources.opening import MAX_OPENING, is_upgrade, opening
from dqlitewire.traffic.sources.packets import Segment, endpoints
from dqlitewire.traffic.sources.pieces import Connection, Piece, What, feed, new_tuple
from dqlitewire.traffic.sources.tcp import Reassembler
from dqlitewire.traffic.sources.tcp_flows import Delivery, Flow, Half

MAX_WAITING = 32 << 10  # bytes of a flow that is not decided
MAX_WAITING_ALL = 16 << 20
DELIVERY = 256  # what a delivery that waits takes beside its bytes
MAX_SERVERS = 10_000  # endpoints that are known to speak dqlite
MAX_PORTS = 1000  # endpoints of other traffic that are counted


@dataclass(slots=True)
class _Waiting:
    """Deliveries of a flow that is not decided yet."""

    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    size: int = 0
    next_trial: int = 4
    _begins: dict[Half, bytearray] = field(default_factory=dict[Half, bytearray])  # at most MAX_OPENING of it
    _broken: set[Half] = field(default_factory=set[Half])  # of these, more is not what they begin with

    def add(self, delivery: Delivery) -> int:
        """Take one more; return what it counts."""
        half, what, data = delivery[:3]
        self.deliveries.append(delivery)
        if what is not What.DATA:
            self._broken.add(half)
        elif half not in self._broken:
            begins = self._begins.setdefault(half, bytearray())
            begins += data[: MAX_OPENING - len(begins)]
        self.size += len(data) + DELIVERY
        return len(data) + DELIVERY

    def first(self, half: Half) -> bytes | None:
        """How a direction begins; None if its first bytes were lost."""
        begins = self._begins.get(half, b"")
        return None if half in self._broken and not begins else bytes(begins)


class DqliteFlows:
    """Segments in, pieces of dqlite connections out.

    Args:
        ports: server ports that are dqlite; empty to find them.
    """

    def __init__(self, ports: Collection[int] = ()) -> None:
        self._ports = frozenset(port.to_bytes(2, "big") for port in ports)
        self._servers: set[bytes] = set()
        self._waiting = 0
        self._out: list[Delivery] = []
        self.reassembler: Reassembler = Reassembler()
        self.connections: int = 0
        self.others: Counter[str] = Counter()
        self.other_ports: Counter[str] = Counter()

    def add(self, segment: Segment, time: int | None) -> list[Piece]:
        """Take one segment; return what it completes."""
        out = self._out
        self.reassembler.add(segment, time, out)
        return self._take() if out else []

    def flush(self) -> list[Piece]:
        """Return what is left at the end of the capture."""
        self.reassembler.flush(self._out)
        return self._take()

    def _take(self) -> list[Piece]:
        pieces: list[Piece] = []
        for delivery in self._out:
            half, what, data, size, time = delivery
            owner = half.flow.owner
            if type(owner) is Connection:
                pieces.append(new_tuple(Piece, (owner, half.tag, what, data, size, time or 0)))
            elif not half.flow.ignored:
                pieces += self._wait(delivery)
        self._out.clear()
        return pieces

    def _wait(self, delivery: Delivery) -> list[Piece]:
        flow = delivery.half.flow
        if not isinstance(flow.owner, _Waiting):
            flow.owner = _Waiting()
        waiting = flow.owner
        self._waiting += waiting.add(delivery)
        verdict = self._judge(flow, waiting)
        if verdict is None and self._is_full(flow, waiting):
            verdict = "other"
        if verdict is None:
            return []
        self._waiting -= waiting.size
        if isinstance(verdict, Half):
            return self._adopt(flow, waiting, verdict)
        self.others[verdict] += 1
        port = endpoints(flow.halves[0].key)[1]
        if port in self.other_ports or len(self.other_ports) < MAX_PORTS:
            self.other_ports[port] += 1
        flow.owner = None
        self.reassembler.ignore(flow)
        return []

    def _judge(self, flow: Flow, waiting: _Waiting) -> Half | str | None:
        """The client's half, or what the flow is instead, or None."""
        known = [half for half in flow.halves if self._is_server(half)]
        if known:
            client = next((half for half in known if half.initiator), known[0])
            found = opening(waiting.first(client) or b"")
            return found if found == "TLS" else client
        if self._ports:
            return "other"
        initiator = next((half for half in flow.halves if half.initiator), None)
        first = waiting.first(initiator) if initiator is not None else None
        if initiator is not None and first:
            found = opening(first)
            return initiator if found in ("dqlite", "raft") else "other" if found == "frames" else found
        for half in flow.halves:
            begins = waiting.first(half)
            if begins and (found := opening(begins)) not in (None, "other", "frames"):
                return half if found in ("dqlite", "raft") else found
            if begins and begins.startswith(HTTP_ANSWER):
                return half.peer if is_upgrade(begins) else "HTTP"
        return self._try(flow, waiting)

    def _is_full(self, flow: Flow, waiting: _Waiting) -> bool:
        return waiting.size >= MAX_WAITING or self._waiting >= MAX_WAITING_ALL or flow.ended

    def _is_server(self, half: Half) -> bool:
        return half.key[-2:] in self._ports if self._ports else _destination(half.key) in self._servers

    def _try(self, flow: Flow, waiting: _Waiting) -> Half | str | None:
        """Read what there is of a flow without a beginning, both ways round."""
        if not self._is_full(flow, waiting) and len(waiting.deliveries) < waiting.next_trial:
            return None
        waiting.next_trial *= 2
        scores = {half: self._score(waiting, half) for half in flow.halves}
        best = max(flow.halves, key=lambda half: scores[half])
        return best if scores[best] > max(0, scores[best.peer]) else None

    @staticmethod
    def _score(waiting: _Waiting, client: Half) -> int:
        """Bytes in frames less bytes outside, if `client` is the client's half."""
        observer, score = Observer(midstream=True, count_rows=False), 0
        for half, what, data, size, _ in waiting.deliveries:
            side = Side.CLIENT if half is client else Side.SERVER
            for event in feed(observer, side, what, data, size):
                if isinstance(event, (Frame, RaftFrame)):
                    score += event.size if event.message is not None else -event.size
                elif isinstance(event, Garbage):
                    score -= event.size
        return score

    def _adopt(self, flow: Flow, waiting: _Waiting, client: Half) -> list[Piece]:
        self.connections += 1
        source, destination = endpoints(client.key)
        begins = waiting.first(client)
        greeted = (waiting.first(client.peer) or b"").startswith(HTTP_ANSWER)
        midstream = not greeted and (begins is None or not (client.initiator or opening(begins) == "dqlite"))
        connection = flow.owner = Connection(self.connections, source, destination, midstream=midstream)
        client.tag, client.peer.tag = Side.CLIENT, Side.SERVER
        if len(self._servers) >= MAX_SERVERS:
            self._servers.clear()  # those that speak on are found again
        self._servers.add(_destination(client.key))
        connection.timed = waiting.deliveries[0].time is not None
        return [
            Piece(connection, half.tag, what, data, size, time or 0)  # type: ignore[arg-type]
            for half, what, data, size, time in waiting.deliveries
        ]


def _destination(key: bytes) -> bytes:
    size = (len(key) - 4) // 2
    return key[size : 2 * size] + key[-2:]
