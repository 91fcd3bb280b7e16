"""Checks of who is there: nodes that do not answer, that belong elsewhere, that a store has otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import NodeRole
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.cluster import MOST, ClusterView, NodeView
from dqlitewire.dial.findings import Check, Context, Finding, FindingKind, about, listed
from dqlitewire.dial.health import Status

# ---------------------------------------------------------------- who does not answer, who belongs elsewhere


def _silent(context: Context) -> Iterator[Finding]:
    view = context.view
    leads = _leaders_places(view)
    for node in view.nodes:
        health = node.answer.health
        at = (node.answer.address,)
        leader = bool(node.answer.places & leads) or bool(
            node.member and spelling(node.member.address) in leads
        )
        if health.status is Status.FAILING:
            yield Finding(FindingKind.FAILING, f"{node} answers as no node should: {health.detail}", at)
        elif not health.answered:
            kind = FindingKind.LEADER_UNREACHABLE if leader and node.ours else FindingKind.UNREACHABLE
            named = (
                f"{node}, which others name as the leader,"
                if kind is FindingKind.LEADER_UNREACHABLE
                else node
            )
            what = f"is {health.status.value}"
            yield Finding(kind, f"{named} {what}{f': {health.detail}' if health.detail else ''}", at)


def _leaders_places(view: ClusterView) -> set[str]:
    return {spelling(view.leader)} if view.leader else set()


def _quorum(context: Context) -> Iterator[Finding]:
    voters = {node.node_id for node in context.view.members if node.role is NodeRole.VOTER}
    gone = {
        node.node_id
        for node in context.view.nodes
        if node.member is not None and node.node_id in voters and not node.answer.health.answered
    }
    # a voter that was asked under another address answers, whichever of them it is
    elsewhere = sum(
        node.answer.health.votes is True and node.answer.own_entry is None for node in context.view.unplaced
    )
    missing = max(0, len(gone) - elsewhere)
    if voters and len(voters) - missing < len(voters) // 2 + 1:
        verb = "does" if missing == 1 else "do"
        said = f"{missing} of {len(voters)} voters {verb} not answer: no quorum"
        yield Finding(FindingKind.NO_QUORUM, said)


def _elsewhere(context: Context) -> Iterator[Finding]:
    view = context.view
    ids = {node.node_id for node in view.members}
    for node in view.nodes:
        answer = node.answer
        at = (answer.address,)
        if not node.ours:
            said = listed(f"{each.node_id} at {each.address}" for each in answer.members)
            if len(ids) > 1 and ids == {each.node_id for each in answer.members}:
                said += "; the ids are the same: or one of them is behind a proxy that changes addresses"
            text = f"{answer.address} is of another cluster, with {said}"
            yield Finding(FindingKind.OTHER_CLUSTER, text, at)
        elif (node.told or node.member is None) and answer.knows_nothing:
            # who it is in a cluster that did not tell it, a spare does not know
            may_be_spare = ", or is a spare" if node.member is None else ""
            said = f"{node} knows no members: it has joined no cluster{may_be_spare}"
            yield Finding(FindingKind.NO_CLUSTER, said, at)


def _strangers(context: Context) -> Iterator[Finding]:
    """Nodes of the cluster that are none of its members, or are asked under other addresses."""
    view = context.view
    accounted = not view.unasked
    other: list[NodeView] = []
    for node in context.ours:
        answer = node.answer
        at = (answer.address,)
        if node.member is not None:
            if not answer.places & {spelling(node.member.address)}:
                other.append(node)
        elif answer.knows_nothing:
            continue
        elif mine := answer.own_entry:
            named = f"{mine.node_id} at {answer.address}"
            problem = f"{named} counts itself among the members, {view.word} does not: removed?"
            yield Finding(FindingKind.REMOVED, problem, at)
        elif answer.health.votes is not True and accounted:
            yield Finding(FindingKind.NOT_A_MEMBER, f"{answer.address} is none of the members", at)
        else:
            other.append(node)
    known = [node for node in other if node.member is not None]
    if known:
        said = listed(f"{s.node_id} at {s.answer.address}, not {s.own_address}" for s in known)
        yield Finding(FindingKind.OTHER_ADDRESS, f"asked under another address: {said}", about(known))
    for node in other:
        if node.member is None:
            said = f"{node.answer.address} is no address of a member: which it is is not known"
            yield Finding(FindingKind.OTHER_ADDRESS, said, (node.answer.address,))


def _same(context: Context) -> Iterator[Finding]:
    by_id: dict[int, list[NodeView]] = {}
    for node in context.ours:
        if node.member is not None:
            by_id.setdefault(node.node_id, []).append(node)
    for number, nodes in by_id.items():
        if len(nodes) > 1:
            said = listed(node.answer.address for node in nodes)
            yield Finding(FindingKind.SAME_NODE, f"the same node {number} was asked at {said}", about(nodes))


# ---------------------------------------------------------------- what is worth a note


def _asked_all(context: Context) -> Iterator[Finding]:
    view = context.view
    most = max((len(node.answer.health.nodes) for node in context.ours), default=0)
    if most > MOST:
        said = f"{most} members are named: the first {MOST} were looked at"
        yield Finding(FindingKind.TOO_MANY, said)
    unasked = view.unasked
    if unasked and not view.unplaced:
        names = listed(f"{node.node_id} at {node.address}" for node in unasked)
        kind = FindingKind.TOO_MANY if context.whole else FindingKind.NOT_ASKED
        were = "was" if len(unasked) == 1 else "were"
        yield Finding(kind, f"{names} {were} not asked{'' if context.whole else ': --cluster asks all'}")


def _generations(context: Context) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}
    for node in context.ours:
        if node.answer.health.generation:
            found.setdefault(node.answer.health.server, []).append(node.answer.address)
    if len(found) > 1:
        said = "; ".join(f"{server} at {listed(where)}" for server, where in sorted(found.items()))
        yield Finding(FindingKind.GENERATIONS, f"servers of different generations: {said}")


def _stores(context: Context) -> Iterator[Finding]:
    view = context.view
    for node in view.nodes:
        said = node.answer.health.node_id
        if node.answer.store and node.member is not None and said and said != node.node_id:
            text = (
                f"{node.answer.store} gives {node.answer.address} the id {said}, the cluster {node.node_id}"
            )
            yield Finding(FindingKind.STORE_ID, text, (node.answer.address,))
    for path, nodes in context.stores.items():
        ids, places = {number for number, _ in nodes}, {spelling(address) for _, address in nodes}
        lacking = [
            f"{member.node_id} at {member.address}"
            for member in view.members
            if member.node_id not in ids and spelling(member.address) not in places
        ]
        if lacking and any(node.ours and node.answer.store == path for node in view.nodes):
            yield Finding(FindingKind.STORE_LACKS, f"{path} does not name {listed(lacking)}")
        gone = [
            node
            for node in view.nodes
            if node.answer.store == path and node.ours and node.member is None and view.members
            and not node.answer.health.answered
        ]  # fmt: skip
        if gone:
            names = listed(f"{node.node_id} at {node.answer.address}" for node in gone)
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
