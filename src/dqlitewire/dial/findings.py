"""What is to be said of a cluster: each check looks at what its nodes say, and finds in words.

A kind of finding tells three things: its token in JSON; whether it is something that is not well (a cluster
may run with servers of two generations, but not with two leaders); and whether asking again may find another
thing. An election takes some hundred milliseconds with fast timers, with dqlite's own several seconds; a
change of members reaches the followers later than the leader. So such findings are said only when the answers
have come to rest (`surveying`). While nobody is known to lead, they have not come to rest at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from dqlitewire.dial.cluster import ClusterView, NodeView

SAID = 4  # nodes that a sentence names


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
        view: who is who.
        whole: whether every member was to be asked.
        stores: the ids and addresses that each store names, by its path.
    """

    view: ClusterView
    whole: bool
    stores: Mapping[str, Sequence[tuple[int, str]]]

    @property
    def ours(self) -> list[NodeView]:
        """The nodes of the cluster that answered."""
        return [node for node in self.view.nodes if node.ours and node.answer.health.answered]


Check = Callable[[Context], Iterator[Finding]]


def about(nodes: Iterable[NodeView]) -> tuple[str, ...]:
    """Return whom a finding concerns.

    Args:
        nodes: the nodes.
    """
    return tuple(node.answer.address for node in nodes)


def listed(names: Iterable[str], between: str = ", ") -> str:
    """Return names on a line, and how many more there are.

    Args:
        names: any number.
        between: what stands between two.
    """
    every = list(names)
    said = every[:SAID] + [f"{len(every) - SAID} more"] * (len(every) > SAID)
    return between.join(said)
