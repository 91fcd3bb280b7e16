"""Ask the nodes of a cluster, again and again until their answers have come to rest.

`findings` judges what they say. What it finds may be true for the moment only: of an election, a change of
members on its way, a node that starts. So those that answered are asked again, until nothing is found that
could go away, or the answers have stayed the same for `SETTLED` seconds, or the time is over. While nobody is
known to lead, only a leader or the end of the time ends it. A node that keeps silent is waited for, and keeps
nobody from being asked again.

With `whole`, the members that the leader names are asked too (without a leader, those that its voters name),
with the TLS and upgrade of the node that named them. Who follows such names lets a node choose where to
connect, so there are bounds, whatever a node says:

  * at most `cluster.MOST` nodes are asked because others name them;
  * sockets and loopback addresses of this machine only where the node that names them is reached through one;
  * what is sent there is the handshake and the questions of `health`, nothing in other protocols.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty

from dqlitewire.dial.addresses import Address, Kind, spelling
from dqlitewire.dial.asking import Ask, Endpoint, Workers, not_followed
from dqlitewire.dial.cluster import MOST, Answer, ClusterView
from dqlitewire.dial.errors import AddressError
from dqlitewire.dial.findings import Rest
from dqlitewire.dial.health import Health, Status
from dqlitewire.dial.options import DialOptions
from dqlitewire.dial.probing import probe_member
from dqlitewire.dial.sockets import Deadline
from dqlitewire.dial.targets import Target
from dqlitewire.dial.verdict import Verdict, judge

SETTLED = 1.0  # seconds for which the answers have to be the same
_PAUSE = 0.1  # seconds between two rounds
_ROUND = 0.5  # seconds after which a node that has not answered is taken for silent, until it does
_LEAST = 1.0  # seconds that a node has to answer when it is asked again


def probe_cluster(
    targets: Sequence[tuple[Target, DialOptions]], timeout: float = 5.0, *, whole: bool = False
) -> Verdict:
    """Ask the nodes of a cluster how it is; nothing is changed.

    Args:
        targets: what to ask, each with its options; at least one.
        timeout: seconds for all of it.
        whole: ask every member that the leader names, too.

    Returns:
        What the nodes say, and what is to be said of that.

    Raises:
        ValueError: the options make no sense together, or for an address.
    """
    return Survey.of(targets, timeout, whole).run()


def _endpoints(targets: Sequence[tuple[Target, DialOptions]]) -> Iterator[Endpoint]:
    for target, options in targets:
        if target.store is None:
            yield Endpoint(target.addresses[0], options)
        else:
            for node in target.store.nodes:
                yield Endpoint(node.address, options, node.node_id, target.store.path)


def _ask(endpoint: Endpoint, deadline: Deadline) -> Health:
    detects = not endpoint.named_by
    return probe_member(endpoint.address, deadline, endpoint.options, endpoint.node_id, detects=detects)


class Survey:
    """Asks until the answers have come to rest, as often as it is run.

    The next run asks whom the last one knew to be members as well, though its TARGETs are gone.

    Args:
        endpoints: of the nodes; those with the same address are asked once.
        timeout: seconds for all of it.
        whole: ask every member that the leader names, too.
        stores: the ids and addresses that each store names, by its path.
        ask: asks a node.
        settled: seconds for which the answers have to be the same.
        once: ask each node once a run, whatever is found: what is seen at this moment, of an election too.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        timeout: float,
        whole: bool = False,
        stores: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        ask: Ask = _ask,
        settled: float = SETTLED,
        once: bool = False,
    ) -> None:
        self._whole, self._stores, self._settled, self._once = whole, stores or {}, settled, once
        self._endpoints: dict[str, Endpoint] = {}
        for one in endpoints:
            key = spelling(str(one.address))
            if key not in self._endpoints or not self._endpoints[key].node_id:
                self._endpoints[key] = one
        self._ask, self._timeout = ask, timeout
        self._barred: set[str] = set()  # addresses that are not dialled
        self._begin()

    @classmethod
    def of(
        cls,
        targets: Sequence[tuple[Target, DialOptions]],
        timeout: float,
        whole: bool = False,
        once: bool = False,
    ) -> Survey:
        """Return a survey of the nodes of some TARGETs.

        Args:
            targets: what to ask, each with its options; at least one.
            timeout: seconds for each run.
            whole: ask every member that the leader names, too.
            once: ask each node once a run.
        """
        stores = {
            target.store.path: [(node.node_id, str(node.address)) for node in target.store.nodes]
            for target, _ in targets
            if target.store is not None
        }
        return cls(list(_endpoints(targets)), timeout, whole, stores, once=once)

    def run(self) -> Verdict:
        """Ask, and judge.

        Raises:
            ValueError: the options make no sense together, or for an address.
        """
        self._begin()
        try:
            verdict = self._run()
        finally:
            self._workers.close()
        shown = {spelling(node.answer.address) for node in verdict.view.nodes}
        for key in [key for key, one in self._endpoints.items() if one.named_by and key not in shown]:
            del self._endpoints[key]
            self._barred.discard(key)
        return verdict

    def _begin(self) -> None:
        self._deadline = Deadline(self._timeout)
        self._latest: dict[str, Health] = {key: self._latest[key] for key in self._barred}
        self._awaited: dict[str, float] = {}  # since when
        self._workers = Workers(self._ask)

    def _run(self) -> Verdict:
        before: object = None
        since = time.monotonic()
        self._request(list(self._endpoints), Deadline(self._timeout))
        while True:
            self._collect(_ROUND)
            verdict = self._judged()
            if self._whole and self._follow(verdict.view):
                continue
            if (seen := _seen(verdict.view)) != before:
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
        now = time.monotonic()
        for key in keys:
            if key not in self._barred:
                self._awaited[key] = now
                self._workers.put(key, self._endpoints[key], deadline)

    def _again(self) -> Deadline | None:
        """Until when nodes that are asked again have to answer; None if there is no time for that."""
        try:
            left = self._deadline.left()
        except TimeoutError:
            return None
        if left < min(_LEAST, self._timeout / 2):
            return None
        return Deadline(math.floor(left * 100) / 100)

    def _collect(self, silent: float) -> None:
        """Take answers until nobody is awaited but those who have been silent for some seconds."""
        while self._awaited:
            left = max(self._awaited.values()) + silent - time.monotonic()
            try:
                key, health = self._workers.get(None if math.isinf(left) else max(left, 0))
            except Empty:
                return
            del self._awaited[key]
            if isinstance(health, Exception):
                endpoint = self._endpoints[key]
                if not endpoint.named_by or not isinstance(health, ValueError):
                    raise health
                health = Health(str(endpoint.address), Status.UNREACHABLE, str(health))
            self._latest[key] = health

    # ------------------------------------------------------------ what is seen so far

    def _judged(self) -> Verdict:
        now = time.monotonic()
        silent = {key for key, since in self._awaited.items() if now - since >= _ROUND}
        answers: list[Answer] = []
        for key, endpoint in self._endpoints.items():
            if key in silent:
                health = Health(str(endpoint.address), Status.SILENT, node_id=endpoint.node_id)
            elif key in self._latest:
                health = self._latest[key]
            else:
                continue
            answers.append(Answer(health, endpoint.store, endpoint.named_by))
        verdict = judge(answers, self._whole, self._stores)
        named = _names(verdict.view)
        if verdict.view.believed is None or all(
            not one.named_by or spelling(one.address) in named for one in answers
        ):
            return verdict
        return judge(  # without those whom nobody names any more
            [one for one in answers if not one.named_by or spelling(one.address) in named],
            self._whole,
            self._stores,
        )

    def _follow(self, view: ClusterView) -> bool:
        """Take up the nodes that are named and were not asked; returns whether there are any."""
        believed = view.believed
        if believed is None:
            return False
        teller = self._endpoints[spelling(believed.address)]
        taken = {place for node in view.nodes for place in node.answer.places}
        unasked = {member.address for member in view.unasked}
        leader = view.leader if view.member_at(view.leader) is None else ""
        found: list[str] = []
        known = len(self._endpoints)
        for text in [*filter(None, [leader]), *(m.address for m in view.members if m.address in unasked)]:
            key = spelling(text)
            many = sum(bool(one.named_by) for one in self._endpoints.values()) >= MOST
            if key in self._endpoints or key in taken or many:
                continue
            try:
                address = Address.parse(text)
            except AddressError:
                address, problem = Address(Kind.UNIX, text), "its address is none that can be dialled"
            else:
                problem = not_followed(address, believed.health)
            self._endpoints[key] = Endpoint(address, teller.options, named_by=believed.address)
            if problem:
                self._barred.add(key)
                self._latest[key] = Health(text, Status.UNREACHABLE, problem)
            else:
                found.append(key)
        if found:
            self._request(found, self._deadline)
        return len(self._endpoints) > known


def _names(view: ClusterView) -> set[str]:
    """Whom the nodes name."""
    leaders = {spelling(node.answer.health.leader_address) for node in view.nodes}
    return leaders | {spelling(member.address) for member in view.members}


def _seen(view: ClusterView) -> object:
    """What has to stay the same: everything but the times."""
    return [
        (
            node.answer.address,
            node.answer.health.status,
            node.answer.health.leader_address,
            node.answer.health.nodes,
        )
        for node in view.nodes
    ]
