"""The modelled cluster: who is in it, in which role, and who leads.

Configuration changes take effect at once; texts and codes are raft's (dqlite 1.18.6 `src/raft/err.h`,
`src/translate.c`). All nodes of one cluster share their databases, as if replication took no time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dqlitewire.constants import NodeRole
from dqlitewire.servers.refusals import BAD_ROLE
from dqlitewire.testing.node.errors import SqlFailure

__all__ = ["Cluster", "Member"]

_BAD_ID = 1, "server ID is not valid"
_DUPLICATE_ID = 1, "server ID already in use"
_DUPLICATE_ADDRESS = 1, "server address already in use"


@dataclass(slots=True, eq=False)
class Member:
    """One server of the configuration; `live` if it can lead, that is if this process runs it."""

    id: int
    address: str
    role: NodeRole
    live: bool = False


class Cluster:
    """A raft configuration with at most one leader.

    Args:
        not_found_text: What this release's raft says of a server that is not there.
    """

    def __init__(self, not_found_text: str) -> None:
        self._not_found = 1, not_found_text
        self.members: list[Member] = []
        self.leader: Member | None = None
        self.on_change: list[Callable[[Member | None], None]] = []

    def find(self, node_id: int) -> Member | None:
        """Return the member of an id."""
        return next((member for member in self.members if member.id == node_id), None)

    def voters(self) -> list[Member]:
        """Return the voters this process runs."""
        return [member for member in self.members if member.live and member.role is NodeRole.VOTER]

    def set_leader(self, leader: Member | None) -> None:
        """Let another node lead, or none; every connection of the old leader loses its database."""
        if leader is self.leader:
            return
        old, self.leader = self.leader, leader
        for notify in self.on_change:
            notify(old)

    def join(self, member: Member) -> None:
        """Put a server into the configuration, behind the others."""
        self.members.append(member)

    def add(self, node_id: int, address: str) -> None:
        """ADD: a new server begins as a spare."""
        if self.find(node_id) is not None:
            raise SqlFailure(*_DUPLICATE_ID)
        if any(member.address == address for member in self.members):
            raise SqlFailure(*_DUPLICATE_ADDRESS)
        self.join(Member(node_id, address, NodeRole.SPARE))

    def assign(self, node_id: int, role: NodeRole) -> None:
        """ASSIGN: change a server's role; a leader that is no voter any more steps down."""
        member = self.find(node_id)
        if member is None:
            raise SqlFailure(*self._not_found)
        if member.role is role:
            raise SqlFailure(*BAD_ROLE)
        member.role = role
        self._step_down(member)

    def remove(self, node_id: int) -> None:
        """REMOVE: take a server out of the configuration."""
        member = self.find(node_id)
        if member is None:
            raise SqlFailure(*_BAD_ID)
        self.members.remove(member)
        self._step_down(member)

    def transfer(self, node_id: int) -> None:
        """TRANSFER: hand leadership to a voter, of the server's choice for 0."""
        others = [
            member for member in self.members if member.role is NodeRole.VOTER and member is not self.leader
        ]
        if node_id == 0:
            if not others:
                raise SqlFailure(*self._not_found)
            target = next((member for member in others if member.live), others[0])
        else:
            found = self.find(node_id)
            if found is None or found not in others:
                raise SqlFailure(*_BAD_ID)
            target = found
        if not target.live:
            raise SqlFailure(1, "leadership transfer failed")
        self.set_leader(target)

    def _step_down(self, member: Member) -> None:
        if member is self.leader and (member.role is not NodeRole.VOTER or member not in self.members):
            self.set_leader(next(iter(self.voters()), None))
