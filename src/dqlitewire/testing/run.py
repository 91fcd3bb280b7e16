"""One run of an embedded cluster, from start to stop: engine, serving thread, members.

Everything here that works on the engine is done in the serving thread (`ServerThread.call`), whatever
thread asks.
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dqlitewire.constants import NodeRole
from dqlitewire.testing.node.cluster import Member
from dqlitewire.testing.node.engine import Engine
from dqlitewire.testing.node.errors import SqlFailure
from dqlitewire.testing.serving.server_thread import ServerThread

if TYPE_CHECKING:
    from dqlitewire.faults import RequestRecord
    from dqlitewire.testing.settings import Settings

__all__ = ["Run"]


class Run:
    """An engine and the thread that serves it; serves when the constructor returns.

    Args:
        settings: What to run.

    Attributes:
        engine: What the nodes share.
        thread: What serves them.
        members: The nodes in the order of their numbers.

    Raises:
        OSError: It cannot listen there, or make its folder; nothing stays open.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with ExitStack() as undo:
            self.engine: Engine = Engine(
                settings.generation,
                settings.folder,
                settings.files,
                readonly=settings.readonly,
                clean_failures=settings.clean_failures,
                seed=settings.seed,
            )
            undo.callback(self.engine.close)
            self.thread: ServerThread = ServerThread(self.engine)
            undo.callback(self.thread.stop)
            self.members: list[Member] = [self._join(number) for number in range(settings.nodes)]
            self.engine.cluster.set_leader(self.members[0])
            atexit.register(self.thread.stop)
            undo.callback(atexit.unregister, self.thread.stop)
            self.thread.start()
            undo.pop_all()

    def _join(self, number: int) -> Member:
        listener, address = self._settings.listen(number)
        member = Member(number + 1, address, NodeRole.VOTER, live=True)
        self.engine.cluster.join(member)
        self.thread.listen(listener, member)
        return member

    @property
    def state(self) -> str:
        """ "running", "stopped", or "of another process"."""
        if self.thread.foreign:
            return "of another process"
        return "running" if self.thread.is_alive() else "stopped"

    def check_alive(self) -> None:
        """Raise RuntimeError unless it serves, and in this process."""
        if self.thread.foreign:
            raise RuntimeError("the server is another process's")
        if not self.thread.is_alive():
            raise RuntimeError("the server has stopped")

    def stop(self) -> None:
        """Stop it and release everything; see `ServerThread.stop`."""
        atexit.unregister(self.thread.stop)
        self.thread.stop()
        # a fault's hook may call this within the thread, which is not at its end yet
        if self._settings.strict and self.state == "stopped":
            self.engine.faults.check_used()

    # ---- what a test looks at

    def requests(self) -> list[RequestRecord]:
        """Return the requests that are kept."""
        if self.thread.is_alive():
            try:
                return self.thread.call(lambda: list(self.engine.requests))
            except RuntimeError:  # it stops just now
                self.thread.join()
        return list(self.engine.requests)

    def run_sql(self, database: str, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run SQL on a database and return its rows."""
        engine = self.engine

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

        return self.thread.call(run)

    # ---- leadership and crashes

    def lose_leadership(self) -> None:
        """Let no node lead."""
        self.thread.call(lambda: self.engine.cluster.set_leader(None))

    def elect(self, wanted: Member | None) -> Member:
        """Let a member lead, by default the next running voter behind the leader; returns it."""
        cluster = self.engine.cluster

        def run() -> Member:
            voters = cluster.voters()
            if wanted is None:
                others = [member for member in voters if member is not cluster.leader] or voters
                if not others:
                    raise RuntimeError("no running voter")
                later = [member for member in others if cluster.leader and member.id > cluster.leader.id]
                member = (later or others)[0]
            elif wanted in voters:
                member = wanted
            else:
                raise ValueError(f"node {wanted.id} is no running voter")
            cluster.set_leader(member)
            return member

        return self.thread.call(run)

    def stop_member(self, member: Member) -> None:
        """Let a node crash."""
        cluster = self.engine.cluster

        def run() -> None:
            member.live = False
            try:
                self.thread.unlisten(member)
            finally:
                if cluster.leader is member:
                    cluster.set_leader(next(iter(cluster.voters()), None))

        self.thread.call(run)

    def start_member(self, member: Member) -> None:
        """Let a node come back."""
        cluster = self.engine.cluster

        def run() -> None:
            if member.live:
                return
            self.thread.listen(self._settings.listen_again(member.address), member)
            member.live = True
            if cluster.leader is None and cluster.voters() == [member]:
                cluster.set_leader(member)

        self.thread.call(run)
