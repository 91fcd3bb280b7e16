"""Ask the nodes of a cluster, again and again until the picture that they give has come to rest.

`findings` judges what they say. What it finds may be true for the moment only: of an election, a change of
members on its way, a node that starts. So those that answered are asked again, until nothing is found that
could go away, or the answers have stayed the same for `SETTLED` seconds, or the time is over. While nobody is
known to lead, only a leader or the end of the time ends it. A node that keeps silent is waited for, and keeps
nobody from being asked again.

With `whole`, the members that the leader names are asked too (without a leader, those that its voters name),
with the TLS and upgrade of the node that named them. Who follows such names lets a node choose where to
connect, so there are bounds, whatever a node says:

  * at most `cluster.MOST` nodes are asked because others name them, `probing.AT_ONCE` at a time;
  * sockets and loopback addresses of this machine only where the node that names them is reached through one;
  * what is sent there is the handshake and the questions of `health`, nothing in other protocols.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from dqlitewire.dial.addresses import Address, Kind, spelling
from dqlitewire.dial.cluster import MOST, Asked, Picture
from dqlitewire.dial.errors import AddressError
from dqlitewire.dial.findings import Rest, Verdict, judge
from dqlitewire.dial.health import Health, Status
from dqlitewire.dial.options import PLAIN, DialOptions
from dqlitewire.dial.probing import AT_ONCE, probe_member
from dqlitewire.dial.sockets import Deadline
from dqlitewire.dial.targets import Target

SETTLED = 1.0  # seconds for which the answers have to be the same
_PAUSE = 0.1  # seconds between two rounds
_ROUND = 0.5  # seconds after which a node that has not answered is taken for silent, until it does
_LEAST = 1.0  # seconds that a node has to answer when it is asked again


@dataclass(frozen=True, slots=True)
class Wanted:
    """A node to ask.

    Attributes:
        address: where it listens.
        options: TLS and HTTP upgrade.
        node_id: that a store gives it; 0 if none does.
        store: path of that store.
        named_by: address of the node that named it; empty if somebody asks for it.
    """

    address: Address
    options: DialOptions = PLAIN
    node_id: int = 0
    store: str = ""
    named_by: str = ""


Ask = Callable[[Wanted, Deadline], Health]


def probe_cluster(
    targets: Sequence[tuple[Target, DialOptions]],
    timeout: float = 5.0,
    *,
    whole: bool = False,
    once: bool = False,
) -> Verdict:
    """Ask the nodes of a cluster how it is; nothing is changed.

    Args:
        targets: what to ask, each with its options; at least one.
        timeout: seconds for all of it.
        whole: ask every member that the leader names, too.
        once: ask each node once, whatever is found: what is seen at this moment, of an election too.

    Returns:
        What the nodes say, and what is to be said of that.

    Raises:
        ValueError: the options make no sense together, or for an address.
    """
    stores = {
        target.store.path: [(node.node_id, str(node.address)) for node in target.store.nodes]
        for target, _ in targets
        if target.store is not None
    }
    return Survey(list(_wanted(targets)), timeout, whole, stores, once=once).run()


def _wanted(targets: Sequence[tuple[Target, DialOptions]]) -> Iterator[Wanted]:
    for target, options in targets:
        if target.store is None:
            yield Wanted(target.addresses[0], options)
        else:
            for node in target.store.nodes:
                yield Wanted(node.address, options, node.node_id, target.store.path)


def _ask(wanted: Wanted, deadline: Deadline) -> Health:
    knocks = not wanted.named_by
    return probe_member(wanted.address, deadline, wanted.options, wanted.node_id, knocks=knocks)


class Survey:
    """Asks until the picture has come to rest.

    Args:
        wanted: the nodes; those with the same address are asked once.
        timeout: seconds for all of it.
        whole: ask every member that the leader names, too.
        stores: the ids and addresses that each store names, by its path.
        ask: asks a node.
        settled: seconds for which the answers have to be the same.
        once: ask each node once, whatever is found.

    Attributes:
        rounds: how often nodes were asked.
    """

    def __init__(
        self,
        wanted: Sequence[Wanted],
        timeout: float,
        whole: bool = False,
        stores: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        ask: Ask = _ask,
        settled: float = SETTLED,
        once: bool = False,
    ) -> None:
        self._whole, self._stores, self._settled, self._once = whole, stores or {}, settled, once
        self._wanted: dict[str, Wanted] = {}
        for one in wanted:
            key = spelling(str(one.address))
            if key not in self._wanted or not self._wanted[key].node_id:
                self._wanted[key] = one
        self._timeout, self._deadline = timeout, Deadline(timeout)
        self._latest: dict[str, Health] = {}
        self._awaited: dict[str, float] = {}  # since when
        self._barred: set[str] = set()  # addresses that are not dialled
        self._workers = _Workers(ask)
        self.rounds = 0

    def run(self) -> Verdict:
        """Ask, and judge.

        Raises:
            ValueError: the options make no sense together, or for an address.
        """
        try:
            return self._run()
        finally:
            self._workers.close()

    def _run(self) -> Verdict:
        before: object = None
        since = time.monotonic()
        self._request(list(self._wanted), Deadline(self._timeout))
        while True:
            self._collect(_ROUND)
            verdict = self._judged()
            if self._whole and (named := self._named(verdict.picture)):
                self._request(named, self._deadline)
                continue
            if (seen := _seen(verdict.picture)) != before:
                before, since = seen, time.monotonic()
            rest = verdict.rest
            if rest is Rest.SETTLES and time.monotonic() - since >= self._settled:
                rest = Rest.AT_REST
            again = self._again() if rest is not Rest.AT_REST and not self._once else None
            if again is None and not self._awaited:
                return verdict
            if again is None:
                self._collect(math.inf)
            else:
                time.sleep(_PAUSE)
                self._request([key for key in self._latest if key not in self._awaited], again)

    # ------------------------------------------------------------ asking

    def _request(self, keys: Sequence[str], deadline: Deadline) -> None:
        self.rounds += 1
        now = time.monotonic()
        for key in keys:
            if key not in self._barred:
                self._awaited[key] = now
                self._workers.put(key, self._wanted[key], deadline)

    def _again(self) -> Deadline | None:
        """Until when nodes that are asked again have to answer; None if there is no time for that."""
        try:
            left = self._deadline.left()
        except TimeoutError:
            return None
        if left < min(_LEAST, self._timeout / 4):
            return None
        return Deadline(math.floor(left * 10) / 10 or left)

    def _collect(self, seconds: float) -> None:
        """Take answers until nobody is awaited, or for some time."""
        end = time.monotonic() + seconds
        while self._awaited:
            left = end - time.monotonic()
            try:
                key, health = self._workers.get(None if math.isinf(left) else max(left, 0))
            except Empty:
                return
            del self._awaited[key]
            if isinstance(health, Exception):
                wanted = self._wanted[key]
                if not wanted.named_by or not isinstance(health, ValueError):
                    raise health
                health = Health(str(wanted.address), Status.UNREACHABLE, str(health))
            self._latest[key] = health

    # ------------------------------------------------------------ what is seen so far

    def _judged(self) -> Verdict:
        now = time.monotonic()
        silent = {key for key, since in self._awaited.items() if now - since >= _ROUND}
        asked: list[Asked] = []
        for key, wanted in self._wanted.items():
            if key in silent:
                health = Health(str(wanted.address), Status.SILENT, node_id=wanted.node_id)
            elif key in self._latest:
                health = self._latest[key]
            else:
                continue
            asked.append(Asked(health, wanted.store, wanted.named_by))
        verdict = judge(asked, self._whole, self._stores)
        named = _names(verdict.picture)
        if all(not one.named_by or spelling(one.address) in named for one in asked):
            return verdict
        return judge(  # without those whom nobody names any more
            [one for one in asked if not one.named_by or spelling(one.address) in named],
            self._whole,
            self._stores,
        )

    def _named(self, picture: Picture) -> list[str]:
        """Take up the nodes that are named and were not asked; returns the keys of those that can be."""
        believed = picture.believed
        if believed is None:
            return []
        teller = self._wanted[spelling(believed.address)]
        taken = {place for seat in picture.seats for place in seat.asked.places}
        unasked = {member.address for member in picture.unasked}
        leader = picture.leader if picture.member_at(picture.leader) is None else ""
        found: list[str] = []
        for text in [*filter(None, [leader]), *(m.address for m in picture.members if m.address in unasked)]:
            key = spelling(text)
            many = sum(bool(one.named_by) for one in self._wanted.values()) >= MOST
            if key in self._wanted or key in taken or many:
                continue
            try:
                address = Address.parse(text)
            except AddressError:
                address, problem = Address(Kind.UNIX, text), "its address is none that can be dialled"
            else:
                problem = _not_followed(address, believed.health)
            self._wanted[key] = Wanted(address, teller.options, named_by=believed.address)
            if problem:
                self._barred.add(key)
                self._latest[key] = Health(text, Status.UNREACHABLE, problem)
            else:
                found.append(key)
        return found


def _names(picture: Picture) -> set[str]:
    """Whom the nodes name."""
    leaders = {spelling(seat.asked.health.leader_address) for seat in picture.seats}
    return leaders | {spelling(member.address) for member in picture.members}


def _seen(picture: Picture) -> object:
    """What has to stay the same: everything but the times."""
    return [
        (
            seat.asked.address,
            seat.asked.health.status,
            seat.asked.health.leader_address,
            seat.asked.health.nodes,
        )
        for seat in picture.seats
    ]


def _not_followed(address: Address, teller: Health) -> str:
    """Why an address is not dialled because of this node's word; empty if it is."""
    if not _is_local(str(address)) or _is_local(teller.reached or teller.address):
        return ""
    return "not asked: it is of this machine, and named by another"


def _is_local(address: str) -> bool:
    """Whether an address is one of this machine for certain."""
    try:
        parsed = Address.parse(address)
    except AddressError:
        return False
    if parsed.kind is not Kind.TCP:
        return True
    try:
        ip = ipaddress.ip_address(parsed.name.partition("%")[0])
    except ValueError:
        return parsed.name.lower().rstrip(".") == "localhost"
    mapped = getattr(ip, "ipv4_mapped", None) or ip
    return bool(mapped.is_loopback or mapped.is_unspecified)


class _Workers:
    """Threads that ask; daemons, since an interrupted command does not wait for what they wait for."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._left: SimpleQueue[tuple[str, Wanted, Deadline] | None] = SimpleQueue()
        self._done: SimpleQueue[tuple[str, Health | Exception]] = SimpleQueue()
        self._threads = self._open = 0

    def put(self, key: str, wanted: Wanted, deadline: Deadline) -> None:
        """Have a node asked.

        Args:
            key: comes back with the answer.
            wanted: the node.
            deadline: for the answer.
        """
        self._left.put((key, wanted, deadline))
        self._open += 1
        if self._threads < min(self._open, AT_ONCE):
            self._threads += 1
            threading.Thread(target=self._work, daemon=True).start()

    def get(self, timeout: float | None) -> tuple[str, Health | Exception]:
        """Wait for an answer.

        Args:
            timeout: seconds; None waits until there is one.

        Raises:
            Empty: there was none in time.
        """
        done = self._done.get(timeout=timeout)
        self._open -= 1
        return done

    def close(self) -> None:
        """Let the threads end."""
        for _ in range(self._threads):
            self._left.put(None)

    def _work(self) -> None:
        while (each := self._left.get()) is not None:
            key, wanted, deadline = each
            try:
                self._done.put((key, self._ask(wanted, deadline)))
            except Exception as error:
                self._done.put((key, error))
