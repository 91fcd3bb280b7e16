"""`top` on a terminal: what it shows, and that the terminal is left as it was however it ends."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.cli.terminal import Screen
from tests.cli.terminals import Terminal, lines_of
from tests.profiles import DEEP
from tests.traffic.captured import as_pcap, named, segments

AS_BEFORE = {"mode": True, "screen": True, "cursor": True, "wrapping": True}
NAME = "1.18.7-basics-0"


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("top") / "trace.pcap"
    path.write_bytes(as_pcap(segments(named(NAME), step=10_000_000)))
    return path


SIZES = [(80, 24), (132, 50)]
deep = pytest.mark.skipif(not DEEP, reason="with DQLITE_WIRE_DEEP=1")


@pytest.mark.parametrize(("columns", "rows"), SIZES if DEEP else SIZES[:1])
def test_q_ends_it(capture: Path, columns: int, rows: int) -> None:
    with Terminal("top", capture, columns=columns, rows=rows) as terminal:
        terminal.until_text("[rate/s]")
        terminal.until(lambda screen: screen.lines[-1].startswith("q quit"))  # a frame comes in pieces
        assert (terminal.screen.alternate, terminal.screen.cursor, terminal.screen.wraps) == (
            True,
            False,
            False,
        )
        assert terminal.screen.lines[0].startswith("top: ")
        terminal.press("l")
        terminal.until_text("[p95]")
        terminal.press("\x1b[A")  # an arrow says nothing
        terminal.press("q")
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
@pytest.mark.parametrize("keys", ["\x03", "\x04"])
def test_keys_that_end_everything(capture: Path, keys: str) -> None:
    with Terminal("top", capture) as terminal:
        terminal.until_text("[rate/s]")
        terminal.press(keys)
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@pytest.mark.parametrize(
    ("number", "columns", "rows"),
    [(number, *size) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) for size in SIZES]
    if DEEP
    else [(signal.SIGTERM, 132, 50)],
)
def test_signals_that_end_it(capture: Path, number: int, columns: int, rows: int) -> None:
    with Terminal("top", capture, columns=columns, rows=rows) as terminal:
        terminal.until_text("[rate/s]")
        terminal.signal(number)
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_sigquit_kills_it_behind_a_terminal_that_is_as_it_was(capture: Path) -> None:
    with Terminal("top", capture) as terminal:
        terminal.until_text("[rate/s]")
        terminal.signal(signal.SIGQUIT)
        assert (terminal.wait(), terminal.restored) == (-signal.SIGQUIT, AS_BEFORE)


def test_an_exception_leaves_a_terminal_to_be_read_on(capture: Path) -> None:
    program = (
        "import dqlitewire.cli.subjects as watch\n"
        "def broken(*_, **__): raise ZeroDivisionError('a mistake of ours')\n"
        "watch.traffic_lines, shown = broken, watch.traffic_lines\n"
        "calls = iter(range(100))\n"
        "watch.traffic_lines = lambda *a, **k: shown(*a, **k) if next(calls) < 2 else broken()\n"
        "from dqlitewire.cli import main; main()"
    )
    with Terminal(sys.executable, "-c", program, "top", capture, "--interval", "0.1", whole=True) as terminal:
        code = terminal.wait()
        assert (code, terminal.restored) == (1, AS_BEFORE)
        given_back = terminal.output.rindex("\x1b[?1049l")
        assert terminal.output.index("Traceback") > given_back
        assert "a mistake of ours" in terminal.output


@deep
def test_a_capture_that_is_none_says_so_on_the_terminal_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    with Terminal("top", path) as terminal:
        assert (terminal.wait(), terminal.restored) == (3, AS_BEFORE)
        assert "an SQLite database" in terminal.output[terminal.output.rindex("\x1b[?1049l") :]


def test_a_stop_gives_the_terminal_back_and_going_on_takes_it_again(capture: Path) -> None:
    # a shell of job control stands between, as an orphaned process is not stopped by SIGTSTP
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    os.setpgid(0, 0); signal.signal(signal.SIGTSTP, signal.SIG_DFL)\n"
        "    os.tcsetpgrp(0, os.getpid()); signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        "    os.execv(sys.argv[1], sys.argv[1:])\n"
        "_, status = os.waitpid(pid, os.WUNTRACED)\n"
        "assert os.WIFSTOPPED(status), status\n"
        "os.tcsetpgrp(0, os.getpid()); print('stopped', flush=True)\n"
        "sys.stdin.readline()\n"
        "os.tcsetpgrp(0, pid); os.kill(pid, signal.SIGCONT)\n"
        "_, status = os.waitpid(pid, 0)\n"
        "os.tcsetpgrp(0, os.getpid())\n"
        "sys.exit(os.waitstatus_to_exitcode(status))\n"
    )
    top = [sys.executable, "-m", "dqlitewire.cli", "top", capture]
    with Terminal(sys.executable, "-c", program, *top, whole=True) as terminal:
        terminal.until_text("[rate/s]")
        terminal.press("\x1a")
        terminal.until(lambda _: "stopped" in terminal.output)
        assert terminal.restored == AS_BEFORE
        terminal.press("\n")
        terminal.until(lambda screen: screen.alternate)
        terminal.until_text("[rate/s]")
        terminal.press("q")
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_going_on_behind_a_stop_that_cannot_be_caught(capture: Path) -> None:
    with Terminal("top", capture) as terminal:
        terminal.until_text("[rate/s]")
        terminal.signal(signal.SIGSTOP)
        time.sleep(0.2)
        terminal.screen.lines = ["what a shell has written"] * 24
        terminal.signal(signal.SIGCONT)
        terminal.until(lambda screen: "what a shell has written" not in screen.lines)
        terminal.press("q")
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_another_size_is_drawn_anew(capture: Path) -> None:
    with Terminal("top", capture, "--interval", "60") as terminal:
        terminal.until_text("[rate/s]")
        for columns, rows in ((132, 50), (40, 10), (60, 15)):
            terminal.resize(columns, rows)
            end = time.monotonic() + 60
            while not (
                len(lines_of(terminal.screen.lines)) and terminal.screen.lines[-1].startswith("q quit")
            ):
                assert time.monotonic() < end
                terminal.read(0.1)
        terminal.press("q")
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_the_terminal_goes(capture: Path) -> None:
    with Terminal("top", capture, "--interval", "0.1") as terminal:
        terminal.until_text("[rate/s]")
        os.close(terminal.fd)
        terminal.fd = os.open(os.devnull, os.O_RDONLY)
        end = time.monotonic() + 60
        while not (ended := os.waitpid(terminal.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end
            time.sleep(0.05)
        terminal.code = os.waitstatus_to_exitcode(ended[1])
        assert terminal.code in (0, 3)  # the hang-up or the error comes first


def test_keys_come_from_the_terminal_while_traffic_comes_through_a_pipe(capture: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe, Terminal("top", "-", stdin=reader) as terminal:
        os.close(reader)
        terminal.until_text("nothing yet")
        pipe.write(capture.read_bytes())
        pipe.flush()
        terminal.until_text("[rate/s]")
        terminal.press("r")
        pipe.close()
        terminal.until_text("ended")
        terminal.signal(signal.SIGINT)
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_no_colour(capture: Path) -> None:
    with Terminal("top", capture, "--count", "2", "--interval", "0.2", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
        assert "\x1b[1m" not in terminal.output
        assert "[rate/s]" in terminal.output


@deep
def test_count_ends_it(capture: Path) -> None:
    with Terminal("top", capture, "--count", "2", "--interval", "0.1") as terminal:
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)


@deep
def test_nobody_to_watch() -> None:
    with Terminal("top") as terminal:
        assert terminal.wait() == 2
        assert "nothing to watch" in terminal.output


@deep
def test_the_background_draws_nothing(capture: Path) -> None:
    program = (
        "import os, signal, subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], process_group=0)\n"
        "time.sleep(2); child.send_signal(signal.SIGTERM); child.wait(20); print('over')\n"
    )
    top = [sys.executable, "-m", "dqlitewire.cli", "top", capture, "--interval", "0.1"]
    with Terminal(sys.executable, "-c", program, *top, whole=True) as terminal:
        assert (terminal.wait(), terminal.restored) == (0, AS_BEFORE)
        assert terminal.output.strip() == "over"


@deep
def test_the_import_of_the_command_is_light() -> None:
    program = (
        "import sys, dqlitewire.cli.app\n"
        "heavy = {'rich', 'termios', 'dqlitewire.cli.watch', 'dqlitewire.cli.terminal'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True
    )
    assert "dqlitewire.cli.watch" not in done.stdout
    assert "dqlitewire.cli.terminal" not in done.stdout


def test_a_signal_in_the_middle_of_a_write_gives_the_terminal_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream of standard output refuses to be entered twice; the terminal is written to all the same."""
    main, other = pty.openpty()
    screen: Screen

    class Interrupted(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def fileno(self) -> int:
            return other

        def write(self, data: Any) -> int:
            screen._give()
            screen._take()
            return os.write(other, data)

    with contextlib.ExitStack() as stack:
        for descriptor in (main, other):
            stack.callback(os.close, descriptor)
        stream = io.TextIOWrapper(io.BufferedWriter(Interrupted()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", stream)
        screen = Screen()
        screen._taken = True
        stream.write("a row")
        stream.flush()
        shown = b""
        while b"a row" not in shown:  # a terminal may hand over each write alone
            assert select.select([main], [], [], 20)[0], shown
            shown += os.read(main, 1000)
        stream.detach()
    assert shown.index(b"\x1b[?1049l") < shown.index(b"\x1b[?1049h") < shown.index(b"a row")
    assert screen.stale
