"""Every command of docs/guides/query.md prints what stands below it there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from dqlitewire.cli.exits import Exit
from dqlitewire.testing import DqliteServer
from tests.traffic.command import run

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "query.md").read_text()
SESSION = "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
STEPS = re.findall(r"^\$ (dqlite-wire query .*)\n((?:(?!\$ ).*\n)*)", SESSION, re.MULTILINE)


def test_the_session_of_the_page() -> None:
    assert len(STEPS) == SESSION.count("$ dqlite-wire ") == 10
    with DqliteServer() as server:
        server.run_sql("app.db", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, photo BLOB)")
        server.run_sql("app.db", "INSERT INTO users VALUES (1, 'Ada', NULL), (2, 'NULL', x'00ff')")
        for command, shown in STEPS:
            words = shlex.split(command.replace("127.0.0.1:9001", server.address))
            done = run(*words[1:])
            assert (done.out.replace("\r\n", "\n") + done.err) == shown, command
        assert server.hazards == []


def test_every_exit_code_is_there() -> None:
    ends = {
        int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.partition("## How it ends")[2], re.MULTILINE)
    }
    assert ends == {Exit.OK, Exit.USAGE, Exit.INPUT, Exit.REFUSED, Exit.FAILED, Exit.INTERRUPTED}
