"""A cluster as its nodes tell it: made-up answers, and what is said of them. No sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.conversation import Generation
from dqlitewire.dial import Answer, FindingKind, Health, Status, Verdict, judge
from dqlitewire.dial.cluster import MOST
from dqlitewire.dial.findings import Rest

VOTER, STANDBY, SPARE = NodeRole.VOTER, NodeRole.STANDBY, NodeRole.SPARE


@dataclass
class Made:
    """A cluster that is well, and what its nodes say; tests spoil it."""

    members: list[NodeInfo]
    leader: NodeInfo
    healths: list[Health]

    def judged(self, **options: bool) -> Verdict:
        return judge([Answer(health) for health in self.healths], **options)

    def kinds(self) -> set[FindingKind]:
        return {finding.kind for finding in self.judged().findings if finding.problem}


def health_of(node: NodeInfo, leader: NodeInfo, members: list[NodeInfo]) -> Health:
    """What a node says in a cluster that is well: a spare has not heard of it, as a new one has not."""
    if node.role is SPARE:
        return Health(node.address, Status.NO_LEADER, generation=Generation.V1_12, round_trip=0.1)
    return Health(
        node.address,
        Status.HEALTHY,
        leader_id=leader.node_id,
        leader_address=leader.address,
        nodes=list(members),
        generation=Generation.V1_12,
        round_trip=0.1,
        votes=node.role is VOTER,
    )


def made(*roles: NodeRole) -> Made:
    """A cluster of nodes with these roles; the first voter leads."""
    return cluster([NodeInfo(i, f"10.0.0.{i}:9000", role) for i, role in enumerate(roles, 1)], 0)


def cluster(members: list[NodeInfo], leader: int) -> Made:
    leads = [member for member in members if member.role is VOTER][leader]
    return Made(members, leads, [health_of(member, leads, members) for member in members])


addresses = st.one_of(
    st.builds("10.0.{}.{}:{}".format, *[st.integers(1, 250)] * 2, st.integers(1, 65535)),
    st.builds("[2001:db8::{:x}]:9000".format, st.integers(1, 65535)),
    st.builds("@node-{}".format, st.integers(1, 99)),
    st.builds("host{}:9000".format, st.integers(1, 99)),
)


@st.composite
def clusters(draw: st.DrawFn) -> Made:
    """Any cluster that is well."""
    places = draw(st.lists(addresses, min_size=1, max_size=7, unique=True))
    ids = draw(st.lists(st.integers(1, 2**64 - 1), min_size=len(places), max_size=len(places), unique=True))
    roles = [VOTER, *(draw(st.sampled_from(list(NodeRole))) for _ in places[1:])]
    members = [NodeInfo(*each) for each in zip(ids, places, roles, strict=True)]
    members = draw(st.permutations(members))
    return cluster(members, draw(st.integers(0, roles.count(VOTER) - 1)))


@given(clusters(), st.randoms())
def test_whoever_is_asked_a_cluster_that_is_well_is_healthy(whole: Made, random: object) -> None:
    healths = list(whole.healths)
    random.shuffle(healths)  # type: ignore[attr-defined]
    verdict = judge([Answer(health) for health in healths], whole=True)
    assert verdict.findings == ()
    assert verdict.view.leader == whole.leader.address
    for node in verdict.view.nodes:
        member = next(each for each in whole.members if each.address == node.answer.address)
        assert (node.node_id, node.role) == (member.node_id, member.role)
    some = [health for health in healths if health.leader_address][: 1 + len(healths) // 2]
    part = judge([Answer(health) for health in some])
    assert part.healthy
    assert part.rest is Rest.AT_REST
    assert {finding.kind for finding in part.findings} <= {FindingKind.NOT_ASKED}


@given(clusters())
def test_a_store_that_names_relays_by_id(whole: Made) -> None:
    """Every node is asked at another address than it has: the store's ids tell which it is."""
    nodes = [(member.node_id, f"unix:/relay/{i}") for i, member in enumerate(whole.members)]
    asked = [
        Answer(replace(health, address=address, node_id=number), "x.yaml")
        for health, (number, address) in zip(whole.healths, nodes, strict=True)
    ]
    verdict = judge(asked, True, {"x.yaml": nodes})
    assert verdict.healthy
    # one that is alone knows which it is
    assert {finding.kind for finding in verdict.findings} <= {FindingKind.OTHER_ADDRESS}
    assert verdict.view.unasked == []
    assert [node.node_id for node in verdict.view.nodes] == [number for number, _ in nodes]


# ---------------------------------------------------------------- one thing that is not well


def unreachable(whole: Made) -> None:
    whole.healths[2] = Health("10.0.0.3:9000", Status.UNREACHABLE, "Connection refused")


def silent(whole: Made) -> None:
    whole.healths[2] = Health("10.0.0.3:9000", Status.SILENT, "connected")


def failing(whole: Made) -> None:
    whole.healths[2].status, whole.healths[2].detail = Status.FAILING, "CLUSTER: closed"


def not_dqlite(whole: Made) -> None:
    whole.healths[2] = Health("10.0.0.3:9000", Status.NOT_DQLITE, "it speaks TLS")


def leader_gone(whole: Made) -> None:
    whole.healths[0] = Health("10.0.0.1:9000", Status.UNREACHABLE, "Connection refused")


def no_leader(whole: Made) -> None:
    for health in whole.healths:
        health.status, health.leader_id, health.leader_address, health.votes = Status.NO_LEADER, 0, "", None


def no_quorum(whole: Made) -> None:
    no_leader(whole)
    whole.healths[1] = Health("10.0.0.2:9000", Status.UNREACHABLE)
    whole.healths[2] = Health("10.0.0.3:9000", Status.UNREACHABLE)


def two_leaders(whole: Made) -> None:
    """One of a time before stands alone in a partition."""
    whole.healths[2].leader_id, whole.healths[2].leader_address = 3, "10.0.0.3:9000"


def one_knows_no_leader(whole: Made) -> None:
    whole.healths[2].leader_address, whole.healths[2].status = "", Status.NO_LEADER


def named_and_does_not_lead(whole: Made) -> None:
    whole.healths[0].leader_address, whole.healths[0].status = "", Status.NO_LEADER


def name_each_other(whole: Made) -> None:
    first, second = whole.healths[0], whole.healths[1]
    first.leader_address, first.leader_id = second.address, 2
    whole.healths[2:] = []


def leader_from_elsewhere(whole: Made) -> None:
    for health in whole.healths:
        health.leader_id, health.leader_address = 9, "10.9.9.9:9000"


def one_lacks_a_member(whole: Made) -> None:
    whole.healths[1].nodes = whole.members[:-1]


def one_has_a_member_more(whole: Made) -> None:
    whole.healths[1].nodes = [*whole.members, NodeInfo(9, "10.0.0.9:9000", VOTER)]


def another_role(whole: Made) -> None:
    whole.healths[1].nodes = [*whole.members[:2], NodeInfo(3, "10.0.0.3:9000", SPARE), *whole.members[3:]]


def another_address(whole: Made) -> None:
    whole.healths[1].nodes = [*whole.members[:2], NodeInfo(3, "10.0.0.33:9000", VOTER), *whole.members[3:]]


def another_id(whole: Made) -> None:
    whole.healths[1].nodes = [*whole.members[:2], NodeInfo(33, "10.0.0.3:9000", VOTER), *whole.members[3:]]


def removed(whole: Made) -> None:
    """A stand-by that was removed keeps the list of the time before, and the leader's name."""
    node = NodeInfo(9, "10.0.0.9:9000", STANDBY)
    whole.healths.append(health_of(node, whole.leader, [*whole.members, node]))


def removed_and_told(whole: Made) -> None:
    node = NodeInfo(9, "10.0.0.9:9000", STANDBY)
    whole.healths.append(health_of(node, whole.leader, whole.members))


def not_joined(whole: Made) -> None:
    whole.healths.append(Health("10.0.0.9:9000", Status.NO_LEADER))


def mixed_up(whole: Made) -> None:
    alone = [NodeInfo(1, "10.1.1.1:9000", VOTER)]
    whole.healths.append(health_of(alone[0], alone[0], alone))


def too_many(whole: Made) -> None:
    crowd = [NodeInfo(i, f"10.8.{i >> 8}.{i & 255}:1", SPARE) for i in range(9, 10_000)]
    for health in whole.healths:
        health.nodes += crowd


K = FindingKind
SPOILS: dict[Callable[[Made], None], set[FindingKind]] = {
    unreachable: {K.UNREACHABLE},
    silent: {K.UNREACHABLE},
    failing: {K.FAILING},
    not_dqlite: {K.UNREACHABLE},
    leader_gone: {K.LEADER_UNREACHABLE},
    no_leader: {K.NO_LEADER},
    no_quorum: {K.NO_LEADER, K.UNREACHABLE, K.NO_QUORUM},
    two_leaders: {K.LEADERS},
    one_knows_no_leader: {K.LEADER_UNKNOWN},
    named_and_does_not_lead: {K.NOT_LEADING},
    name_each_other: {K.LEADERS},
    leader_from_elsewhere: {K.LEADER_NO_MEMBER},
    one_lacks_a_member: {K.MEMBERS},
    one_has_a_member_more: {K.MEMBERS},
    another_role: {K.ROLES},
    another_address: {K.ADDRESSES},
    another_id: {K.MEMBERS},
    removed: {K.REMOVED},
    removed_and_told: {K.NOT_A_MEMBER},
    not_joined: {K.NO_CLUSTER},
    mixed_up: {K.OTHER_CLUSTER},
    too_many: {K.TOO_MANY},
}
#: whose address a finding has to name
NAMES = {
    **dict.fromkeys((unreachable, silent, failing, not_dqlite, one_knows_no_leader), "10.0.0.3:9000"),
    **dict.fromkeys((leader_gone, named_and_does_not_lead), "10.0.0.1:9000"),
    **dict.fromkeys((one_lacks_a_member, another_role, another_address, another_id), "10.0.0.2:9000"),
    **dict.fromkeys((removed, removed_and_told, not_joined), "10.0.0.9:9000"),
    mixed_up: "10.1.1.1:9000",
    leader_from_elsewhere: "10.9.9.9:9000",
}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("more", [(), (STANDBY,), (SPARE,), (STANDBY, SPARE, SPARE)])
def test_what_is_not_well_is_found_and_nothing_else(
    spoil: Callable[[Made], None], more: tuple[NodeRole, ...]
) -> None:
    whole = made(VOTER, VOTER, VOTER, *more)
    assert whole.judged().findings == ()
    spoil(whole)
    verdict = whole.judged()
    assert not verdict.healthy
    if spoil is no_leader:  # here spares keep silent as well, so nobody is left who would answer otherwise
        assert verdict.view.leader == ""
    assert whole.kinds() == SPOILS[spoil]
    if spoil in NAMES:
        assert all(NAMES[spoil] in finding.text for finding in verdict.findings if finding.problem)


def test_every_kind_of_problem_is_tried() -> None:
    tried = set().union(*SPOILS.values())
    assert {kind for kind in FindingKind if kind.problem} - tried == {FindingKind.STORE_ID}


def test_what_is_asked_again() -> None:
    """What an election or a change on its way may cause is said only when it stays."""
    assert {kind for kind in FindingKind if kind.problem and kind.rest is Rest.AT_REST} == {
        K.UNREACHABLE,
        K.NO_QUORUM,
        K.OTHER_CLUSTER,
        K.STORE_ID,
        K.TOO_MANY,
    }


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_a_problem_is_told_of_the_nodes_that_it_concerns(spoil: Callable[[Made], None]) -> None:
    whole = made(VOTER, VOTER, VOTER)
    spoil(whole)
    verdict = whole.judged()
    told = {node.answer.address for node in verdict.view.nodes if verdict.about(node)}
    assert told
    if spoil in (unreachable, silent, failing, not_dqlite):
        assert told == {"10.0.0.3:9000"}


def test_a_spare_that_was_a_voter_keeps_what_it_knew() -> None:
    whole = made(VOTER, VOTER, VOTER, SPARE)
    before = [replace_role(node, VOTER) for node in whole.members]
    whole.healths[3].nodes = before
    whole.healths[3].leader_address = "10.0.0.2:9000"  # who led at that time
    whole.healths[3].status = Status.HEALTHY
    verdict = whole.judged()
    assert verdict.healthy
    assert [finding.kind for finding in verdict.findings] == [FindingKind.SPARE]


def replace_role(node: NodeInfo, role: NodeRole) -> NodeInfo:
    return NodeInfo(node.node_id, node.address, role)


def test_a_rolling_upgrade_is_a_note() -> None:
    whole = made(VOTER, VOTER, VOTER)
    whole.healths[0].generation = Generation.V1_11
    verdict = whole.judged()
    assert verdict.healthy
    assert [finding.text for finding in verdict.findings] == [
        (
            "servers of different generations: 1.11 or older at 10.0.0.1:9000; "
            "1.12 or newer at 10.0.0.2:9000, 10.0.0.3:9000"
        )
    ]


def test_one_node_at_two_addresses() -> None:
    """A host name and its address: the connections end at the same place."""
    whole = made(VOTER, VOTER)
    whole.healths.append(replace(whole.healths[0], address="one.example:9000", reached="10.0.0.1:9000"))
    verdict = whole.judged()
    assert verdict.healthy
    assert [node.node_id for node in verdict.view.nodes] == [1, 2, 1]
    assert {finding.kind for finding in verdict.findings} == {K.SAME_NODE}


def test_a_node_that_is_named_by_host_and_was_asked_by_address() -> None:
    """The leader names it one.example; the TARGET is where that name leads to: one row, the TARGET's."""
    members = [NodeInfo(1, "one.example:9000", VOTER), NodeInfo(2, "two.example:9000", VOTER)]
    whole = cluster(members, 0)
    given_ = replace(whole.healths[1], address="10.0.0.2:9000", reached="10.0.0.2:9000")
    named = [replace(health, reached=f"10.0.0.{i}:9000") for i, health in enumerate(whole.healths, 1)]
    verdict = judge([Answer(given_), *(Answer(one, named_by="10.0.0.2:9000") for one in named)], whole=True)
    assert verdict.healthy
    shown = [(node.answer.address, node.node_id) for node in verdict.view.nodes]
    assert shown == [("10.0.0.2:9000", 2), ("one.example:9000", 1)]


def test_a_proxy_that_may_be_any_of_them() -> None:
    whole = made(VOTER, VOTER, VOTER)
    relayed = replace(whole.healths[1], address="@relay")
    for healths in ([relayed], [*whole.healths, relayed], [relayed, whole.healths[0]]):
        verdict = judge([Answer(health) for health in healths])
        assert verdict.healthy
        assert [finding.kind for finding in verdict.findings] == [K.OTHER_ADDRESS]
        node = next(node for node in verdict.view.nodes if node.answer.address == "@relay")
        assert (node.node_id, node.role) == (0, None)


@pytest.mark.parametrize(("voters", "said"), [(2, "1 of 2"), (3, "2 of 3")])
def test_a_voter_behind_a_proxy_answers_though_its_address_does_not(voters: int, said: str) -> None:
    whole = made(*[VOTER] * voters)
    relayed = replace(whole.healths[1], address="@relay")
    dead = [Health(health.address, Status.UNREACHABLE, "no TLS") for health in whole.healths]
    verdict = judge([Answer(relayed), *(Answer(one, named_by="@relay") for one in dead)], whole=True)
    (quorum,) = (finding for finding in verdict.findings if finding.kind is K.NO_QUORUM)
    assert quorum.text.startswith(f"{said} voters do")
    one_dead = judge([Answer(relayed), Answer(dead[0]), *map(Answer, whole.healths[2:])])  # which it may be
    assert K.NO_QUORUM not in {finding.kind for finding in one_dead.findings}


def test_a_proxy_that_changes_the_address_of_one_node() -> None:
    """It gives its own address to clients, and the others say the node's."""
    whole = made(VOTER, VOTER, VOTER)
    health = whole.healths[1]
    health.address = "@relay"
    health.nodes = [whole.members[0], NodeInfo(2, "@relay", VOTER), whole.members[2]]
    verdict = whole.judged()
    assert [finding.text for finding in verdict.findings if finding.problem] == [
        (
            "2 at @relay (voter) and the leader 10.0.0.1:9000 disagree about addresses: "
            "2 is at @relay, or 10.0.0.2:9000"
        )
    ]
    assert [node.node_id for node in verdict.view.nodes] == [1, 2, 3]


# ---------------------------------------------------------------- stores


def test_a_store_and_its_cluster() -> None:
    whole = made(VOTER, VOTER, VOTER)
    nodes = [(1, "10.0.0.1:9000"), (7, "10.0.0.2:9000"), (9, "10.0.0.9:9000")]
    whole.healths[1].node_id = 7
    gone = Health("10.0.0.9:9000", Status.UNREACHABLE, "Connection refused", node_id=9)
    asked = [Answer(health, "c.yaml") for health in (*whole.healths[:2], gone)]
    verdict = judge([*asked, Answer(whole.healths[2], named_by="10.0.0.1:9000")], True, {"c.yaml": nodes})
    assert [(finding.kind, finding.text) for finding in verdict.findings] == [
        (K.UNREACHABLE, "9 at 10.0.0.9:9000 is unreachable: Connection refused"),
        (K.STORE_ID, "c.yaml gives 10.0.0.2:9000 the id 7, the cluster 2"),
        (K.STORE_LACKS, "c.yaml does not name 3 at 10.0.0.3:9000"),
        (K.STORE_HAS, "c.yaml names 9 at 10.0.0.9:9000, which the cluster does not"),
    ]


@pytest.mark.parametrize("leader", [True, False])
def test_one_that_was_removed_is_not_the_only_member_that_it_names(leader: bool) -> None:
    """A stand-by of a cluster of one; where it has lost the leader, too."""
    whole = made(VOTER)
    removed_and_told(whole)
    if not leader:
        health = whole.healths[1]
        health.leader_address, health.leader_id, health.votes, health.status = "", 0, None, Status.NO_LEADER
    assert whole.healths[1].role is None
    assert whole.kinds() == {K.NOT_A_MEMBER}


def test_without_a_leader_that_says_so_what_may_pass_may_be_of_an_election() -> None:
    """The leader was killed and is not asked; one has noticed, and asks the other for its vote."""
    whole = made(VOTER, VOTER, VOTER)
    one_knows_no_leader(whole)
    assert whole.judged().rest is Rest.SETTLES
    whole.healths[:1] = []
    verdict = whole.judged()
    assert verdict.rest is Rest.ELECTS
    assert {finding.kind for finding in verdict.findings if finding.problem} == {K.LEADER_UNKNOWN}


def test_two_clusters_of_which_more_targets_are_of_one() -> None:
    ours, theirs = (
        made(VOTER, VOTER, VOTER),
        cluster([NodeInfo(1, "b:1", VOTER), NodeInfo(2, "b:2", VOTER)], 0),
    )
    for healths in ([*theirs.healths, *ours.healths], [*ours.healths, *theirs.healths]):
        verdict = judge([Answer(health) for health in healths])
        assert verdict.view.leader == "10.0.0.1:9000"
        assert [finding.text for finding in verdict.findings] == [
            f"b:{i} is of another cluster, with 1 at b:1, 2 at b:2" for i in (1, 2)
        ]


# ---------------------------------------------------------------- whatever nodes say

few = st.sampled_from(
    ["a:1", "A:1", "b:1", "[::1]:1", "[0::1]:1", "@x", "unix:/x", "1", "no address", "\x1b[5m"]
)
nodes_ = st.lists(st.builds(NodeInfo, st.integers(1, 4), few, st.sampled_from(list(NodeRole))), max_size=5)
healths_ = st.builds(
    Health,
    few,
    st.sampled_from(list(Status)),
    st.sampled_from(["", "why"]),
    st.integers(0, 4),
    few | st.just(""),
    nodes_,
    generation=st.sampled_from(list(Generation)),
    node_id=st.integers(0, 4),
    votes=st.sampled_from([None, True, False]),
    reached=few | st.just(""),
)
anything = st.lists(
    st.builds(Answer, healths_, st.sampled_from(["", "x.yaml"]), st.sampled_from(["", "", "a:1"])),
    min_size=1,
    max_size=6,
)


@given(anything, st.booleans(), st.lists(st.tuples(st.integers(0, 4), few), max_size=3))
def test_whatever_nodes_say_there_is_a_verdict(
    asked: list[Answer], whole: bool, store: list[tuple[int, str]]
) -> None:
    verdict = judge(asked, whole, {"x.yaml": store})
    assert verdict == judge(asked, whole, {"x.yaml": store})
    assert verdict.healthy is all(not finding.problem for finding in verdict.findings)
    problems = [finding.problem for finding in verdict.findings]
    assert problems == sorted(problems, reverse=True)
    shown = {node.answer.address for node in verdict.view.nodes}
    for finding in verdict.findings:
        assert set(finding.about) <= shown
        assert 10 < len(finding.text) < 500
        assert finding.text[0] != " "
    for one in asked:  # a TARGET that does not answer, or names another cluster, is never passed over
        if not one.named_by and not one.health.answered:
            assert not verdict.healthy
    answered = [one for one in asked if one.health.answered]
    if not any(one.health.leader_address for one in answered):
        assert not verdict.healthy


def test_lists_without_end_are_looked_at_in_part() -> None:
    crowd = [NodeInfo(i, f"10.8.{i >> 8}.{i & 255}:1", VOTER) for i in range(1, 10_000)]
    healths = [health_of(node, crowd[0], crowd) for node in crowd[:50]]
    verdict = judge([Answer(health) for health in healths], whole=True)
    assert len(verdict.view.members) == MOST
    assert max(len(finding.text) for finding in verdict.findings) < 300
