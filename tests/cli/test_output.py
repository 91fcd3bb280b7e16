"""No character that a terminal would obey, hide or turn around comes out of a command."""

from __future__ import annotations

import ast
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import typer

import dqlitewire.cli as cli
from dqlitewire import Message, NodeInfo, NodeRole, ValueType
from dqlitewire.cli import output, progress
from dqlitewire.cli import probe as probe_command
from dqlitewire.cli import serve as serve_command
from dqlitewire.cli.app import app
from dqlitewire.conversation import Generation
from dqlitewire.declare.declared import REGISTRY
from dqlitewire.dial import Health, Status
from dqlitewire.messages import FailureResponse, QuerySqlRequest, RowsResponse
from dqlitewire.text import printable, printable_json
from tests.traffic.command import Result, run

# every control character, those that turn text around, hide it or end a line for others, what is no character
CHARS = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *map(chr, (0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070))),
    *map(chr, (0x00AD, 0x0378, 0x034F, 0x115F, 0x180E, 0x3164, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFE, 0xFFFF)),
    *map(chr, (0xE000, 0x1D173, 0xE0001, 0xE0041, 0xE0100, 0x10FFFF)),
]
ESCAPED = "\udc80\udc9b\udcff"  # as Python has bytes of arguments and file names that are no UTF-8
SURROGATES = [*ESCAPED, "\udfff", "\ud800", "\udbff"]  # none makes a pair with the next
MARK = "\x1b[35;5mQx[red]Zy[/red]\x1b]0;title\x07\r\n"
ON_WIRE = [char for char in CHARS if char != "\0"]
CHUNKS = [MARK, *("Qx" + "".join(ON_WIRE[at : at + 70]) + "Zy" for at in range(0, len(ON_WIRE), 70))]
RAW = b"Qx" + bytes(range(0x80, 0x100)) + b"Zy"  # no UTF-8

OURS = re.compile(r"\x1b\[(?:[0-9;]*m|H\x1b\[2J)")


def harmful(text: str) -> set[str]:
    """What of a text must not reach a terminal; written apart from the code under test."""
    unseen = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
    return {
        char
        for char in set(text)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        or char in unseen
        or "\U000e0100" <= char <= "\U000e01ef"
    }


def check(result: Result, colours: bool = False) -> None:
    for text in (result.out, result.err):
        if colours:
            assert "\x1b[35;5m" not in text  # theirs
            text = OURS.sub("", text)
        assert harmful(text) <= {"\n"}
        assert "Traceback" not in text


# ---------------------------------------------------------------- emit, emit_json and warn


def test_every_character_of_unicode() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = printable(every)
    assert harmful(shown) == set()
    assert printable(shown) == shown
    for char in "aZ0 ~'\"\\äßлק中🙂é…█€":
        assert printable(char) == char
    assert printable("a\tb\nc\udcff\u3000d") == "a\\tb\\nc\\xff d"


def test_every_character_of_unicode_in_json() -> None:
    every = "".join(map(chr, range(0x20000)))
    for ascii_only in (False, True):
        shown = printable_json(json.dumps(every, ensure_ascii=False), ascii_only)
        assert harmful(shown) == set()
        assert shown.isascii() is ascii_only
        assert json.loads(shown) == json.loads(json.dumps(every))


def test_what_has_passed_loses_its_mark_when_it_is_joined() -> None:
    red = output.painted("text", "failure", True)
    assert output.joined(red, "\x1b[5m") == f"{red}?[5m"
    assert type(red + "more") is str
    assert type(f"{red}") is str


#: what a module may call besides `output`
DOORS = {
    "output.py": (".stdout.write", ".stderr.write"),
    "progress.py": ("Console",),  # on standard error
    "terminal.py": ("os.write",),  # sequences of ours, in handlers of signals
    "watch.py": ("Console",),  # which is captured, and drawn by `terminal`
}


def test_nothing_else_writes_to_the_terminal() -> None:
    for path in Path(cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in DOORS.get(path.name, ()) or called.endswith(DOORS["output.py"]):
                    assert path.name in DOORS, path
                else:
                    assert called not in ("print", "typer.echo", "typer.secho", "os.write", "Console"), path


# ---------------------------------------------------------------- messages


def values(kind: str, name: str, text: str) -> Any:
    return {
        "text": text,
        "params": [text, text.encode(), None, 1.5],
        "nodes": [NodeInfo(1, text, NodeRole.VOTER)],
        "files": {text: bytes(8)},
        "names": [text, text],
        "rows": [(text, text)],
        "types": [(ValueType.TEXT, ValueType.ISO8601)] if name == "row_types" else [],
    }.get(kind)


def messages(text: str) -> Iterator[Message]:
    """Every message with a text in every field that takes one."""
    for message in REGISTRY.values():
        given = {}
        for field in message.FIELDS:
            value = values(field.kind, field.name, text)
            if value is not None:
                given[field.name] = value
            elif field.is_attribute and field.kind in ("u32", "u64", "role"):
                given[field.name] = max(field.low, 1) if field.high >= 1 else 0
        given.pop("tail_offset", None)
        yield message(**{key: value for key, value in given.items() if key != "format"})


def streams() -> Iterator[tuple[bytes, bytes]]:
    """Both sides of a connection that says all of this."""
    for text in CHUNKS:
        requests, answers = [], []
        for message in messages(text):
            if type(message).__name__ != "ConnectRequest":  # behind it are no frames
                (requests if message.IS_REQUEST else answers).append(message.encode())
        yield b"".join(requests), b"".join(answers)
    talk = [(QuerySqlRequest(0, text), FailureResponse(1, text)) for text in CHUNKS]
    yield b"".join(q.encode() for q, _ in talk), b"".join(a.encode() for _, a in talk)
    rows = RowsResponse(["a"], [ValueType.TEXT], [], [("r" * len(RAW),)]).encode()
    sql = QuerySqlRequest(0, "r" * len(RAW)).encode()
    yield sql.replace(b"r" * len(RAW), RAW), rows.replace(b"r" * len(RAW), RAW)
    connect = next(m.encode() for m in messages(MARK) if type(m).__name__ == "ConnectRequest")
    yield connect + "".join(ON_WIRE).encode(), "".join(ON_WIRE).encode()
    yield b"", MARK.encode() * 9 + RAW + FailureResponse(1, MARK).encode()[:-8]


STREAMS = list(streams())
SIDES = ("--requests", "--responses")
VIEWS = [
    ["decode"],
    ["decode", "-v", "-x"],
    ["decode", "--json"],
    ["decode", "--redact", "--json"],
    ["stats", "--width", "4000"],
    ["stats", "--json"],
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The streams as pairs of files, and each file alone."""
    folder = tmp_path_factory.mktemp("output")
    found = []
    for number, sides in enumerate(STREAMS):
        arguments = []
        for name, data, begin in zip(SIDES, sides, (bytes([1, *bytes(7)]), b""), strict=True):
            path = folder / f"{number}{name}"
            path.write_bytes(begin + data)
            arguments += [name, str(path)]
        found += [arguments, arguments[2:]]
    return found


@pytest.mark.parametrize("view", VIEWS, ids=" ".join)
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_messages(view: list[str], terminal: bool, files: list[list[str]]) -> None:
    shown = ""
    for arguments in files:
        result = run(*view, *arguments, terminal=terminal)
        assert result.code in (0, 1)
        check(result, colours=terminal)
        shown += result.out
        if "--json" in view:
            for line in result.out.splitlines():
                json.loads(line)
    assert "--redact" in view or "Qx" in shown
    assert "--redact" in view or "[red]" in shown  # no markup


def test_colours_reach_a_terminal(files: list[list[str]]) -> None:
    for command, colour in (("decode", "\x1b[36m"), ("stats", "\x1b[1m")):
        result = run(command, *files[0], terminal=True)
        assert colour in result.out
        assert "?[" not in result.out.replace("?[35;5m", "")


def test_json_says_what_was_there(files: list[list[str]]) -> None:
    result = run("decode", "--json", "--type", "EXEC_SQL", *files[0])
    assert json.loads(result.out)["fields"]["sql"] == MARK


def test_frames_explained() -> None:
    for text in CHUNKS:
        for message in messages(text):
            if not any(values(field.kind, field.name, text) for field in message.FIELDS):
                continue
            direction = "request" if message.IS_REQUEST else "response"
            result = run("explain", "--direction", direction, message.encode().hex())
            assert result.code == 0
            check(result)


def test_a_preamble() -> None:
    head = f"GET /{MARK}".encode() + "".join(ON_WIRE).encode() + b" HTTP/1.1\r\nUpgrade: dqlite\r\n\r\n"
    for view in VIEWS:
        check(run(*view, "--format", "raw", "-", stdin=head + bytes([1, *bytes(7)])))


# ---------------------------------------------------------------- files and their names


def test_transcripts(tmp_path: Path) -> None:
    path = tmp_path / "talk.dqt"
    frame = "AQAAAAAAAAAAAAAAAAAAAA=="
    for texts in (["".join(CHARS), *SURROGATES], [MARK, "\ud800", "x"]):
        text = "".join(texts)
        lines: list[dict[str, Any]] = [
            {"dqt": 1, "by": text, "redacted": text},
            {
                "time": None,
                "connection": 1,
                "event": "open",
                "client": text,
                "server": text,
                "midstream": True,
            },
            {"time": 1, "connection": 1, "direction": "request", "type": text, "note": text, "bytes": frame},
            {"time": None, "connection": 1, "direction": text, "type": text, "bytes": text},
            {"time": None, "connection": 1, "event": text, "direction": text},
        ]
        path.write_text("\n".join(map(json.dumps, lines)) + "\n")
        for view in VIEWS:
            result = run(*view, path)
            check(result)
        assert "connection 1: " in run("decode", path).out
        copy = tmp_path / "copy.dqt"
        copy.unlink(missing_ok=True)
        assert run("decode", "-w", copy, path).code in (0, 1)
        assert harmful(copy.read_text()) == {"\n"}


def test_a_transcript_of_a_strange_version() -> None:
    for text in CHUNKS:
        result = run("decode", "-", stdin=json.dumps({"dqt": text}).encode())
        assert result.code == 3
        check(result)


NAMES = [chunk.replace("/", "").replace("\r", "") for chunk in CHUNKS]


@pytest.mark.parametrize("name", [*NAMES, ESCAPED + "\n"], ids=range(len(NAMES) + 1))
def test_names_of_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_command, "_cluster_class", lambda: StrangeCluster)
    monkeypatch.setattr(serve_command.signal, "sigwait", lambda signals: None)
    monkeypatch.setattr(serve_command.signal, "pthread_sigmask", lambda how, signals: None)
    path = tmp_path / name[:60]
    for arguments in (["decode"], ["stats"], ["explain"], ["serve"], ["decode", "-w", tmp_path / "x" / name]):
        check(run(*arguments, path))  # not there
    path.write_bytes(b"")
    whole = tmp_path / "whole"
    whole.write_bytes(bytes([1, *bytes(7)]))
    check(run("decode", path, whole, path))
    for data in (
        b"hello " + name.encode("utf-8", "surrogateescape"),
        b"\x16\x03\x01",
        b"PK\x03\x04",
        b"\0" * 9,
    ):
        path.write_bytes(data)
        for command in ("decode", "stats", "explain", "serve"):
            check(run(command, path))


class _Terminal(list[str]):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_the_progress_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LONG", 0)
    monkeypatch.chdir(tmp_path)  # a long name is cut
    path = Path(MARK.replace("/", ""))
    path.write_bytes(STREAMS[0][1])
    result = run("stats", path, terminal=True)
    assert result.code == 0
    assert "[red]" in result.err
    assert not set("\x07\n\x9b") & set(result.err.replace("\n", "", result.err.count("\n") - 1)) - {"\n"}
    assert "\x1b[35;5m" not in result.err
    assert "\x1b]0;" not in result.err


# ---------------------------------------------------------------- arguments


def parameters() -> Iterator[tuple[str, str]]:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            yield name, parameter.opts[0] if parameter.opts[0].startswith("-") else ""


@pytest.mark.parametrize(("command", "option"), list(parameters()))
def test_arguments(command: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve_command, "_cluster_class", lambda: StrangeCluster)
    monkeypatch.setattr(probe_command, "probe", lambda address, *_: Health(address, Status.UNREACHABLE))
    monkeypatch.setattr(serve_command.signal, "sigwait", lambda signals: None)
    monkeypatch.setattr(serve_command.signal, "pthread_sigmask", lambda how, signals: None)
    others = {"probe": ["a:1"], "serve": [], "explain": ["5"]}.get(command, ["nothing"])
    text = "".join([MARK, *ON_WIRE, ESCAPED])  # the system passes no NUL, and no other surrogates
    check(run(command, *([option, text, *others] if option else [text])))
    check(run(command, f"{option}{text}" if option else f"--{text}", *others))


def test_commands() -> None:
    for text in ["".join([MARK, *ON_WIRE]), "decod\x1b"]:
        check(run(text))
        check(run(f"--{text}"))


# ---------------------------------------------------------------- live nodes


class StrangeCluster:
    """A cluster whose every word is strange."""

    def __init__(self, *_: object, **__: object) -> None:
        node = type("Node", (), {"address": MARK, "listens_at": ESCAPED, "is_leader": True})
        hazard = type("Hazard", (), {"detail": MARK, "kind": Status.HEALTHY})
        self.nodes, self.hazards, self.errors = [node], [hazard], [MARK]
        self.generation = type("Release", (), {"title": MARK})
        self._stopped = Event()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._stopped.set()

    def join(self) -> None:
        self._stopped.wait()


@pytest.mark.parametrize(
    "text", [MARK, "".join(CHARS), "".join(SURROGATES)], ids=["mark", "all", "surrogates"]
)
@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
@pytest.mark.parametrize("status", Status)
def test_what_a_probed_node_says(
    status: Status, terminal: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health(text, status, text, 1, text, round_trip=0.1, connected=0.1, generation=Generation.V1_11)
    health.nodes = [NodeInfo(1, text, NodeRole.VOTER)] * 2
    health.failure_domain = health.weight = 1
    monkeypatch.setattr(probe_command, "probe", lambda *_: health)
    for options in ([], ["--json"], ["--watch", "0.1", "--count", "2"]):
        monkeypatch.setattr(probe_command.time, "sleep", lambda seconds: None)
        result = run("probe", "a:1", *options, terminal=terminal)
        check(result, colours=terminal)
        lines = result.out.splitlines()
        assert len(lines) == (1 if options else 8)  # nothing forges a line
        if "--json" in options:
            assert json.loads(lines[0])["leader"]["address"] == text


def test_encodings_that_lack_characters(tmp_path: Path) -> None:
    """JSON stays JSON, and the rest comes out as escapes."""
    path = tmp_path / "answers"
    path.write_bytes(FailureResponse(1, "ä€🙂\x9b").encode())
    for encoding in ("ascii", "latin-1", "cp1252", "utf-8"):
        result = run("decode", "--json", path, encoding=encoding)
        assert json.loads(result.out)["fields"]["message"] == "ä€🙂?"
        for view in VIEWS:
            assert run(*view, path, encoding=encoding).code == 0


def test_no_name_of_an_environment_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "-1", "0", "9" * 30, "nan", MARK):
        for name in ("COLUMNS", "TERM", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "LINES"):
            monkeypatch.setenv(name, value)
        check(run("stats", "-", stdin=FailureResponse(1, MARK).encode()), colours=True)
