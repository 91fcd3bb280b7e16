"""A message that was added in its three places, and no other, is known to every view.

The test makes a copy of the source tree, adds a request and a response to it (enum member, declaration,
`__all__`), and looks at the traffic of both through the tools of the copy.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.copies import Copy

SECRET = "s3cr3t"

REQUEST = '''

class CheckpointRequest(Request, code=RequestType.CHECKPOINT, answers=(ResponseType.CHECKPOINTED,)):
    """Write the pages of a log back."""

    db_id: int = u64()
    name: str = text(cap="max_filename_size", shows=True)
    reason: str = text(cap="max_text_value_size")
    mode: int = u64(low=1, shows=False)


class SearchRequest(Request, code=RequestType.SEARCH, answers=(ResponseType.ROWS,)):
    """Run SQL in another way."""

    depth: int = u64(shows=False)
    sql: str = text(cap="max_text_value_size")
'''
RESPONSE = '''

class CheckpointedResponse(Response, code=ResponseType.CHECKPOINTED):
    """How many pages were written back."""

    pages: int = u64(cap="max_rows_affected")
    state: int = u64(shows=False)
    reason: str = text(cap="max_text_value_size")
'''
SESSION = f"""
import sys
from collections.abc import Iterator
from pathlib import Path
from dqlitewire.messages import CheckpointedResponse, CheckpointRequest, RowsResponse, SearchRequest

folder = Path(sys.argv[1])
request = CheckpointRequest(7, "main", "because {SECRET}", 3)
answer = CheckpointedResponse(12, 987654321, "because {SECRET}")
(folder / "request").write_bytes(request.encode())
(folder / "answer").write_bytes(answer.encode())
(folder / "client").write_bytes(bytes([1, *bytes(7)]) + request.encode() * 3)
(folder / "server").write_bytes(answer.encode() * 3)
search = SearchRequest(4, "SELECT a FROM t WHERE b = '{SECRET}'").encode()
(folder / "searches").write_bytes(bytes([1, *bytes(7)]) + search * 2)
(folder / "rows").write_bytes(RowsResponse(["a"], [1], [(1,)] * 2, [(7,)] * 2).encode() * 2)
"""


SERVER = """
import json, sys
from tests.traffic.command import run
for line in sys.stdin:
    print(json.dumps(run(*json.loads(line))), flush=True)
"""


class Tree:
    """A copy of the package, and what was recorded with it."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy
        self.folder = copy.folder

    def start(self) -> None:
        """Record a session with the copy, and start what runs its commands."""
        self.copy.python("-c", SESSION, str(self.folder))
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.copy.environment, "COLUMNS": "160"},
        )

    def tool(self, *arguments: str | Path, code: int = 0) -> str:
        """Run `dqlite-wire` of the copy; return what it prints."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([*map(str, arguments)]), file=self.process.stdin, flush=True)
        got, out, err = json.loads(self.process.stdout.readline())
        assert got == code, out + err
        return str(out)

    @property
    def streams(self) -> tuple[Path, Path]:
        """What client and server sent."""
        return self.folder / "client", self.folder / "server"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    copy = Copy(tmp_path_factory.mktemp("copies") / "tree")
    copy.edit("src/dqlitewire/constants.py", "    WEIGHT = 19\n", "    CHECKPOINT = 20\n    SEARCH = 21\n")
    copy.edit("src/dqlitewire/constants.py", "    METADATA = 10\n", "    CHECKPOINTED = 11\n")
    for module, names, declarations in (
        ("requests", ["CheckpointRequest", "SearchRequest"], REQUEST),
        ("responses", ["CheckpointedResponse"], RESPONSE),
    ):
        path = f"src/dqlitewire/messages/{module}.py"
        copy.edit(path, "__all__ = [\n", "".join(f'    "{name}",\n' for name in names))
        copy.append(path, declarations)
    tree = Tree(copy)
    tree.start()
    with tree.process:
        yield tree


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def of_both(items: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first request and the first answer."""
    kinds = {item["type"]: item for item in reversed(items)}
    return kinds["CHECKPOINT"], kinds["CHECKPOINTED"]


def test_line(tree: Tree) -> None:
    shown = tree.tool("decode", "--no-time", *tree.streams).splitlines()
    assert (
        " ".join(shown[1].split()[2:])
        == f"CHECKPOINT db_id 7, name 'main', reason 'because {SECRET}', mode 3"
    )
    assert (
        shown[2].split(maxsplit=2)[2] == f"CHECKPOINTED pages 12, state 987654321, reason 'because {SECRET}'"
    )
    assert len(shown) == 7
    assert tree.tool("decode", "--no-time", "--type", "CHECKPOINT", *tree.streams).count("CHECKPOINT ") == 3


def test_tree_and_hexdump(tree: Tree) -> None:
    shown = tree.tool("decode", "-v", "-x", "--width", "120", *tree.streams)
    for field in ("db_id 7", "name 'main'", "mode 3", "pages 12", f"reason 'because {SECRET}'"):
        assert re.search(rf"0x[0-9a-f]{{4}}  +{re.escape(field)}", shown), field  # in the tree
        assert re.search(rf"  0x[0-9a-f]{{4}}  [0-9a-f ]{{23}} .*{re.escape(field)}", shown), (
            field
        )  # in the margin


def test_json(tree: Tree) -> None:
    request, answer = of_both(objects(tree.tool("decode", "--json", *tree.streams)))
    assert request["fields"] == {"db_id": 7, "name": "main", "reason": f"because {SECRET}", "mode": 3}
    assert answer["fields"] == {"pages": 12, "state": 987654321, "reason": f"because {SECRET}"}
    assert (request["code"], answer["code"], answer["exchange"]) == (20, 11, 1)


def test_explain(tree: Tree) -> None:
    shown = tree.tool("explain", "checkpoint")
    assert "request 20: CHECKPOINT" in shown
    assert "Write the pages of a log back." in shown
    assert "answered by CHECKPOINTED, FAILURE" in shown
    assert "answers CHECKPOINT" in tree.tool("explain", "CHECKPOINTED")
    for name in ("request", "answer"):
        shown = tree.tool("explain", tree.folder / name)
        assert SECRET in shown
        assert shown.splitlines()[0].startswith("CHECKPOINT request" if name == "request" else "CHECKPOINTED")


def test_stats(tree: Tree) -> None:
    found = json.loads(tree.tool("stats", "--json", *tree.streams))
    assert found["messages"] == {"request": {"CHECKPOINT": 3}, "response": {"CHECKPOINTED": 3}}
    (statement,) = found["statements"]
    assert (statement["statement"], statement["type"], statement["count"]) == ("CHECKPOINT", "CHECKPOINT", 3)
    assert not found["undecoded"]
    assert not found["unanswered"]


def test_a_new_way_to_run_sql_is_counted_by_statement(tree: Tree) -> None:
    streams = tree.folder / "searches", tree.folder / "rows"
    found = json.loads(tree.tool("stats", "--json", *streams))
    (statement,) = found["statements"]
    assert (statement["statement"], statement["rows"]) == ("SELECT a FROM t WHERE b = ?", 4)
    assert tree.tool("decode", "--no-time", "--sql", "from t", *streams).count("SEARCH ") == 2
    line = tree.tool("decode", "--no-time", "--redact", *streams).splitlines()[1]
    assert line.split(maxsplit=3)[3] == f"depth 0, SELECT a FROM t WHERE b = '{'x' * len(SECRET)}'"


def test_redaction(tree: Tree) -> None:
    """What the declaration shows is seen; nothing else is."""
    for options in ((), ("-v", "-x"), ("--json",)):
        shown = tree.tool("decode", "--redact", *options, *tree.streams)
        assert SECRET not in shown
        assert "987654321" not in shown
    request, answer = of_both(objects(tree.tool("decode", "--redact", "--json", *tree.streams)))
    hidden = "x" * len(f"because {SECRET}")
    assert request["fields"] == {"db_id": 7, "name": "main", "reason": hidden, "mode": 1}
    assert answer["fields"] == {"pages": 12, "state": 0, "reason": hidden}


def test_transcript(tree: Tree) -> None:
    path = tree.folder / "session.dqt"
    tree.tool("decode", "-w", path, *tree.streams)
    written = [line for line in objects(path.read_text()) if line.get("type") == "CHECKPOINT"]
    assert len(written) == 3
    assert written[0]["fields"]["mode"] == 3
    assert tree.tool("decode", "--no-time", path).count("CHECKPOINT ") == 3


@pytest.mark.parametrize(
    ("name", "direction"), [("client", "request"), ("server", "response"), ("request", "request")]
)
def test_direction(tree: Tree, name: str, direction: str) -> None:
    """Told from the bytes alone, as is what a stream begins with."""
    found = objects(tree.tool("decode", "--json", tree.folder / name))
    assert {item["direction"] for item in found} == {direction}
    assert found[-1]["type"] == ("CHECKPOINT" if direction == "request" else "CHECKPOINTED")


def test_a_type_that_nobody_knows(tree: Tree) -> None:
    """It is shown with its bytes, and is an error of the traffic, not of the tool."""
    path = tree.folder / "unknown"
    path.write_bytes(bytes([1, *bytes(7)]) + bytes([1, 0, 0, 0, 99, 0, 0, 0]) + b"whatever")
    shown = tree.tool("decode", path, code=1)
    assert "type 99" in shown
    assert "does not decode" in shown
    assert objects(tree.tool("decode", "--json", path, code=1))[-1]["type"] == "type 99"
    assert b"whatever".hex() not in tree.tool("decode", "--redact", "--json", path, code=1)
