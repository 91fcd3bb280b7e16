"""Ask the embedded server what a node answers that does not lead, and one on which nothing was opened.

The tables of the package say what differs between releases; which requests need the leader, or a database,
follows from how a node handles each of them. So each release is played, each request is asked, and the
answers are what the pages of the messages say. tests/docs/test_who_answers.py asks real nodes the
same.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from dqlitewire import RequestType
from dqlitewire.messages import REQUESTS
from dqlitewire.servers.refusals import UNKNOWN_TYPE
from dqlitewire.servers.releases import RELEASES
from dqlitewire.testing import DqliteCluster
from tests.real.raw import RawConnection
from tests.wire_data import VECTORS

__all__ = ["Played", "asked", "played"]

_OPENING = (RequestType.OPEN, RequestType.LEADER, RequestType.CLIENT)


class Played(NamedTuple):
    """What one release says to a request.

    Attributes:
        elsewhere: on a node that does not lead: code and text of a FAILURE, None for an answer.
        unopened: on the leader, before OPEN.
    """

    elsewhere: tuple[int, str] | None
    unopened: tuple[int, str] | None


@functools.cache
def played() -> dict[RequestType, dict[str, Played]]:
    """Return for each request that is answered what each release says.

    A request that not even the newest release knows is left out; an old one would never answer it.
    """
    *older, newest = RELEASES
    asked = [code for code, request in REQUESTS.items() if request.ANSWERS]
    said = {newest: _of_release(newest, asked)}
    known = [code for code in asked if said[newest][code].unopened != UNKNOWN_TYPE]
    said |= {name: _of_release(name, known) for name in older}
    return {RequestType(code): {name: said[name][code] for name in RELEASES} for code in known}


def _of_release(name: str, codes: Sequence[int]) -> dict[int, Played]:
    with DqliteCluster(3, generation=name) as cluster:
        leader, follower, _ = cluster.nodes
        return {
            code: Played(
                asked(follower.address, code, opened=True), asked(leader.address, code, opened=False)
            )
            for code in codes
        }


def asked(address: str, code: int, *, opened: bool) -> tuple[int, str] | None:
    """Return what a request gets, sent on a connection of its own: a FAILURE's code and text, or None.

    Args:
        address: of the node.
        code: of the request.
        opened: whether a database is opened before it.
    """
    frame = next(v.data for v in VECTORS if v.is_request and v.type == code and v.schema == 0)
    with RawConnection(address) as connection:
        if opened and code not in _OPENING:
            connection.send(next(v.data for v in VECTORS if v.is_request and v.type == RequestType.OPEN))
            connection.frame()  # which may be refused, too
        connection.send(frame)
        answer = connection.frame()
        return answer.failure if answer.kind == 0 else None
