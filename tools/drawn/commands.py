"""Draw `docs/reference/commands.md`: every command with its help, how it ends, and an example that was run.

What a command is for and where its guide is stands in `ABOUT`, by hand; all else is what the command prints,
here and now, in 80 columns. Examples read the recordings of `tests/captures` and ask the embedded server;
what differs from run to run (ports, durations) is written as `VARYING` has it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from dqlitewire.cli import serve
from dqlitewire.cli.app import COMMANDS
from dqlitewire.cli.exits import Exit, ProbeExit
from dqlitewire.client import connect
from dqlitewire.messages import OpenRequest
from dqlitewire.testing import DqliteServer
from tests.traffic.command import run
from tools.drawn import DOCS, ROOT
from tools.drawn.text import look_up

__all__ = ["ABOUT", "PAGE", "Command", "files", "page"]

PAGE = DOCS / "reference" / "commands.md"
CAPTURES = ROOT / "tests" / "captures"
BASICS = "--requests 1.18.7-basics-0.c2s.bin --responses 1.18.7-basics-0.s2c.bin"
VARYING = ((re.compile(r"\b\d+\.\d+ ms\b"), "0.20 ms"), (re.compile(r"\b\d+(\.\d+)? us\b"), "200 us"))
HEAD = """# Commands

The help of each command of `dqlite-wire`, how it ends, and an example with its output. For whoever knows what
to do and looks for an option; the [guides](../guides/traffic.md) show tasks from start to end.

The command comes with the extra `cli`, see [installing](../installing.md). Help and output fit the terminal;
here it has 80 columns.

The examples were run as they stand. Files are the recordings in `tests/captures` of the sources. The embedded
server listens at `127.0.0.1:9001`, with a table of two rows in `app.db`. All durations are shown as 0.20 ms.

```console
$ dqlite-wire --help
{help}```

"""


class Command(NamedTuple):
    """What the page says of a command by hand.

    Args:
        about: what it is for.
        guide: a link, from the folder of the page.
        examples: command lines, run one after the other.
        notes: what is to be known of the examples.
    """

    about: str
    guide: str
    examples: tuple[str, ...]
    notes: str = ""


ABOUT = {
    "decode": Command(
        "Shows every message of a capture, a recording or pasted bytes, one a line.",
        "[seeing the traffic](../guides/traffic.md#decode)",
        ("dqlite-wire decode --requests 1.18.7-interrupt-0.c2s.bin --responses 1.18.7-interrupt-0.s2c.bin",),
    ),
    "stats": Command(
        "Counts what passed: statements by what they cost, failures in words, latencies.",
        "[seeing the traffic](../guides/traffic.md#stats)",
        (f"dqlite-wire stats --top 3 {BASICS}",),
    ),
    "explain": Command(
        "Explains a failure's code, a type, or the bytes of a frame.",
        "[seeing the traffic](../guides/traffic.md#explain)",
        ("dqlite-wire explain 10250", f"dqlite-wire explain {OpenRequest('app.db').encode().hex()}"),
    ),
    "probe": Command(
        "Asks nodes how they and their cluster do, and changes nothing.",
        "[seeing the traffic](../guides/traffic.md#probe)",
        ("dqlite-wire probe 127.0.0.1:9001",),
    ),
    "top": Command(
        "Shows what happens, of traffic or of nodes, until it is stopped; `--once` shows it once.",
        "[`top`](../guides/top.md)",
        ("dqlite-wire top --once 1.18.7-interrupt-0.c2s.bin 1.18.7-interrupt-0.s2c.bin",),
    ),
    "query": Command(
        "Runs SQL on a cluster, from any of its nodes; without SQL it is a shell.",
        "[asking a cluster](../guides/query.md), [the shell](../guides/shell.md)",
        (
            "dqlite-wire query 127.0.0.1:9001 app.db 'SELECT id, name FROM users'",
            "dqlite-wire query 127.0.0.1:9001 app.db --csv 'SELECT id, name FROM users'",
        ),
    ),
    "dump": Command(
        "Copies a database of a live cluster into one file.",
        "[copying a database](../guides/dump.md)",
        ("dqlite-wire dump 127.0.0.1:9001 app.db -o copy.db",),
    ),
    "serve": Command(
        "Serves databases as a node would, for tests, and one of a file to look at it with any client.",
        "[testing a driver](../guides/testing.md#on-the-command-line)",
        ("dqlite-wire serve",),
        "It goes on until it is stopped.",
    ),
    "proxy": Command(
        "Stands between clients and nodes, and passes, shows, records and spoils what they say.",
        "[the proxy](../guides/proxy.md)",
        ("dqlite-wire proxy 127.0.0.1:9101=127.0.0.1:9001 --record session.dqt",),
        "It goes on until it is stopped. `session.dqt` is read below.",
    ),
    "replay": Command(
        "Plays a recording again: as the node to clients, or as the clients to a node.",
        "[replay](../guides/replay.md)",
        ("dqlite-wire replay session.dqt --to 127.0.0.1:9001",),
    ),
    "dissector": Command(
        "Prints what makes Wireshark and tshark show dqlite.",
        "[Wireshark](../guides/wireshark.md)",
        ("dqlite-wire dissector > dqlite.lua",),
        "It prints a file in Lua, and nothing else.",
    ),
}


def files() -> dict[Path, str]:
    """Return the page with its text."""
    return {PAGE: page()}


def page() -> str:
    """Return the text of the page."""
    with _server() as run:
        sections = [_section(name, run) for name in COMMANDS]
        return HEAD.format(help=run("dqlite-wire --help")[1]) + _exits() + "".join(sections)


def _section(name: str, run: Run) -> str:
    told = look_up(ABOUT, name, name, "tools/drawn/commands.py what it is for")
    lines = [f"## `{name}`", "", f"{told.about} Guide: {told.guide}.", "", "```console"]
    for example in told.examples:
        code, text = run(example)
        if code not in (Exit.OK, Exit.DAMAGED):
            raise SystemExit(f"{example}: exit code {code}: {text}")
        lines += [f"$ {example}", *text.splitlines()]
    lines += ["```", ""]
    if told.notes:
        lines += [told.notes, ""]
    shown = run(f"dqlite-wire {name} --help")[1].splitlines()
    return "\n".join([*lines, "```console", f"$ dqlite-wire {name} --help", *shown, "```", "", ""])


def _exits() -> str:
    """The table of exit codes: what each means, and which commands end with it."""
    every = (Exit.USAGE, Exit.INTERRUPTED)
    ends = {name: {*import_module(f"dqlitewire.cli.{name}").EXITS, *every} for name in COMMANDS}
    rows = []
    for end in sorted([*Exit, *ProbeExit], key=int):
        names = [name for name, codes in ends.items() if any(code is end for code in codes)]
        told = "all" if len(names) == len(COMMANDS) else ", ".join(f"`{name}`" for name in names)
        rows.append(f"| {end.value} | {end.words} | {told} |")
    return "\n".join(["## Exit codes", "", "| code | meaning | commands |", "|---|---|---|", *rows, "", ""])


class Run:
    """Run command lines as a shell in the folder of recordings would, in front of an embedded server.

    Args:
        folder: where files are written; recordings are found there too.
        server: the node that the examples call 127.0.0.1:9001.
    """

    def __init__(self, folder: Path, server: DqliteServer) -> None:
        self._folder, self._server = folder, server

    def __call__(self, line: str) -> tuple[int, str]:
        """Return the exit code of a command and what it prints, on both outputs.

        Args:
            line: as it is typed.
        """
        words = shlex.split(line.replace("127.0.0.1:9001", self._server.address))[1:]
        if ">" in words:
            del words[words.index(">") :]
            return run(*words, together=True).code, ""
        if words[:1] == ["serve"] and "--help" not in words:
            code, text = self._served(words)
        elif words[:1] == ["proxy"] and "--help" not in words:
            code, text = self._proxied(words)
        else:
            code, text, _ = run(*words, together=True)
        text = text.replace(self._server.address, "127.0.0.1:9001")
        for pattern, word in VARYING:
            text = pattern.sub(word, text)
        return code, "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def _served(self, words: list[str]) -> tuple[int, str]:
        """Serve until a signal that comes at once."""
        with mock.patch.object(serve, "_block_signals", set), mock.patch.object(signal, "sigwait", len):
            code, text, _ = run(*words, "--port", "0", together=True)
        return code, re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9001", text)

    def _proxied(self, words: list[str]) -> tuple[int, str]:
        """Record a session through the proxy."""
        local, _, real = words[1].partition("=")
        command = [sys.executable, "-m", "dqlitewire", "proxy", f"127.0.0.1:0={real}", *words[2:]]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            address = line.split()[2]
            with connect(address, "app.db") as client:
                list(client.query("SELECT id, name FROM users"))
            process.send_signal(signal.SIGINT)
            text = line + process.stderr.read()
        return process.returncode, text.replace(address, local)


@contextlib.contextmanager
def _server() -> Iterator[Run]:
    """What runs examples, in a folder of its own with the recordings in it."""
    with tempfile.TemporaryDirectory() as name, DqliteServer() as server:
        for path in CAPTURES.glob("1.18.7-*.bin"):
            (Path(name) / path.name).symlink_to(path)
        server.run_sql("app.db", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        server.run_sql("app.db", "INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')")
        with contextlib.chdir(name), mock.patch.dict(os.environ, {"COLUMNS": "80"}):
            yield Run(Path(name), server)
