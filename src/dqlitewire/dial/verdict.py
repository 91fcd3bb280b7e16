"""The verdict on a cluster: all checks on the picture that its nodes give. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dqlitewire.dial import agreement, membership
from dqlitewire.dial.cluster import Asked, Picture, Seat
from dqlitewire.dial.findings import Context, Finding, Rest

CHECKS = (*agreement.CHECKS, *membership.CHECKS)


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
