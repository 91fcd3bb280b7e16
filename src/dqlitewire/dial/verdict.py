"""The verdict on a cluster: all checks on what its nodes say. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dqlitewire.dial import agreement, membership
from dqlitewire.dial.cluster import Answer, ClusterView, NodeView
from dqlitewire.dial.findings import Context, Finding, Rest

CHECKS = (*agreement.CHECKS, *membership.CHECKS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A cluster as its nodes tell it, and what is to be said of it.

    Attributes:
        view: who is who.
        findings: problems first.
    """

    view: ClusterView
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether all is well: every node that was asked answers, and they agree."""
        return not any(finding.problem for finding in self.findings)

    @property
    def rest(self) -> Rest:
        """What asking again may do to the findings.

        While nobody leads by its own word an election may be under way, however long nothing changes.
        """
        rest = max((finding.kind.rest for finding in self.findings), default=Rest.AT_REST)
        believed = self.view.believed
        led = believed is not None and believed.leads
        return Rest.ELECTS if rest is Rest.SETTLES and not led else rest

    def about(self, node: NodeView) -> list[Finding]:
        """Return the findings that concern a node.

        Args:
            node: of the node.
        """
        address = node.answer.address
        return [finding for finding in self.findings if not finding.about or address in finding.about]


def judge(
    answers: Sequence[Answer],
    whole: bool = False,
    stores: Mapping[str, Sequence[tuple[int, str]]] | None = None,
) -> Verdict:
    """Judge a cluster by what its nodes say.

    Args:
        answers: of the nodes that were asked; at least one.
        whole: whether every member was to be asked.
        stores: the ids and addresses that each store names, by its path.
    """
    context = Context(ClusterView.of(answers), whole, stores or {})
    found = [finding for check in CHECKS for finding in check(context)]
    return Verdict(context.view, tuple(sorted(found, key=lambda finding: not finding.problem)))
