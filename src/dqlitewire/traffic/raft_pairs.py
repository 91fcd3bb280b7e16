"""Which RPC between nodes a result answers.

What node A sends to B stands on the connection that A dialled, what B answers on one that B dialled, and no
message has an id:

    A -> B   RPC ..   RPC ..
    B -> A            result .. result ..

Where a connection leads from is what CONNECT says; it leads to the address that was dialled. So both are
known where the beginning of both connections was captured and nodes dial the addresses that they advertise;
else nothing is paired. A result is paired when exactly one RPC of A to B is open that such a result may
answer, and when term and index agree. Where several are open, as pipelined entries and heartbeats are, which
of them it is cannot be told: it closes one of them, and none of these is paired any more.

After lost bytes an RPC or a result may be missing, so that what is open is in doubt. So it is until nodes
dial anew, or until a result tells an index (of a vote, a term) that no RPC in front of the only open one has
sent.

What is held is bounded: `MAX_ROUTES` pairs of nodes, and `MAX_OPEN` RPCs of each.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from dqlitewire.messages.requests import ConnectRequest
from dqlitewire.raft import (
    AppendEntries,
    AppendEntriesResult,
    InstallSnapshot,
    RaftMessage,
    RaftType,
    RequestVote,
    RequestVoteResult,
)
from dqlitewire.traffic.item import Answers, Item
from dqlitewire.traffic.sources.pieces import Connection

MAX_ROUTES = 1000
MAX_OPEN = 256
MAX_CONNECTIONS = 20_000
_RESULTS = frozenset({RaftType.APPEND_ENTRIES_RESULT, RaftType.REQUEST_VOTE_RESULT})


@dataclass(slots=True)
class _Rpc:
    """An RPC that was not answered yet."""

    connection: int
    offset: int
    last: int
    message: RaftMessage


@dataclass(slots=True)
class _Route:
    """What one node has asked another, by the type of the result."""

    open: list[_Rpc] = field(default_factory=list[_Rpc])
    mixed: int = 0  # of those that are open, and of which it is not known which: how many
    doubtful: bool = False
    sent: int = 0  # the highest `_index` of an RPC that is not open


_Key = tuple[str, str, int]


@dataclass
class RaftPairs:
    """The RPCs of all connections that are open."""

    _sources: dict[Connection, str] = field(default_factory=dict[Connection, str])
    _dialled: dict[tuple[str, str], None] = field(default_factory=dict[tuple[str, str], None])
    _routes: OrderedDict[_Key, _Route] = field(default_factory=OrderedDict[_Key, _Route])

    def source(self, connection: Connection) -> str:
        """Return the address of the node that dialled a connection; "" if unknown."""
        return self._sources.get(connection, "")

    def connect(self, item: Item) -> None:
        """Take the CONNECT of a node.

        Args:
            item: the request.
        """
        message = item.message
        if isinstance(message, ConnectRequest):
            self._connect(item.connection, message.address)

    def see(self, item: Item) -> None:
        """Take a message between nodes; of a result, say on it which RPC it answers.

        Args:
            item: the message, in the order in which all passed.
        """
        source, frame = self._sources.get(item.connection), item.raft
        if source is None or frame is None:
            return
        item.node = source
        if not item.connection.server:
            return
        message = frame.message
        if message is None:
            self.lose(item.connection)
        elif message.RESULT is not None and message.RESULT in _RESULTS:
            self._ask(self._route((source, item.connection.server, message.RESULT)), item, message)
        elif message.TYPE in _RESULTS:
            self._answer(self._route((item.connection.server, source, message.TYPE)), item, message)

    def lose(self, connection: Connection) -> None:
        """Note that messages may be missing.

        Args:
            connection: where.
        """
        if connection not in self._sources:
            return
        address, other = self._sources[connection], connection.server
        for code in _RESULTS:
            for key in ((address, other, code), (other, address, code)):
                self._route(key).doubtful = True

    def forget(self, connection: Connection) -> None:
        """Forget a connection that has ended.

        Args:
            connection: which.
        """
        self._sources.pop(connection, None)

    def _connect(self, connection: Connection, address: str) -> None:
        if len(self._sources) >= MAX_CONNECTIONS:
            self._sources.pop(next(iter(self._sources)))
        self._sources[connection] = address
        dialled = address, connection.server
        again = dialled in self._dialled
        self._dialled[dialled] = None
        if len(self._dialled) > MAX_ROUTES:
            self._dialled.pop(next(iter(self._dialled)))
        for code in _RESULTS:
            # what was open may have been lost with the connection before, and so may have its result
            self._routes.pop((address, connection.server, code), None)
            answers = self._routes.get((connection.server, address, code))
            if again and answers is not None:
                answers.open, answers.mixed, answers.doubtful = answers.open[-1:], 0, True

    def _route(self, key: _Key) -> _Route:
        route = self._routes.setdefault(key, _Route())
        self._routes.move_to_end(key)
        if len(self._routes) > MAX_ROUTES:
            self._routes.popitem(last=False)
        return route

    @staticmethod
    def _ask(route: _Route, item: Item, message: RaftMessage) -> None:
        if len(route.open) + route.mixed >= MAX_OPEN:
            route.open.clear()
            route.mixed, route.doubtful = 0, True
        route.open.append(_Rpc(item.connection.number, item.offset, item.last, message))
        if route.mixed:
            route.mixed += 1
            route.open.clear()

    @staticmethod
    def _answer(route: _Route, item: Item, message: RaftMessage) -> None:
        if len(route.open) == 1 and not route.mixed:
            rpc = route.open.pop()
            told = _index(rpc.message)
            if told > route.sent and _fits(rpc.message, message, exactly=True):
                route.doubtful = False
            if not _fits(rpc.message, message):
                route.doubtful = True
            elif not route.doubtful:
                item.answers = Answers(rpc.connection, rpc.offset)
                timed = item.connection.timed and rpc.last and item.last
                item.latency = item.last - rpc.last if timed and item.last >= rpc.last else None
            route.sent = max(route.sent, told)
            return
        if route.open:
            route.sent = max(route.sent, *(_index(rpc.message) for rpc in route.open))
            route.mixed, route.open = len(route.open), []
        if route.mixed:
            route.mixed -= 1
        else:
            route.doubtful = True  # it answers something that was not seen


def _index(message: RaftMessage) -> int:
    """What rises with the RPCs of a node: the last index that it sent, of a vote the term and its stage."""
    match message:
        case AppendEntries():
            return message.prev_log_index + len(message.entries)
        case InstallSnapshot():
            return message.last_index
        case RequestVote():
            return 2 * message.term + (not message.pre_vote)
        case _:
            return 0


def _fits(rpc: RaftMessage, result: RaftMessage, exactly: bool = False) -> bool:
    """Whether a result may be that of an RPC, by term and index; `exactly`: and of none before it."""
    match rpc, result:
        case RequestVote(), RequestVoteResult():
            same = rpc.pre_vote is None or result.pre_vote is None or rpc.pre_vote == result.pre_vote
            term = result.term == rpc.term or (not result.vote_granted and result.term > rpc.term)
            return same and (result.term == rpc.term and result.pre_vote is not None if exactly else term)
        case AppendEntries(), AppendEntriesResult() if result.rejected:
            return result.term >= rpc.term and result.rejected == rpc.prev_log_index and not exactly
        case AppendEntries(), AppendEntriesResult():
            if exactly and not rpc.entries:
                return False
            reached = (
                result.last_log_index == _index(rpc) if exactly else result.last_log_index >= _index(rpc)
            )
            return result.term == rpc.term and reached
        case InstallSnapshot(), AppendEntriesResult():
            return result.term == rpc.term and not result.rejected and result.last_log_index >= rpc.last_index
        case _:
            return False
