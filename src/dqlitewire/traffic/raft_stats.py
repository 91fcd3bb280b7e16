"""Statistics of what nodes say to each other: terms, leaders, votes, and how far followers are behind.

A node is known by the address in its CONNECT, and where that was not captured by the endpoint that it dialled
from. What a follower has acknowledged stands on the connection that it dialled to its leader; so lag is known
where CONNECT of both was captured, and is None elsewhere:

    leader -> follower   AppendEntries up to 9, at 1.000 s     sent 9
    follower -> leader   result: last 9, at 1.002 s            acknowledged 9, after 2 ms

What a peer can choose without end is bounded: of more than `MAX_TERMS` terms the lowest are forgotten, of
more than `MAX_FOLLOWERS` pairs of nodes none is added, and of entries on their way `MAX_SENT` are
remembered."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from dqlitewire.raft import (
    AppendEntries,
    AppendEntriesResult,
    InstallSnapshot,
    RaftMessage,
    RaftType,
    RequestVote,
    RequestVoteResult,
    TimeoutNow,
)
from dqlitewire.traffic.item import Item

MAX_TERMS = 1000
MAX_FOLLOWERS = 1000
MAX_SENT = 4096
MAX_CHANGES = 1000  # of the leader that are kept


@dataclass
class Term:
    """What is known of a term.

    Attributes:
        term: its number.
        leader: the address of its leader; "" if it was not heard.
        first: when it was heard of first, in nanoseconds since 1970; 0 if unknown.
        votes_asked: requests for a vote.
        votes_granted: votes that were given.
        pre_votes_asked: the same of pre-votes.
        pre_votes_granted: the same of pre-votes.
    """

    term: int
    leader: str = ""
    first: int = 0
    votes_asked: int = 0
    votes_granted: int = 0
    pre_votes_asked: int = 0
    pre_votes_granted: int = 0


@dataclass
class Follower:
    """What a leader sent one follower, and how far that follower came.

    Attributes:
        leader: the leader's address.
        follower: the follower's.
        sent: the last index sent.
        acknowledged: the last index acknowledged; None if nothing was.
        max_lag: the most entries that it was behind.
        max_delay: the longest that entries were on their way, in nanoseconds.
        entries: how many were sent, those sent again included.
        bytes: of messages with entries or a snapshot.
        snapshots: how many were sent.
        snapshot_bytes: bytes of these messages.
    """

    leader: str
    follower: str
    sent: int = 0
    acknowledged: int | None = None
    max_lag: int = 0
    max_delay: int = 0
    entries: int = 0
    bytes: int = 0
    snapshots: int = 0
    snapshot_bytes: int = 0
    _term: int = 0
    _on_way: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])  # index, when sent

    @property
    def lag(self) -> int | None:
        """Entries that it is behind; None if it acknowledged nothing."""
        return None if self.acknowledged is None else max(0, self.sent - self.acknowledged)

    def delay(self, now: int) -> int | None:
        """Return since when it is behind, in nanoseconds; None if it acknowledged nothing.

        Args:
            now: the time of the last message, in nanoseconds since 1970.
        """
        if self.acknowledged is None:
            return None
        return max(0, now - self._on_way[0][1]) if self._on_way and self.lag else 0

    def send(self, term: int, index: int, time: int) -> None:
        """Note that entries up to an index were sent."""
        if term > self._term:  # a leader anew: what it sent in an older term may be overwritten
            self._term, self.sent, self.acknowledged = term, 0, None
            self._on_way.clear()
        if index <= self.sent:
            return
        self.sent = index
        if len(self._on_way) < MAX_SENT:
            self._on_way.append((index, time))
        if self.acknowledged is not None:
            self.max_lag = max(self.max_lag, self.sent - self.acknowledged)

    def acknowledge(self, term: int, index: int, time: int) -> None:
        """Note that a follower has entries up to an index."""
        if term != self._term:
            return
        self.acknowledged = max(self.acknowledged or 0, min(index, self.sent))
        while self._on_way and self._on_way[0][0] <= self.acknowledged:
            sent = self._on_way.popleft()[1]
            if sent and time:
                self.max_delay = max(self.max_delay, time - sent)


@dataclass
class RaftStatistics:
    """Counts of all messages between nodes that `add` was given.

    Attributes:
        messages: how many, by type.
        bytes: of all of them.
        last: when the last of them came, in nanoseconds since 1970; 0 if unknown.
        terms: by number.
        leaders: (time, term, address) for each leader that was heard and is not the one before.
        followers: by the addresses of leader and follower.
    """

    messages: Counter[str] = field(default_factory=Counter[str])
    bytes: int = 0
    last: int = 0
    terms: dict[int, Term] = field(default_factory=dict[int, Term])
    leaders: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    followers: dict[tuple[str, str], Follower] = field(default_factory=dict[tuple[str, str], Follower])

    @property
    def bytes_replicated(self) -> int:
        """Bytes of all messages with entries or snapshots."""
        return sum(follower.bytes for follower in self.followers.values())

    @property
    def snapshots(self) -> int:
        """How many snapshots were sent."""
        return sum(follower.snapshots for follower in self.followers.values())

    def add(self, item: Item) -> None:
        """Count a message between nodes."""
        self.messages[item.type] += 1
        self.bytes += item.size
        self.last = max(self.last, item.last)
        message = item.raft_message
        match message:
            case AppendEntries():
                self._lead(item, message.term)
                index = message.prev_log_index + len(message.entries)
                follower = self._replicate(item, message.term, index, bool(message.entries))
                if follower is not None:
                    follower.entries += len(message.entries)
            case InstallSnapshot():
                self._lead(item, message.term)
                self._snapshot(item, self._replicate(item, message.term, message.last_index, True))
            case TimeoutNow():
                self._lead(item, message.term)
            case AppendEntriesResult(rejected=0):
                self._acknowledge(item, message)
            case RequestVote() | RequestVoteResult():
                self._vote(item, message)
            case None if item.type == RaftType.INSTALL_SNAPSHOT.name:  # too large to be kept
                self._snapshot(item, self._replicate(item, 0, 0, True))
            case _:
                pass

    def _term(self, item: Item, number: int) -> Term | None:
        found = self.terms.get(number)
        if found is None:
            if len(self.terms) >= MAX_TERMS:
                lowest = min(self.terms)
                if lowest > number:
                    return None
                del self.terms[lowest]
            found = self.terms[number] = Term(number, first=item.time)
        return found

    def _lead(self, item: Item, number: int) -> None:
        term = self._term(item, number)
        leader = item.node or item.connection.client
        if term is None or not leader:
            return
        if not term.leader:
            term.leader = leader
        if (not self.leaders or self.leaders[-1][1] < number) and len(self.leaders) < MAX_CHANGES:
            self.leaders.append((item.time, number, leader))

    def _replicate(self, item: Item, term: int, index: int, carries: bool) -> Follower | None:
        key = item.node or item.connection.client, item.connection.server
        follower = self.followers.get(key)
        if follower is None:
            if len(self.followers) >= MAX_FOLLOWERS:
                return None
            follower = self.followers[key] = Follower(*key)
        follower.send(term, index, item.last)
        follower.bytes += item.size if carries else 0
        return follower

    @staticmethod
    def _snapshot(item: Item, follower: Follower | None) -> None:
        if follower is not None:
            follower.snapshots += 1
            follower.snapshot_bytes += item.size

    def _acknowledge(self, item: Item, result: AppendEntriesResult) -> None:
        follower = self.followers.get((item.connection.server, item.node)) if item.node else None
        if follower is not None:
            follower.acknowledge(result.term, result.last_log_index, item.last)

    def _vote(self, item: Item, message: RaftMessage) -> None:
        match message:
            case RequestVote() if (term := self._term(item, message.term)) is not None:
                term.pre_votes_asked += bool(message.pre_vote)
                term.votes_asked += not message.pre_vote
            case RequestVoteResult(vote_granted=True) if (term := self._term(item, message.term)) is not None:
                term.pre_votes_granted += bool(message.pre_vote)
                term.votes_granted += not message.pre_vote
            case _:
                pass
