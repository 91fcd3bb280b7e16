"""Asking again until the view has come to rest: made-up nodes, hostile ones, and the embedded cluster."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.dial import (
    Address,
    DialOptions,
    Finding,
    FindingKind,
    Health,
    Status,
    Target,
    Verdict,
    probe_cluster,
)
from dqlitewire.dial.asking import Endpoint
from dqlitewire.dial.cluster import MOST
from dqlitewire.dial.probing import AT_ONCE
from dqlitewire.dial.sockets import Deadline
from dqlitewire.dial.surveying import Survey
from dqlitewire.testing import DqliteCluster
from tests.dial.test_cluster import SPOILS, VOTER, Made, health_of, made
from tests.waiting import receive

TIMEOUT = 60.0
SETTLED = 0.3


class Nodes:
    """Made-up nodes that answer by a script.

    Args:
        script: what there is when a node is asked for the n-th time; the last of it stays.
    """

    def __init__(self, *script: Made) -> None:
        self.script = script
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, endpoint: Endpoint, deadline: Deadline) -> Health:
        address = str(endpoint.address)
        with self.lock:
            number = min(self.asked[address], len(self.script) - 1)
            self.asked[address] += 1
        for health in self.script[number].healths:
            if health.address == address:
                return health
        return Health(address, Status.UNREACHABLE, "Connection refused")


def survey(
    ask: Callable[[Endpoint, Deadline], Health],
    *addresses: str,
    whole: bool = False,
    timeout: float = TIMEOUT,
    settled: float = SETTLED,
) -> Verdict:
    endpoints = [Endpoint(Address.parse(address)) for address in addresses]
    return Survey(endpoints, timeout, whole, ask=ask, settled=settled).run()


def spoiled(name: str) -> Made:
    whole = made(VOTER, VOTER, VOTER)
    next(spoil for spoil in SPOILS if spoil.__name__ == name)(whole)
    return whole


THREE = tuple(f"10.0.0.{i}:9000" for i in (1, 2, 3))


def test_what_is_well_is_asked_once() -> None:
    nodes = Nodes(made(VOTER, VOTER, VOTER))
    assert survey(nodes, *THREE, THREE[0]).healthy
    assert nodes.asked == dict.fromkeys(THREE, 1)


@pytest.mark.parametrize(
    "name", ["two_leaders", "no_leader", "another_role", "failing", "one_lacks_a_member"]
)
def test_what_passes_is_not_said(name: str) -> None:
    nodes = Nodes(spoiled(name), spoiled(name), made(VOTER, VOTER, VOTER))
    assert survey(nodes, *THREE, settled=TIMEOUT).findings == ()
    assert set(nodes.asked.values()) == {3}


def test_what_stays_is_said_when_it_has_stayed() -> None:
    nodes = Nodes(spoiled("two_leaders"))
    verdict = survey(nodes, *THREE)
    assert {finding.kind for finding in verdict.findings} == {FindingKind.LEADERS}
    assert min(nodes.asked.values()) > 1


def test_an_election_is_waited_for_and_the_dead_leader_said() -> None:
    after = spoiled("leader_gone")
    for health in after.healths[1:]:
        health.leader_id, health.leader_address = 2, THREE[1]
    between = spoiled("no_leader")
    between.healths[0] = after.healths[0]
    verdict = survey(Nodes(spoiled("leader_gone"), *[between] * 5, after), *THREE, settled=TIMEOUT)
    assert [(finding.kind, finding.text) for finding in verdict.findings] == [
        (FindingKind.UNREACHABLE, f"1 at {THREE[0]} (voter) is unreachable: Connection refused")
    ]
    assert verdict.view.leader == THREE[1]


def test_without_a_leader_it_is_asked_until_the_time_is_over() -> None:
    for seconds in (0.6, 6.0, TIMEOUT):  # a busy machine asks less often
        nodes = Nodes(spoiled("no_leader"))
        begin = time.monotonic()
        verdict = survey(nodes, *THREE, timeout=seconds)
        assert {finding.kind for finding in verdict.findings} == {FindingKind.NO_LEADER}
        assert time.monotonic() - begin < seconds + TIMEOUT
        if min(nodes.asked.values()) > 2:
            break
    assert min(nodes.asked.values()) > 2


def test_where_nobody_answers_nothing_is_waited_for() -> None:
    nodes = Nodes(Made([], made(VOTER).leader, []))
    verdict = survey(nodes, *THREE, whole=True, timeout=60)
    assert {finding.kind for finding in verdict.findings} == {FindingKind.UNREACHABLE}
    assert nodes.asked == dict.fromkeys(THREE, 1)


def test_a_silent_leader_keeps_nobody_from_naming_another() -> None:
    """It hangs until the end; the others elect meanwhile, and are asked again."""
    before, after = made(VOTER, VOTER, VOTER), made(VOTER, VOTER, VOTER)
    for health in after.healths[1:]:
        health.leader_id, health.leader_address = 2, THREE[1]

    def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
        if str(endpoint.address) == THREE[0]:
            time.sleep(deadline.left())
            return Health(THREE[0], Status.SILENT, "connected")
        return nodes(endpoint, deadline)

    for seconds in (2.0, 20.0):  # all of which it takes; a busy machine asks less often
        nodes = Nodes(*[before] * 3, after)
        verdict = survey(ask, *THREE, timeout=seconds)
        if verdict.view.leader == THREE[1]:
            break
    assert verdict.view.leader == THREE[1]
    assert [finding.kind for finding in verdict.findings] == [FindingKind.UNREACHABLE]


def test_many_silent_nodes_keep_nobody_from_being_asked() -> None:
    """They answer only when the last one was asked."""
    last_asked = threading.Event()
    *others, last = (f"10.0.0.9:{port}" for port in range(1, AT_ONCE + 1))

    def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
        if str(endpoint.address) == last:
            last_asked.set()
        assert last_asked.wait(60)
        return Health(str(endpoint.address), Status.SILENT, "connected")

    assert len(survey(ask, *others, last).view.nodes) == AT_ONCE > 100


def test_a_node_that_takes_its_time_is_no_silent_one() -> None:

    def findings(seconds: float) -> tuple[Finding, ...]:
        nodes = Nodes(made(VOTER, VOTER, VOTER))

        def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
            if str(endpoint.address) == THREE[0]:
                time.sleep(seconds / 2)
            return nodes(endpoint, deadline)

        return survey(ask, *THREE, timeout=seconds).findings

    assert not findings(2.0) or not findings(20.0)  # a busy machine may take the other half


# ---------------------------------------------------------------- whom the leader names


def test_the_whole_cluster_from_any_node() -> None:
    for address in THREE:
        nodes = Nodes(made(VOTER, VOTER, VOTER))
        verdict = survey(nodes, address, whole=True)
        assert verdict.findings == ()
        assert verdict.view.nodes[0].answer.address == address
        assert nodes.asked == dict.fromkeys(THREE, 1)
    assert survey(Nodes(made(VOTER, VOTER, VOTER)), THREE[1]).view.unasked  # not unless it is endpoint


def test_without_a_leader_those_are_asked_whom_a_voter_names() -> None:
    verdict = survey(Nodes(spoiled("no_quorum")), THREE[0], whole=True, timeout=0.5)
    assert {finding.kind for finding in verdict.findings} == {
        FindingKind.NO_LEADER,
        FindingKind.UNREACHABLE,
        FindingKind.NO_QUORUM,
    }
    assert len(verdict.view.nodes) == 3


def test_a_node_that_the_leader_names_no_more_is_forgotten() -> None:
    """A follower names one that was removed while it was asked."""
    whole = made(VOTER, VOTER, VOTER)
    old = NodeInfo(4, "10.0.0.4:9000", VOTER)
    before = made(VOTER, VOTER, VOTER)
    before.healths[0] = Health(THREE[0], Status.UNREACHABLE)
    before.healths[1].nodes = [*whole.members, old]
    verdict = survey(Nodes(before, whole), THREE[1], whole=True)
    assert verdict.findings == ()
    assert [node.answer.address for node in verdict.view.nodes] == [THREE[1], THREE[0], THREE[2]]


def test_the_members_of_the_last_run_are_known_when_the_target_is_gone() -> None:
    """As with --watch: the one TARGET was the leader."""
    after = spoiled("leader_gone")
    for health in after.healths[1:]:
        health.leader_id, health.leader_address = 2, THREE[1]
    nodes = Nodes(made(VOTER, VOTER, VOTER), after)
    survey_ = Survey([Endpoint(Address.parse(THREE[0]))], TIMEOUT, True, ask=nodes, settled=SETTLED)
    assert survey_.run().findings == ()
    verdict = survey_.run()
    assert [finding.kind for finding in verdict.findings] == [FindingKind.UNREACHABLE]
    assert verdict.view.leader == THREE[1]
    assert len(verdict.view.nodes) == 3
    nodes.script = (Made([], after.leader, []),)  # and then all of them
    assert len(Survey.run(survey_).view.nodes) == 3


def test_the_same_options_lead_to_those_that_are_named() -> None:
    options = DialOptions(upgrade="/x")
    seen: dict[str, DialOptions] = {}
    nodes = Nodes(made(VOTER, VOTER, VOTER))

    def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
        seen[str(endpoint.address)] = endpoint.options
        return nodes(endpoint, deadline)

    endpoints = [Endpoint(Address.parse(THREE[2]), options)]
    assert Survey(endpoints, TIMEOUT, True, ask=ask).run().healthy
    assert seen == dict.fromkeys(THREE, options)


def hostile(members: list[NodeInfo], reached: str = "10.0.0.1:9000") -> Nodes:
    own = NodeInfo(1, "10.0.0.1:9000", NodeRole.VOTER)
    health = health_of(own, own, [own, *members])
    health.reached = reached
    return Nodes(Made([], own, [health]))


def test_a_leader_that_names_thousands_has_some_asked() -> None:
    crowd = [NodeInfo(i, f"10.8.{i >> 8}.{i & 255}:1", NodeRole.VOTER) for i in range(2, 10_000)]
    nodes, running, most = hostile(crowd), 0, 0
    lock = threading.Lock()

    def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1
        return nodes(endpoint, deadline)

    verdict = survey(ask, "10.0.0.1:9000", whole=True)
    assert len(nodes.asked) <= MOST + 1
    assert most <= AT_ONCE
    assert FindingKind.TOO_MANY in {finding.kind for finding in verdict.findings}


def test_a_leader_that_names_others_each_time_has_some_asked() -> None:
    rounds = []
    for number in range(40):
        nodes = hostile([NodeInfo(i, f"10.{number}.9.{i}:1", NodeRole.VOTER) for i in range(2, 20)]).script[0]
        nodes.healths[0].leader_address = f"10.{number}.9.9:1"
        rounds.append(nodes)
    asked = Nodes(*rounds)
    assert not survey(asked, "10.0.0.1:9000", whole=True, timeout=1.0).healthy
    assert len(asked.asked) <= MOST + 1


LOCAL = [
    "127.0.0.1:22",
    "[::1]:22",
    "localhost:22",
    "unix:/run/x",
    "@x",
    "[::ffff:127.0.0.1]:22",
    "0.0.0.0:22",
]


@pytest.mark.parametrize("address", LOCAL)
def test_another_machine_sends_nobody_to_this_one(address: str) -> None:
    nodes = hostile([NodeInfo(2, address, NodeRole.VOTER)])
    verdict = survey(nodes, "10.0.0.1:9000", whole=True)
    assert set(nodes.asked) == {"10.0.0.1:9000"}
    said = [finding.text for finding in verdict.findings if finding.kind is FindingKind.UNREACHABLE]
    assert said[0].endswith("is unreachable: not asked, being of this machine and named by another")
    here = hostile([NodeInfo(2, address, NodeRole.VOTER)], reached="127.0.0.1:9000")
    survey(here, "10.0.0.1:9000", whole=True)
    assert len(here.asked) == 2


def test_what_is_no_address_is_not_asked() -> None:
    nodes = hostile([NodeInfo(2, "1", NodeRole.VOTER), NodeInfo(3, "\x1b[5m", NodeRole.VOTER)])
    verdict = survey(nodes, "10.0.0.1:9000", whole=True)
    assert set(nodes.asked) == {"10.0.0.1:9000"}
    said = [finding.text for finding in verdict.findings if finding.kind is FindingKind.UNREACHABLE]
    assert said[0] == "2 at 1 (voter) is unreachable: its address is none that can be dialled"


@contextmanager
def hearing(answer: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A server that notes what is said to it, answers, and closes."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(60)
                    heard.append(receive(connection, 24))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", heard
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def test_to_whom_is_named_nothing_is_said_in_other_protocols() -> None:
    from dqlitewire.messages import LeaderRequest, LeaderResponse, MetadataResponse, ServersResponse

    with hearing() as (victim, heard), socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        nodes = [NodeInfo(1, address, NodeRole.VOTER), NodeInfo(2, victim, NodeRole.VOTER)]

        def serve() -> None:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            answers = (LeaderResponse(1, address), ServersResponse(nodes), MetadataResponse(0, 0))
            with connection, suppress(OSError):
                connection.settimeout(60)
                receive(connection, 8)
                for message in (*answers, LeaderResponse(1, address)):
                    receive(connection, 16)
                    connection.sendall(message.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            verdict = probe_cluster([(Target.parse(address), DialOptions())], 2.0, whole=True)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(60)
    assert not verdict.healthy
    assert set(heard) == {b"\1" + bytes(7) + LeaderRequest().encode()}


def test_after_an_error_nobody_else_is_asked() -> None:
    first, rest = threading.Event(), threading.Event()
    asked_: list[str] = []

    def ask(endpoint: Endpoint, deadline: Deadline) -> Health:
        asked_.append(str(endpoint.address))
        if len(asked_) == AT_ONCE:
            first.set()
        if endpoint.address.port == 1:
            first.wait(60)
            raise ValueError("no sense")
        rest.wait(60)
        return Health(str(endpoint.address), Status.UNREACHABLE)

    before = set(threading.enumerate())
    with pytest.raises(ValueError, match="no sense"):
        survey(ask, *(f"10.0.0.1:{port}" for port in range(1, 3 * AT_ONCE)))
    rest.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    assert len(asked_) <= AT_ONCE + 1  # whoever asked the first may have taken up another


def test_options_that_make_no_sense_are_an_error() -> None:
    with pytest.raises(ValueError, match="a key without its certificate"):
        probe_cluster([(Target.parse(a), DialOptions(key="x")) for a in ("127.0.0.1:1", "127.0.0.1:2")])


# ---------------------------------------------------------------- the embedded cluster


#: LEADER, CLUSTER, DESCRIBE, and LEADER with schema 1
QUESTIONS = {(0, 0), (16, 0), (18, 0), (0, 1)}


def asked(*addresses: str, whole: bool = True, timeout: float = TIMEOUT) -> Verdict:
    return probe_cluster([(Target.parse(a), DialOptions()) for a in addresses], timeout, whole=whole)


def test_the_embedded_cluster_in_its_states(tmp_path: Path) -> None:
    with DqliteCluster(3) as cluster:
        first, second, third = cluster.nodes
        for address in cluster.addresses:
            verdict = asked(address)
            assert verdict.findings == ()
            assert len(verdict.view.nodes) == 3
        cluster.elect(second)
        assert asked(third.address).view.leader == second.address
        third.stop()
        verdict = asked(first.address)
        assert [finding.kind for finding in verdict.findings] == [FindingKind.UNREACHABLE]
        assert verdict.findings[0].text.startswith(f"3 at {third.address} (voter) is unreachable: ")
        cluster.lose_leadership()
        for seconds in (1.5, 15.0):  # all of which it waits for a leader
            verdict = asked(first.address, timeout=seconds)
            if FindingKind.NO_LEADER in {finding.kind for finding in verdict.findings}:
                break
        assert FindingKind.NO_LEADER in {finding.kind for finding in verdict.findings}
        election = threading.Timer(0.5, cluster.elect)  # while it is asked
        election.start()
        assert [finding.kind for finding in asked(first.address).findings] == [FindingKind.UNREACHABLE]
        election.join()
        assert {(record.type, record.schema) for record in cluster.requests} == QUESTIONS


def test_two_embedded_clusters_mixed_up() -> None:
    with DqliteCluster(3) as one, DqliteCluster(1) as other:
        verdict = asked(*one.addresses, other.nodes[0].address)
        (finding,) = verdict.findings
        assert finding.kind is FindingKind.OTHER_CLUSTER
        assert finding.about == (other.nodes[0].address,)


def test_embedded_nodes_on_abstract_sockets() -> None:
    with DqliteCluster(3, unix=f"@dqlite-wire-survey-{id(object())}") as cluster:
        verdict = asked(cluster.nodes[1].address)
        assert verdict.findings == ()
        assert len(verdict.view.nodes) == 3
