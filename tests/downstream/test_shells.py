"""The Go shells against every real server: what they say, and what passed on the wire.

A tap stands at the address that the node gives out for its own, so that the shell, which follows the leader,
stays on it. `tests/testing/test_clients.py` runs the same lines against the embedded server.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.conversation import Exchange
from dqlitewire.messages import ExecSqlRequest, QuerySqlRequest
from tests.downstream.shells import DATABASE, LINES, SHELLS, require_shell, run_shell, say
from tests.downstream.tap import Tap, exchanges
from tests.real.nodes import KINDS, Node, free_port, releases
from tests.real.session import Session

REFERENCE = "1.18.1"
# server -> kinds of lines that it answers otherwise than 1.18.1, to shells that send writes as EXEC_SQL and
# to the others, which send all as QUERY_SQL
DIFFERENT: dict[str, tuple[set[str], set[str]]] = {
    # runs nothing without columns through QUERY_SQL, so there is nothing to read either; ignores the tail
    "1.11.1": ({"tail"}, {"tail", "write", "read", "constraint"}),
    "1.18.1": (set(), set()),
    # another text for a row that EXEC_SQL did not expect; Go misreads a FAILURE behind a column count
    "1.18.7": ({"rows"}, {"constraint"}),
    "cowsql": ({"rows"}, set()),
}


@pytest.fixture(scope="module")
def said_by_reference() -> dict[str, list[str]]:
    """What each shell says on the reference server, as far as it was run."""
    return {}


def run_on(node: Node, name: str, folder: Path) -> tuple[list[str], list[list[Exchange]]]:
    """Run all lines through a tap; what the shell said, and the exchanges of each connection."""
    with Tap(node.address, node.options[node.options.index("--bind") + 1]) as tap:
        said = say(name, node.address, folder, [line.text for line in LINES])
    return said, [exchanges(wire) for wire in tap.wires]


def behind_a_tap(own_node: Callable[..., Node], kind: str) -> Node:
    """A node that gives out an address at which nobody listens yet."""
    return own_node(kind, options=["--bind", f"127.0.0.1:{free_port()}"])


@pytest.mark.downstream
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHELLS)
def test_every_line(
    own_node: Callable[..., Node],
    tmp_path: Path,
    said_by_reference: dict[str, list[str]],
    name: str,
    kind: str,
) -> None:
    require_shell(name)
    said, connections = run_on(behind_a_tap(own_node, kind), name, tmp_path)
    if name not in said_by_reference:
        reference = (
            said if kind == REFERENCE else run_on(behind_a_tap(own_node, REFERENCE), name, tmp_path)[0]
        )
        said_by_reference[name] = reference
    different = DIFFERENT[kind][not SHELLS[name].splits]
    for line, ours, theirs in zip(LINES, said, said_by_reference[name], strict=True):
        assert (ours != theirs) == bool(different & set(line.kinds.split())), (line.text, ours, theirs)

    # every frame of it was decoded on the way; these are the statements that arrived
    statements = [
        exchange.request.message
        for one in connections
        for exchange in one
        if exchange.request is not None
        and isinstance(exchange.request.message, ExecSqlRequest | QuerySqlRequest)
    ]
    texts = [message.sql for message in statements]
    for line in LINES:
        assert line.text.startswith(".") or line.text in texts
    assert sum(exchange.row_count or 0 for one in connections for exchange in one) > 3000


@pytest.mark.downstream
@pytest.mark.parametrize("name", SHELLS)
def test_what_a_line_says(said_by_reference: dict[str, list[str]], name: str) -> None:
    """On the reference server, after the test above: that compares servers, this one looks at the words."""
    if name not in said_by_reference:
        pytest.skip("no server was asked")
    said = dict(zip([line.text for line in LINES], said_by_reference[name], strict=True))
    by = "exec" if SHELLS[name].splits else "query"
    assert said["INSERT INTO t(id) VALUES (1)"] == f"Error:  {by}: UNIQUE constraint failed: t.id\n"
    assert said["SELECT * FROM nowhere"] == "Error:  query: no such table: nowhere\n"
    assert "größe" in said["SELECT 'grüße 🙂' AS größe"] or SHELLS[name].splits or "cowsql" in name
    assert said["SELECT count(*) FROM t"].split()[-1] == "2"
    assert (said[".leader"], said[".cluster"]) == ("ADDRESS\n", "1|ADDRESS|voter\n")
    (many,) = (text for line, text in said.items() if "'row ' || i" in line)
    assert many.split("\n")[-2].strip() == "row 3000"


@pytest.mark.downstream
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SHELLS)
def test_the_dump_is_a_database(
    real_nodes: Callable[[str], Node], tmp_path: Path, name: str, kind: str
) -> None:
    require_shell(name)
    node = real_nodes(kind)
    with Session(node.address, DATABASE) as session:
        session.execute("CREATE TABLE IF NOT EXISTS d (a); DELETE FROM d; INSERT INTO d VALUES (1), ('two')")
    code, _, errors = run_shell(name, node.address, tmp_path, f".dump {node.address} {DATABASE}")
    assert (code, errors) == (0, "")
    with sqlite3.connect(tmp_path / DATABASE) as dumped:
        assert dumped.execute("SELECT a FROM d").fetchall() == [(1,), ("two",)]
    dumped.close()


@pytest.mark.downstream
@pytest.mark.parametrize("name", SHELLS)
def test_the_shells_are_what_they_claim(name: str) -> None:
    require_shell(name)
    shell = SHELLS[name]
    found = releases(shell.suite)[shell.package]
    if shell.suite == "forky" and found != shell.release:
        pytest.skip(f"forky has {found} by now")
    assert found == shell.release
