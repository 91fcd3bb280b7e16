"""What docs/explanation/security.md says and no other test held."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from dqlitewire import DecodeError, MessageDecoder, RequestType
from dqlitewire.cli import output
from dqlitewire.cli.exits import Exit
from dqlitewire.client.connection import LIMITS
from dqlitewire.dial import Address, Deadline, DialOptions, StoreError, Target, UpgradeRefusedError, dial
from dqlitewire.dial.targets import MAX_STORE
from dqlitewire.dial.upgrade import MAX_HEAD
from dqlitewire.limits import Limits
from dqlitewire.messages import RowsResponse
from dqlitewire.replay import ReplayServer
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.folder import TemporaryFolder
from dqlitewire.testing.script import ScriptedServer
from dqlitewire.testing.serving.connection import _OUTPUT_WANTED
from tests.dial.test_sockets import listening, tcp
from tests.real.raw import RawConnection, frame, text, word
from tests.replay.transcripts import said_of, write
from tests.traffic.captured import ALL
from tests.traffic.command import run

# ---- TLS


@pytest.fixture
def authority(tmp_path: Path) -> str:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    return str(tmp_path / "ca.pem")


def test_bytes_are_plain_unless_tls_is_asked_for() -> None:
    assert not DialOptions().tls
    assert not DialOptions(upgrade="/internal/database").tls
    options: list[dict[str, Any]] = [{name: "x"} for name in ("cert", "key", "ca", "server_name")]
    for option in options:
        assert DialOptions(**option).tls


def test_a_certificate_is_verified_and_its_name_compared(authority: str) -> None:
    for options in (DialOptions(ca=authority), DialOptions(server_name="node.example")):
        context = options.tls_context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    alone = DialOptions(ca=authority, any_name=True).tls_context()
    assert alone.verify_mode is ssl.CERT_REQUIRED
    assert not alone.check_hostname
    with pytest.raises(ValueError, match="needs the file"):
        DialOptions(server_name="x", any_name=True).tls_context()


def test_keys_of_a_session_are_written_where_the_environment_says(
    authority: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DialOptions(ca=authority).tls_context().keylog_filename is None
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert DialOptions(ca=authority).tls_context().keylog_filename == str(tmp_path / "keys")


def test_the_environment_may_name_authorities_where_no_option_does(
    authority: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    paths = ssl.get_default_verify_paths()
    assert (paths.openssl_cafile_env, paths.openssl_capath_env) == ("SSL_CERT_FILE", "SSL_CERT_DIR")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    (found,) = DialOptions(server_name="node.example").tls_context().get_ca_certs(binary_form=True)
    assert found == ssl.PEM_cert_to_DER_cert(other.read_text())
    (found,) = DialOptions(ca=authority).tls_context().get_ca_certs(binary_form=True)
    assert found == ssl.PEM_cert_to_DER_cert(Path(authority).read_text())


# ---- who listens where


def test_servers_of_tests_listen_on_loopback(tmp_path: Path) -> None:
    recorded = write(tmp_path / "session.dqt", said_of(ALL[0]))
    with DqliteServer() as server, ScriptedServer() as script, ReplayServer(recorded) as replay:
        assert {Address.parse(one.address).name for one in (server, script, replay)} == {"127.0.0.1"}


# ---- what lies on the disk


def test_the_folder_of_a_server_is_its_owner_s_alone() -> None:
    umask = os.umask(0)
    try:
        folder = TemporaryFolder()
    finally:
        os.umask(umask)
    try:
        assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    finally:
        folder.remove()


# ---- a hostile server


def test_a_head_of_http_without_an_end_is_given_up() -> None:
    taken: list[int] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(1024):
                taken.append(connection.send(b"HTTP/1.1 101 Switching\r\n" * 64))

    server, address = tcp()
    with listening(serve, server), pytest.raises(UpgradeRefusedError, match="no HTTP answer"):
        dial(address, Deadline(60), DialOptions(upgrade="/internal/database"))
    assert MAX_HEAD < 1 << 20


@pytest.mark.parametrize("host", ["127.0.0.1\r\nX-Evil: 1", "a b", "a\tb", "a\u2028b"])
def test_no_address_puts_lines_into_an_http_head(host: str) -> None:
    """Whoever names a leader chooses the host."""
    with pytest.raises(ValueError, match="is no host for HTTP"):
        dial(Address.parse(f"{host}:1"), Deadline(1), DialOptions(upgrade="/internal/database"))


def test_a_store_that_stands_for_more_than_it_is(tmp_path: Path) -> None:
    """Aliases of aliases would be 10 ** 9 entries."""
    store = tmp_path / "cluster.yaml"
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    store.write_text("\n".join(lines))
    with pytest.raises(StoreError, match="no Address"):
        Target.parse(str(store))
    store.write_text("- " + "x" * MAX_STORE)
    with pytest.raises(StoreError, match="over 1 MiB"):
        Target.parse(str(store))


def test_the_rows_of_a_query_have_a_cap_in_a_decoder_and_none_in_the_client() -> None:
    part = RowsResponse(["n"], rows=[(1,)] * 3, has_more=True).encode()
    decoder = MessageDecoder(limits=Limits(max_total_rows=4))
    decoder.feed(part * 2)
    decoder.decode()
    with pytest.raises(DecodeError, match="rows"):
        decoder.decode_continuation()
    assert (LIMITS.max_total_rows, LIMITS.max_continuation_frames) == (None, None)
    assert LIMITS.max_message_size == Limits().max_message_size


# ---- a hostile capture


@pytest.mark.parametrize(
    "text", ["bytes([open({0!r}, 'w').write('x')])", "b'' + open({0!r}, 'w').name.encode()"]
)
def test_pasted_python_is_not_run(text: str, tmp_path: Path) -> None:
    done = run("explain", text.format(str(tmp_path / "made")))
    assert done.code in (Exit.USAGE, Exit.INPUT)
    assert list(tmp_path.iterdir()) == []


# ---- a hostile client


def test_answers_that_nobody_reads_wait_in_a_bounded_place() -> None:
    endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) SELECT i FROM r"
    with DqliteServer() as server, RawConnection(server.address) as client:
        client.open("main")
        client.send(frame(RequestType.QUERY_SQL, word(0) + text(endless)))
        (connection,) = server._thread._connections
        deadline = time.monotonic() + 60
        while len(connection.output) < _OUTPUT_WANTED:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(connection.output) < _OUTPUT_WANTED + (1 << 16)


# ---- hostile text


def test_a_line_on_standard_error_is_one_short_harmless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    output.warn("\x1b]0;title\a\u202e\n" + "x" * 100_000)
    said = errors.getvalue()
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert len(said) < output.MAX_ERROR + 100
