"""What is to be said of a cluster: each check looks at the picture that its nodes give, and finds in words.

A kind of finding tells three things: its token in JSON; whether it is something that is not well (a cluster
may run with servers of two generations, but not with two leaders); and whether asking again may show another
picture. An election takes some hundred milliseconds with fast timers, with dqlite's own several seconds; a
change of members reaches the followers later than the leader. So such findings are said only when the picture
has come to rest (`surveying`). While nobody is known to lead, it has not come to rest at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.cluster import MOST, Asked, Picture, Seat, role_words
from dqlitewire.dial.health import Status

_NAMED = 4  # nodes that a sentence names


class Rest(IntEnum):
    """What asking again may do to a finding."""

    AT_REST = 0
    SETTLES = 1  # it may go away soon
    ELECTS = 2  # nobody is known to lead: an election may be under way


class FindingKind(Enum):
    """What can be found; the value tells whether it is a problem, and what asking again may do to it."""

    problem: bool
    rest: Rest

    def __init__(self, problem: bool, rest: Rest, _number: int) -> None:
        self.problem = problem
        self.rest = rest

    UNREACHABLE = True, Rest.AT_REST, 1
    FAILING = True, Rest.SETTLES, 2
    LEADER_UNREACHABLE = True, Rest.ELECTS, 3
    NO_LEADER = True, Rest.ELECTS, 4
    NO_QUORUM = True, Rest.AT_REST, 5
    LEADERS = True, Rest.SETTLES, 6  # the nodes name more than one
    LEADER_UNKNOWN = True, Rest.SETTLES, 7  # to one node, while others name it
    NOT_LEADING = True, Rest.ELECTS, 8  # who is named, and does not say so
    LEADER_NO_MEMBER = True, Rest.SETTLES, 9
    MEMBERS = True, Rest.SETTLES, 10
    ADDRESSES = True, Rest.SETTLES, 11
    ROLES = True, Rest.SETTLES, 12
    REMOVED = True, Rest.SETTLES, 13
    NOT_A_MEMBER = True, Rest.SETTLES, 14
    NO_CLUSTER = True, Rest.SETTLES, 15
    OTHER_CLUSTER = True, Rest.AT_REST, 16
    STORE_ID = True, Rest.AT_REST, 17
    TOO_MANY = True, Rest.AT_REST, 18
    GENERATIONS = False, Rest.AT_REST, 19
    STORE_LACKS = False, Rest.AT_REST, 20
    STORE_HAS = False, Rest.AT_REST, 21
    NOT_ASKED = False, Rest.AT_REST, 22
    OTHER_ADDRESS = False, Rest.AT_REST, 23
    SAME_NODE = False, Rest.AT_REST, 24
    SPARE = False, Rest.AT_REST, 25  # what it says is of another time


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to be said of a cluster.

    Attributes:
        kind: what it is.
        text: the same in words.
        about: addresses of the nodes that were asked and that it concerns; empty if it concerns all.
    """

    kind: FindingKind
    text: str
    about: tuple[str, ...] = ()

    @property
    def problem(self) -> bool:
        """Whether something is not well."""
        return self.kind.problem


class Context(NamedTuple):
    """What checks look at.

    Attributes:
        picture: who is who.
        whole: whether every member was to be asked.
        stores: the ids and addresses that each store names, by its path.
    """

    picture: Picture
    whole: bool
    stores: Mapping[str, Sequence[tuple[int, str]]]

    @property
    def ours(self) -> list[Seat]:
        """The nodes of the cluster that answered."""
        return [seat for seat in self.picture.seats if seat.ours and seat.asked.health.answered]


Check = Callable[[Context], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cluster as its nodes tell it, and what is to be said of it.

    Attributes:
        picture: who is who.
        findings: problems first.
    """

    picture: Picture
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether all is well: every node that was asked answers, and they agree."""
        return not any(finding.problem for finding in self.findings)

    @property
    def rest(self) -> Rest:
        """What asking again may do to the picture."""
        return max((finding.kind.rest for finding in self.findings), default=Rest.AT_REST)

    def about(self, seat: Seat) -> list[Finding]:
        """Return the findings that concern a node.

        Args:
            seat: of the node.
        """
        address = seat.asked.address
        return [finding for finding in self.findings if not finding.about or address in finding.about]


def judge(
    asked: Sequence[Asked],
    whole: bool = False,
    stores: Mapping[str, Sequence[tuple[int, str]]] | None = None,
) -> Verdict:
    """Judge a cluster by what its nodes say.

    Args:
        asked: the nodes that were asked; at least one.
        whole: whether every member was to be asked.
        stores: the ids and addresses that each store names, by its path.
    """
    context = Context(Picture.of(asked), whole, stores or {})
    found = [finding for check in CHECKS for finding in check(context)]
    return Verdict(context.picture, tuple(sorted(found, key=lambda finding: not finding.problem)))


# ---------------------------------------------------------------- who does not answer, who belongs elsewhere


def _silent(context: Context) -> Iterator[Finding]:
    picture = context.picture
    leads = _leaders_places(picture)
    for seat in picture.seats:
        health = seat.asked.health
        at = (seat.asked.address,)
        leader = bool(seat.asked.places & leads) or bool(
            seat.member and spelling(seat.member.address) in leads
        )
        if health.status is Status.FAILING:
            yield Finding(FindingKind.FAILING, f"{seat} answers as no node should: {health.detail}", at)
        elif not health.answered:
            kind = FindingKind.LEADER_UNREACHABLE if leader and seat.ours else FindingKind.UNREACHABLE
            named = (
                f"{seat}, which others name as the leader,"
                if kind is FindingKind.LEADER_UNREACHABLE
                else seat
            )
            what = f"is {health.status.value}"
            yield Finding(kind, f"{named} {what}{f': {health.detail}' if health.detail else ''}", at)


def _leaders_places(picture: Picture) -> set[str]:
    return {spelling(picture.leader)} if picture.leader else set()


def _quorum(context: Context) -> Iterator[Finding]:
    voters = {node.node_id for node in context.picture.members if node.role is NodeRole.VOTER}
    gone = {
        seat.node_id
        for seat in context.picture.seats
        if seat.member is not None and seat.node_id in voters and not seat.asked.health.answered
    }
    if voters and len(voters) - len(gone) < len(voters) // 2 + 1:
        yield Finding(FindingKind.NO_QUORUM, f"{len(gone)} of {len(voters)} voters do not answer: no quorum")


def _elsewhere(context: Context) -> Iterator[Finding]:
    picture = context.picture
    for seat in picture.seats:
        asked = seat.asked
        at = (asked.address,)
        if not seat.ours:
            names = _listed(f"{node.node_id} at {node.address}" for node in asked.nodes)
            yield Finding(
                FindingKind.OTHER_CLUSTER, f"{asked.address} is of another cluster, with {names}", at
            )
        elif (seat.told or seat.member is None) and _knows_nothing(asked):
            yield Finding(FindingKind.NO_CLUSTER, f"{seat} knows no members: it has joined no cluster", at)


def _knows_nothing(asked: Asked) -> bool:
    health = asked.health
    return health.status is Status.NO_LEADER and not health.nodes


def _strangers(context: Context) -> Iterator[Finding]:
    """Nodes of the cluster that are none of its members, or are asked under other addresses."""
    picture = context.picture
    accounted = not picture.unasked
    other: list[Seat] = []
    for seat in context.ours:
        asked = seat.asked
        at = (asked.address,)
        if seat.member is not None:
            if not asked.places & {spelling(seat.member.address)}:
                other.append(seat)
        elif _knows_nothing(asked):
            continue
        elif mine := _named_by_itself(asked):
            named = f"{mine.node_id} at {asked.address}"
            problem = f"{named} counts itself among the members, {_word_of(picture)} does not: removed?"
            yield Finding(FindingKind.REMOVED, problem, at)
        elif asked.health.votes is not True and accounted:
            yield Finding(FindingKind.NOT_A_MEMBER, f"{asked.address} is none of the members", at)
        else:
            other.append(seat)
    known = [seat for seat in other if seat.member is not None]
    if known:
        said = _listed(f"{s.node_id} at {s.asked.address}, not {_address(s)}" for s in known)
        yield Finding(FindingKind.OTHER_ADDRESS, f"asked under another address: {said}", _about(known))
    for seat in other:
        if seat.member is None:
            said = f"{seat.asked.address} is no address of a member: which it is is not known"
            yield Finding(FindingKind.OTHER_ADDRESS, said, (seat.asked.address,))


def _address(seat: Seat) -> str:
    return seat.member.address if seat.member is not None else ""


def _named_by_itself(asked: Asked) -> NodeInfo | None:
    return next((node for node in asked.nodes if spelling(node.address) in asked.places), None)


def _same(context: Context) -> Iterator[Finding]:
    by_id: dict[int, list[Seat]] = {}
    for seat in context.ours:
        if seat.member is not None:
            by_id.setdefault(seat.node_id, []).append(seat)
    for number, seats in by_id.items():
        if len(seats) > 1:
            said = _listed(seat.asked.address for seat in seats)
            yield Finding(FindingKind.SAME_NODE, f"the same node {number} was asked at {said}", _about(seats))


# ---------------------------------------------------------------- who leads


def _leaders(context: Context) -> Iterator[Finding]:
    picture = context.picture
    opinions: dict[str, list[Seat]] = {}
    unknowing: list[Seat] = []
    for seat in context.ours:
        if leader := seat.asked.health.leader_address:
            if seat.told or (seat.member is None and _named_by_itself(seat.asked) is None):
                opinions.setdefault(spelling(leader), []).append(seat)
        elif seat.told and seat.asked.health.status is not Status.FAILING:
            unknowing.append(seat)
    if not opinions:
        yield Finding(FindingKind.NO_LEADER, "no node names a leader" if context.ours else "no node answers")
        return
    if len(opinions) > 1:
        said = "; ".join(
            f"{picture.name(seats[0].asked.health.leader_address)} according to "
            f"{_listed(seat.asked.address for seat in seats)}"
            for seats in list(opinions.values())[:_NAMED]
        )
        yield Finding(
            FindingKind.LEADERS,
            f"the nodes disagree about the leader: {said}",
            _about(seat for seats in opinions.values() for seat in seats),
        )
    yield from _led(context, opinions, unknowing)


def _led(context: Context, opinions: dict[str, list[Seat]], unknowing: list[Seat]) -> Iterator[Finding]:
    """Whether who is named leads, and everybody knows."""
    picture = context.picture
    for seat in unknowing:
        if namers := opinions.get(spelling(_address(seat))):
            said = f"{seat} does not lead, though {_listed(s.asked.address for s in namers)} names it"
            yield Finding(FindingKind.NOT_LEADING, said, (seat.asked.address,))
        else:
            yield Finding(FindingKind.LEADER_UNKNOWN, f"{seat} knows no leader", (seat.asked.address,))
    if picture.members and picture.member_at(picture.leader) is None:
        said = f"{picture.leader}, which is named as the leader, is none of the members"
        yield Finding(FindingKind.LEADER_NO_MEMBER, said)


# ---------------------------------------------------------------- members, by whom


def _lists(context: Context) -> Iterator[Finding]:
    """What each node has otherwise than the one that is believed."""
    picture = context.picture
    if picture.believed is None:
        return
    believed = {node.node_id: node for node in picture.members}
    for seat in context.ours:
        if not seat.asked.nodes or seat.asked.nodes == picture.believed.nodes:
            continue
        if seat.member is None and _named_by_itself(seat.asked) is not None:
            continue  # a node that was removed: that is said already
        differences = list(_differences(believed, {n.node_id: n for n in seat.asked.nodes}))
        at = (seat.asked.address,)
        if differences and not seat.told and seat.member is not None:
            said = f"{seat} has not been told of the last changes, as spares are not"
            yield Finding(FindingKind.SPARE, said, at)
            continue
        for kind in dict.fromkeys(kind for kind, _ in differences):
            texts = _listed((text for each, text in differences if each is kind), "; ")
            said = f"{seat} and {_word_of(picture)} disagree about {_ABOUT[kind]}: {texts}"
            yield Finding(kind, said, at)


_ABOUT = {FindingKind.MEMBERS: "the members", FindingKind.ADDRESSES: "addresses", FindingKind.ROLES: "roles"}


def _differences(
    believed: dict[int, NodeInfo], told: dict[int, NodeInfo]
) -> Iterator[tuple[FindingKind, str]]:
    """What is different, as it is to the node, and then as it is believed."""
    for number in sorted(believed.keys() | told.keys()):
        ours, theirs = believed.get(number), told.get(number)
        if theirs is None and ours is not None:
            yield FindingKind.MEMBERS, f"{number} at {ours.address} is none to the former"
        elif ours is None and theirs is not None:
            yield FindingKind.MEMBERS, f"{number} at {theirs.address} is one only to the former"
        elif ours is not None and theirs is not None:
            if spelling(ours.address) != spelling(theirs.address):
                yield FindingKind.ADDRESSES, f"{number} is at {theirs.address}, or {ours.address}"
            if ours.role is not theirs.role:
                yield FindingKind.ROLES, f"{number} is {role_words(theirs.role)}, or {role_words(ours.role)}"


def _word_of(picture: Picture) -> str:
    """Whom the members are believed of."""
    if picture.believed is None:
        return "the cluster"
    if picture.believed.leads:
        return f"the leader {picture.believed.address}"
    return picture.believed.address


# ---------------------------------------------------------------- what is worth a note


def _asked_all(context: Context) -> Iterator[Finding]:
    picture = context.picture
    most = max((len(seat.asked.health.nodes) for seat in context.ours), default=0)
    if most > MOST:
        said = f"{most} members are named: the first {MOST} were looked at"
        yield Finding(FindingKind.TOO_MANY, said)
    unasked = picture.unasked
    if unasked and not picture.unseated:
        names = _listed(f"{node.node_id} at {node.address}" for node in unasked)
        kind = FindingKind.TOO_MANY if context.whole else FindingKind.NOT_ASKED
        were = "was" if len(unasked) == 1 else "were"
        yield Finding(kind, f"{names} {were} not asked{'' if context.whole else ': --cluster asks all'}")


def _generations(context: Context) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}
    for seat in context.ours:
        if seat.asked.health.generation:
            found.setdefault(seat.asked.health.server, []).append(seat.asked.address)
    if len(found) > 1:
        said = "; ".join(f"{server} at {_listed(where)}" for server, where in sorted(found.items()))
        yield Finding(FindingKind.GENERATIONS, f"servers of different generations: {said}")


def _stores(context: Context) -> Iterator[Finding]:
    picture = context.picture
    for seat in picture.seats:
        said = seat.asked.health.node_id
        if seat.asked.store and seat.member is not None and said and said != seat.node_id:
            text = f"{seat.asked.store} gives {seat.asked.address} the id {said}, the cluster {seat.node_id}"
            yield Finding(FindingKind.STORE_ID, text, (seat.asked.address,))
    for path, nodes in context.stores.items():
        ids, places = {number for number, _ in nodes}, {spelling(address) for _, address in nodes}
        lacking = [
            f"{member.node_id} at {member.address}"
            for member in picture.members
            if member.node_id not in ids and spelling(member.address) not in places
        ]
        if lacking and any(seat.ours and seat.asked.store == path for seat in picture.seats):
            yield Finding(FindingKind.STORE_LACKS, f"{path} does not name {_listed(lacking)}")
        gone = [
            seat
            for seat in picture.seats
            if seat.asked.store == path and seat.ours and seat.member is None and picture.members
            and not seat.asked.health.answered
        ]  # fmt: skip
        if gone:
            names = _listed(f"{seat.node_id} at {seat.asked.address}" for seat in gone)
            yield Finding(
                FindingKind.STORE_HAS, f"{path} names {names}, which the cluster does not", _about(gone)
            )


CHECKS: tuple[Check, ...] = (
    _leaders,
    _silent,
    _quorum,
    _elsewhere,
    _strangers,
    _lists,
    _asked_all,
    _generations,
    _stores,
    _same,
)


def _about(seats: Iterable[Seat]) -> tuple[str, ...]:
    return tuple(seat.asked.address for seat in seats)


def _listed(names: Iterable[str], between: str = ", ") -> str:
    every = list(names)
    said = every[:_NAMED] + [f"{len(every) - _NAMED} more"] * (len(every) > _NAMED)
    return between.join(said)
