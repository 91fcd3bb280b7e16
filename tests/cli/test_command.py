"""The command line: errors in one line, exit codes, pipes, terminals, filters."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from dqlitewire import decode_message
from dqlitewire.messages import FailureResponse, FilesResponse, LeaderRequest
from tests.traffic import wire
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import COMMAND, on_terminal, run

CAPTURES = Path(__file__).parent.parent / "captures"
LEADER = LeaderRequest().encode()
HANDSHAKE = bytes([1, *bytes(7)])


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.1-basics-0"))))
    return path


# ---------------------------------------------------------------- bad input

TLS = wire.conversation([(True, b"\x16\x03\x01\x02\x00" + bytes(500))])
HTTP = wire.conversation([(True, b"GET / HTTP/1.1\r\n\r\n"), (False, b"HTTP/1.1 200 OK\r\n\r\n")])
WIFI = bytearray(as_pcap(segments(named("1.18.1-members-0"))))
WIFI[20] = 105

BAD_INPUTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{}: empty"),
    "prose": (
        b"hello, this is no traffic\n",
        "text that is no bytes: 'hello, this is no traffic': expected hex, a hex dump, a Python",
    ),
    "tls capture": (
        as_pcap(TLS),
        "{}: TLS traffic (1 connections, most to 10.0.0.2:9001): encrypted; capture behind the TLS proxy",
    ),
    "tls stream": (
        b"\x16\x03\x01\x02\x00" + bytes(200),
        "{}: TLS traffic: encrypted; capture behind the TLS proxy",
    ),
    "http capture": (as_pcap(HTTP), "{}: HTTP traffic, no dqlite in 10 packets: is this the API port?"),
    "http stream": (
        b"GET /1.0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "{}: HTTP traffic: dqlite's own port speaks no HTTP; is this the API port?",
    ),
    "no packets": (wire.pcap([]), "{}: a capture without packets: was the filter right?"),
    "other packets": (
        as_pcap(wire.conversation([(True, b"SSH-2.0-x\r\n")])),
        "{}: no dqlite handshake in 8 packets: name its port with --port",
    ),
    "link type": (
        bytes(WIFI),
        "link type 105 (IEEE 802.11): capture on an Ethernet or loopback interface, or with `tcpdump -i any`",
    ),
    "header cut off": (wire.pcap([])[:20], "a pcap header cut off: 20 of 24 bytes; capture again"),
    "damaged capture": (
        wire.pcap([]) + b"\xff" * 64,
        "a packet of 4294967295 bytes at offset 24: the capture is damaged from there on",
    ),
    "snoop": (b"snoop\0\0\0" + bytes(50), "{}: a snoop capture: convert it: `editcap -F pcap IN OUT`"),
    "database": (
        b"SQLite format 3\0" + bytes(4000),
        "{}: an SQLite database: this is a file's contents, not traffic",
    ),
    "zip": (b"PK\x03\x04" + bytes(50), "{}: a zip archive: unpack it first"),
    "broken gzip": (gzip.compress(as_pcap(TLS))[:-20], "{}: damaged gzip data: copy the file again"),
    "later transcript": (
        b'{"dqt":9}\n',
        "a transcript of version 9: this program reads version 1: update it",
    ),
    "printed packets": (
        b"12:00 IP 10.0.0.1.4 > 10.0.0.2.9: Flags\n\t0x0000:  4500\n",
        "tcpdump's printed output: let it write packets instead: `tcpdump -w FILE`",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
@pytest.mark.parametrize("command", ["decode", "stats"])
def test_bad_input_is_one_line(command: str, name: str, tmp_path: Path) -> None:
    data, message = BAD_INPUTS[name]
    path = tmp_path / "input"
    path.write_bytes(data)
    result = run(command, path)
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("dqlite-wire: " + message.format(path))
    assert result.err.count("\n") == 1


def test_no_such_file(tmp_path: Path) -> None:
    assert run("decode", tmp_path / "no") == (3, "", f"dqlite-wire: {tmp_path / 'no'}: no such file\n")


def test_a_folder(tmp_path: Path) -> None:
    assert run("stats", tmp_path) == (3, "", f"dqlite-wire: {tmp_path}: is a folder: name a file in it\n")


AS_NOBODY = """
import os, sys
from dqlitewire.cli import main
from tests.traffic.command import run

run("decode", sys.argv[2] + "-not-there")  # what is imported late may not be readable later
if os.geteuid() == 0:  # root may read everything
    os.setuid(65534)
main()
"""


def test_permission_denied() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secret"
        path.write_bytes(LEADER)
        path.chmod(0)
        Path(folder).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, "decode", str(path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=folder,
            check=False,
        )
    said = f"dqlite-wire: {path}: permission denied: run as its owner, or as root\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decode", "--type", "SELECT", "x"], "unknown type SELECT: ADD, APPEND_ENTRIES"),
        (["stats", "--type", "rows,leadr", "x"], "unknown type LEADR: did you mean LEADER?"),
        (["decode", "--grep", "(", "x"], "--grep '('"),
    ],
)
def test_usage(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert message in result.err


def test_unknown_option() -> None:
    assert run("decode", "--nonsense").code == 2


def test_version_and_help() -> None:
    assert run("--version").out.startswith("dqlite-wire 0.")
    for command in ("decode", "stats", "explain", "probe"):
        result = run(command, "--help")
        assert result.code == 0
        assert "Usage" in result.out


def test_missing_packages_are_named(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('no rich', name='rich')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([*COMMAND, "decode"], capture_output=True, text=True, env=environment, check=False)
    advice = "it comes with the extra 'cli' of dqlite-wire (from a checkout: pip install '.[cli]')"
    assert done.stderr == f"dqlite-wire: rich is missing: {advice}\n"
    assert done.returncode == 2


# ---------------------------------------------------------------- input


@pytest.mark.parametrize(
    "data",
    [
        HANDSHAKE + LEADER,
        (HANDSHAKE + LEADER).hex().encode(),
        base64.b64encode(HANDSHAKE + LEADER),
        repr(HANDSHAKE + LEADER).encode(),
        gzip.compress(HANDSHAKE + LEADER),
        as_pcap(wire.conversation([(True, HANDSHAKE), (True, LEADER)])),
        gzip.compress(as_pcap(wire.conversation([(True, HANDSHAKE), (True, LEADER)]))),
    ],
    ids=["raw", "hex", "base64", "python", "gzip", "pcap", "pcap.gz"],
)
@pytest.mark.parametrize("stdin", [True, False], ids=["stdin", "file"])
def test_every_form(data: bytes, stdin: bool, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(data)
    result = run("decode", "-", stdin=data) if stdin else run("decode", path)
    assert result.code == 0
    words = result.out.split()
    assert words.index("HANDSHAKE") < words.index("LEADER")


def test_standard_input_is_the_default() -> None:
    assert "LEADER" in run("decode", stdin=HANDSHAKE + LEADER).out


def test_forced_direction() -> None:
    data = bytes.fromhex("01000000 02 00 0000 983a000000000000")
    assert run("decode", stdin=data).out.split()[2] == "WELCOME"
    assert run("decode", "--direction", "request", stdin=data).out.split()[2] == "HEARTBEAT"
    assert run("decode", "--direction", "response", stdin=data).out.split()[2] == "WELCOME"


def test_requests_and_responses_named(capture: Path) -> None:
    name = CAPTURES / "1.18.1-members-0"
    whole = run("decode", f"{name}.c2s.bin", f"{name}.s2c.bin").out
    assert run("decode", f"{name}.s2c.bin", f"{name}.c2s.bin").out == whole
    assert run("decode", "--requests", f"{name}.c2s.bin", "--responses", f"{name}.s2c.bin").out == whole
    only = run("decode", "--requests", f"{name}.c2s.bin").out
    assert only.splitlines() == [
        line for line in whole.splitlines() if " > " in line and "UNANSWERED" not in line
    ]


def test_named_halves_may_be_dumps(capture: Path, tmp_path: Path) -> None:
    name = CAPTURES / "1.18.1-members-0"
    whole = run("decode", f"{name}.c2s.bin", f"{name}.s2c.bin").out
    half = Path(f"{name}.s2c.bin")
    dump, packed = tmp_path / "s2c.txt", tmp_path / "s2c.txt.gz"
    dump.write_text(half.read_bytes().hex("\n", 16))
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    for answers in (dump, packed):
        assert run("decode", "--requests", f"{name}.c2s.bin", "--responses", answers) == (0, whole, "")
    transcript = tmp_path / "a.dqt"
    run("decode", capture, "-w", transcript)
    for path in (capture, transcript):
        refused = run("decode", "--requests", f"{name}.c2s.bin", "--responses", path)
        assert refused.code == 3
        assert "no stream of one direction: name it by itself" in refused.err
    dump.write_text("no bytes")
    refused = run("decode", "--requests", f"{name}.c2s.bin", "--responses", dump)
    assert (refused.code, refused.out) == (3, "")


def test_several_captures(capture: Path) -> None:
    once, twice = run("decode", capture).out, run("decode", capture, capture).out
    assert len(twice.splitlines()) == 2 * len(once.splitlines())


@pytest.mark.parametrize("command", ["decode", "stats"])
def test_an_empty_file_among_several_is_left_out(command: str, capture: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    result = run(command, capture, empty, capture)
    assert (result.code, result.err) == (0, f"dqlite-wire: {empty}: empty, left out\n")
    assert result.out == run(command, capture, capture).out


# ---------------------------------------------------------------- damage


def test_garbage_is_shown_skipped_counted_and_in_the_exit_code() -> None:
    garbage = b"\xff" * 41
    data = HANDSHAKE + LEADER + garbage + LEADER * 3
    result = run("decode", "--format", "raw", stdin=data)
    types = [line.split()[2] for line in result.out.splitlines()]
    assert types == ["HANDSHAKE", "LEADER", "GARBAGE", "LEADER", "LEADER", "LEADER"]
    assert "41 bytes that are no frame: ff ff ff" in result.out
    assert (result.code, result.err) == (1, "dqlite-wire: 41 bytes in 1 place are no frames\n")


def test_the_end_inside_a_frame() -> None:
    result = run("decode", stdin=HANDSHAKE + LEADER + LEADER[:11])
    assert "INCOMPLETE" in result.out
    assert result.code == 1


def test_stats_tell_damage_too() -> None:
    result = run("stats", "--format", "raw", stdin=HANDSHAKE + LEADER + b"\xff" * 41 + LEADER * 3)
    assert result.code == 1
    assert "41 B in 1 place" in result.out


# ---------------------------------------------------------------- views and filters


def lines(*arguments: str | Path) -> list[str]:
    result = run("decode", *arguments)
    assert result.code == 0
    return [line for line in result.out.splitlines() if not line.startswith("--")]


def test_lines_fit_the_width(capture: Path) -> None:
    for width in (60, 80, 100, 160):
        for extra in ((), ("-v",), ("-x",)):
            assert max(map(len, lines("--width", str(width), *extra, capture))) <= width


def test_tree_and_hexdump_together(capture: Path) -> None:
    both = lines("-v", "-x", "--type", "LEADER", capture)
    tree, dump = (lines(option, "--type", "LEADER", capture) for option in ("-v", "-x"))
    assert set(both) == {*tree, *dump}
    assert len(both) > max(len(tree), len(dump))


def test_filter_by_type(capture: Path) -> None:
    assert {line.split()[3] for line in lines("--type", "EXEC_SQL,result", capture)} == {"EXEC_SQL", "RESULT"}


def test_filter_by_connection(tmp_path: Path) -> None:
    records = [
        wire.frames(segments(named("1.18.1-members-0")), wire.Path(client_port=port)) for port in (1, 2)
    ]
    path = tmp_path / "two.pcap"
    path.write_bytes(wire.pcap(wire.merge(*records)))
    assert {line.split()[1] for line in lines(path)} == {"1", "2"}
    assert {line.split()[1] for line in lines("-c", "2", path)} == {"2"}


def test_filter_by_sql_takes_the_answers_along(capture: Path) -> None:
    shown = [line.split()[3] for line in lines("--sql", "INSERT INTO t (i, f, s, b, d", capture)]
    assert shown == ["PREPARE", "STMT", "EXEC", "RESULT", "EXEC", "RESULT", "EXEC", "RESULT"]


def test_filter_by_regex(capture: Path) -> None:
    shown = lines("--grep", r"UPDATE \w+ SET i = i [+-] 1", capture)
    assert [line.split()[3] for line in shown] == ["EXEC_SQL", "RESULT"] * 2


def test_filter_by_latency(capture: Path) -> None:
    shown = [line.split()[3] for line in lines("--min-latency", "3", capture)]
    assert shown == ["DUMP", "FILES"]


def test_failures_only(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(as_pcap(segments(named("1.18.1-basics-0"))))
    assert [line.split()[3] for line in lines("--failures", path)] == ["QUERY_SQL", "FAILURE"]


def test_json_is_one_object_a_line(capture: Path) -> None:
    objects = [json.loads(line) for line in run("decode", "--json", capture).out.splitlines()]
    for found in objects:
        assert {
            "time",
            "connection",
            "direction",
            "type",
            "schema",
            "fields",
            "code",
            "offset",
            "size",
            "exchange",
        } <= set(found)
        assert found["direction"] in ("request", "response")
    query = next(found for found in objects if found["type"] == "QUERY_SQL")
    assert query["fields"] == {"db_id": 0, "sql": "SELECT * FROM t WHERE i < ? OR i IS NULL", "params": [100]}
    answers = [found for found in objects if found["exchange"] == query["exchange"]]
    assert [found["type"] for found in answers] == ["QUERY_SQL", "ROWS"]
    assert answers[1]["latency_ms"] > 0


def test_limit_rows(capture: Path) -> None:
    objects = [
        json.loads(line)
        for line in run("decode", "--json", "--limit-rows", "1", "--type", "ROWS", capture).out.splitlines()
    ]
    assert all(len(found["fields"]["rows"]) <= 1 for found in objects)
    assert objects[0]["fields"]["rows_left_out"] == 2


def test_no_time_can_be_compared(tmp_path: Path) -> None:
    outputs = []
    for start in (0, 5_000_000_000):
        path = tmp_path / f"{start}.pcap"
        path.write_bytes(
            as_pcap(segments(named("1.18.1-members-0"), start=start + 10**18, step=1000 + start // 1000))
        )
        outputs.append([run("decode", "--no-time", *extra, path).out for extra in ((), ("--json",), ("-v",))])
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("mode", ["utc", "local", "delta", "relative", "none"])
def test_times(mode: str, capture: Path) -> None:
    first = lines("--time", mode, capture)[0].split()[0]
    expected = {
        "relative": "0.000000",
        "delta": "0.000000",
        "none": "1",
        "utc": "2023-11-14T22:13:20.000300Z",
    }
    assert first == expected.get(mode, first)


# ---------------------------------------------------------------- pipes and terminals


def test_a_reader_that_goes_away_is_no_error(capture: Path) -> None:
    shell = f"{' '.join(COMMAND)} decode {capture} {capture} {capture} {capture} | head -n 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("-- connection 1")
    assert done.stderr == ""


def test_colours_on_a_terminal_only(capture: Path) -> None:
    assert "\x1b[36m" in on_terminal("decode", capture)
    assert "\x1b" not in run("decode", capture).out
    assert "\x1b" not in on_terminal("decode", capture, NO_COLOR="1")
    assert "\x1b" not in on_terminal("decode", capture, TERM="dumb")


def test_terminal_lines_fit_it(capture: Path) -> None:
    shown = on_terminal("decode", capture, NO_COLOR="1", COLUMNS="72").splitlines()
    assert max(map(len, shown)) <= 72


def test_nothing_to_decode_on_a_terminal() -> None:
    assert "nothing to decode: name a file, or pipe something in" in on_terminal("decode")


def test_a_progress_bar_for_long_input(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(FilesResponse({"main": bytes(1 << 20)}).encode() * 20)
    shown = on_terminal("stats", path, COLUMNS="200")  # a long name is cut
    assert "long.bin" in shown
    assert "MB" in shown


def test_following_a_raw_stream(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_bytes(HANDSHAKE)
    process = subprocess.Popen(
        [*COMMAND, "decode", "--follow", "--no-time", str(path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        time.sleep(0.5)
        with path.open("ab") as file:
            file.write(LEADER + LEADER[:9])
        seen = [process.stdout.readline().split()[2] for _ in range(2)]
        with path.open("ab") as file:
            file.write(LEADER[9:])
        seen.append(process.stdout.readline().split()[2])
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert seen == [b"HANDSHAKE", b"LEADER", b"LEADER"]


# ---------------------------------------------------------------- explain


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("10250", "SQLITE_IOERR_NOT_LEADER"),
        ("0x280a", "failure code 10250"),
        ("5", "SQLITE_BUSY"),
        ("sqlite_busy", "failure code 5"),
        ("IOERR_NOT_LEADER", "failure code 10250"),
        ("QUERY_SQL", "request 9: QUERY_SQL"),
        ("exec-sql", "request 8: EXEC_SQL"),
        ("rows", "response 7: ROWS"),
        ("1005", "DQLITE_PARSE"),
        ("constraint_unique", "2067"),
    ],
)
def test_words_for_numbers(word: str, expected: str) -> None:
    result = run("explain", word)
    assert result.code == 0
    assert expected in result.out


def test_every_type_is_explained() -> None:
    for name in ("LEADER", "HEARTBEAT", "CONNECT", "FILES", "METADATA", "STMT", "SERVERS"):
        assert run("explain", name).code == 0


@pytest.mark.parametrize(
    "form",
    [str, lambda data: data.hex(" "), repr, lambda data: base64.b64encode(data).decode()],
    ids=["hex", "spaced", "python", "base64"],
)
def test_frames_in_any_form(form: object) -> None:
    data = FailureResponse(10250, "not leader").encode()
    text = data.hex() if form is str else form(data)  # type: ignore[operator]
    result = run("explain", text)
    assert result.code == 0
    assert "code 10250" in result.out
    assert "'not leader'" in result.out
    assert decode_message(data) == FailureResponse(10250, "not leader")


def test_a_leader_frame_is_no_handshake() -> None:
    assert run("explain", *LEADER.hex(" ", 8).split()).out.startswith("LEADER request")


@pytest.mark.parametrize("what", ["hello", "zz", "no such thing"])
def test_what_cannot_be_explained(what: str) -> None:
    result = run("explain", what)
    assert (result.code, result.out) == (3, "")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0100000000000", "odd number of hex digits: 13"),
        ("01000000000000000", "odd number of hex digits: 17"),
        ("01000000000000000000000000zz0000", "'z' at character 27 is no hex digit"),
    ],
)
def test_mistyped_hex_is_no_code_and_no_base64(text: str, error: str) -> None:
    assert run("explain", text) == (3, "", f"dqlite-wire: {error}\n")


# ---------------------------------------------------------------- its own output


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell command in which `decode` stands for the command; what it may write is limited."""
    text = command.replace("decode", shlex.join([*COMMAND, "decode"]), 1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["sh", "-c", f"ulimit -f 20000; {text}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a transcript under three names, and another one."""
    for name in ("X", "Y"):
        (tmp_path / name).write_text(
            '{"dqt":1}\n{"time":1,"connection":1,"direction":"request","bytes":"AA=="}\n'
        )
    os.link(tmp_path / "X", tmp_path / "hard")
    (tmp_path / "link").symlink_to("X")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "names", ["X X", "link X", "X link", "hard X", "link hard", "X Y X", "N Y N", "N Y link N"]
)
def test_it_does_not_record_what_it_records(names: str, one_file: Path) -> None:
    before = (one_file / "X").read_bytes()
    result = run("decode", "-w", *names.split())
    assert (result.code, result.err.endswith("both read and written\n")) == (2, True)
    assert (one_file / "X").read_bytes() == before
    assert not (one_file / "N").exists()


@pytest.mark.parametrize(
    "command", ["decode -w X - < hard", "decode X >> X", "decode --json /dev/stdin < X >> link"]
)
def test_it_does_not_feed_on_its_own_output(command: str, one_file: Path) -> None:
    done = shell(command, one_file)
    assert (done.returncode, done.stderr.endswith("both read and written\n")) == (2, True)
    assert (one_file / "X").stat().st_size < 1000


def test_other_files_are_written(one_file: Path) -> None:
    assert shell("decode -w Z - < X", one_file).returncode == 1  # its handshake is cut off
    assert run("decode", "-w", "Z", "X", "Y").code == 4
    assert run("decode", "--append", "-w", "Z", "X", "Y").code == 1
    lines = (one_file / "Z").read_text().splitlines()
    assert len([line for line in lines if '"event":"end"' not in line]) == 9
