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
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from dqlitewire.constants import NodeRole
from dqlitewire.testing.cluster import Member
from dqlitewire.testing.engine import Engine, RequestRecord
from dqlitewire.testing.faults import Faults
from dqlitewire.testing.generations import Generation
from dqlitewire.testing.generations import generation as find_generation
from dqlitewire.testing.hazards import Hazard
from dqlitewire.testing.loop import Loop
from dqlitewire.testing.orders import FaultOrders

__all__ = ["DqliteCluster", "DqliteServer", "Node"]

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
        leads = ", leader" if self.is_leader else ""
        return f"<Node {self.id} at {self.address}, {self.role.name.lower()}{leads}>"


class DqliteCluster(FaultOrders):
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
        self._folder, self._files, self._readonly = folder, files, readonly
        self._clean_failures = clean_failures
        self._engine: Engine | None = None
        self._loop: Loop | None = None
        self._nodes: list[Node] = []

    # ---- life

    def start(self) -> None:
        """Begin to accept connections; ready when it returns."""
        if self._loop is not None and self._loop.is_alive():
            raise RuntimeError("the server runs already")
        self._nodes.clear()
        engine = Engine(
            self.generation,
            self._folder,
            self._files,
            readonly=self._readonly,
            clean_failures=self._clean_failures,
        )
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
        self._engine, self._loop = engine, loop
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
            return self._listening(path), path
        host = f"[{self._host}]" if ":" in self._host else self._host
        sock = self._listening(f"{host}:{self._port + number if self._port else 0}")
        return sock, f"{host}:{sock.getsockname()[1]}"

    def _listening(self, address: str) -> socket.socket:
        name: str | tuple[str, int]
        if self._unix is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            name = "\0" + address[1:] if address.startswith("@") else address
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            name = self._host, int(address.rpartition(":")[2])
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

    @property
    def _serving(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the server was not started")
        return self._engine

    @property
    def _living(self) -> tuple[Loop, Engine]:
        if not self._running.is_alive():
            raise RuntimeError("the server has stopped")
        return self._running, self._serving

    @property
    def _faults(self) -> Faults:
        return self._living[1].faults

    @property
    def _state(self) -> str:
        if self._loop is None:
            return "not started"
        return "running" if self._loop.is_alive() else "stopped"

    def __repr__(self) -> str:
        where = f" at {', '.join(self.addresses)}" if self._nodes else ""
        return f"<{type(self).__name__} {self.generation.name}{where}, {self._state}>"

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
        member = self._serving.cluster.leader
        return next((node for node in self._nodes if node._member is member), None)

    @property
    def hazards(self) -> list[Hazard]:
        """What a real node would not have survived, in order."""
        return self._serving.hazards

    @property
    def requests(self) -> list[RequestRecord]:
        """The last 10 000 requests of all connections, in order of arrival."""
        return self._running.call(lambda: list(self._serving.requests))

    @property
    def errors(self) -> list[BaseException]:
        """Exceptions of the server itself, each of which ended a connection: always a defect."""
        return self._running.errors

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return self._running.connection_count

    def run_sql(self, database: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL on a database directly, to prepare or to look at it; returns the rows."""
        loop, engine = self._living

        def run() -> list[tuple[Any, ...]]:
            connection = engine.store.open(database)
            try:
                return connection.script(sql, params)
            finally:
                connection.close()

        return loop.call(run)

    # ---- leadership

    def lose_leadership(self) -> None:
        """Let no node lead: open databases are gone, statements get 10250, until `elect`."""
        self._lead(None)

    def elect(self, node: Node | None = None) -> Node:
        """Let a node lead, by default the next running voter."""
        loop, engine = self._living
        cluster = engine.cluster

        def run() -> Member:
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
        loop, engine = self._living
        loop.call(lambda: engine.cluster.set_leader(member))

    def _stop_node(self, member: Member) -> None:
        loop, cluster = self._running, self._serving.cluster

        def run() -> None:
            member.live = False
            loop.unlisten(member)
            if cluster.leader is member:
                cluster.set_leader(next(iter(cluster.voters()), None))

        loop.call(run)

    def _start_node(self, member: Member) -> None:
        if member.live:
            return
        loop, engine = self._living
        cluster = engine.cluster
        sock = self._listening(member.address)

        def run() -> None:
            member.live = True
            loop.listen(sock, member)
            if cluster.leader is None and cluster.voters() == [member]:
                cluster.set_leader(member)

        loop.call(run)


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
