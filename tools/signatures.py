"""Types that a public signature names and no public module exports.

    python tools/signatures.py       # a line each: the type, and where it is named; exit code 1 if any

A signature is what a user's own annotations have to name as well: the parameters and results of public
functions, of public methods (inherited ones too) and properties, the annotated attributes of classes, and
what a public alias stands for. A constructor is none where the class is made by somebody else, as its
docstring says in the beginning ("made by `connect`"). Annotations are read as they stand in the source, for
many of their names are imported for type checkers alone. `tools.public` knows what is public.
"""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a program, only tools/ is on it

from tools.public import exported

__all__ = ["Named", "hidden", "main", "named"]

OURS = "dqlitewire"
#: of methods without a name of their own, what a caller writes nevertheless
SPECIAL = ("__init__", "__call__", "__enter__", "__iter__", "__next__", "__getitem__", "__aenter__")


class Named(NamedTuple):
    """A name in a signature.

    Attributes:
        where: path of the public thing whose signature it is.
        module: that defines what is named.
        name: of it there.
    """

    where: str
    module: str
    name: str


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


@functools.cache
def bound(module: str) -> dict[str, tuple[str, str]]:
    """Where each global name of a module comes from: the module that defines it, and its name there."""
    found: dict[str, tuple[str, str]] = {}
    package = module if hasattr(importlib.import_module(module), "__path__") else module.rpartition(".")[0]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {one.asname or one.name: (base, one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.asname or one.name: (one.name, "") for one in node.names}
    for node in tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = module, node.name
        elif isinstance(node, ast.Assign):
            found |= {one.id: (module, one.id) for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = module, node.target.id
    return found


def origin(module: str, name: str) -> tuple[str, str] | None:
    """Where a name of ours is defined; None if it is none of ours."""
    while True:
        step = bound(module).get(name)
        if step is None or not step[0].startswith(OURS) or not step[1]:
            return None
        if step == (module, name):
            return step
        module, name = step


def names(annotation: ast.expr | None) -> Iterator[str]:
    """Yield the names in an annotation; those of a text in it as well."""
    for node in ast.walk(annotation) if annotation is not None else ():
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                yield from names(ast.parse(node.value, mode="eval").body)
            except SyntaxError:
                continue


def annotated(node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield what a function or class has annotated: the part of the path behind its own, the annotation."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = node.args
        for one in [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]:
            if one is not None:
                yield f"({one.arg})", one.annotation
        yield " ->", node.returns
    elif isinstance(node, ast.ClassDef):
        for inner in node.body:
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                if not inner.target.id.startswith("_"):
                    yield f".{inner.target.id}", inner.annotation
            elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                if not inner.name.startswith("_") or inner.name in SPECIAL:
                    yield from ((f".{inner.name}{part}", found) for part, found in annotated(inner))
                if inner.name == "__init__":
                    yield from attributes(inner)


def attributes(init: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield the public attributes that a constructor annotates."""
    for node in ast.walk(init):
        match node:
            case ast.AnnAssign(ast.Attribute(attr=name), annotation) if not name.startswith("_"):
                yield f".{name}", annotation
            case _:
                continue


def defined(thing: Any) -> Iterator[tuple[str, ast.AST]]:
    """Yield the definition of a class or function with its module; none of what is not ours, or generated."""
    one = inspect.unwrap(thing)
    module = str(one.__module__)
    if not module.startswith(OURS) or module == f"{OURS}.generated":
        return
    yield from ((module, node) for node in tree(module).body if getattr(node, "name", "") == one.__qualname__)


def members(cls: type) -> Iterator[tuple[str, str, ast.expr | None]]:
    """Yield the annotations of a class and its bases, without what a class between replaces."""
    replaced = {"__init__"} if is_made_by_us(cls) else set[str]()
    for base in cls.__mro__:
        found = [(module, *each) for module, node in defined(base) for each in annotated(node)]
        for module, part, annotation in found:
            if member(part) not in replaced:
                yield module, part, annotation
        replaced |= {member(part) for _, part, _ in found}


def member(part: str) -> str:
    return part.removeprefix(".").partition("(")[0].removesuffix(" ->")


def is_made_by_us(cls: type) -> bool:
    """Whether nobody else calls its constructor: of an enum, and where its docstring begins with who does."""
    return issubclass(cls, enum.Enum) or "made by `" in (cls.__doc__ or "").partition("\n\n")[0]


def aliased(path: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a public alias stands for, with the module that says it."""
    module, _, name = path.rpartition(".")
    found = origin(module, name)
    for node in tree(found[0]).body if found else ():
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if found and value is not None and any(getattr(one, "id", "") == found[1] for one in targets):
            yield found[0], value


def named() -> Iterator[Named]:
    """Yield every type of ours that a public signature names."""
    for path, thing in exported().items():
        found: list[tuple[str, str, ast.expr | None]] = []
        if inspect.isclass(thing):
            found = list(members(thing))
        elif inspect.isfunction(thing):
            found = [(module, part, one) for module, node in defined(thing) for part, one in annotated(node)]
        elif hasattr(thing, "__args__"):
            found = [(module, "", one) for module, one in aliased(path)]
        for module, part, annotation in found:
            for name in names(annotation):
                if (there := origin(module, name)) is not None:
                    yield Named(f"{path}{part}", *there)


def hidden() -> dict[str, list[str]]:
    """Return the types that no public module exports, each with the places that name it."""
    public = list(exported().values())
    found: dict[str, list[str]] = {}
    for one in named():
        thing = getattr(importlib.import_module(one.module), one.name, None)
        if isinstance(thing, TypeVar) or (inspect.isclass(thing) and not thing.__module__.startswith(OURS)):
            continue
        if not any(thing is other for other in public):
            found.setdefault(f"{one.module}.{one.name}", []).append(one.where)
    return found


def main() -> int:
    found = hidden()
    for name, places in sorted(found.items()):
        print(f"{name}: {', '.join(dict.fromkeys(places))}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
