"""How commands end: a documented exit code and one line, whatever is passed to them or taken from them."""

from __future__ import annotations

import errno
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import dqlitewire.cli
from dqlitewire.cli import probe as probe_command
from dqlitewire.cli import proxy as proxy_command
from dqlitewire.cli import serve as serve_command
from dqlitewire.cli.app import COMMANDS, app
from dqlitewire.cli.exits import Exit, ProbeExit
from dqlitewire.dial import Health, Status
from dqlitewire.messages import FailureResponse, QuerySqlRequest
from tests.cli.test_output import ESCAPED, StrangeCluster
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import COMMAND, Result, run
from tests.waiting import unread, wait_for

SOURCE = Path(dqlitewire.cli.__file__).parent.parent
CODES = {int(code) for code in (*Exit, *ProbeExit)}
CAPTURE = as_pcap(segments(named("1.18.1-basics-0")))


def check(result: Result) -> Result:
    assert result.code in CODES
    assert "Traceback" not in result.err
    if result.code not in (Exit.OK, Exit.DAMAGED):
        assert result.err.count("\n") <= 1 or "left out" in result.err
        assert all(line.startswith("dqlite-wire: ") for line in result.err.splitlines())
    assert max(map(len, result.err.splitlines()), default=0) < 1100
    return result


# ---------------------------------------------------------------- options

NUMBERS = (
    "",
    "0",
    "-1",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "1e300",
    "9" * 30,
    "9" * 5000,
    "0x10",
    "1_0",
    "½",
    "x",
)
WORDS = (
    "",
    " ",
    "-",
    "--",
    "=",
    "(",
    "(?P<a",
    "a{99999999999}",
    "(" * 2000,
    "[red]",
    "*",
    "~",
    ".",
    "/",
    ESCAPED,
)
PATHS = ("/dev/null", "/nowhere/x", "/proc/self/mem", "x" * 300, "x" * 5000, "/" * 5000)


def parameters(command: str) -> Iterator[tuple[str, bool]]:
    """The options of a command and the place of its arguments, and whether each takes a value."""
    group = typer.main.get_command(app)
    for parameter in group.commands[command].params:  # type: ignore[attr-defined]
        option = parameter.opts[0] if parameter.opts[0].startswith("-") else ""
        yield option, not getattr(parameter, "is_flag", False)


async def not_served(*_: object) -> None:
    """A proxy that is stopped before it listens."""


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a recording, where nothing waits, listens or connects; returns the recording."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve_command, "_cluster_class", lambda: StrangeCluster)
    monkeypatch.setattr(proxy_command, "_serve", not_served)
    monkeypatch.setattr(serve_command.signal, "sigwait", lambda signals: None)
    monkeypatch.setattr(serve_command.signal, "pthread_sigmask", lambda how, signals: None)
    monkeypatch.setattr(probe_command, "probe", lambda address, *_: Health(address, Status.UNREACHABLE))
    monkeypatch.setattr(probe_command.time, "sleep", lambda seconds: None)
    path = tmp_path / "requests.bin"
    path.write_bytes(FRAMES[0])
    return path


TAKING = [command for command in COMMANDS if command != "dissector"]  # which takes nothing


@pytest.mark.parametrize("command", TAKING)
def test_every_option_with_hostile_values(calm: Path, command: str) -> None:
    tried = 0
    for option, valued in parameters(command):
        others = {
            "probe": ["127.0.0.1:1"],
            "serve": [],
            "explain": ["5"],
            "proxy": ["127.0.0.1:0=127.0.0.1:1"],
            "query": ["127.0.0.1:1", "main", "SELECT 1"],
            "dump": ["127.0.0.1:1", "main", "-o", "copy.db"],
        }.get(command, [str(calm)])
        endless = ["--count", "2"] if option == "--watch" else ["--once"] if command == "top" else []
        if option == "--follow":
            continue
        for value in (*NUMBERS, *WORDS, *PATHS) if valued else WORDS[:3]:
            if not option:
                check(run(command, *endless, value))
            elif valued:
                check(run(command, option, value, *endless, *others))
            else:
                check(run(command, option, *endless, *others, value))
            tried += 1
    assert tried > 100


def test_numbers_that_no_clock_takes_are_wrong_use(calm: Path) -> None:
    for value in ("inf", "-inf", "nan", "-1", "1e400", "1e300", "0", "x", ""):
        for options in (["--timeout", value], ["--watch", value, "--count", "2"]):
            assert check(run("probe", "a:1", *options)).code == Exit.USAGE
    for value in ("inf", "nan", "-1", "1e400"):
        assert check(run("decode", "--min-latency", value, calm)).code == Exit.USAGE


def test_arguments_that_are_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / f"name{ESCAPED}"
    path.write_bytes(QuerySqlRequest(0, f"SELECT '{'é'}'").encode())
    assert run("decode", path).code == 0
    assert run("decode", "--sql", ESCAPED, path).out == ""
    assert run("decode", "-w", tmp_path / f"to{ESCAPED}", path).code == 0
    assert check(run("explain", ESCAPED)).code == 3
    assert run("explain", path).code == 0
    with path.open("ab") as file:
        file.write(b"\xff")
    assert check(run("decode", "--format", "raw", path)).code == 1


# ---------------------------------------------------------------- inputs

FRAMES = [QuerySqlRequest(0, "SELECT ?", [1, "a", b"b", None]).encode(), FailureResponse(1, "no").encode()]
TRANSCRIPT = (
    b'{"dqt":1,"by":"x","redacted":false}\n'
    b'{"time":1.5,"connection":1,"event":"open","client":"a","server":"b","midstream":false,"bare":false}\n'
    b'{"time":1.5,"connection":1,"direction":"request","type":"x","bytes":"AQAAAAAAAAA="}\n'
    b'{"time":2,"connection":1,"event":"gap","direction":"response","lost":8}\n'
    b'{"time":null,"connection":1,"event":"end","direction":"request"}\n'
)
INPUTS = {
    "raw": b"".join(FRAMES * 3),
    "pcap": CAPTURE[:3000],
    "transcript": TRANSCRIPT,
    "hex": FRAMES[0].hex(" ").encode(),
    "python": repr(FRAMES[1]).encode(),
    "xxd": b"00000000: 0100 0000 0000 0000  ........\n00000008: 0000 0000 0000 0000\n",
}
JUNK = (
    b"",
    b"\0",
    b"\xff",
    b"\xff" * 8,
    b"\x80" * 300,
    b"{",
    b"null",
    b"-1",
    b"1e999",
    b'"\\ud800"',
    b"[" * 40,
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same with a stretch of it changed, left out, doubled or put elsewhere."""
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.choice((0, 1, 2, 4, 8, 40)))
    stretch = chance.choice((*JUNK, data[start:stop] * 2, bytes(chance.randrange(256) for _ in range(4))))
    return data[:start] + stretch + data[stop:] if chance.random() < 0.9 else data[:start]


@pytest.mark.parametrize("form", INPUTS)
def test_damaged_inputs(form: str) -> None:
    chance = random.Random(7)
    views = (["decode", "-v"], ["decode", "--json", "--redact"], ["stats"], ["explain"], ["decode", "-x"])
    for number in range(120):
        data = mutated(INPUTS[form], chance)
        if chance.random() < 0.5:
            data = mutated(data or b"x", chance)
        check(run(*views[number % len(views)], "-", stdin=data))


def test_what_is_no_file(tmp_path: Path, calm: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    for path in (tmp_path, tmp_path / "socket", loop, file / "below", tmp_path / "none"):
        for command in ("decode", "stats", "explain", "serve"):
            # what is no file may still be base64
            assert check(run(command, path)).code in (Exit.INPUT, *[Exit.DAMAGED] * (command == "explain"))
        if path != tmp_path / "none":
            assert check(run("decode", "-w", path, file)).code == Exit.INPUT
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null", "/dev/zero"):
        assert check(run("serve", path)).code == Exit.INPUT
    listening.close()


# ---------------------------------------------------------------- outputs


class Broken:
    """A stream that takes nothing."""

    encoding = "utf-8"

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))

    def flush(self) -> None:
        raise OSError(self.number, os.strerror(self.number))

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EBADF, errno.EIO, errno.EPIPE])
@pytest.mark.parametrize(
    "arguments",
    [["decode"], ["stats"], ["stats", "--json"], ["explain", "5"], ["probe", "a:1"], ["--version"]],
)
def test_an_output_that_takes_nothing(
    arguments: list[str],
    number: int,
    calm: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*arguments, str(calm)] if arguments[0] in ("decode", "stats") else arguments
    monkeypatch.setattr(sys, "argv", ["dqlite-wire", *words])
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Broken(number))
        with pytest.raises(SystemExit) as stop:
            dqlitewire.cli.main()
    gone = number == errno.EPIPE
    expected = Exit.OK if gone else Exit.INPUT
    assert stop.value.code == (ProbeExit.UNREACHABLE if gone and "probe" in arguments else expected) or gone
    said = capsys.readouterr().err
    assert said == ("" if gone else f"dqlite-wire: standard output: {os.strerror(number)}\n")


def test_an_error_output_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dqlite-wire", "decode", "/nowhere"])
    monkeypatch.setattr(sys, "stderr", Broken(errno.ENOSPC))
    with pytest.raises(SystemExit) as stop:
        dqlitewire.cli.main()
    assert stop.value.code == Exit.INPUT


def test_an_output_that_nothing_is_written_to_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full = Broken(errno.ENOSPC)
    monkeypatch.setattr(full, "flush", lambda: None)
    monkeypatch.setattr(sys, "argv", ["dqlite-wire", "decode", "/nowhere"])
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as stop:
            dqlitewire.cli.main()
    assert stop.value.code == Exit.INPUT
    assert capsys.readouterr().err == "dqlite-wire: /nowhere: no such file\n"


SHELL = {
    "{} decode FILE >/dev/full": (3, "dqlite-wire: standard output: No space left on device\n"),
    "{} decode -w /dev/full FILE": (3, "dqlite-wire: /dev/full: No space left on device\n"),
    "{} decode -w COPY FILE >&- <&-": (0, ""),
    "{} decode FILE <&- >&- 2>&-": (3, ""),
    "set -o pipefail; {} decode FILE FILE FILE FILE | head -n 1 >/dev/null": (0, ""),
    # nothing more is printed that would show that nobody reads it
    "set -o pipefail; {} decode --follow SMALL | head -n 1 >/dev/null": (0, ""),
    "set -o pipefail; {} probe --watch 3600 127.0.0.1:1 | head -n 1 >/dev/null": (0, ""),
    "set -o pipefail; {} top --json --interval 3600 127.0.0.1:1 | head -n 1 >/dev/null": (0, ""),
}


@pytest.mark.parametrize("line", SHELL)
def test_a_shell(line: str, tmp_path: Path) -> None:
    """What only the system can do to a process."""
    (tmp_path / "FILE").write_bytes(b"".join(FRAMES[:1] * 4000))
    (tmp_path / "SMALL").write_bytes(FRAMES[0])
    done = subprocess.run(
        ["bash", "-c", line.format(" ".join(COMMAND))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == SHELL[line]


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["decode", "-"], ["decode", "--follow"], ["stats"]], ids=" ".join)
def test_signals(words: list[str], number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that waits for input is told to stop."""
    # whoever runs the tests in the background may have it ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "argv", ["dqlite-wire", *words])
    stdin = os.fdopen(reading, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    os.write(writing, b"".join(FRAMES[:1]))
    main = threading.get_ident()

    def later() -> None:
        wait_for(lambda: not unread(reading), "command that reads")
        signal.pthread_kill(main, number)

    thread = threading.Thread(target=later)
    thread.start()
    with pytest.raises(SystemExit) as stop:
        dqlitewire.cli.main()
    thread.join()
    signal.signal(signal.SIGINT, before)
    os.close(writing)
    stdin.close()
    # one that runs until it is stopped has done what it should
    assert stop.value.code == (Exit.OK if "--follow" in words else Exit.INTERRUPTED)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["explain_word", "emit", "_source"])
def test_an_interrupt_anywhere(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dqlitewire.cli import explain

    monkeypatch.setattr(explain, where, interrupted)
    for what in ("5", "00" * 16):
        assert run("explain", what).code in (Exit.OK, Exit.INTERRUPTED)


def test_an_interrupt_before_and_between_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dqlitewire.cli.ending.exit_code_of", interrupted)
    assert run("--version") == (Exit.INTERRUPTED, "", "")


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("dqlitewire.cli.explain.explain_word", full)
    assert run("explain", "5") == (Exit.INPUT, "", "dqlite-wire: out of memory\n")


# ---------------------------------------------------------------- without the packages of an extra


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]
    said = (
        f"dqlite-wire: {package} is missing: it comes with the extra 'cli' of dqlite-wire "
        "(from a checkout: pip install '.[cli]')\n"
    )
    for command in (["decode"], ["stats"], ["explain", "5"], ["probe", "a:1"], ["serve"], ["--help"], []):
        assert run(*command) == (2, "", said)


def test_a_module_of_ours_that_is_missing_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dqlitewire.cli.app", None)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["dqlite-wire"])
    with pytest.raises(ImportError):
        dqlitewire.cli.main()


@pytest.mark.parametrize("module", ["", "cli"])
def test_the_package_runs_as_the_command(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ignored", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SOURCE / module / "__main__.py"), run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("dqlite-wire ")


def test_the_survey_sees_every_command() -> None:
    found = {command: list(parameters(command)) for command in COMMANDS}
    assert [command for command in COMMANDS if found[command]] == TAKING
    assert sum(map(len, found.values())) > 40
