"""The sessions of docs/guides/dump.md and docs/guides/shell.md are what commands and shell print."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dqlitewire.cli.answers import Display
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.shell.dots import DOTS
from dqlitewire.cli.shell.prompt import is_complete
from dqlitewire.cli.shell.session import Session
from dqlitewire.cli.tables import Form
from dqlitewire.client import connect
from dqlitewire.testing import DqliteServer
from tests.traffic.command import run

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
DUMP, SHELL = (GUIDES / "dump.md").read_text(), (GUIDES / "shell.md").read_text()
ADDRESS = "127.0.0.1:9001"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DqliteServer]:
    monkeypatch.chdir(tmp_path)
    with DqliteServer() as server:
        server.run_sql("app.db", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        server.run_sql("app.db", "INSERT INTO users VALUES (1, 'Ada')")
        yield server
        assert server.hazards == []


def test_the_session_of_dump(server: DqliteServer) -> None:
    session = "".join(re.findall(r"^```console\n(.*?)^```", DUMP, re.MULTILINE | re.DOTALL))
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert len(steps) == 5
    for command, shown in steps:
        words = shlex.split(command.replace(ADDRESS, server.address))
        if words[0] == "sqlite3":
            with closing(sqlite3.connect(words[1])) as copy:
                rows = [row for sql in words[2].split("; ") for row in copy.execute(sql)]
            assert "".join("|".join(map(str, row)) + "\n" for row in rows) == shown
        else:
            done = run(*words[1:])
            assert (done.out + done.err).replace(server.address, ADDRESS) == shown


def test_the_session_of_the_shell(server: DqliteServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.run_sql("app.db", 'CREATE TABLE "odd name" (a)')
    (text,) = re.findall(r"^```text\n(.*?)^```", SHELL, re.MULTILINE | re.DOTALL)
    entered, told = "", ""
    with connect(server.address, "app.db") as client:
        session = Session(client, "app.db", Display(Form.TABLE, 80), True)
        for line in text.splitlines(keepends=True):
            if found := re.match(r"app\.db\*?> | +\.\.\.> ", line):
                assert told == "", "the page lacks what was shown"
                assert found[0] == (session.continuation if entered else session.prompt)
                entered += line.removeprefix(found[0])
                if is_complete(entered):
                    session.take(entered)
                    both, entered = capsys.readouterr(), ""
                    told = (both.out + both.err).replace(server.address, ADDRESS)
            else:
                assert told.startswith(line)
                told = told.removeprefix(line)
    assert told == entered == ""


def test_all_dot_commands_and_exit_codes_are_there() -> None:
    assert all(f"\n{name} " in SHELL for name in DOTS)
    table = DUMP.partition("## How it ends")[2]
    ends = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert ends == {Exit.OK, Exit.USAGE, Exit.INPUT, Exit.REFUSED, Exit.FAILED, Exit.INTERRUPTED}
