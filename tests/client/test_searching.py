"""Every way in which a search for a leader can go: what is found, when it ends, and what is said."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from dqlitewire import NodeInfo, NodeRole, ProtocolError
from dqlitewire.client import Client, NoLeaderError, StatementFailed, connect
from dqlitewire.conversation import HazardError
from dqlitewire.dial import Address, Deadline, DialOptions, Target
from dqlitewire.messages import (
    ClusterRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    QuerySqlRequest,
    ServersResponse,
)
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.client.fakes import NOT_LEADER, Answer, Fake, closed_port, full, listener, silent
from tests.dial.relays import Relay
from tests.waiting import wait_for

NAME = "test.db"
LONG, SHORT = 20.0, 0.4  # nothing is waited for; all of it is


def target(*addresses: str) -> Target:
    return Target(",".join(addresses), tuple(map(Address.parse, addresses)))


def refused(where: str | Target, timeout: float = LONG, database: str | None = NAME, **given: object) -> str:
    """The words of a search that finds nothing."""
    with pytest.raises(NoLeaderError) as told:
        connect(where, database, timeout=timeout, **given)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    addresses = [where] if isinstance(where, str) else list(map(str, where.addresses))
    assert [attempt.address for attempt in told.value.attempts][: len(addresses)] == addresses
    return str(told.value)


def refused_in_time(where: str | Target, expected: str, **given: object) -> None:
    """Hold the words of a search that uses its time up; `{}` is that time.

    A busy machine may not come as far in a short time as it must: it is given more.
    """
    for seconds in (SHORT, 4 * SHORT, LONG):
        if (said := refused(where, seconds, **given)) == expected.format(seconds):
            return
    assert said == expected.format(seconds)


def leads(client: Client) -> str:
    """The leader's address, after it has done something."""
    with client:
        assert list(client.query("SELECT 1")) == [(1,)]
        return str(client.leader.address)


# ---------------------------------------------------------------- a leader is found


def test_from_every_node_and_with_every_company() -> None:
    with DqliteCluster(3) as cluster, listener() as mute, full() as busy, Fake(leads=False) as fake:
        leader = cluster.elect(cluster.nodes[1]).address
        for node in cluster.nodes:
            assert leads(connect(node.address, NAME, timeout=LONG)) == leader
        for other in (mute, busy, closed_port(), fake.address):
            assert leads(connect(target(other, cluster.addresses[0]), NAME, timeout=LONG)) == leader
        assert leads(connect(target(mute, busy, fake.address, leader), NAME, timeout=LONG)) == leader


def test_more_silent_addresses_than_are_asked_at_once() -> None:
    with DqliteServer() as server, listener() as mute:
        port = int(mute.rpartition(":")[2])
        many = [f"127.0.0.{number}:{port}" for number in range(1, 2)]
        many += [f"127.1.{number}.1:{port}" for number in range(40)]  # nothing listens there
        assert leads(connect(target(*many, server.address), NAME, timeout=LONG)) == server.address


def test_spares_tell_who_leads_by_the_old_handshake() -> None:
    with DqliteCluster(3) as cluster:
        for node in cluster.nodes[1:]:
            node._member.role = NodeRole.SPARE if node is cluster.nodes[1] else NodeRole.STANDBY
            with connect(node.address, NAME, timeout=LONG) as client:
                assert client.leader == (1, Address.parse(cluster.addresses[0]))


def test_members_are_asked_where_a_node_knows_no_leader_or_an_old_one() -> None:
    with DqliteCluster(3) as cluster:
        members = [NodeInfo(node.id, node.address, NodeRole.VOTER) for node in cluster.nodes]
        for leader in ("", closed_port()):
            told: Answer = lambda fake, request, leader=leader: [  # noqa: E731
                LeaderResponse(7 if leader else 0, leader)
            ]
            answers = {LeaderRequest: told, ClusterRequest: lambda fake, request: [ServersResponse(members)]}
            with Fake(answers, leads=False) as fake:
                assert leads(connect(fake.address, NAME, timeout=LONG)) == cluster.addresses[0]


def test_a_leader_whose_own_address_cannot_be_reached() -> None:
    unreachable = closed_port()
    with DqliteServer(advertise=unreachable) as server:
        listens_at = server.nodes[0].listens_at
        with connect(listens_at, NAME, timeout=LONG) as client:
            assert client.leader == (1, Address.parse(unreachable))
            assert list(client.query("SELECT 1")) == [(1,)]


def test_two_leaders_are_named_and_one_leads() -> None:
    with Fake(leads=False) as old, DqliteServer() as new:
        for other in (closed_port(), old.address):
            with Fake(leads=False) as follower:
                follower.leader = other
                assert (
                    leads(connect(target(follower.address, new.address), NAME, timeout=LONG)) == new.address
                )


def test_the_leader_is_dialled_as_the_node_that_names_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = "/internal/database"
    with (
        Fake(leads=False) as follower,
        DqliteServer() as server,
        Relay(follower.address, tls=context, path=path) as entry,
        Relay(server.address, tls=context, path=path) as front,
    ):
        follower.leader = front.address
        options = DialOptions(ca=str(tmp_path / "ca.pem"), upgrade=path)
        assert leads(connect(entry.address, NAME, options=options, timeout=LONG)) == server.address
        assert len(front.heads) == 1


def test_a_leader_that_has_a_name_in_place_of_a_port(tmp_path: Path) -> None:
    name = f"@dqlite-wire-leader-{id(tmp_path)}"
    with Fake(leads=False) as follower, DqliteServer(unix=name):
        follower.leader = name
        assert leads(connect(follower.address, NAME, timeout=LONG)) == name


def test_a_leader_that_comes_late() -> None:
    with DqliteCluster(3) as cluster:
        cluster.lose_leadership()
        timer = threading.Timer(0.2, cluster.elect, [cluster.nodes[2]])
        timer.start()
        assert leads(connect(cluster.addresses[0], NAME, timeout=LONG)) == cluster.addresses[2]
        timer.join()


def test_nodes_that_the_leader_names_are_asked_when_it_is_gone() -> None:
    with DqliteCluster(3) as cluster, connect(cluster.addresses[0], NAME, timeout=LONG) as client:
        cluster.nodes[0].stop()
        assert list(client.query("SELECT 1")) == [(1,)]
        assert str(client.leader.address) in cluster.addresses[1:]


def test_without_a_database_nothing_is_opened() -> None:
    with DqliteServer() as server, connect(server.address, timeout=LONG) as client:
        assert [node.address for node in client.nodes()] == [server.address]
        assert not [one for one in server.requests if one.type == OpenRequest.MSG_TYPE]
        with pytest.raises(StatementFailed, match="no database opened"):
            client.query("SELECT 1")
        client.open(NAME)
        assert list(client.query("SELECT 1")) == [(1,)]


def test_unix_sockets_and_abstract_names(tmp_path: Path) -> None:
    for unix in (str(tmp_path / "socket"), f"@dqlite-wire-client-{id(tmp_path)}"):
        with DqliteServer(unix=unix) as server:
            address = unix if unix.startswith("@") else f"unix:{unix}"
            with connect(address, NAME, timeout=LONG) as client:
                assert list(client.query("SELECT 1")) == [(1,)]
                assert client.leader == (1, Address.parse(address))
            assert server.errors == []


# ---------------------------------------------------------------- nothing is found


@pytest.mark.parametrize("step", [LeaderRequest, OpenRequest, QuerySqlRequest, ClusterRequest])
def test_a_node_that_says_nothing_at_some_step(step: type) -> None:
    with Fake({step: silent}) as fake:
        asked = {"LeaderRequest": "LEADER", "OpenRequest": "OPEN", "ClusterRequest": "CLUSTER"}
        name = asked.get(step.__name__, "QUERY_SQL")
        refused_in_time(
            fake.address, f"no leader within {{:g}} s: {fake.address}: connected, but no answer to {name}"
        )


def test_a_node_that_says_nothing_before_its_first_word(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca))
    with full() as busy:
        refused_in_time(busy, f"no leader within {{:g}} s: {busy}: no answer")
    for options, layer in (
        (DialOptions(ca=str(ca)), "TLS"),
        (DialOptions(upgrade="/internal/database"), "the upgrade"),
        (DialOptions(ca=str(ca), upgrade="/internal/database"), "TLS or the upgrade"),
    ):
        with listener() as mute:
            expected = f"no leader within {{:g}} s: {mute}: connected, but no answer to {layer}"
            refused_in_time(mute, expected, options=options)


def test_what_cannot_be_reached_ends_at_once() -> None:
    port = closed_port()
    assert refused(port) == f"no leader: {port}: connection refused"
    assert refused("unix:/nowhere") == "no leader: unix:/nowhere: no such file or directory"
    assert refused("@nobody-listens-here") == "no leader: @nobody-listens-here: connection refused"
    assert "no such host" in refused("does-not-exist.invalid:9001")
    several = [closed_port() for _ in range(5)]
    assert refused(target(*several)).endswith("connection refused; and 2 more")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "it answered 'SSH-2.0-OpenSSH_"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it speaks HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "it speaks TLS"),
        (b"\xff" * 64, "it answered ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff"),
    ],
)
def test_what_is_no_node(said: bytes, words: str) -> None:
    with listener(said) as address:
        assert refused(address).startswith(f"no leader: {address}: {words}")


def test_a_node_that_speaks_tls_where_none_is_spoken() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Relay(closed_port(), tls=context) as relay:
        assert refused(relay.address) == f"no leader: {relay.address}: it speaks TLS"


def test_a_node_that_says_that_it_leads_and_refuses() -> None:
    with Fake(leads=False) as fake:
        expected = f"no leader within {{:g}} s: {fake.address}: says that it leads, and refuses: not leader"
        refused_in_time(fake.address, expected)
        assert fake.asked.count("Leader") > 1  # it was asked again


def test_a_node_that_says_that_it_leads_and_opens_nothing() -> None:
    with Fake({OpenRequest: lambda fake, request: [NOT_LEADER]}) as fake:
        expected = f"no leader within {{:g}} s: {fake.address}: says that it leads, and refuses: not leader"
        refused_in_time(fake.address, expected)


def test_nodes_that_name_each_other() -> None:
    with Fake(leads=False) as one, Fake(leads=False) as other:
        one.leader, other.leader = other.address, one.address
        refused_in_time(
            one.address,
            f"no leader within {{:g}} s: {one.address}: names {other.address} as leader; "
            f"{other.address}: names {one.address} as leader",
        )


def test_a_node_that_names_what_is_no_address_and_one_that_names_another_each_time() -> None:
    with Fake(leads=False) as fake:
        fake.leader = "\x1b[31mhere\n"
        said = rf"{fake.address}: names '\x1b[31mhere\n' as leader, which is no address"
        refused_in_time(fake.address, "no leader within {:g} s: " + said)
    counted = iter(range(1, 60_000))
    names: Callable[..., list[LeaderResponse]] = lambda fake, request: [  # noqa: E731
        LeaderResponse(1, f"127.0.0.1:{next(counted)}")
    ]
    with Fake({LeaderRequest: names}, leads=False) as fake:
        assert "as leader" in refused(fake.address, 4 * SHORT)


def test_no_quorum() -> None:
    with DqliteCluster(3) as cluster:
        cluster.lose_leadership()
        refused_in_time(
            target(*cluster.addresses),
            "no leader within {:g} s: "
            + "; ".join(f"{address}: knows no leader" for address in cluster.addresses),
        )


def test_a_database_that_must_not_be_opened_is_refused_before_it_is() -> None:
    with DqliteServer() as server:
        for name in ("", ":memory:"):
            with pytest.raises(HazardError):
                connect(server.address, name, timeout=LONG)
        with pytest.raises(ProtocolError):
            connect(server.address, "a\0b", timeout=LONG)
        with connect(server.address, NAME, timeout=LONG) as client:
            with pytest.raises(HazardError):
                client.open(":memory:")
            assert list(client.query("SELECT 1")) == [(1,)]  # the one that was open still is
        assert server.hazards == []  # OPEN alone would be one


def test_the_words_of_the_system_stay_words() -> None:
    with pytest.raises(NoLeaderError) as told:
        connect(f"unix:/{'a' * 200}", timeout=60)
    assert told.value.attempts[0].said == "AF_UNIX path too long"


def test_options_that_make_no_sense_are_no_matter_of_nodes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the name of the server"):
        connect("unix:/nowhere", options=DialOptions(ca="x"))
    with pytest.raises(FileNotFoundError):
        connect("127.0.0.1:1", options=DialOptions(ca=str(tmp_path / "none")))
    with pytest.raises(ValueError, match="is no HOST:PORT"):
        connect("somewhere")


def test_a_deadline_is_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with Fake({LeaderRequest: silent}) as fake:
        deadline = Deadline(SHORT)
        with pytest.raises(NoLeaderError, match=r"within 0\.4 s"):
            connect(fake.address, timeout=LONG, deadline=deadline)
        with pytest.raises(TimeoutError):
            deadline.left()


def test_no_thread_and_no_connection_is_left_behind() -> None:
    with DqliteCluster(3) as cluster, listener() as mute:
        before = threading.active_count()
        for _ in range(5):
            connect(target(*cluster.addresses), NAME, timeout=LONG).close()
        gone = lambda: threading.active_count() <= before and not cluster.connection_count  # noqa: E731
        wait_for(gone, "end of the threads", 3 * LONG)
        refused(mute, SHORT)


def test_a_leader_that_became_a_follower_is_not_taken_for_one_by_what_followers_answer() -> None:
    with DqliteCluster(3) as cluster, connect(cluster.addresses[0], NAME, timeout=LONG) as client:
        cluster.elect(cluster.nodes[1])
        assert len(client.nodes()) == 3
        assert client.leader == (2, Address.parse(cluster.addresses[1]))


# ---------------------------------------------------------------- hostile nodes


def test_a_thousand_names_end_with_the_deadline() -> None:
    """As leaders and as members: hosts that do not exist, sockets, what is no address, the node itself."""
    nodes = [NodeInfo(number, f"@nobody-{number}", NodeRole.VOTER) for number in range(1, 1000)]
    odd = ["", "\x1b[31m:1", "../../etc:1", "unix:/", "unix:/dev/null", "h" * 250 + ":1", "[::1", "a:b", ":0"]
    nodes += [NodeInfo(2000 + number, address, NodeRole.VOTER) for number, address in enumerate(odd[1:])]
    counted = itertools.count()

    def names(fake: Fake, request: object) -> list[LeaderResponse]:
        number = next(counted)
        return [LeaderResponse(1, odd[number // 2 % len(odd)] if number % 2 else fake.address)]

    answers: dict[type, Answer] = {
        LeaderRequest: names,
        ClusterRequest: lambda fake, request: [ServersResponse(nodes)],
    }
    with Fake(answers, leads=False) as fake:
        for seconds in (SHORT, 4 * SHORT, LONG):  # a busy machine comes less far
            began = time.monotonic()
            with pytest.raises(NoLeaderError) as told:
                connect(fake.address, NAME, timeout=seconds)
            assert time.monotonic() - began < seconds + LONG  # of the threads, not one is waited for
            if len(told.value.attempts) > len(odd):
                break
    assert len(odd) < len(told.value.attempts) <= 257
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 1000


def test_an_answer_that_never_ends_is_no_answer() -> None:
    """A byte now and then keeps nobody beyond the deadline, nor does a frame without an end."""
    over = threading.Event()
    dribbling: list[threading.Thread] = []

    def dribble(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            while not over.wait(0.02):
                sock.sendall(b"\1")

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    dribbling.append(threading.Thread(target=dribble, args=(listening.accept()[0],)))
                    dribbling[-1].start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            began = time.monotonic()
            address = f"127.0.0.1:{listening.getsockname()[1]}"
            for options in (DialOptions(), DialOptions(upgrade="/x")):
                with pytest.raises(NoLeaderError):
                    connect(address, NAME, timeout=SHORT / 2, options=options)
            assert time.monotonic() - began < LONG
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            for each in (thread, *dribbling):
                each.join()


def test_whoever_waits_for_a_silent_node_waits_no_longer_than_the_search() -> None:
    with DqliteServer() as server, Fake({LeaderRequest: stuck}) as fake:
        before = set(threading.enumerate())
        connect(target(fake.address, server.address), NAME, timeout=600).close()
        wait_for(lambda: not workers(before), "an end of the threads", 3 * LONG)


def workers(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in set(threading.enumerate()) - before if "_work" in thread.name]


def stuck(fake: Fake, request: object) -> None:
    """Answer nothing for longer than anybody waits."""
    fake.over.wait(600)
