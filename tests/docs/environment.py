"""Which environment variables the project reads: found in the sources themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import ROOT

__all__ = ["in_python", "read_by", "read_variables"]

NAME = re.compile(r"[A-Z][A-Z0-9_]+")
# what a mapping is called that holds the environment, or a copy of it
HOLDERS = {"environ", "environment", "variables", "env"}
C_READS = re.compile(r'getenv\("(\w+)"\)')
SHELL_READS = re.compile(r"\$\{?([A-Z][A-Z0-9_]+)\b")
SHELL_SETS = re.compile(
    r"(?:^|[\s;(&|])(?:export |local |read |for )?([A-Z][A-Z0-9_]*)(?:\+?=|\s+in\b)", re.MULTILINE
)
MAKE_READS = re.compile(
    r"\$\((?:or |if |filter-out \w+,)?\$?\(?([A-Z][A-Z0-9_]+)\b|^([A-Z]+) \?=", re.MULTILINE
)
MAKE_SETS = re.compile(r"^([A-Z_]+) :?=", re.MULTILINE)


def read_variables() -> dict[str, set[str]]:
    """Return the names of the variables that files of the project read, with those files.

    What a file itself has assigned, it does not read from outside.
    """
    found: dict[str, set[str]] = {}
    for path in _files():
        for name in read_by(path):
            found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def _files() -> Iterator[Path]:
    yield from (ROOT / "Makefile", ROOT / "setup.py")
    for folder in ("src", "tests", "tools", "bench", "examples", "docs", "vectors", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "test_environment.py":
                yield path


def read_by(path: Path) -> set[str]:
    if path.suffix not in (".py", ".pyi", ".c", ".h", ""):
        return set()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return set()
    if path.suffix in (".py", ".pyi"):
        if not re.search("environ|getenv", text):
            return set()
        return {*in_python(ast.parse(text)), *_scripts_inside(text)}
    if path.suffix in (".c", ".h"):
        return set(C_READS.findall(text))
    if path.name == "Makefile":
        read = {one or other for one, other in MAKE_READS.findall(text)}
        return read - {name for name in MAKE_SETS.findall(text) if f"{name} ?=" not in text}
    if text.startswith("#!") and re.match(r"#!.*\b(?:ba)?sh\b", text):
        code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
        return set(SHELL_READS.findall(code)) - _set_in_shell(code)
    return set()


def _set_in_shell(code: str) -> set[str]:
    return set(SHELL_SETS.findall(code)) - set(re.findall(r"\$\{([A-Z][A-Z0-9_]+):?[-=+]", code))


def _scripts_inside(text: str) -> set[str]:
    """Variables of C that stands in a text of Python."""
    return set(C_READS.findall(text))


def in_python(tree: ast.AST) -> Iterator[str]:
    """Yield the names that are looked up in the environment; constants of the module are followed."""
    constants: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names, values = (getattr(one, "elts", [one]) for one in (target, node.value))
                for name, value in zip(names, values, strict=False):
                    constants[getattr(name, "id", "")] = getattr(value, "value", None)
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=holder, slice=key, ctx=ast.Load()) if _is_environment(holder):
                pass
            case ast.Call(func=ast.Attribute(value=holder, attr="get"), args=[key, *_]) if _is_environment(
                holder
            ):
                pass
            case ast.Call(func=ast.Attribute(attr="getenv") | ast.Name(id="getenv"), args=[key, *_]):
                pass
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[holder]) if _is_environment(
                holder
            ):
                pass
            case _:
                continue
        value = key.value if isinstance(key, ast.Constant) else constants.get(getattr(key, "id", ""))
        if isinstance(value, str) and NAME.fullmatch(value):
            yield value


def _is_environment(node: ast.expr) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) in HOLDERS
