"""Embedded dqlite: a server, or a whole fake cluster, for the tests of a driver.

    with DqliteServer() as server:
        client = connect(server.address)
        server.fail_next(5, on=RequestType.EXEC_SQL)

It runs in a thread of its own, so blocking and asyncio tests use it alike, and listens on a free port of the
loopback interface.  Ordered faults hold for all nodes; they strike in the order in which they were ordered.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, cast

from dqlitewire.constants import NodeRole
from dqlitewire.dial.addresses import Address, Kind
from dqlitewire.faults.faults import Faults
from dqlitewire.faults.orders import FaultOrders
from dqlitewire.testing.arguments import (
    check_file,
    check_flag,
    check_host,
    check_number,
    check_params,
    check_socket,
    check_text,
    shown,
)
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.database import SqlFailure
from dqlitewire.testing.node.engine import Engine, RequestRecord
from dqlitewire.testing.node.generations import Generation
from dqlitewire.testing.node.generations import generation as find_generation
from dqlitewire.testing.node.hazards import Hazard
from dqlitewire.testing.serving.listening import Listener, listen_tcp, listen_unix
from dqlitewire.testing.serving.loop import Loop

__all__ = ["DqliteCluster", "DqliteServer", "Node"]

_MOST_NODES = 10_000
_LAST_PORT = 65535


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
        return self._member.live and self._cluster._serves(self)

    def stop(self) -> None:
        """Crash: its connections break, and another voter takes over if it led.

        Raises:
            RuntimeError: The cluster does not run.
            ValueError: The cluster was started again since, with other nodes.
        """
        self._cluster._stop_node(self)

    def start(self) -> None:
        """Come back at the same address, following.

        Raises:
            RuntimeError: The cluster does not run.
            ValueError: The cluster was started again since, with other nodes.
            OSError: Somebody else listens there by now.
        """
        self._cluster._start_node(self)

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

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense; nothing was opened.
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        generation: str | Generation = "1.18.1",
        host: str = "127.0.0.1",
        port: int = 0,
        folder: str | os.PathLike[str] | None = None,
        files: Mapping[str, str | os.PathLike[str]] | None = None,
        readonly: bool = False,
        clean_failures: bool = False,
        unix: str | os.PathLike[str] | None = None,
    ) -> None:
        check_number("nodes", nodes, 1, _MOST_NODES)
        check_host(host)
        check_number("port", port, 0, _LAST_PORT + 1 - nodes)
        check_flag("readonly", readonly)
        check_flag("clean_failures", clean_failures)
        self.generation = find_generation(generation)
        self._count = nodes
        self._host, self._port = host, port
        self._unix = None if unix is None else check_socket(unix, f".{nodes}" if nodes > 1 else "")
        self._folder = None if folder is None else check_file("folder", folder)
        self._files, self._readonly = _check_files(files), readonly
        self._clean_failures = clean_failures
        self._engine: Engine | None = None
        self._loop: Loop | None = None
        self._nodes: list[Node] = []

    # ---- life

    def start(self) -> None:
        """Begin to accept connections; ready when it returns.

        Raises:
            RuntimeError: It runs already.
            OSError: It cannot listen there, or make its folder; nothing stays open.
        """
        if self._loop is not None and self._loop.is_alive():
            raise RuntimeError("the server runs already")
        with ExitStack() as undo:
            engine = Engine(
                self.generation,
                self._folder,
                self._files,
                readonly=self._readonly,
                clean_failures=self._clean_failures,
            )
            undo.callback(engine.close)
            loop = Loop(engine)
            undo.callback(loop.stop)
            nodes = [self._join(number, engine, loop) for number in range(self._count)]
            engine.cluster.set_leader(engine.cluster.members[0])
            self._engine, self._loop, self._nodes = engine, loop, nodes
            atexit.register(loop.stop)
            undo.callback(atexit.unregister, loop.stop)
            loop.start()
            undo.pop_all()

    def stop(self) -> None:
        """Close all connections, stop what runs and remove temporary files.

        All of it is done whatever fails.  Nothing happens the second time, or in a forked child, whose parent
        goes on serving.

        Raises:
            OSError: The file of a unix socket could not be removed.
        """
        if self._loop is not None:
            atexit.unregister(self._loop.stop)
            self._loop.stop()

    def join(self) -> None:
        """Wait until nothing is served any more: somebody stopped it, or it failed (see `errors`).

        Raises:
            RuntimeError: The server was not started.
        """
        self._running.join()

    def __enter__(self) -> DqliteCluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join(self, number: int, engine: Engine, loop: Loop) -> Node:
        if self._unix is not None:
            address = self._unix if number == 0 else f"{self._unix}.{number + 1}"
            listener = listen_unix(address)
        else:
            listener = listen_tcp(self._host, self._port + number if self._port else 0)
            address = str(Address(Kind.TCP, self._host, listener.getsockname()[1]))
        member = Member(number + 1, address, NodeRole.VOTER, live=True)
        engine.cluster.join(member)
        loop.listen(listener, member)
        return Node(self, member)

    def _listen(self, address: str) -> Listener:
        if self._unix is not None:
            return listen_unix(address)
        return listen_tcp(self._host, Address.parse(address).port)

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
        loop = self._running
        if loop.foreign:
            raise RuntimeError("the server is another process's")
        if not loop.is_alive():
            raise RuntimeError("the server has stopped")
        return loop, self._serving

    @property
    def _faults(self) -> Faults:
        return self._living[1].faults

    @property
    def _state(self) -> str:
        if self._loop is None:
            return "not started"
        if self._loop.foreign:
            return "of another process"
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
        """The last 10 000 requests of all connections, as far as 64 MiB hold them, in order of arrival."""
        loop, engine = self._running, self._serving
        if loop.is_alive():
            try:
                return loop.call(lambda: list(engine.requests))
            except RuntimeError:  # it stops just now
                loop.join()
        return list(engine.requests)

    @property
    def errors(self) -> list[BaseException]:
        """Exceptions of the server itself, each of which ended a connection: always a defect."""
        return self._running.errors

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return self._running.connection_count

    def run_sql(self, database: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL on a database directly, to prepare or to look at it; returns the rows.

        Raises:
            RuntimeError: The server does not run, or was stopped in the middle of it.
            apsw.Error: SQLite refuses it.
        """
        check_text("database", database)
        check_text("sql", sql)
        check_params(params)
        loop, engine = self._living

        def run() -> list[tuple[Any, ...]]:
            try:
                connection = engine.store.open(database)
            except SqlFailure as failure:
                raise failure.__cause__ or failure from None
            connection.watch(lambda: engine.stopping)
            try:
                return connection.script(sql, params)
            except Exception:
                if engine.stopping:
                    raise RuntimeError("the server has stopped") from None
                raise
            finally:
                connection.close()

        return loop.call(run)

    # ---- leadership

    def lose_leadership(self) -> None:
        """Let no node lead: open databases are gone, statements get 10250, until `elect`.

        Raises:
            RuntimeError: The server does not run.
        """
        loop, engine = self._living
        loop.call(lambda: engine.cluster.set_leader(None))

    def elect(self, node: Node | None = None) -> Node:
        """Let a node lead, by default the next running voter.

        Raises:
            RuntimeError: The server does not run, or no voter does.
            TypeError: Something else than a node.
            ValueError: A node of another cluster, or one that is no running voter.
        """
        loop, engine = self._living
        cluster = engine.cluster
        if node is not None:
            self._check_node(node)

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

    def _serves(self, node: Node) -> bool:
        return self._state == "running" and node in self._nodes

    def _check_node(self, node: object) -> None:
        if not isinstance(node, Node):
            raise TypeError(f"node {shown(node)}, must be a Node")
        if node not in self._nodes:
            raise ValueError(f"node {node.id} at {node.address}, must be of this cluster as it runs")

    def _stop_node(self, node: Node) -> None:
        loop, engine = self._living
        self._check_node(node)
        cluster, member = engine.cluster, node._member

        def run() -> None:
            member.live = False
            try:
                loop.unlisten(member)
            finally:
                if cluster.leader is member:
                    cluster.set_leader(next(iter(cluster.voters()), None))

        loop.call(run)

    def _start_node(self, node: Node) -> None:
        loop, engine = self._living
        self._check_node(node)
        cluster, member = engine.cluster, node._member

        def run() -> None:
            if member.live:
                return
            loop.listen(self._listen(member.address), member)
            member.live = True
            if cluster.leader is None and cluster.voters() == [member]:
                cluster.set_leader(member)

        loop.call(run)


def _check_files(files: object) -> dict[str, str]:
    if files is None:
        return {}
    if not isinstance(files, Mapping):
        raise TypeError(f"files {shown(files)}, must be a dict of paths by name")
    found: dict[str, str] = {}
    for name, path in cast("Mapping[object, object]", files).items():
        check_text("name of a file", name)
        found[cast(str, name)] = check_file(f"file of {shown(name)}", path)
    return found


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

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense; nothing was opened.
    """

    def __init__(
        self,
        *,
        generation: str | Generation = "1.18.1",
        host: str = "127.0.0.1",
        port: int = 0,
        folder: str | os.PathLike[str] | None = None,
        files: Mapping[str, str | os.PathLike[str]] | None = None,
        readonly: bool = False,
        clean_failures: bool = False,
        unix: str | os.PathLike[str] | None = None,
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
        """The TCP port.

        Raises:
            RuntimeError: The server was not started, or listens on a unix socket.
        """
        if self._unix is not None:
            raise RuntimeError("a unix socket has no port")
        return Address.parse(self.address).port
