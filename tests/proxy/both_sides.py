"""A proxy between two taps: what stands before it and behind it is compared byte for byte.

    client --> tap in front --> proxy --> tap behind --> node

The recorder looks on, so that a third account of the same bytes is there: what the recording says that the
node saw must be what the tap behind it saw, and so in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dqlitewire.conversation import Side
from dqlitewire.proxy import BlockingProxy
from dqlitewire.proxy.recording import Recorder
from dqlitewire.traffic.sources.pieces import What
from dqlitewire.traffic.sources.transcript_parts import View, open_recording
from tests.downstream.tap import Tap, streams_of
from tests.proxy.peers import nothing_left
from tests.real.nodes import Node, free_port

__all__ = ["BothSides", "advertising", "between_taps", "recorded_streams"]


class BothSides:
    """What stands between a client and a node.

    Args:
        front: The tap that clients dial.
        proxy: The proxy.
        behind: The tap that the proxy dials.
        path: Where it is recorded; None if it is not.
    """

    def __init__(self, front: Tap, proxy: BlockingProxy, behind: Tap, path: Path | None) -> None:
        self.front, self.proxy, self.behind, self.path = front, proxy, behind, path

    @property
    def local(self) -> str:
        """Where the proxy listens."""
        return self.proxy.addresses[0]

    @property
    def streams(self) -> list[tuple[bytes, bytes]]:
        """What clients and node sent, as it passed behind the proxy."""
        return streams_of(self.behind.wires)

    def compare(self) -> None:
        """Hold what passed before the proxy against what passed behind it; call it when all is closed."""
        asked = self.streams
        assert asked, "nothing passed"
        in_front = streams_of(self.front.wires)
        assert len(in_front) == len(asked) == self.proxy.connections
        for (requests, answers), (came, said) in zip(in_front, asked, strict=True):
            assert requests == came
            assert answers == said
        assert not self.proxy.errors
        if self.path is not None:
            assert recorded_streams(self.path, View.NODE) == asked
            assert recorded_streams(self.path, View.CLIENT) == in_front


def recorded_streams(path: Path, view: View) -> list[tuple[bytes, bytes]]:
    """What a recording says that each side of each connection sent, in the order of `streams_of`."""
    found: dict[int, dict[Side, bytearray]] = {}
    source = open_recording([path], view)
    for piece in source.pieces():
        streams = found.setdefault(piece.connection.number, {side: bytearray() for side in Side})
        if piece.what in (What.DATA, What.CUT):
            streams[piece.side] += piece.data
        else:
            assert piece.what in (What.END, What.TOLD), piece
    assert not source.damaged
    return sorted((bytes(one[Side.CLIENT]), bytes(one[Side.SERVER])) for one in found.values())


def advertising(kind: str) -> Node:
    """A node, not started, that gives out an address at which nobody listens; it listens at `bound_to`."""
    return Node(kind, options=["--bind", f"127.0.0.1:{free_port()}"])


def bound_to(node: Node) -> str:
    return node.options[node.options.index("--bind") + 1]


@contextmanager
def between_taps(node: Node, path: Path | None = None, **options: object) -> Iterator[BothSides]:
    """Stand in front of a node that gives out the address of the tap in front; compare at the end.

    Args:
        node: The node; see `advertising`.
        path: Where to record.
        options: Of the proxy.
    """
    with ExitStack() as closing:
        lookers = []
        if path is not None:
            lookers.append(Recorder(path))
            closing.callback(lookers[0].close)
        with (
            nothing_left(),
            Tap("127.0.0.1:0", bound_to(node)) as behind,
            BlockingProxy({"127.0.0.1:0": behind.address}, lookers=lookers, **options) as proxy,  # type: ignore[arg-type]
            Tap(node.address, proxy.addresses[0]) as front,
        ):
            both = BothSides(front, proxy, behind, path)
            yield both
        both.compare()
        assert all(recorder.failed is None for recorder in lookers)
