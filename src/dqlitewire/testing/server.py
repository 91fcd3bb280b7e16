"""Embedded dqlite: a server, or a whole fake cluster, for the tests of a driver.

    with DqliteServer() as server:
        client = connect(server.address)
        server.fail_next(5, on=RequestType.EXEC_SQL)

It runs in a thread of its own, so blocking and asyncio tests use it alike, and listens on a free port of the
loopback interface.  Ordered faults hold for all nodes; they strike in the order in which they were ordered.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from types import TracebackType

from dqlitewire.constants import NodeRole
from dqlitewire.testing.cluster import Member
from dqlitewire.testing.engine import Engine, RequestRecord
from dqlitewire.testing.faults import Corrupt, Delay, Drop, Fail, Fault, Selection, SplitWrites
from dqlitewire.testing.generations import Generation, generation as find_generation
from dqlitewire.testing.hazards import Hazard
from dqlitewire.testing.loop import Loop

__all__ = ["DqliteCluster", "DqliteServer", "Node"]

_MESSAGES = {
    1: "SQL logic error",
    5: "database is locked",
    7: "out of memory",
    10: "disk I/O error",
    12: "no database opened",
    13: "database or disk is full",
    261: "database is locked",
    517: "database is locked",
    1005: "bind parameters",
    10250: "not leader",
}
_LEADERSHIP_LOST = 10506
_BACKLOG = 1024


class Node:
    """One node of the fake cluster, as a test sees it."""

    def __init__(self, cluster: DqliteCluster, member: Member) -> None:
        self._cluster = cluster
        self._member = member

    @property
    def id(self) -> int:
        """Raft id."""
        return self._member.id

    @property
    def address(self) -> str:
        """Where clients connect: "HOST:PORT", or the path of a unix socket."""
        return self._member.address

    @property
    def role(self) -> NodeRole:
        """Role in the configuration."""
        return self._member.role

    @property
    def is_leader(self) -> bool:
        """Whether it leads now."""
        return self._cluster.leader is self

    @property
    def is_running(self) -> bool:
        """Whether it accepts connections."""
        return self._member.live

    def stop(self) -> None:
        """Crash: its connections break, and another voter takes over if it led."""
        self._cluster._stop_node(self._member)

    def start(self) -> None:
        """Come back at the same address, following."""
        self._cluster._start_node(self._member)

    def __repr__(self) -> str:
        return f"<Node {self.id} at {self.address}, {self.role.name.lower()}{', leader' if self.is_leader else ''}>"


class DqliteCluster:
    """A cluster of nodes with one leader that moves on command.

    Args:
        nodes: How many; all are voters, the first one leads.
        generation: The release to play: "1.11.1", "1.18.1" or "1.18.6".
        host: Interface to listen on.
        port: Port of the first node; 0 for free ones.
        folder: Where databases are kept; by default a temporary folder that goes with the cluster.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
        unix: Listen on a unix socket at this path instead; further nodes add a number to it.
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        generation: str | Generation = "1.18.1",
        host: str = "127.0.0.1",
        port: int = 0,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        readonly: bool = False,
        clean_failures: bool = False,
        unix: str | None = None,
    ) -> None:
        if nodes < 1:
            raise ValueError(f"nodes {nodes}, must be at least 1")
        self.generation = find_generation(generation)
        self._count = nodes
        self._host, self._port, self._unix = host, port, unix
        self._options = {"folder": folder, "files": files, "readonly": readonly, "clean_failures": clean_failures}
        self._loop: Loop | None = None
        self._nodes: list[Node] = []

    # ---- life

    def start(self) -> None:
        """Begin to accept connections; ready when it returns."""
        if self._loop is not None:
            raise RuntimeError("the server runs already")
        engine = Engine(self.generation, **self._options)  # type: ignore[arg-type]
        loop = Loop(engine)
        try:
            for number in range(self._count):
                sock, address = self._bind(number)
                member = Member(number + 1, address, NodeRole.VOTER, live=True)
                engine.cluster.join(member)
                loop.listen(sock, member)
                self._nodes.append(Node(self, member))
        except BaseException:
            loop.stop()
            self._nodes.clear()
            raise
        engine.cluster.set_leader(engine.cluster.members[0])
        self._loop = loop
        loop.start()

    def stop(self) -> None:
        """Close all connections, stop what runs and remove temporary files."""
        if self._loop is None:
            return
        self._loop.stop()

    def __enter__(self) -> DqliteCluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bind(self, number: int) -> tuple[socket.socket, str]:
        if self._unix is not None:
            path = self._unix if number == 0 else f"{self._unix}.{number + 1}"
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            name = "\0" + path[1:] if path.startswith("@") else path
            return self._listening(sock, name), path
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening(sock, (self._host, self._port + number if self._port else 0))
        host = f"[{self._host}]" if ":" in self._host else self._host
        return sock, f"{host}:{sock.getsockname()[1]}"

    @staticmethod
    def _listening(sock: socket.socket, name: str | tuple[str, int]) -> socket.socket:
        try:
            sock.bind(name)
            sock.listen(_BACKLOG)
        except OSError:
            sock.close()
            raise
        return sock

    @property
    def _running(self) -> Loop:
        if self._loop is None:
            raise RuntimeError("the server was not started")
        return self._loop

    # ---- what a test looks at

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes, first one first."""
        return tuple(self._nodes)

    @property
    def addresses(self) -> list[str]:
        """Addresses of all nodes."""
        return [node.address for node in self._nodes]

    @property
    def leader(self) -> Node | None:
        """The node that leads, if any."""
        member = self._running.engine.cluster.leader
        return next((node for node in self._nodes if node._member is member), None)

    @property
    def hazards(self) -> list[Hazard]:
        """What a real node would not have survived, in order."""
        return self._running.engine.hazards

    @property
    def requests(self) -> list[RequestRecord]:
        """The last 10 000 requests of all connections, in order of arrival."""
        return list(self._running.engine.requests)

    @property
    def errors(self) -> list[BaseException]:
        """Exceptions of the server itself, each of which ended a connection: always a defect."""
        return self._running.errors

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return self._running.connection_count

    def run_sql(self, database: str, sql: str) -> list[tuple[object, ...]]:
        """Run SQL on a database directly, to prepare or to look at it; returns the rows."""

        def run() -> list[tuple[object, ...]]:
            connection = self._running.engine.store.open(database)
            try:
                return connection.raw.execute(sql).fetchall()
            finally:
                connection.close()

        return self._running.call(run)

    # ---- leadership

    def lose_leadership(self) -> None:
        """Let no node lead: open databases are gone, statements get 10250, until `elect`."""
        self._lead(None)

    def elect(self, node: Node | None = None) -> Node:
        """Let a node lead, by default the next running voter."""
        loop = self._running

        def run() -> Member:
            cluster = loop.engine.cluster
            voters = cluster.voters()
            if node is None:
                others = [member for member in voters if member is not cluster.leader] or voters
                if not others:
                    raise RuntimeError("no running voter")
                later = [member for member in others if cluster.leader and member.id > cluster.leader.id]
                member = (later or others)[0]
            elif node._member in voters:
                member = node._member
            else:
                raise ValueError(f"node {node.id} is no running voter")
            cluster.set_leader(member)
            return member

        member = loop.call(run)
        return next(one for one in self._nodes if one._member is member)

    def _lead(self, member: Member | None) -> None:
        loop = self._running
        loop.call(lambda: loop.engine.cluster.set_leader(member))

    def _stop_node(self, member: Member) -> None:
        loop = self._running

        def run() -> None:
            member.live = False
            loop.unlisten(member)
            if loop.engine.cluster.leader is member:
                loop.engine.cluster.set_leader(next(iter(loop.engine.cluster.voters()), None))

        loop.call(run)

    def _start_node(self, member: Member) -> None:
        if member.live:
            return
        loop = self._running
        if self._unix is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            name: str | tuple[str, int] = member.address
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            name = (self._host, int(member.address.rpartition(":")[2]))
        self._listening(sock, name)

        def run() -> None:
            member.live = True
            loop.listen(sock, member)
            cluster = loop.engine.cluster
            if cluster.leader is None and cluster.voters() == [member]:
                cluster.set_leader(member)

        loop.call(run)

    # ---- faults

    def order(self, fault: Fault) -> Fault:
        """Order a fault made by hand."""
        self._running.engine.faults.order(fault)
        return fault

    def clear_faults(self) -> None:
        """Cancel all ordered faults."""
        self._running.engine.faults.clear()

    def fail_next(
        self,
        code: int,
        message: str | None = None,
        *,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
        executed: bool = False,
    ) -> Fault:
        """Answer the next requests with a FAILURE.

        Args:
            code: Its code.
            message: Its text; by default the one a node gives with this code.
            times: How many requests; None for all from now on.
            after: How many requests to let pass first.
            on: Request types to apply to; None for all.
            connection: Number of the one connection to apply to.
            executed: Carry the request out all the same, as with leadership lost at the wrong moment.
        """
        if message is None:
            message = self.generation.lost_text if code == _LEADERSHIP_LOST else _MESSAGES.get(code, "failed on order")
        return self.order(
            Fail(code, message, executed, times=times, after=after, on=on, connection=connection)
        )

    def drop_after(
        self,
        *,
        bytes: int = 0,
        frames: int = 0,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
        reset: bool = False,
        executed: bool = True,
    ) -> Fault:
        """Close a connection after so many frames, and bytes of the next one, counted from the next answer.

        Args:
            bytes: Bytes that still go out after the whole frames.
            frames: Whole frames that still go out.
            times: How many connections; None for all from now on.
            after: How many answers to let pass first.
            on: Request types whose answer starts the count; None for all.
            connection: Number of the one connection to apply to.
            reset: Close with RST, not FIN.
            executed: Carry the request out; False closes before that, whatever `bytes` and `frames`.
        """
        return self.order(
            Drop(bytes, frames, reset, executed, times=times, after=after, on=on, connection=connection)
        )

    def delay(
        self,
        seconds: float,
        *,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Wait before the first byte of the next answers."""
        return self.order(Delay(seconds, times=times, after=after, on=on, connection=connection))

    def split_writes(
        self,
        size: int,
        *,
        pause: float = 0.0,
        times: int | None = None,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Send the next answers in pieces of `size` bytes, `pause` seconds apart."""
        return self.order(SplitWrites(size, pause, times=times, after=after, on=on, connection=connection))

    def corrupt(
        self,
        change: Callable[[bytes], bytes] | None = None,
        *,
        at: int = 4,
        xor: int = 0xFF,
        times: int | None = 1,
        after: int = 0,
        on: Selection = None,
        connection: int | None = None,
    ) -> Fault:
        """Change the frames of the next answers.

        Args:
            change: Called with each whole frame, returns what is sent instead.
            at: Without `change`: the byte to spoil, counted from the frame's start (4 is the type).
            xor: Without `change`: what the byte is xor-ed with.
            times: How many answers.
            after: How many answers to let pass first.
            on: Request types to apply to; None for all.
            connection: Number of the one connection to apply to.
        """

        def flip(frame: bytes) -> bytes:
            if at >= len(frame):
                return frame
            return frame[:at] + frame[at : at + 1].translate(_xor_table(xor)) + frame[at + 1 :]

        return self.order(Corrupt(change or flip, times=times, after=after, on=on, connection=connection))


def _xor_table(value: int) -> bytes:
    return bytes(byte ^ value for byte in range(256))


class DqliteServer(DqliteCluster):
    """One node that leads itself.

    Args:
        generation: The release to play: "1.11.1", "1.18.1" or "1.18.6".
        host: Interface to listen on.
        port: Port; 0 for a free one.
        folder: Where databases are kept; by default a temporary folder that goes with the server.
        files: Database files to serve where they are, by name.
        readonly: Open those for reading only.
        clean_failures: Send FAILURE without the rows that real servers leave in front of it.
        unix: Listen on a unix socket at this path instead.
    """

    def __init__(
        self,
        *,
        generation: str | Generation = "1.18.1",
        host: str = "127.0.0.1",
        port: int = 0,
        folder: str | os.PathLike[str] | None = None,
        files: dict[str, str] | None = None,
        readonly: bool = False,
        clean_failures: bool = False,
        unix: str | None = None,
    ) -> None:
        super().__init__(
            1,
            generation=generation,
            host=host,
            port=port,
            folder=folder,
            files=files,
            readonly=readonly,
            clean_failures=clean_failures,
            unix=unix,
        )

    def __enter__(self) -> DqliteServer:
        self.start()
        return self

    @property
    def address(self) -> str:
        """Where clients connect: "HOST:PORT", or the path of the unix socket."""
        if not self._nodes:
            raise RuntimeError("the server was not started")
        return self._nodes[0].address

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.address.rpartition(":")[2])
