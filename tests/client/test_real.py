"""The client with real servers of all kinds: one session each, and what stands in front of nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dqlitewire.client import Client, ConnectionFailed, NoLeaderError, StatementFailed, connect
from dqlitewire.conversation import HazardError, Outcome
from dqlitewire.dial import Address, DialOptions
from tests.dial.relays import Relay
from tests.dial.test_layers import Certificates
from tests.profiles import DEEP
from tests.real.nodes import Cluster, Node
from tests.waiting import wait_for

TIMEOUT = 60.0
NUMBERS = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {}) SELECT i FROM r"
ROWS = 200_000 if DEEP else 20_000
HAZARDS = (
    "INSERT INTO t VALUES (0) RETURNING key",
    "PRAGMA wal_checkpoint",
    "PRAGMA journal_mode = DELETE",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_a_session_through_the_death_of_a_leader(
    node_kind: str, real_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    cluster = real_cluster(node_kind)
    leader = cluster.leader()
    follower = next(node for node in cluster.nodes if node is not leader)
    store = tmp_path / "cluster.yaml"
    store.write_text(
        "".join(f"- Address: {node.address}\n  ID: {node.id}\n  Role: 0\n" for node in cluster.nodes)
    )
    with connect(follower.address, "test.db", timeout=TIMEOUT) as client:
        assert client.leader == (leader.id, Address.parse(leader.address))
        read_and_write(client)
        for hazard in HAZARDS:
            for ask in (client.execute, client.query):
                with pytest.raises(HazardError):
                    ask(hazard)
        assert all(node.alive() for node in cluster.nodes)
        insert_while_leaders_die(client, cluster, kills=3 if DEEP else 1)
    with connect(str(store), "test.db", timeout=TIMEOUT) as client:
        assert [node.address for node in client.nodes()] == cluster.addresses
        lose_a_stream(client, cluster)
    for node in cluster.nodes:
        node.kill()
    with pytest.raises(NoLeaderError) as told:
        connect(str(store), "test.db", timeout=TIMEOUT)
    assert [attempt.said for attempt in told.value.attempts] == 3 * ["connection refused"]


def read_and_write(client: Client) -> None:
    client.execute("CREATE TABLE t (key INTEGER PRIMARY KEY, text TEXT)")
    assert client.execute("INSERT INTO t VALUES (?, ?)", [0, "x\ny"]).rows_affected == 1
    result = client.query("SELECT *, x'00' AS blob, 1.5, NULL FROM t")
    assert result.columns == ("key", "text", "blob", "1.5", "NULL")
    assert list(result) == [(0, "x\ny", b"\0", 1.5, None)]
    with pytest.raises(StatementFailed, match="no such table: nowhere") as told:
        client.query("SELECT * FROM nowhere")
    assert (told.value.code, told.value.outcome) == (1, Outcome.NOT_EXECUTED)
    with pytest.raises(StatementFailed) as told:
        client.execute("INSERT INTO t VALUES (0, 'again')")
    assert told.value.code == 1555
    result = client.query(
        "SELECT abs(-9223372036854775807 - (i = 1500)) AS x FROM (" + NUMBERS.format(3000) + ")"
    )
    rows: list[object] = []
    with pytest.raises(StatementFailed, match="integer overflow"):
        rows.extend(result)
    assert 0 < len(rows) < 1500
    assert sum(number for (number,) in client.query(NUMBERS.format(ROWS))) == ROWS * (ROWS + 1) // 2
    for _ in client.query(NUMBERS.format(10**12)):
        break
    assert list(client.query("SELECT count(*) FROM t")) == [(1,)]


def insert_while_leaders_die(client: Client, cluster: Cluster, kills: int) -> None:
    """Insert as a tool would: what is told to be not executed is sent again, what nobody knows looked up."""
    stop = threading.Event()

    def kill() -> None:
        try:
            for _ in range(kills):
                time.sleep(0.05)
                node = cluster.leader()  # it may be the one that was killed before
                node.kill()
                time.sleep(0.2)
                node.start()
        finally:
            stop.set()  # whatever happened, or rows would be inserted for ever

    thread = threading.Thread(target=kill)
    thread.start()
    key = done = 0
    acknowledged: set[int] = set()
    try:
        while not stop.is_set() or done < 20:
            key += 1
            with suppress(ConnectionFailed, StatementFailed):
                client.execute("INSERT INTO t VALUES (?, 'row')", [key])
                acknowledged.add(key)
                done += stop.is_set()
    finally:
        thread.join()
    found = [number for (number,) in client.query("SELECT key FROM t WHERE text = 'row'")]
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert len(found) - len(acknowledged) <= 4 * kills  # of unknown outcome


def lose_a_stream(client: Client, cluster: Cluster) -> None:
    """The leader dies while rows come: those that came stand, the rest is told to be missing."""
    rows = iter(client.query(NUMBERS.format(10**12)))
    assert [next(rows) for _ in range(100)] == [(number,) for number in range(1, 101)]
    cluster.node(str(client.leader.address)).kill()
    number = 100
    with pytest.raises(ConnectionFailed) as told:
        for (number,) in rows:  # noqa: B007
            pass
    assert number >= 100
    assert told.value.outcome is Outcome.NOT_EXECUTED
    assert list(client.query("SELECT count(*) > 1 FROM t")) == [(1,)]


# ---------------------------------------------------------------- what stands in front of a node


def works(client: Client) -> None:
    with client:
        client.execute("CREATE TABLE IF NOT EXISTS t (a)")
        assert list(client.query("SELECT count(*) FROM t WHERE 0")) == [(0,)]


def test_sockets(real_node: Node, database: str, tmp_path: Path) -> None:
    for unix in (str(tmp_path / "x"), f"@dqlite-wire-client-{database}"):
        with Relay(real_node.address, unix=unix) as relay:
            works(connect(relay.address, database, timeout=TIMEOUT))
    works(connect(real_node.address.replace("127.0.0.1", "localhost"), database, timeout=TIMEOUT))


def test_tls_and_upgrade(old_node: Node, database: str, files: Certificates) -> None:
    pair = {"cert": files["client.crt"], "key": files["client.key"]}
    for wants_client in (False, True):
        for path in (None, "/internal/database"):
            with Relay(old_node.address, tls=files.context(files.server, wants_client), path=path) as relay:
                options = DialOptions(ca=files["ca"], upgrade=path, **(pair if wants_client else {}))
                works(connect(relay.address, database, options=options, timeout=TIMEOUT))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ca": "strange-ca"}, "certificate verify failed: "),
        ({"ca": "ca", "server_name": "other.example"}, "certificate verify failed: hostname mismatch"),
        ({"ca": "ca"}, "the server wants a client certificate"),
        (
            {"ca": "ca", "cert": "stranger.crt", "key": "stranger.key"},
            "the server refuses the certificate",
        ),
        ({"server_name": "node.example"}, "certificate verify failed: "),  # the system trusts others
    ],
)
def test_wrong_certificates_are_refused_in_words(
    options: dict[str, str], told: str, old_node: Node, files: Certificates
) -> None:
    given = {name: files[word] if Path(files[word]).exists() else word for name, word in options.items()}
    with (
        Relay(old_node.address, tls=files.context(files.server, True)) as relay,
        pytest.raises(NoLeaderError) as error,
    ):
        connect(relay.address, "test.db", options=DialOptions(**given), timeout=TIMEOUT)  # type: ignore[arg-type]
    assert str(error.value).lower().startswith(f"no leader: {relay.address}: {told}")


def test_an_endpoint_that_does_not_switch(old_node: Node) -> None:
    with Relay(old_node.address, path="/internal/database") as relay, pytest.raises(NoLeaderError) as error:
        connect(relay.address, options=DialOptions(upgrade="/other"), timeout=TIMEOUT)
    assert "no upgrade: the server answered 'HTTP/1.1 404 Not Found'" in str(error.value)


def test_a_leader_behind_tls_names_others_that_are_dialled_in_the_same_way(
    real_cluster: Callable[..., Cluster], files: Certificates, tmp_path: Path
) -> None:
    """A cluster as go-dqlite's `app` keeps it: one certificate for all, in front of every node."""
    cluster = real_cluster("1.18.7", 2)
    relays = [Relay(node.address, tls=files.context(files.shared, True)) for node in cluster.nodes]
    leader = cluster.leader()
    with relays[0], relays[1]:
        store = tmp_path / "cluster.yaml"
        entries = zip(relays, cluster.nodes, strict=True)
        store.write_text("".join(f"- Address: {relay.address}\n  ID: {node.id}\n" for relay, node in entries))
        for name in ("cluster.crt", "cluster.key"):
            (tmp_path / name).write_bytes(Path(files[name]).read_bytes())
        with connect(str(store), "test.db", timeout=TIMEOUT) as client:
            assert client.leader == (leader.id, Address.parse(leader.address))
            works(client)


def test_a_node_without_a_quorum(real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster("1.18.7")
    survivor = cluster.nodes[2]
    for node in cluster.nodes[:2]:
        node.kill()

    def told() -> str:
        with pytest.raises(NoLeaderError) as error:
            connect(survivor.address, "test.db", timeout=1)
        return str(error.value)

    wait_for(lambda: f"{survivor.address}: knows no leader" in told(), "a node that knows no leader")


def test_a_query_that_ends_a_node_ends_one(real_cluster: Callable[..., Cluster]) -> None:
    cluster = real_cluster("1.18.7")
    with connect(cluster.addresses[0], "test.db", timeout=TIMEOUT) as client:
        client.execute("CREATE TABLE t (a BOOLEAN)")
        client.execute("INSERT INTO t VALUES ('x')")
        with pytest.raises(ConnectionFailed):
            client.query("SELECT a FROM t")
        assert sum(node.alive() for node in cluster.nodes) == 2
        assert list(client.query("SELECT +a FROM t")) == [("x",)]
