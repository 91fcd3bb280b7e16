"""A fake cluster of embedded dqlite nodes, for the tests of a driver.

    with DqliteCluster(3) as cluster:
        client = connect(cluster.leader.address)
        cluster.fail_next(5, on="EXEC_SQL")         # whichever node is asked
        cluster.nodes[2].delay(0.1, times=None)     # this one alone
        cluster.elect(cluster.nodes[1])

All nodes run in one thread of the process, so blocking and asyncio tests use them alike. Faults strike in the
order in which they were ordered, those of one node among those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dqlitewire.faults import FaultList, FaultMethods, UnusedFaultError
from dqlitewire.faults.checks import check_text, shown
from dqlitewire.testing.checks import check_params
from dqlitewire.testing.run import Run
from dqlitewire.testing.settings import Settings, takes_options

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from dqlitewire.constants import NodeRole
    from dqlitewire.faults import RequestRecord
    from dqlitewire.servers.releases import Release
    from dqlitewire.testing.node.cluster import Member
    from dqlitewire.testing.node.engine import Engine
    from dqlitewire.testing.node.hazards import Hazard
    from dqlitewire.testing.serving.server_thread import ServerThread
    from dqlitewire.testing.settings import Options

__all__ = ["DqliteCluster", "Node"]


class Node(FaultMethods):
    """One node of the fake cluster, as a test sees it; made by `DqliteCluster`, whose `nodes` has them.

    Faults ordered here strike on this node alone.

    Args:
        cluster: The cluster that it belongs to.
        member: The same node as the engine knows it.
    """

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
    def listens_at(self) -> str:
        """Where it listens: its address, unless another one is advertised."""
        return self._cluster._started_run.bound[self._member.id]

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
        self._cluster._run_of(self).stop_member(self._member)

    def start(self) -> None:
        """Come back at the same address, following.

        Raises:
            RuntimeError: The cluster does not run.
            ValueError: The cluster was started again since, with other nodes.
            OSError: Somebody else listens there by now.
        """
        self._cluster._run_of(self).start_member(self._member)

    @property
    def _faults(self) -> FaultList:
        return self._cluster._run_of(self).engine.faults

    @property
    def _one_node(self) -> int:
        return self.id

    def clear_faults(self) -> None:
        """Cancel the faults that were ordered for this node.

        Raises:
            RuntimeError: The cluster does not run.
            ValueError: The cluster was started again since, with other nodes.
        """
        for fault in list(self._faults.ordered):
            if fault._node == self.id:
                fault.cancel()

    def __repr__(self) -> str:
        leads = ", leader" if self.is_leader else ""
        return f"<Node {self.id} at {self.address}, {self.role.name.lower()}{leads}>"


@takes_options(nodes=3)
class DqliteCluster(FaultMethods):
    """A cluster of nodes with one leader that moves on command.

    Args:
        nodes: How many; all are voters, the first one leads.
        options: Those of `Options`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense; nothing was opened.
    """

    def __init__(self, nodes: int = 3, **options: Unpack[Options]) -> None:
        self._prepare(Settings.checked(nodes, options))

    def _prepare(self, settings: Settings) -> None:
        self._settings = settings
        self._run: Run | None = None
        self._nodes: list[Node] = []

    @property
    def generation(self) -> Release:
        """The release that is played."""
        return self._settings.generation

    # ---- life

    def start(self) -> None:
        """Begin to accept connections; ready when it returns.

        Raises:
            RuntimeError: It runs already.
            OSError: It cannot listen there, or make its folder; nothing stays open.
        """
        if self._run is not None and self._run.thread.is_alive():
            raise RuntimeError("the server runs already")
        self._run = Run(self._settings)
        self._nodes = [Node(self, member) for member in self._run.members]

    def stop(self) -> None:
        """Close all connections, stop what runs and remove temporary files.

        All of it is done whatever fails.  Nothing happens the second time, or in a forked child, whose parent
        goes on serving.

        Raises:
            OSError: The file of a unix socket could not be removed.
            UnusedFaultError: With `strict`: a fault was ordered and never hit. The text names each such fault
                and the requests that came instead.
        """
        if self._run is not None:
            self._run.stop()

    def join(self) -> None:
        """Wait until nothing is served any more: `stop` was called elsewhere, or it failed (see `errors`).

        Raises:
            RuntimeError: The server was not started.
        """
        self._thread.join()

    def __enter__(self) -> DqliteCluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except UnusedFaultError as unused:
            if error is None:
                raise
            error.add_note(str(unused))  # perhaps a consequence of what went wrong

    @property
    def _started_run(self) -> Run:
        if self._run is None:
            raise RuntimeError("the server was not started")
        return self._run

    @property
    def _thread(self) -> ServerThread:
        return self._started_run.thread

    @property
    def _engine(self) -> Engine:
        return self._started_run.engine

    @property
    def _live_run(self) -> Run:
        run = self._started_run
        run.check_alive()
        return run

    @property
    def _faults(self) -> FaultList:
        return self._live_run.engine.faults

    @property
    def _state(self) -> str:
        return "not started" if self._run is None else self._run.state

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
        member = self._engine.cluster.leader
        return next((node for node in self._nodes if node._member is member), None)

    @property
    def hazards(self) -> list[Hazard]:
        """What a real node would not have survived, in order."""
        return self._engine.hazards

    @property
    def requests(self) -> list[RequestRecord]:
        """The last 10 000 requests of all connections, as far as 64 MiB hold them, in order of arrival."""
        return self._started_run.requests()

    @property
    def errors(self) -> list[BaseException]:
        """Exceptions of the server itself, each of which ended a connection: always a defect."""
        return self._thread.errors

    @property
    def connection_count(self) -> int:
        """Connections open now."""
        return self._thread.connection_count

    def run_sql(self, database: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL on a database directly, to prepare or to look at it.

        Args:
            database: Name of the database, as clients give it to OPEN.
            sql: One or several statements.
            params: Values for their parameters; each statement takes the next ones.

        Returns:
            The rows of all of them.

        Raises:
            RuntimeError: The server does not run, or was stopped in the middle of it.
            apsw.Error: SQLite refuses it.
        """
        check_text("database", database)
        check_text("sql", sql)
        check_params(params)
        return self._live_run.run_sql(database, sql, params)

    # ---- leadership

    def lose_leadership(self) -> None:
        """Let no node lead: open databases are gone, statements get 10250, until `elect`.

        Raises:
            RuntimeError: The server does not run.
        """
        self._live_run.lose_leadership()

    def elect(self, node: Node | None = None) -> Node:
        """Let a node lead.

        Args:
            node: The node; by default the next running voter.

        Returns:
            The node that leads.

        Raises:
            RuntimeError: The server does not run, or no voter does.
            TypeError: Something else than a node.
            ValueError: A node of another cluster, or one that is no running voter.
        """
        run = self._live_run if node is None else self._run_of(node)
        member = run.elect(None if node is None else node._member)
        return next(one for one in self._nodes if one._member is member)

    def _serves(self, node: Node) -> bool:
        return self._state == "running" and node in self._nodes

    def _run_of(self, node: object) -> Run:
        run = self._live_run
        if not isinstance(node, Node):
            raise TypeError(f"node {shown(node)}, must be a Node")
        if node not in self._nodes:
            raise ValueError(f"node {node.id} at {node.address}, must be of this cluster as it runs")
        return run
