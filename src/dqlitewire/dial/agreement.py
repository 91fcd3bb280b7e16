"""Checks of what nodes say against what others say: who leads, and who the members are."""

from __future__ import annotations

from collections.abc import Iterator

from dqlitewire import NodeInfo
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.cluster import NodeView, role_words
from dqlitewire.dial.findings import SAID, Check, Context, Finding, FindingKind, about, listed
from dqlitewire.dial.health import Status

# ---------------------------------------------------------------- who leads


def _leaders(context: Context) -> Iterator[Finding]:
    view = context.view
    opinions: dict[str, list[NodeView]] = {}
    unknowing: list[NodeView] = []
    for node in context.ours:
        if leader := node.answer.health.leader_address:
            if node.told or (node.member is None and node.answer.own_entry is None):
                opinions.setdefault(spelling(leader), []).append(node)
        elif node.told and node.answer.health.status is not Status.FAILING:
            unknowing.append(node)
    if not opinions:
        if context.ours:  # else nobody answers, which is said of each
            yield Finding(FindingKind.NO_LEADER, "no node names a leader")
        return
    if len(opinions) > 1:
        said = "; ".join(
            f"{view.name(nodes[0].answer.health.leader_address)} according to "
            f"{listed(node.answer.address for node in nodes)}"
            for nodes in list(opinions.values())[:SAID]
        )
        yield Finding(
            FindingKind.LEADERS,
            f"the nodes disagree about the leader: {said}",
            about(node for nodes in opinions.values() for node in nodes),
        )
    yield from _led(context, opinions, unknowing)


def _led(
    context: Context, opinions: dict[str, list[NodeView]], unknowing: list[NodeView]
) -> Iterator[Finding]:
    """Whether who is named leads, and everybody knows."""
    view = context.view
    for node in unknowing:
        if namers := opinions.get(spelling(node.own_address)):
            said = f"{node} does not lead, though {listed(s.answer.address for s in namers)} names it"
            yield Finding(FindingKind.NOT_LEADING, said, (node.answer.address,))
        else:
            yield Finding(FindingKind.LEADER_UNKNOWN, f"{node} knows no leader", (node.answer.address,))
    if view.members and view.member_at(view.leader) is None:
        said = f"{view.leader}, which is named as the leader, is none of the members"
        yield Finding(FindingKind.LEADER_NO_MEMBER, said)


# ---------------------------------------------------------------- members, by whom


def _lists(context: Context) -> Iterator[Finding]:
    """What each node has otherwise than the one that is believed."""
    view = context.view
    if view.believed is None:
        return
    believed = {node.node_id: node for node in view.members}
    for node in context.ours:
        if not node.answer.members or node.answer.members == view.believed.members:
            continue
        if node.member is None and node.answer.own_entry is not None:
            continue  # a node that was removed: that is said already
        differences = list(_differences(believed, {n.node_id: n for n in node.answer.members}))
        at = (node.answer.address,)
        if differences and not node.told and node.member is not None:
            said = f"{node} has not been told of the last changes, as spares are not"
            yield Finding(FindingKind.SPARE, said, at)
            continue
        for kind in dict.fromkeys(kind for kind, _ in differences):
            texts = listed((text for each, text in differences if each is kind), "; ")
            said = f"{node} and {view.word} disagree about {_ABOUT[kind]}: {texts}"
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


CHECKS: tuple[Check, ...] = (_leaders, _lists)
