"""A real node behind what stands in front of it in production, probed from the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from dqlitewire.dial import DialOptions, Status, probe, probe_all, probing
from dqlitewire.dial.errors import ClosedError, UpgradeRefusedError
from tests.client.fakes import closed_port
from tests.dial.relays import Relay
from tests.real.nodes import Node
from tests.traffic.command import Result, run
from tests.waiting import wait_for


class Certificates:
    """An authority, a server's certificate, a client's, and what does not fit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.strange = trustme.CA()
        self.server = self.authority.issue_cert("node.example", "127.0.0.1")
        self.shared = self.authority.issue_cert("cluster")  # as go-dqlite's cluster.crt: for both sides
        for name, authority in (("ca", self.authority), ("strange-ca", self.strange)):
            authority.cert_pem.write_to_path(self[name])
        for name, cert in (
            ("client", self.authority.issue_cert("client")),
            ("stranger", self.strange.issue_cert("client")),
            ("cluster", self.shared),
        ):
            cert.cert_chain_pems[0].write_to_path(self[f"{name}.crt"])
            cert.private_key_pem.write_to_path(self[f"{name}.key"])

    def __getitem__(self, name: str) -> str:
        return str(self.folder / name)

    def context(self, cert: trustme.LeafCert, wants_client: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert.configure_cert(context)
        if wants_client:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def check_healthy(result: Result, node: Node) -> None:
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert (found["status"], found["role"], found["speaks"]) == ("healthy", "VOTER", None)
    assert found["leader"] == {"node_id": 1, "address": node.address}
    assert found["generation"] == ("1.11" if node.kind == "1.11.1" else "1.12")
    assert 0 < found["round_trip_ms"] < 5000


# ---------------------------------------------------------------- sockets


@pytest.mark.parametrize("kind", ["tcp", "host", "ipv6", "unix", "abstract"])
def test_every_kind_of_address(kind: str, old_node: Node, tmp_path: Path) -> None:
    if kind in ("tcp", "host"):
        address = old_node.address
        address = address.replace("127.0.0.1", "localhost") if kind == "host" else address
        check_healthy(run("probe", "--json", address), old_node)
        return
    unix = {"unix": str(tmp_path / "x"), "abstract": f"@dqlite-wire-test-{os.getpid()}"}.get(kind)
    with Relay(old_node.address, unix=unix, host="::1" if kind == "ipv6" else "127.0.0.1") as relay:
        check_healthy(run("probe", "--json", relay.address), old_node)


# ---------------------------------------------------------------- TLS


def test_tls(real_node: Node, files: Certificates) -> None:
    pair = ("--cert", files["client.crt"], "--key", files["client.key"])
    for wants_client in (False, True):
        with Relay(real_node.address, tls=files.context(files.server, wants_client)) as relay:
            given = pair if wants_client else ()
            check_healthy(run("probe", "--json", relay.address, "--ca", files["ca"], *given), real_node)
            named = ("--server-name", "node.example")
            check_healthy(
                run("probe", "--json", relay.address, "--ca", files["ca"], *named, *given), real_node
            )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ca", "strange-ca"], "certificate verify failed: "),
        (["--ca", "ca", "--server-name", "other.example"], "certificate verify failed: Hostname mismatch"),
        (["--ca", "ca"], "the server wants a client certificate"),
        (
            ["--ca", "ca", "--cert", "stranger.crt", "--key", "stranger.key"],
            "the server refuses the certificate",
        ),
        (["--server-name", "node.example"], "certificate verify failed: "),  # the system trusts others
    ],
)
def test_wrong_certificates_are_refused_in_words(
    options: list[str], told: str, old_node: Node, files: Certificates
) -> None:
    words = [files[word] if Path(files[word]).exists() else word for word in options]
    with Relay(old_node.address, tls=files.context(files.server, True)) as relay:
        result = run("probe", relay.address, *words)
    assert result.code == 5
    assert result.out.startswith(f"{relay.address}  unreachable ({told}"), result.out


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--ca", "none"], 3, "none: no such file or directory"),
        (["--ca", ""], 3, "'': no such file or directory"),
        (["--cert", "/"], 3, "/: is a directory"),
        (["--ca", "client.key"], 3, "client.key: no certificate in it"),
        (["--cert", "client.key"], 3, "client.key: not a certificate and its key"),
        (["--cert", "client.crt"], 3, "client.crt: not a certificate and its key"),
        (["--cert", "client.crt", "--key", "stranger.key"], 3, "stranger.key: not the key of "),
        (["--key", "client.key"], 2, "a key without its certificate"),
        (["--upgrade", "internal"], 2, "is no path of an HTTP endpoint"),
        (["--upgrade", "/a\r\nX: y"], 2, "is no path of an HTTP endpoint"),
    ],
)
def test_files_and_options_that_cannot_be_used(
    options: list[str], code: int, told: str, files: Certificates
) -> None:
    words = [files[word] if word[:1].islower() and word != "internal" else word for word in options]
    result = run("probe", "127.0.0.1:1", *words)
    assert (result.code, result.out) == (code, "")
    assert told in result.err
    assert result.err.count("\n") == 1


def test_an_encrypted_key_asks_nobody(files: Certificates, tmp_path: Path) -> None:
    key = tmp_path / "key"
    plain = load_pem_private_key(Path(files["client.key"]).read_bytes(), None)
    hidden = BestAvailableEncryption(b"secret")
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
    result = run("probe", "127.0.0.1:1", "--cert", files["client.crt"], "--key", key)
    assert (result.code, result.out) == (2, "")
    assert "the key is encrypted" in result.err


def test_tls_on_a_unix_socket_needs_a_name(files: Certificates, old_node: Node, tmp_path: Path) -> None:
    with Relay(old_node.address, unix=str(tmp_path / "x"), tls=files.context(files.server, False)) as relay:
        result = run("probe", relay.address, "--ca", files["ca"])
        assert (result.code, "needs the name of the server" in result.err) == (2, True)
        named = ("--server-name", "node.example")
        check_healthy(run("probe", "--json", relay.address, "--ca", files["ca"], *named), old_node)


# ---------------------------------------------------------------- the upgrade


@pytest.mark.parametrize("path", ["/internal/database", "/core/internal/database"])
def test_behind_an_http_upgrade(path: str, real_node: Node, files: Certificates) -> None:
    """As LXD and Incus (the first path) and MicroCloud (the second) have it."""
    pair = ("--cert", files["client.crt"], "--key", files["client.key"], "--ca", files["ca"])
    with Relay(real_node.address, tls=files.context(files.server, True), path=path) as relay:
        check_healthy(run("probe", "--json", relay.address, "--upgrade", path, *pair), real_node)
        result = run("probe", relay.address, "--upgrade", "/other", *pair)
        assert result.code == 5
        assert "unreachable (no upgrade: the server answered 'HTTP/1.1 404 Not Found')" in result.out
        without = run("probe", "--json", relay.address, "--timeout", "10", *pair)
        assert (without.code, json.loads(without.out)["speaks"]) == (6, "http")
    assert relay.heads[0].count(b"\r\n") == 7


class SSLEnd(ssl.SSLEOFError):
    reason = "UNEXPECTED_EOF_WHILE_READING"


@pytest.mark.parametrize("ending", [ClosedError(), UpgradeRefusedError("closed"), SSLEnd()])
def test_tls_that_refuses_us_closes_in_place_of_the_upgrade(
    ending: OSError, old_node: Node, files: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its alert comes behind the handshake and is lost where the request for the upgrade meets a reset."""

    def closed(*_: object) -> None:
        raise ending

    monkeypatch.setattr(probing, "dial", closed)
    with Relay(old_node.address, tls=files.context(files.server, True), path="/x") as relay:
        health = probe(relay.address, 5, DialOptions(ca=files["ca"], upgrade="/x"))
    assert health.status is Status.UNREACHABLE
    assert health.detail.startswith("the server wants a client certificate")


# ---------------------------------------------------------------- what else speaks there


def test_a_tls_port_is_called_so(old_node: Node, files: Certificates) -> None:
    with Relay(old_node.address, tls=files.context(files.server, True)) as relay:
        result = run("probe", "--json", relay.address)
    found = json.loads(result.out)
    assert (result.code, found["status"], found["speaks"]) == (6, "not_dqlite", "tls")


@pytest.fixture
def patient_http() -> Iterator[str]:
    """A server that says nothing until it has a whole head, as most do."""
    with Relay("127.0.0.1:1", path="/nothing") as relay:
        yield relay.address


def test_an_http_port_is_called_so(patient_http: str) -> None:
    result = run("probe", "--timeout", "1", patient_http)
    assert (result.code, result.out) == (6, f"{patient_http}  not dqlite (it speaks HTTP)\n")


def test_dqlite_in_another_wrapping_is_called_so(real_node: Node, files: Certificates) -> None:
    result = run("probe", real_node.address, "--ca", files["ca"])
    assert (result.code, result.out) == (5, f"{real_node.address}  unreachable (no TLS: it speaks dqlite)\n")
    result = run("probe", real_node.address, "--upgrade", "/internal/database")
    assert (result.code, result.out) == (
        5,
        f"{real_node.address}  unreachable (no upgrade: it speaks dqlite)\n",
    )
    assert probe(real_node.address).status is Status.HEALTHY  # it has taken no harm


def test_a_node_that_hangs_is_silent_and_takes_no_harm(own_node: Callable[..., Node]) -> None:
    node = own_node("1.18.1")
    with node.hanging():
        result = run("probe", "--json", "--timeout", "1", node.address)
    found = json.loads(result.out)
    assert (result.code, found["status"], found["speaks"]) == (5, "silent", None)
    # it reads what strangers said to it meanwhile
    wait_for(lambda: probe(node.address).status is Status.HEALTHY, "healthy node")
    assert node.alive()


def test_an_answer_that_comes_after_the_knocking_is_taken(own_node: Callable[..., Node]) -> None:
    node = own_node("1.18.1")
    for patience in (2, 20):  # a busy machine may not get it done in the rest of the time
        with node.hanging() as process:
            alarm = signal.signal(
                signal.SIGALRM, lambda *_, process=process: process.send_signal(signal.SIGCONT)
            )
            signal.setitimer(signal.ITIMER_REAL, 0.6 * patience)  # half of the time is over
            try:
                health = probe(node.address, patience)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, alarm)
        if health.status is Status.HEALTHY:
            break
    assert (health.status, health.speaks) == (Status.HEALTHY, "")


# ---------------------------------------------------------------- cluster stores


def store(folder: Path, *nodes: tuple[str, int]) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(
        "".join(f"- Address: {address!r}\n  ID: {node_id}\n  Role: 0\n" for address, node_id in nodes)
    )
    return path


def test_a_store(old_node: Node, tmp_path: Path) -> None:
    path = store(tmp_path, (old_node.address, 1))
    check_healthy(run("probe", "--json", path), old_node)


def test_a_store_with_the_certificate_of_the_cluster_beside_it(
    old_node: Node, files: Certificates, tmp_path: Path
) -> None:
    for name in ("cluster.crt", "cluster.key"):
        (tmp_path / name).write_bytes(Path(files[name]).read_bytes())
    with Relay(old_node.address, tls=files.context(files.shared, True)) as relay:
        path = store(tmp_path, (relay.address, 1))
        check_healthy(run("probe", "--json", path), old_node)  # whose name is none of the address
        wrong = run("probe", path, "--server-name", "other.example")
        assert "certificate verify failed: Hostname mismatch" in wrong.out
    with Relay(old_node.address, tls=files.context(files.server, True)) as relay:
        wrong = run("probe", store(tmp_path, (relay.address, 1)))
        assert "unreachable (certificate verify failed" in wrong.out  # only the one beside it is trusted


def test_each_node_of_a_store_is_asked_beside_the_others(
    old_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a long name would be wrapped
    with socket.create_server(("127.0.0.1", 0)) as silent:
        quiet, gone = f"127.0.0.1:{silent.getsockname()[1]}", closed_port()
        path = store(tmp_path, (quiet, 2), (old_node.address, 1), (gone, 3)).relative_to(tmp_path)
        begin = time.monotonic()
        result = run("probe", "--json", "--timeout", "2", path)
        assert time.monotonic() - begin < 40
        text = run("probe", "--timeout", "2", path)
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [each["address"] for each in found] == [quiet, old_node.address, gone]
    assert [each["status"] for each in found] == ["silent", "healthy", "unreachable"]
    assert (result.code, text.code) == (5, 5)
    (headline,), rows, said = ([line.split() for line in b.splitlines()] for b in text.out.split("\n\n"))
    assert headline[:4] == ["2", "problems:", "leader", "1"]
    assert [row[0] for row in rows[1:]] == [quiet, old_node.address, gone]
    assert [row[3] for row in rows[1:]] == ["silent", "1", "unreachable"]
    assert len(said) == 3  # the two, and that the store names nodes which the cluster does not


def test_more_nodes_than_are_asked_at_a_time() -> None:
    address = closed_port()
    found = probe_all([(address, number) for number in range(1, 101)], 20)
    assert [health.node_id for health in found] == list(range(1, 101))
    assert {health.status for health in found} == {Status.UNREACHABLE}
    with pytest.raises(ValueError, match="a key without its certificate"):
        probe_all([(address, 0)] * 3, options=DialOptions(key="x"))


def test_a_store_that_cannot_be_read(tmp_path: Path) -> None:
    result = run("probe", tmp_path / "none.yaml")
    assert (result.code, result.out) == (3, "")
    assert result.err == f"dqlite-wire: {tmp_path}/none.yaml: no such file or directory\n"
