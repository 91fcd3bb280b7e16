"""The shell: what is entered runs, whatever fails it goes on, and the terminal is left as it was."""

from __future__ import annotations

import io
import os
import re
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dqlitewire.cli import shell
from dqlitewire.cli.answers import Display
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.shell.dots import DOTS, quoted, unquoted
from dqlitewire.cli.shell.history import MAX_SIZE, History, history_path
from dqlitewire.cli.shell.prompt import Completed, Prompt, is_complete
from dqlitewire.cli.shell.session import Session
from dqlitewire.cli.tables import Form
from dqlitewire.client import Client, connect
from dqlitewire.testing import DqliteCluster, DqliteServer
from tests.cli.screen import Screen
from tests.real.nodes import Node
from tests.testing.embedded import embedded
from tests.traffic.command import run

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n;"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "dqlite-wire" / "query_history"


@pytest.fixture
def server() -> Iterator[DqliteServer]:
    with embedded("a INTEGER PRIMARY KEY, b") as server:
        yield server


Shell = Callable[..., str]


@pytest.fixture
def entered(server: DqliteServer, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Enter keys, and return what was shown; leaves behind the last."""

    def enter(*keys: str, write: bool = True, address: str = server.address) -> str:
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            pipe.send_text("".join(f"{key}\r" for key in keys) + "\x03.exit\r")
            made = lambda session: Prompt(session, pipe, DummyOutput())  # noqa: E731
            code = shell.run(
                lambda: connect(address, "main", timeout=60),
                "main",
                display=Display(Form.TABLE, 80),
                write=write,
                prompt=made,
            )
        assert code == Exit.OK
        both = capsys.readouterr()
        return (
            re.sub(r"connected to .*\n(dqlite-wire: database .* is empty.*\n)?", "", both.err, count=1)
            + both.out
        )

    return enter


# ---------------------------------------------------------------- statements


def test_statements(entered: Shell) -> None:
    assert entered("insert into t values (1, 'one'), (2, 'a;b');", "select b", "from t", "where a = 2;") == (
        "2 rows changed, last insert id 2\nb\n---\na;b\n(1 row)\n"
    )


def test_a_statement_that_fails(entered: Shell) -> None:
    shown = entered("select none;", "selec 1;", "select ?;", ";", "", "  ", "select 1 as one; select nope;")
    assert "SQLITE_ERROR (1): no such column: none" in shown
    assert "1 parameter in the statement, 0 given" in shown
    assert "one\n---\n  1\n(1 row)\n" in shown
    assert "no such column: nope" in shown


@pytest.mark.parametrize("sql", ["insert into t values (1, 2);", "drop table t;", "pragma user_version = 2;"])
def test_writing_needs_the_option(entered: Shell, server: DqliteServer, sql: str) -> None:
    shown = entered(sql, "select count(*) from t;", write=False)
    assert "refused: " in shown
    assert "--write" in shown
    assert "0\n(1 row)" in shown


def test_hazards_are_refused(entered: Shell, server: DqliteServer) -> None:
    shown = entered(
        "insert into t values (1, 2) returning a;",
        "begin; insert or fail into t values (7, 1);",
        "attach 'x' as y;",
        "commit;",
        "insert or fail into t values (8, 1);",
        "select count(*) as n from t;",
    )
    assert shown.count("refused: ") >= 2
    assert server.hazards == []


def test_a_transaction_over_many_lines(entered: Shell, server: DqliteServer) -> None:
    shown = entered("begin;", "insert into t values (1, 2);", "rollback;", "select count(*) as n from t;")
    assert "n\n-\n0\n" in shown
    with connect(server.address, "main") as client:
        session = Session(client, "main", Display(Form.TABLE, 80), True)
        assert session.prompt == "main> "
        session.take("BEGIN;")
        assert (session.prompt, session.continuation) == ("main*> ", "  ...> ")
        session.take("COMMIT;")
        assert session.prompt == "main> "


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("", True),
        (" \n", True),
        ("select 1", False),
        ("select 1;", True),
        ("select 1; -- why", True),
        ("select ';", False),
        ("select ';\n';", True),
        ('select ";"', False),
        ("select [;]", False),
        ("select 1 -- ;", False),
        ("select 1 /* ; */", False),
        ("/* ;", False),
        ("create trigger x after insert on t begin select 1;", False),
        ("create temp trigger x after insert on t begin select 1; end;", True),
        ("explain create trigger x after insert on t begin select 1;", False),
        (".tables", True),
        (" .dump 'a", True),
    ],
)
def test_where_the_input_ends(text: str, complete: bool) -> None:
    assert is_complete(text) is complete


# ---------------------------------------------------------------- dot commands


NAMES = ["plain", "select", "odd name", 'quo"te', "1st", "ünï", "a;b", "a'b", "[x]", "a-b", "Group", "x\ty"]


def test_names_are_quoted_where_they_need_it(
    server: DqliteServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(server.address, "main") as client:
        session = Session(client, "main", Display(Form.TABLE, 80), True)
        session.take("DROP TABLE t")
        for name in NAMES:
            assert unquoted(quoted(name)) == name
            session.take(f"CREATE TABLE {quoted(name)} (a)")
        session.take("CREATE VIEW v AS SELECT 1 AS one")
        capsys.readouterr()
        session.take(".tables")
        shown = capsys.readouterr().out.splitlines()
        assert len(shown) == len(NAMES) + 1
        for line in shown:
            if "?" not in line and "\\" not in line:  # a tab is not shown as it is
                session.take(f".schema {line}")
                assert re.fullmatch(r"CREATE (TABLE|VIEW) .*;\n", capsys.readouterr().out), line
        for form in (
            '"odd name"',
            "'odd name'",
            "[odd name]",
            "`odd name`",
            "odd name",
            "ODD NAME",
            "odd name;",
        ):
            session.take(f".schema {form}")
            assert capsys.readouterr().out == 'CREATE TABLE "odd name" (a);\n'


def test_schema(entered: Shell) -> None:
    shown = entered("create index i on t", "(b);", ".schema", ".schema t", ".schema i", ".schema none")
    table, index = "CREATE TABLE t (a INTEGER PRIMARY KEY, b);\n", "CREATE INDEX i on t\n(b);\n"
    assert shown == "dqlite-wire: there is nothing named 'none'\ndone\n" + (table + index) * 2 + index


def test_wrong_dot_commands(entered: Shell) -> None:
    shown = entered(".nope", ".", ".tables x", ".TABLES", ".leader;")
    assert "'.nope' is no command; .help lists them" in shown
    assert ".tables takes nothing, got 'x'" in shown
    assert shown.count("t\n") >= 1


def test_help_lists_all(entered: Shell) -> None:
    shown = entered(".help")
    assert all(f"{name} " in shown for name in DOTS)
    assert max(map(len, shown.splitlines())) < 80


def test_dump(entered: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("", "copy.db", '"of all.db"'):
        path = tmp_path / (unquoted(file) or "main")
        shown = entered(f".dump {file}")
        assert f"{path.name}: main, " in shown
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with closing(sqlite3.connect(path)) as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert ("there is such a file: --force" in entered(".dump " + file)) is True
        assert f"{path.name}: main, " in entered(".dump --force " + file)
    shown = entered(".dump none/copy.db", ".dump -", ".dump /dev/null", "select 1 as one;")
    assert shown.count("dqlite-wire: ") == 3
    assert "one\n" in shown
    (tmp_path / "d").write_bytes(b"mine")
    shown = entered(".dump -o copy.db", ".dump --forced", ".dump --force -o copy.db")
    assert shown.count("dqlite-wire: no option of .dump: ") == 3
    assert (tmp_path / "d").read_bytes() == b"mine"
    assert "-o: main, " in entered('.dump "-o"')
    assert "-o: main, " in entered('.dump "-o" --force')
    before = sorted(tmp_path.iterdir())
    shown = entered(".dump a b", ".dump 'a b", ".dump 'a", ".dump a --force b")
    assert shown.count("dqlite-wire: .dump takes one FILE, got ") == 4
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("word", ["exit", "QUIT;", " quit", "help"])
def test_words_of_other_shells(entered: Shell, word: str) -> None:
    """Whoever wants to leave is not asked for the rest of a statement."""
    shown = entered(word, "select 1 as a;")
    assert (".tables" in shown, "a\n-\n1\n" in shown) == ((True, True) if word == "help" else (False, False))
    assert "syntax error" not in shown


def test_a_line_that_is_wrapped_is_no_further_line(server: DqliteServer) -> None:
    with connect(server.address, "main") as client, create_pipe_input() as pipe:
        prompt = Prompt(Session(client, "main", Display(Form.TABLE, 80), True), pipe, DummyOutput())
        with mock.patch.object(prompt._session, "prompt", return_value="") as asked:
            prompt.read("main> ", " ...> ")
    before = asked.call_args.kwargs["prompt_continuation"]
    assert (before(6, 1, 0), before(6, 1, 1)) == (" ...> ", "      ")


def test_leaving_with_an_open_transaction(entered: Shell) -> None:
    said = "dqlite-wire: a transaction was begun and not ended: nothing of it stays\n"
    assert said in entered("begin; insert into t values (1, 2);")
    assert said not in entered("begin; insert into t values (1, 2); commit;")


def test_a_cluster_whose_leader_changes(capsys: pytest.CaptureFixture[str]) -> None:
    with DqliteCluster(3) as cluster, connect(cluster.addresses[0], "main") as client:
        session = Session(client, "main", Display(Form.TABLE, 80), True)
        session.take(".cluster")
        shown = capsys.readouterr().out
        assert [line.split()[1] for line in shown.splitlines()[2:-1]] == cluster.addresses
        assert shown.splitlines()[0].split() == ["id", "address", "role", "leads"]
        assert (shown.count("true"), shown.count("false")) == (1, 2)
        session.take("CREATE TABLE t (a)")
        session.take("BEGIN; INSERT INTO t VALUES (1)")
        leader = cluster.leader
        assert leader is not None
        other = next(node for node in cluster.nodes if node is not leader)
        cluster.elect(other)
        capsys.readouterr()
        session.take("COMMIT")
        said = capsys.readouterr().err
        assert "transaction" in said
        session.take("SELECT count(*) AS n FROM t")
        session.take(".leader")
        out, err = capsys.readouterr()
        assert f"connected to {other.address}, the new leader" in said + err
        assert out.endswith(f"n\n-\n0\n(1 row)\n{other.id}  {other.address}\n")
        assert session.prompt == "main> "


def test_a_cluster_that_is_gone(server: DqliteServer, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(server.address, "main", timeout=60) as client:
        session = Session(client, "main", Display(Form.TABLE, 80), True)
        session.begin()
        client._timeout = 0.1
        server.hold(on="QUERY_SQL", times=None)
        for text in ("select 1", ".tables", ".leader", ".cluster", ".schema", "begin; select 2"):
            capsys.readouterr()
            begun = time.monotonic()
            session.take(text)
            assert time.monotonic() - begun < 40
        assert not session.over
        server.clear_faults()


# ---------------------------------------------------------------- keys


def keys(text: str, session: object = None) -> str:
    """What a prompt returns for some keys."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(text)
        made = session or mock.Mock(spec=Session, names=("person", "odd name", "name"))
        return Prompt(made, pipe, DummyOutput()).read("> ", "...> ")  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", ["taking", "on_reset", "before_render", "after_render", "giving"])
def test_sigterm_while_a_line_is_read(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal is given back whenever it strikes, also while it is taken, drawn on and given back."""
    taken = False

    def strike(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    @contextmanager
    def raw_mode() -> Iterator[None]:
        nonlocal taken
        taken = True
        if moment == "taking":
            strike()
        try:
            yield
        finally:
            if moment == "giving":
                strike()
            taken = False

    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        monkeypatch.setattr(pipe, "raw_mode", raw_mode)
        prompt = Prompt(mock.Mock(spec=Session, names=()), pipe, DummyOutput())
        if hasattr(prompt._session.app, moment):
            getattr(prompt._session.app, moment).add_handler(strike)
        if moment == "giving":
            pipe.send_text("select 1;\r")
        before = signal.signal(signal.SIGTERM, lambda *_: prompt.end())
        try:
            with pytest.raises(SystemExit) as ended:
                prompt.read("> ", "...> ")
        finally:
            signal.signal(signal.SIGTERM, before)
    assert (ended.value.code, taken) == (Exit.INTERRUPTED, False)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("select 1;\r", "select 1;"),
        ("select\r1;\r", "select\n1;"),
        ("\x1b[200~select 1;\nselect 2;\x1b[201~\r", "select 1;\nselect 2;"),
        ("\r", ""),
    ],
)
def test_what_keys_enter(typed: str, read: str) -> None:
    assert keys(typed) == read


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (".tab", [".tables"]),
        (" .D", [".dump"]),
        (".schema ", ['"odd name"', "name", "person"]),
        (".schema pers", ["person"]),
        ('.schema "odd', ['"odd name"']),
        (".dump tests/cli/scr", ["een.py"]),
        (".tables ", []),
        (".nope ", []),
        ("select * from pers", ["person"]),
        ("sel", ["select"]),
        ("SEL", ["SELECT"]),
        ("select ", []),
        ('select "od', ['"odd name"']),
    ],
)
def test_what_completes(typed: str, offered: list[str]) -> None:
    completer = Completed(mock.Mock(spec=Session, names=("person", "odd name", "name")))
    found = completer.get_completions(Document(typed), CompleteEvent(completion_requested=True))
    assert sorted(one.text for one in found) == offered


def test_keys_that_end() -> None:
    with pytest.raises(KeyboardInterrupt):
        keys("select\x03")
    with pytest.raises(EOFError):
        keys("\x04")
    assert keys("1;\x04\x01\x04\x04;\r") == ";"  # on a line that is not empty it deletes


def test_an_interrupted_line_and_the_end_of_the_input(entered: Shell) -> None:
    assert entered("select nothing\x03select 1 as one;") == "one\n---\n  1\n(1 row)\n"
    assert entered("\x04select 1;") == ""


# ---------------------------------------------------------------- history


def test_history_is_for_its_owner(entered: Shell, state: Path) -> None:
    entered("select 1;", " select 'secret';", "select", "2;", "")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert "secret" not in state.read_text()
    assert list(History(state).load_history_strings()) == [".exit", "select\n2;", "select 1;"]
    assert keys("\x1b[A\x1b[A\r") == "select\n2;"


def test_a_history_that_cannot_be_kept(
    entered: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "state" / "dqlite-wire" / "query_history").mkdir(parents=True)
    for place in (tmp_path / "file", tmp_path / "state", Path("/proc/none")):
        monkeypatch.setenv("XDG_STATE_HOME", str(place))
        assert entered("select 1 as one;") == "one\n---\n  1\n(1 row)\n"


def test_a_large_history_is_shortened(state: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_text("".join(f"\n# 2026\n+select {'x' * 1000}{number};\n" for number in range(3000)))
    entries = list(History(state).load_history_strings())
    assert MAX_SIZE / 4 < state.stat().st_size < MAX_SIZE
    assert entries[0].endswith("x2999;")
    assert all(entry.startswith("select x") for entry in entries)
    assert os.listdir(state.parent) == ["query_history"]


def test_where_the_history_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        assert str(history_path()) == "/home/me/.local/state/dqlite-wire/query_history"


# ---------------------------------------------------------------- Ctrl-C while something runs


class Striking(io.StringIO):
    """An output on which a signal strikes when a text is written."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self._texts = list(texts)

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._texts and self._texts[0] in text:
            self._texts.pop(0)
            signal.raise_signal(signal.SIGINT)
        return written


@contextmanager
def striking(client: Client, monkeypatch: pytest.MonkeyPatch, *texts: str) -> Iterator[Session]:
    session = Session(client, "main", Display(Form.CSV, 80), True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", Striking(*texts))
        yield session


def test_interrupting(
    server: DqliteServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with connect(server.address, "main") as client, striking(client, monkeypatch, "500", "501") as session:
        session.take(ENDLESS)
        assert capsys.readouterr().err == "dqlite-wire: interrupted\n"
        session.take("SELECT 1 AS one")
        assert capsys.readouterr().err == ""
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupting_in_a_transaction(
    server: DqliteServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(server.address, "main") as client:
        with striking(client, monkeypatch, "500") as session:
            session.take("BEGIN; INSERT INTO t VALUES (1, 2)")
            capsys.readouterr()
            session.take(ENDLESS)
            said = "interrupting; Ctrl-C once more gives up the transaction\ndqlite-wire: interrupted\n"
            assert capsys.readouterr().err == said
            assert session.prompt == "main*> "
            session.take("COMMIT")
        assert server.run_sql("main", "SELECT count(*) FROM t") == [(1,)]


def test_a_connection_given_up_in_a_transaction(
    server: DqliteServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(server.address, "main") as client:
        session = Session(client, "main", Display(Form.CSV, 80), True)
        session.take("BEGIN; INSERT INTO t VALUES (1, 2)")
        capsys.readouterr()
        held = server.hold(on="QUERY_SQL")
        with Timer(0.1, 3, lambda: held.hits > 0):
            session.take("SELECT 1")
        said = capsys.readouterr().err
        assert said.startswith("interrupting; Ctrl-C once more gives up the transaction\n")
        assert said.endswith("dqlite-wire: interrupted\ndqlite-wire: nothing of the transaction stays\n")
        session.take("SELECT count(*) AS n FROM t")  # works, on another connection
        assert capsys.readouterr() == ("n\r\n0\r\n", "")


class Timer:
    """Sends this process SIGINT some times, as soon as it is time and as long as somebody else handles it."""

    def __init__(self, seconds: float, times: int, is_time: Callable[[], bool]) -> None:
        self._seconds, self._times, self._is_time = seconds, times, is_time
        self._handled = signal.getsignal(signal.SIGINT)

    def _strike(self, number: int, frame: object) -> None:
        if not self._is_time() or signal.getsignal(signal.SIGINT) is self._handled:
            return
        signal.raise_signal(signal.SIGINT)
        self._times -= 1
        if not self._times:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._strike)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)


# ---------------------------------------------------------------- the command


def test_without_its_package(server: DqliteServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "prompt_toolkit"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith("dqlitewire.cli.shell")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.setattr("tests.traffic.command._Stdin.isatty", lambda self: True, raising=False)
    result = run("query", server.address, "main", terminal=True)
    assert (result.code, result.out) == (Exit.USAGE, "")
    assert "prompt_toolkit" in result.err
    assert "[cli]" in result.err


def test_without_a_terminal(server: DqliteServer) -> None:
    result = run("query", server.address, "main")
    assert (result.code, result.out) == (Exit.USAGE, "")


@pytest.mark.parametrize("columns", [80, 132])
def test_on_a_terminal(server: DqliteServer, columns: int) -> None:
    server.run_sql("main", "INSERT INTO t VALUES (1, 'one'), (2, NULL)")
    with Screen(["query", server.address, "main", "--write"], columns) as screen:
        screen.expect("main>")
        screen.send("begin;\r")
        screen.expect("main*>")
        screen.send("select *\rfrom t\r;\r")
        screen.expect("(2 rows)")
        screen.send("insert into t values (3, 'three');\r")
        screen.expect("1 row changed")
        screen.send(ENDLESS + "\r")
        screen.expect("50\n")
        screen.send("\x03")
        screen.expect("dqlite-wire: interrupted")
        screen.send("commit;\r")
        screen.expect("main>")
        if columns == 80:
            screen.send("\x04")
            assert screen.wait() == Exit.OK
        else:
            screen.process.send_signal(signal.SIGTERM)
            assert screen.wait() == Exit.INTERRUPTED
        assert screen.is_as_before()
        assert "Traceback" not in screen.text
    assert server.run_sql("main", "SELECT count(*) FROM t") == [(3,)]


# ---------------------------------------------------------------- real nodes


def test_a_real_node(
    real_node: Node, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(real_node.address, database) as client:
        session = Session(client, database, Display(Form.TABLE, 80), True)
        session.begin()
        for text in (
            "create table person (id integer primary key, name text); create view v as select 1;",
            "begin; insert into person (name) values ('Ada'); select none;",
            "insert into person (name) values ('小林'); commit;",
            "insert into person (name) values ('x') returning id;",
            "select * from person;",
            ".tables",
            ".schema person",
            ".cluster",
            ".leader",
            f".dump {tmp_path}/copy.db",
        ):
            session.take(text)
        out, err = capsys.readouterr()
        assert "id  name\n--  ----\n 1  Ada\n 2  小林\n(2 rows)\n" in out
        assert "person\nv\nCREATE TABLE person (id integer primary key, name text);\n" in out
        assert out.endswith(f"1  {real_node.address}\n")
        assert re.search(r"no such column: none", err)
        assert set(session.names) >= {"person", "name", "v"}
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM person").fetchone() == (2,)
    assert real_node.alive()
