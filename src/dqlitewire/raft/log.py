"""What a cluster has committed, put together from the messages of its leaders.

AppendEntries carries entries long before they are committed: the leader tells in a later message up to which
index they are (`leader_commit`), and entries that never were may be overwritten by those of a later term. The
same entry goes to every follower, on a connection of its own, and again to one that missed it. `Log` takes
all of these messages and gives each committed entry once, in the order of the log. What it holds are runs:

    applied | [ start .. last ]  hole  [ start .. last ]     a run: entries without a gap, not given yet
                    ^ commit                                  up to here they are committed

A message (term T, prev_log_index p, prev_log_term t, entries p+1 .. p+n, leader_commit c) says three things:

1. Its entries are in the log of the leader of term T. Others at their places, of an earlier leader, are not,
   and neither is what follows those.
2. If the entry at p in a run has term t, the run is in that log up to p (raft's log matching property). If it
   has another, the run ends before p.
3. Up to min(c, p + n) that log is committed, and so is the run, as far as 1 and 2 showed it to be the same.
   A `leader_commit` says nothing about entries that somebody else sent.

A reader that joins in the middle of a log, or misses a part of it, cannot know what stood there: it goes on
behind the hole, and says so (`Hole`). A snapshot stands for all entries before it, holes included.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from dqlitewire.raft.commands import Frames
from dqlitewire.raft.entries import Entry
from dqlitewire.raft.messages import AppendEntries, InstallSnapshot, RaftMessage
from dqlitewire.raft.snapshots import Snapshot

__all__ = ["Committed", "Hole", "InstalledSnapshot", "Log"]

MAX_PENDING = 256 << 20  # bytes, roughly: behind that a hole is not waited for any longer


@dataclass(frozen=True, slots=True)
class Hole:
    """Entries that were committed and not seen.

    Attributes:
        first: the index of the first of them.
        last: the index of the last of them.
    """

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class InstalledSnapshot:
    """A snapshot that stands for all entries up to an index.

    Attributes:
        last_index: that index.
        snapshot: all the databases.
    """

    last_index: int
    snapshot: Snapshot


Committed = Entry | InstalledSnapshot | Hole


@dataclass(slots=True)
class _Run:
    """Entries without a gap.

    Attributes:
        start: the index of the first.
        before: the term of the entry before it.
        sender: the highest term of a leader that has them in its log, as far as is known.
        commit: up to which index they are committed.
    """

    start: int
    before: int
    sender: int
    entries: list[Entry] = field(default_factory=list[Entry])
    commit: int = 0

    @property
    def last(self) -> int:
        return self.start + len(self.entries) - 1

    def term(self, index: int) -> int:
        return self.entries[index - self.start].term if index >= self.start else self.before

    def cut(self, index: int) -> int:
        """Drop the entries from an index on; return their size."""
        dropped = self.entries[index - self.start :]
        del self.entries[index - self.start :]
        self.commit = min(self.commit, index - 1)
        return sum(map(_size, dropped))


def _start(run: _Run) -> int:
    return run.start


def _size(entry: Entry) -> int:
    command = entry.command
    return 4096 if not isinstance(command, Frames) else command.page_size * len(command.pages) + 4096


class Log:
    """The committed log of one cluster.

    Args:
        max_pending: bytes of entries, roughly, that are kept while an entry before them is missing.

    Attributes:
        applied: the index of the last entry that was given, 0 before the first.
        term: the highest term that was seen.
    """

    def __init__(self, max_pending: int = MAX_PENDING) -> None:
        self.applied: int = 0
        self.term: int = 0
        self._runs: list[_Run] = []
        self._size = 0
        self._max_pending = max_pending

    def take(self, message: RaftMessage) -> Iterator[Committed]:
        """Take a message, and give what it shows to be committed.

        Args:
            message: any of the cluster; others than AppendEntries and InstallSnapshot give nothing.
        """
        if isinstance(message, InstallSnapshot):
            self.term = max(self.term, message.term)
            if message.last_index > self.applied:
                self._apply(message.last_index)
                yield InstalledSnapshot(message.last_index, message.snapshot)
        elif isinstance(message, AppendEntries):
            self.term = max(self.term, message.term)
            self._add(message)
        yield from self._committed(over_holes=self._size > self._max_pending)

    def finish(self) -> Iterator[Committed]:
        """Give what is committed and stands behind holes."""
        yield from self._committed(over_holes=True)

    @property
    def uncommitted(self) -> int:
        """How many entries were sent and not seen to be committed."""
        return sum(run.last - max(run.commit, run.start - 1) for run in self._runs)

    def _apply(self, index: int) -> None:
        """Everything up to an index is done with."""
        self.applied = index
        while self._runs and self._runs[0].start <= index:
            run = self._runs[0]
            done = run.entries[: index + 1 - run.start]
            self._size -= sum(map(_size, done))
            if len(done) == len(run.entries):
                del self._runs[0]
            else:
                run.before = done[-1].term
                del run.entries[: len(done)]
                run.start = index + 1

    def _add(self, message: AppendEntries) -> None:
        done = max(self.applied - message.prev_log_index, 0)
        if done > len(message.entries):
            return  # all of it was given before
        entries = message.entries[done:]
        at = message.prev_log_index + done
        term = message.entries[done - 1].term if done else message.prev_log_term
        run = self._run_at(at, term, message.term)
        if run is None or not self._extend(run, entries, message.term):
            return
        run.sender = max(run.sender, message.term)
        run.commit = max(run.commit, min(message.leader_commit, at + len(entries)))
        if not run.entries:
            self._runs.remove(run)

    def _run_at(self, at: int, term: int, leader: int) -> _Run | None:
        """Return the run that holds the entry at an index, or begins behind it; None for old news."""
        number = bisect_right(self._runs, at + 1, key=_start) - 1
        run = self._runs[number] if number >= 0 else None
        if run is not None and at <= run.last and (at >= run.start or at == run.start - 1):
            if run.term(at) == term or at == self.applied:
                return run
            if run.sender > leader:
                return None
            self._size -= run.cut(max(at, run.start))
            if not run.entries:
                del self._runs[number]
        run = _Run(at + 1, term, leader)
        self._runs.insert(bisect_right(self._runs, at + 1, key=_start), run)
        return run

    def _extend(self, run: _Run, entries: tuple[Entry, ...], leader: int) -> bool:
        """Put entries into a run and behind it; False if a later leader has others."""
        for entry in entries:
            if entry.index <= run.last:
                if run.term(entry.index) == entry.term:
                    continue
                if run.sender > leader:
                    return False
                self._size -= run.cut(entry.index)
            run.entries.append(entry)
            self._size += _size(entry)
            if not self._join(run, leader):
                return False
        return self._join(run, leader)

    def _join(self, run: _Run, leader: int) -> bool:
        """Join a run with the next one, where that begins right behind it or inside of it."""
        number = self._runs.index(run) + 1
        if number == len(self._runs) or self._runs[number].start > run.last + 1:
            return True
        following = self._runs[number]
        overlap = run.last - following.start + 1
        if following.term(run.last) != run.term(run.last):
            if following.sender > leader:
                return False
            self._size -= following.cut(following.start)
        self._size -= sum(map(_size, following.entries[:overlap]))
        run.entries += following.entries[overlap:]
        run.commit = max(run.commit, following.commit)
        run.sender = max(run.sender, following.sender)
        del self._runs[number]
        return True

    def _committed(self, *, over_holes: bool) -> Iterator[Committed]:
        while (run := self._next_run(over_holes)) is not None:
            if run.start > self.applied + 1:
                yield Hole(self.applied + 1, run.start - 1)
            given = run.entries[: run.commit + 1 - run.start]
            self._apply(run.commit)
            yield from given

    def _next_run(self, over_holes: bool) -> _Run | None:
        """Return the next run of which something is committed, if it is its turn."""
        for run in self._runs if over_holes or not self.applied else self._runs[:1]:
            if run.commit >= run.start and (over_holes or not self.applied or run.start == self.applied + 1):
                return run
        return None
