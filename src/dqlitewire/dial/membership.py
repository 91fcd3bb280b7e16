"""Checks of who is there: nodes that do not answer, that belong elsewhere, that a store has otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import NodeRole
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.cluster import MOST, Picture, Seat
from dqlitewire.dial.findings import Check, Context, Finding, FindingKind, about, listed
from dqlitewire.dial.health import Status

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
        verb = "does" if len(gone) == 1 else "do"
        said = f"{len(gone)} of {len(voters)} voters {verb} not answer: no quorum"
        yield Finding(FindingKind.NO_QUORUM, said)


def _elsewhere(context: Context) -> Iterator[Finding]:
    picture = context.picture
    ids = {node.node_id for node in picture.members}
    for seat in picture.seats:
        asked = seat.asked
        at = (asked.address,)
        if not seat.ours:
            said = listed(f"{node.node_id} at {node.address}" for node in asked.nodes)
            if len(ids) > 1 and ids == {node.node_id for node in asked.nodes}:
                said += "; the ids are the same: or one of them is behind a proxy that changes addresses"
            text = f"{asked.address} is of another cluster, with {said}"
            yield Finding(FindingKind.OTHER_CLUSTER, text, at)
        elif (seat.told or seat.member is None) and asked.knows_nothing:
            yield Finding(FindingKind.NO_CLUSTER, f"{seat} knows no members: it has joined no cluster", at)


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
        elif asked.knows_nothing:
            continue
        elif mine := asked.own_entry:
            named = f"{mine.node_id} at {asked.address}"
            problem = f"{named} counts itself among the members, {picture.word} does not: removed?"
            yield Finding(FindingKind.REMOVED, problem, at)
        elif asked.health.votes is not True and accounted:
            yield Finding(FindingKind.NOT_A_MEMBER, f"{asked.address} is none of the members", at)
        else:
            other.append(seat)
    known = [seat for seat in other if seat.member is not None]
    if known:
        said = listed(f"{s.node_id} at {s.asked.address}, not {s.own_address}" for s in known)
        yield Finding(FindingKind.OTHER_ADDRESS, f"asked under another address: {said}", about(known))
    for seat in other:
        if seat.member is None:
            said = f"{seat.asked.address} is no address of a member: which it is is not known"
            yield Finding(FindingKind.OTHER_ADDRESS, said, (seat.asked.address,))


def _same(context: Context) -> Iterator[Finding]:
    by_id: dict[int, list[Seat]] = {}
    for seat in context.ours:
        if seat.member is not None:
            by_id.setdefault(seat.node_id, []).append(seat)
    for number, seats in by_id.items():
        if len(seats) > 1:
            said = listed(seat.asked.address for seat in seats)
            yield Finding(FindingKind.SAME_NODE, f"the same node {number} was asked at {said}", about(seats))


# ---------------------------------------------------------------- what is worth a note


def _asked_all(context: Context) -> Iterator[Finding]:
    picture = context.picture
    most = max((len(seat.asked.health.nodes) for seat in context.ours), default=0)
    if most > MOST:
        said = f"{most} members are named: the first {MOST} were looked at"
        yield Finding(FindingKind.TOO_MANY, said)
    unasked = picture.unasked
    if unasked and not picture.unseated:
        names = listed(f"{node.node_id} at {node.address}" for node in unasked)
        kind = FindingKind.TOO_MANY if context.whole else FindingKind.NOT_ASKED
        were = "was" if len(unasked) == 1 else "were"
        yield Finding(kind, f"{names} {were} not asked{'' if context.whole else ': --cluster asks all'}")


def _generations(context: Context) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}
    for seat in context.ours:
        if seat.asked.health.generation:
            found.setdefault(seat.asked.health.server, []).append(seat.asked.address)
    if len(found) > 1:
        said = "; ".join(f"{server} at {listed(where)}" for server, where in sorted(found.items()))
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
            yield Finding(FindingKind.STORE_LACKS, f"{path} does not name {listed(lacking)}")
        gone = [
            seat
            for seat in picture.seats
            if seat.asked.store == path and seat.ours and seat.member is None and picture.members
            and not seat.asked.health.answered
        ]  # fmt: skip
        if gone:
            names = listed(f"{seat.node_id} at {seat.asked.address}" for seat in gone)
            yield Finding(
                FindingKind.STORE_HAS, f"{path} names {names}, which the cluster does not", about(gone)
            )


CHECKS: tuple[Check, ...] = (
    _silent,
    _quorum,
    _elsewhere,
    _strangers,
    _asked_all,
    _generations,
    _stores,
    _same,
)
