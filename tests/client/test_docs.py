"""The code of docs/guides/client.md runs as it stands, but for the addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dqlitewire import client as package
from dqlitewire.testing import DqliteCluster, DqliteServer
from tools.snippets import BLOCK

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "client.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = BLOCK.findall(TEXT)


def run(code: str, address: str, folder: Path) -> dict[str, Any]:
    store = folder / "cluster.yaml"
    store.write_text(f"- Address: {address}\n  ID: 1\n  Role: 0\n")
    names: dict[str, Any] = {}
    exec(code.replace("10.0.0.1:9001", address).replace("cluster.yaml", str(store)), names)
    return names


def test_the_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, layers, deadlines, errors = BLOCKS
    with DqliteCluster(3) as cluster:
        address = cluster.addresses[1]  # a follower
        run(first, address, tmp_path)
        assert capsys.readouterr().out == "(1, 'Ada')\n"
        run(deadlines, address, tmp_path)
        assert capsys.readouterr().out == "('users',) [(1,)]\n"
        assert callable(run(layers, address, tmp_path)["leader_of"])
        insert = run(errors, address, tmp_path)["insert"]
        assert insert("Grace") is True
        cluster.fail_next(19, "no", on="EXEC_SQL")
        with pytest.raises(package.StatementFailed):  # a constraint in a schema may leave something behind
            insert("Grace")
        cluster.fail_next(5, on="EXEC_SQL")
        assert insert("Grace") is False
        assert cluster.run_sql("app.db", "SELECT count(*) FROM users") == [(2,)]


def test_every_error_is_in_the_table() -> None:
    errors = [
        name for name in package.__all__ if isinstance(getattr(package, name), type)
        and issubclass(getattr(package, name), Exception)
    ]  # fmt: skip
    assert len(errors) >= 4
    for name in errors:
        assert f"| `{name}` |" in TEXT


def test_the_head_of_the_package_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert package.__doc__ is not None
    code = "\n".join(line[4:] for line in package.__doc__.splitlines() if line.startswith("    "))
    with DqliteServer() as server:
        server.run_sql("app.db", "CREATE TABLE users (name); INSERT INTO users VALUES ('Ada')")
        exec(code.replace("10.0.0.1:9001", server.address), {})
    assert capsys.readouterr().out == "('Ada',)\n"
