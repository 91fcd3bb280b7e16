"""What docs/guides/proxy.md says of faults is what the classes say, and its examples work."""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from dqlitewire.faults import Fault, FaultList, kinds
from dqlitewire.faults.words import parse_fault, read_faults
from dqlitewire.proxy.control import answer

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "proxy.md").read_text()
DEFAULTS = {
    "no": False,
    "yes": True,
    "all": None,
    "any": None,
    "as a node says": None,
    "must be said": MISSING,
}
VALUES = {
    "int": "int",
    "text": "str | None",
    "yes or no": "bool",
    "number": "float",
    "requests": "Requests",
    "int or `forever`": "int | None",
    "`response` or `request`": "Direction",
}


def table(head: str) -> list[list[str]]:
    """The rows of the table with this head."""
    lines = PAGE.partition(f"{head}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def block(language: str, number: int = 0) -> str:
    return re.findall(f"```{language}\n(.*?)```", PAGE, re.S)[number]


def default_of(word: str) -> Any:
    """A default as the table writes it."""
    if word in DEFAULTS:
        return DEFAULTS[word]
    return word.strip("`") if word.startswith("`") else int(word)


def test_the_table_has_every_word_of_every_kind() -> None:
    told: dict[str, dict[str, tuple[str, Any]]] = {}
    kind = ""
    for name, word, value, default, _ in table("| kind | word | value | unless said | |"):
        kind = name.strip("`") or kind
        words = told.setdefault(kind, {})
        if value:
            words[word.strip("`")] = value, default_of(default)
        elif word:
            assert word == "`change`"  # Python only
    common = {one.name for one in fields(Fault)}
    package = {kind: cls for kind, cls in kinds().items() if cls.__module__ == "dqlitewire.faults.kinds"}
    declared = {
        kind: {one.name: one for one in fields(cls) if one.name not in common | {"change"}}
        for kind, cls in package.items()
    }
    declared["all"] = {one.name: one for one in fields(Fault)}
    assert {kind: set(words) for kind, words in told.items()} == {
        kind: set(words) for kind, words in declared.items()
    }
    for kind, words in told.items():
        for word, (value, default) in words.items():
            one = declared[kind][word]
            assert one.default == default, (kind, word)
            if word not in ("sql", "connection"):  # a pattern or its text; None is a word of neither
                assert VALUES[value] == one.type, (kind, word)


def test_the_command_line() -> None:
    texts = re.findall(r"--fault '?([^'\n]*)'?", block("console", 1))
    assert [parse_fault(text.strip(" \\")).__class__.__name__.lower() for text in texts] == [
        "fail",
        "drop",
        "delay",
        "split",
        "corrupt",
        "hold",
    ]
    inline = re.search(r'--fault "(fail [^"]*)"', PAGE)
    assert inline is not None
    assert repr(parse_fault(inline[1])).startswith("<Fail, 1 'no such table: t', sql 'FROM t\\\\b'")


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(block("toml"))
    first, second = read_faults(path)
    assert repr(first) == "<Fail, 10250 'not leader', on EXEC/EXEC_SQL, 3 to come, 0 hits>"
    assert repr(second) == "<Hold, request, any number to come, 0 hits>"


def test_the_control_socket() -> None:
    lines = block("json").splitlines()
    faults = FaultList()
    for asked, said in zip(lines[::2], lines[1::2], strict=True):
        assert answer(faults, asked.encode()) == json.loads(said)
    assert [row[0] for row in table("| op | |")] == ["`add`", "`list`", "`remove`", "`clear`"]
