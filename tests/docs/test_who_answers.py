"""Which requests another node than the leader refuses, and which need OPEN: what the pages of messages say.

The pages have it from the embedded server (tools/drawn/messages/played.py); here the same questions go to
real nodes.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dqlitewire.servers.refusals import NO_DATABASE, NOT_LEADER
from tests.real.nodes import KINDS, Cluster
from tools.drawn.messages.played import asked, played

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("DQLITE_WIRE_DEEP"), reason="a deep run only"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_real_nodes_say_what_the_pages_say(real_cluster: Callable[..., Cluster], kind: str) -> None:
    cluster = real_cluster(kind, 3)
    leader = cluster.leader()
    follower = next(node for node in cluster.nodes if node is not leader)
    for code, by_release in played().items():
        told = by_release[kind]
        refused = asked(follower.address, code, opened=True) == NOT_LEADER
        assert refused is (told.elsewhere == NOT_LEADER), code.name
        if told.unopened == NO_DATABASE:  # what else a leader is asked may change the cluster
            assert asked(leader.address, code, opened=False) == NO_DATABASE, code.name
