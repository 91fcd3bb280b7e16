"""A cluster as its nodes tell it: who is who among the nodes that were asked. No I/O.

A node says whom it takes for the leader and which members it knows. It does not say which of them it is, nor
whether what it knows is still so, and each may tell something else. So one of them is believed, and the rest
are compared with it (`findings`):

    answers                        `Answer`: what each node said, and how it came to be asked
      -> those of one cluster      nodes whose members have addresses in common; the cluster of most TARGETs
      -> the one that is believed  who leads by its own word; of several the one that most others name;
                                   without any the first of those whose list of members most others have too
      -> `ClusterView`             its members, and a `NodeView` for each answer: which of them gave it

A node is the member at whose address it was asked, in whatever spelling, or at whose address the connection
ended; else the one whose id a store gives, or it itself, by naming the address, or as the only member there
is. It may be none of these, as behind a proxy: then its view has no member.

What comes from a node is bounded: of a list of members the first `MOST` are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.dial.addresses import spelling
from dqlitewire.dial.health import Health, Status

MOST = 128  # members that are looked at, and nodes that are asked because others name them


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said, or that it said nothing, and how it came to be asked.

    Attributes:
        health: of the node; `node_id` is what a store gives.
        store: path of the store that names it; empty if none does.
        named_by: address of the node that named it; empty if somebody asked for it.
    """

    health: Health
    store: str = ""
    named_by: str = ""

    @property
    def address(self) -> str:
        """Where it was asked."""
        return self.health.address

    @property
    def places(self) -> set[str]:
        """The addresses by which it is known to be reached."""
        return {spelling(place) for place in (self.health.address, self.health.reached) if place}

    @property
    def members(self) -> list[NodeInfo]:
        """Those that it names, as far as they are looked at."""
        return self.health.nodes[:MOST]

    @property
    def own_entry(self) -> NodeInfo | None:
        """The member that it names at its own address; None if it names none there."""
        places = self.places
        return next((member for member in self.members if spelling(member.address) in places), None)

    @property
    def knows_nothing(self) -> bool:
        """Whether it knows neither members nor leader, as a node that has not joined a cluster."""
        return self.health.status is Status.NO_LEADER and not self.health.nodes

    @property
    def own_id(self) -> int:
        """Its id by what it says itself; 0 if that does not tell."""
        entry = self.own_entry or self.health.only_member
        return 0 if entry is None else entry.node_id

    @property
    def leads(self) -> bool:
        """Whether it says that it leads."""
        leader, health = spelling(self.health.leader_address), self.health
        if not leader or health.votes is False:
            return False
        mine = self.own_id or health.node_id
        return leader in self.places or bool(mine and mine == health.leader_id)


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node that was asked, and which of the members it is.

    Attributes:
        answer: what it said.
        member: of the cluster, as the node that is believed has it; None if it is none, or that is not known.
        ours: whether it is of the cluster, as far as it tells.
    """

    answer: Answer
    member: NodeInfo | None
    ours: bool = True

    @property
    def node_id(self) -> int:
        """Its id; 0 if that is not known."""
        if self.member is not None:
            return self.member.node_id
        return self.answer.own_id if self.answer.members else self.answer.health.node_id

    @property
    def role(self) -> NodeRole | None:
        """What it is in its cluster; None if that is not known."""
        return self.member.role if self.member is not None else self.answer.health.role

    @property
    def own_address(self) -> str:
        """Its address as a member; empty if it is none."""
        return "" if self.member is None else self.member.address

    @property
    def told(self) -> bool:
        """Whether the cluster keeps it informed: a spare is sent nothing (dqlite raft: RAFT_SPARE)."""
        return self.member is not None and self.member.role is not NodeRole.SPARE

    def __str__(self) -> str:
        """Return what people call it: id, address and role, as far as they are known."""
        named = f"{self.node_id} at {self.answer.address}" if self.node_id else self.answer.address
        return named if self.role is None else f"{named} ({role_words(self.role)})"


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster, and the nodes that were asked.

    Attributes:
        nodes: the nodes, in the order in which they were asked.
        believed: whose word the members are; None if nobody names any.
        members: of the cluster.
        leader: address that leads by its own word, or else by that of most; empty if nobody names one.
    """

    nodes: tuple[NodeView, ...]
    believed: Answer | None
    members: tuple[NodeInfo, ...]
    leader: str
    _by_address: dict[str, NodeInfo] = field(default_factory=dict[str, NodeInfo])

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> ClusterView:
        """Find out who is who.

        Args:
            answers: of the nodes that were asked; at least one.
        """
        ours = _one_cluster(answers)
        believed = _believed(ours)
        members = tuple(believed.members) if believed is not None else ()
        by_address = {spelling(member.address): member for member in reversed(members)}
        placed = _placed(answers, members, by_address)
        mine = set(map(id, ours))
        nodes = [NodeView(one, placed.get(id(one)), id(one) in mine or not one.members) for one in answers]
        given = {node.node_id for node in nodes if node.member and not node.answer.named_by}
        shown = tuple(
            node for node in nodes if not (node.answer.named_by and node.member and node.node_id in given)
        )
        leader = ""
        if believed is not None and believed.leads:
            leader = believed.health.leader_address
        elif named := Counter(one.health.leader_address for one in ours if one.health.leader_address):
            leader = named.most_common(1)[0][0]
        return cls(shown, believed, members, leader, by_address)

    def member_at(self, address: str) -> NodeInfo | None:
        """Return the member at an address; None if there is none.

        Args:
            address: in any spelling.
        """
        return self._by_address.get(spelling(address))

    def name(self, address: str) -> str:
        """Return what people call whoever is at an address: with the id, where there is one.

        Args:
            address: as a node names it.
        """
        member = self.member_at(address)
        return address if member is None else f"{member.node_id} at {address}"

    @property
    def word(self) -> str:
        """Whose word the members are, as people call it."""
        if self.believed is None:
            return "the cluster"
        return f"{'the leader ' * self.believed.leads}{self.believed.address}"

    @property
    def unasked(self) -> list[NodeInfo]:
        """The members that no node which was asked is known to be."""
        taken = {node.node_id for node in self.nodes if node.member is not None}
        return [member for member in self.members if member.node_id not in taken]

    @property
    def unplaced(self) -> list[NodeView]:
        """The nodes of the cluster that are none of the members, or not known to be one."""
        return [
            node for node in self.nodes if node.ours and node.member is None and node.answer.health.answered
        ]


def role_words(role: NodeRole) -> str:
    """Return what people call a role.

    Args:
        role: the role.
    """
    return "stand-by" if role is NodeRole.STANDBY else role.name.lower()


def _one_cluster(answers: Sequence[Answer]) -> list[Answer]:
    """Those whose members have addresses in common, directly or through others: of most TARGETs."""
    groups: list[tuple[set[str], list[Answer]]] = []
    for one in answers:
        if not one.members:
            continue
        addresses, group = {spelling(member.address) for member in one.members}, [one]
        for known in [known for known in groups if known[0] & addresses]:
            groups.remove(known)
            addresses, group = known[0] | addresses, known[1] + group
        groups.append((addresses, group))
    first = {id(one): number for number, one in enumerate(answers)}

    def wanted(group: list[Answer]) -> tuple[int, int]:
        return sum(not one.named_by for one in group), -min(first[id(one)] for one in group)

    found = max([group for _, group in groups], key=wanted) if groups else []
    return sorted(found, key=lambda one: first[id(one)])


def _believed(ours: list[Answer]) -> Answer | None:
    leaders = [one for one in ours if one.leads]
    if leaders:
        named = Counter(spelling(one.health.leader_address) for one in ours)
        return max(leaders, key=lambda one: named[spelling(one.health.leader_address)])
    lists = Counter(_list(one) for one in ours)
    return max(ours, key=lambda one: lists[_list(one)], default=None)


def _list(one: Answer) -> frozenset[tuple[int, str, int]]:
    return frozenset((each.node_id, spelling(each.address), each.role) for each in one.members)


def _placed(
    answers: Iterable[Answer], members: tuple[NodeInfo, ...], by_address: dict[str, NodeInfo]
) -> dict[int, NodeInfo]:
    """Which member each node is, by its `id()`."""
    by_id = {member.node_id: member for member in reversed(members)}
    found: dict[int, NodeInfo] = {}
    reached: dict[str, NodeInfo] = {}  # other addresses at which members turned out to be
    for one in answers:
        for place in one.places & by_address.keys():
            found[id(one)] = by_address[place]
            reached.update(dict.fromkeys(one.places, by_address[place]))
    for one in answers:
        if id(one) not in found:
            elsewhere = [reached[place] for place in one.places if place in reached]
            mine = by_id.get(one.health.node_id) or by_id.get(one.own_id)
            if member := elsewhere[0] if elsewhere else mine:
                found[id(one)] = member
    return found
