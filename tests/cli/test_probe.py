"""What `probe` prints of several nodes: the table, the findings, JSON, and what has changed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from dqlitewire import NodeInfo, NodeRole
from dqlitewire.cli import probe as probe_command
from dqlitewire.dial import Answer, Health, Status, judge
from dqlitewire.dial.surveying import Survey
from dqlitewire.testing import DqliteCluster
from tests.dial.test_cluster import SPOILS, STANDBY, VOTER, Made, cluster, made
from tests.traffic.command import COMMAND, on_terminal, run

#: go-dqlite's ids and addresses at their longest
LONG = [
    NodeInfo(18446744073709551600 + i, f"[2001:db8:1234:5678:9abc:def0:1234:56{i:02}]:19001", VOTER)
    for i in range(10, 13)
]


def shown(monkeypatch: pytest.MonkeyPatch, *rounds: Made) -> None:
    """Let the command find these, one after the other."""
    left = iter(rounds)
    monkeypatch.setattr(Survey, "run", lambda _: judge([Answer(health) for health in next(left).healths]))
    monkeypatch.setattr(probe_command.time, "sleep", lambda seconds: None)


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(VOTER, VOTER, STANDBY)
    for number, health in enumerate(whole.healths):
        health.round_trip, health.weight, health.failure_domain = number / 1000, number, 7
    whole.healths[1] = Health("10.0.0.2:9000", Status.SILENT, "connected, but no answer within 5 s")
    shown(monkeypatch, whole)
    result = run("probe", "a:1", "b:1")
    assert (result.code, result.err) == (5, "")
    assert result.out.splitlines() == [
        "2 problems: leader 1 at 10.0.0.1:9000, 3 members (2 voters, 1 stand-by), 2 of 3 asked answer",
        "",
        "address        id  role      leader  server  weight  domain  round trip",
        "10.0.0.1:9000  1   voter     1       1.12+   0       7       0.00 ms",
        "10.0.0.2:9000  2   voter     silent",
        "10.0.0.3:9000  3   stand-by  1       1.12+   2       7       2.00 ms",
        "",
        "! 2 at 10.0.0.2:9000 (voter) is silent: connected, but no answer within 5 s",
        "! 1 of 2 voters does not answer: no quorum",
    ]


@pytest.mark.parametrize("width", [40, 80, 132])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("spoil", [None, *SPOILS], ids=lambda spoil: getattr(spoil, "__name__", "well"))
def test_it_fits_and_loses_nothing(
    spoil: object, long: bool, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(VOTER, VOTER, VOTER)
    if callable(spoil):
        spoil(whole)
    if long:
        whole = cluster(LONG, 0) if spoil is None else whole
    shown(monkeypatch, whole)
    result = run("probe", "a:1", "b:1", "--width", str(width))
    assert result.code == (5 if spoil else 0)
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= width, "\n".join(lines)
    together = re.sub(r"\s", "", result.out)
    for health in whole.healths:
        assert health.address in together
    for finding in judge([Answer(health) for health in whole.healths]).findings:
        assert re.sub(r"\s", "", finding.text) in together


def test_colours_and_what_nodes_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in an answer, it is seen and does nothing; colours are ours."""
    evil = "\x1b[5mx\n\u202e:1"
    whole = cluster([NodeInfo(1, "a:1", VOTER), NodeInfo(2, evil, VOTER)], 0)
    whole.healths[1].nodes = [NodeInfo(3, evil, NodeRole.SPARE)]
    for terminal in (False, True):
        shown(monkeypatch, whole)
        out = run("probe", "a:1", "b:1", terminal=terminal).out
        assert "\x1b[5m" not in out
        assert "\u202e" not in out
        assert ("\x1b[" in out) is terminal


# ---------------------------------------------------------------- JSON


def test_each_node_is_an_object_that_says_what_concerns_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(VOTER, VOTER, STANDBY)
    whole.healths[1] = Health("10.0.0.2:9000", Status.UNREACHABLE, "Connection refused")
    shown(monkeypatch, whole)
    result = run("probe", "--json", "--cluster", "a:1")
    first, second, third = map(json.loads, result.out.splitlines())
    assert result.code == 5
    assert [each["node_id"] for each in (first, second, third)] == [1, 2, 3]
    assert [each["role"] for each in (first, second, third)] == ["VOTER", "VOTER", "STANDBY"]
    assert [each["leader"] for each in (first, second)] == [
        {"node_id": 1, "address": "10.0.0.1:9000"},
        None,
    ]
    assert [finding["kind"] for finding in second["findings"]] == ["unreachable", "no_quorum"]
    assert [finding["kind"] for finding in first["findings"]] == ["no_quorum"]
    assert second["findings"][0] == {
        "kind": "unreachable",
        "problem": True,
        "text": "2 at 10.0.0.2:9000 (voter) is unreachable: Connection refused",
    }


# ---------------------------------------------------------------- watching


def test_what_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, then, last = made(VOTER, VOTER, VOTER), made(VOTER, VOTER, VOTER), made(VOTER, VOTER, VOTER)
    then.healths[2] = Health("10.0.0.3:9000", Status.UNREACHABLE, "Connection refused")
    shown(monkeypatch, first, first, then, then, last)
    result = run("probe", "--watch", "1", "--count", "5", "--cluster", "a:1")
    assert result.code == 0
    lines = [line[22:] for line in result.out.splitlines()]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", line) for line in result.out.splitlines())
    well = "healthy: leader 1 at 10.0.0.1:9000, 3 members (3 voters), all answer"
    gone = "3 at 10.0.0.3:9000 (voter) is unreachable: Connection refused"
    node = "10.0.0.{0}:9000  healthy  leader 1 at 10.0.0.1:9000  voter  3 voters  1.12 or newer"
    assert lines == [
        *(node.format(i) for i in (1, 2, 3)),
        well,
        "10.0.0.3:9000  unreachable (Connection refused)",
        "1 problem: leader 1 at 10.0.0.1:9000, 3 members (3 voters), 2 of 3 asked answer",
        f"! {gone}",
        node.format(3),
        well,
        f"over: {gone}",
    ]


def test_a_member_that_comes_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, made(VOTER), made(VOTER, VOTER), made(VOTER))
    lines = run("probe", "--watch", "1", "--count", "3", "--cluster", "a:1").out.splitlines()
    assert sum(line.endswith("10.0.0.2:9000  is no member") for line in lines) == 1


def test_changes_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    first, then = made(VOTER, VOTER, VOTER), made(VOTER, VOTER, VOTER)
    then.healths[2] = Health("10.0.0.3:9000", Status.UNREACHABLE, "Connection refused")
    shown(monkeypatch, first, first, then)
    result = run("probe", "--json", "--watch", "1", "--count", "3", "--cluster", "a:1")
    assert result.code == 5
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [each["node_id"] for each in found] == [1, 2, 3, 3]


# ---------------------------------------------------------------- TARGETs


@pytest.mark.parametrize(
    ("targets", "code", "told"),
    [
        (["a:1", "nonsense"], 2, "'nonsense' is no HOST:PORT"),
        (["a:1", "none.yaml"], 3, "none.yaml: no such file or directory"),
        (["--cluster"], 2, "Missing argument"),
        (["a:1", "http://b:1"], 2, "'http://b:1' is no HOST:PORT"),
        (["a:1", "--count", "2"], 2, "--count goes with --watch"),
        (["a:1", "unix:/x", "--ca", "{ca}"], 2, "needs the name of the server"),
    ],
)
def test_a_target_that_is_none_is_said_before_anybody_is_asked(
    targets: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trustme

    monkeypatch.chdir(tmp_path)
    trustme.CA().cert_pem.write_to_path("ca")
    monkeypatch.setattr(Survey, "run", None)
    result = run("probe", *(word.format(ca="ca") for word in targets))
    assert (result.code, result.out) == (code, "")
    assert told in " ".join(result.err.split())


def test_the_same_target_twice_is_one_node() -> None:
    with DqliteCluster(1) as one:
        address = one.nodes[0].address
        result = run("probe", "--json", address, address, address.replace("127.0.0.1", "127.0.0.1"))
        assert (result.code, len(result.out.splitlines())) == (0, 1)
        other = run("probe", address, address.replace("127.0.0.1", "localhost"))
        assert other.code == 0
        assert "- the same node 1 was asked at " in other.out


def test_a_cluster_of_one_and_a_store_of_one(tmp_path: Path) -> None:
    """A store with a single node is a node, as before; with --cluster it is a cluster."""
    with DqliteCluster(1) as one:
        path = tmp_path / "x.yaml"
        path.write_text(f"[{{Address: '{one.nodes[0].address}', ID: 1}}]")
        assert run("probe", path).out.startswith(f"{one.nodes[0].address}  healthy")
        assert run("probe", "--cluster", path).out.startswith("healthy: leader 1 at ")


def test_on_a_terminal() -> None:
    with DqliteCluster(3) as three:
        out = on_terminal("probe", three.nodes[2].address, "--cluster", COLUMNS="80")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 6
    assert lines[0].endswith("all answer")


def test_it_can_be_interrupted_while_a_node_keeps_silent() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [*COMMAND, "probe", "--cluster", "--timeout", "60", address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            connection, _ = server.accept()
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            connection.close()
    assert (process.returncode, out, err) == (130, b"", b"")
