"""The public interface, a line for each part of what the modules of tools/public.py export.

    python tools/interface.py           # what differs from tests/interface.txt; exit code 1 if anything does
    python tools/interface.py --add     # writes down what is new; what is gone is to be deleted there by hand

Public is each name of the `__all__` of such a module, and of such a class or function all that has no
underscore in front: members, parameters, and whether a parameter has a default. tools/formats.py has what is
public besides. What the list calls public, docs/explanation/versions.md makes promises about,
tests/test_docstrings.py wants documented, and tests/packaging/test_interface.py holds in its place.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a program, only tools/ is on it

from tools.formats import formats  # noqa: E402
from tools.public import PUBLIC, is_protocol  # noqa: E402

__all__ = ["HELD", "changes", "surface"]

HELD = ROOT / "tests" / "interface.txt"
STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def surface() -> list[str]:
    """Return the public interface, a line each, sorted: names where they are exported, their parts once."""
    found: set[str] = set()
    seen: set[int] = set()
    for module in sorted(PUBLIC, key=lambda name: (name.count("."), name), reverse=True):
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            thing = getattr(loaded, name)
            found.add(f"{module}.{name}")
            ours = str(getattr(thing, "__module__", "")).startswith("dqlitewire")
            if (inspect.isclass(thing) or inspect.isfunction(thing)) and ours and id(thing) not in seen:
                seen.add(id(thing))
                found.update(f"{module}.{line}" for line in parts(name, thing))
    return sorted(found)


def parts(name: str, thing: Any) -> Iterator[str]:
    """Yield a line for each part of a class or function: parameters, members, parameters of these."""
    if not (isinstance(thing, type) and (issubclass(thing, enum.Enum) or is_protocol(thing))):
        yield from (f"{name}({parameter})" for parameter in parameters(thing))
    if not inspect.isclass(thing):
        return
    for member in getattr(thing, "__members__", ()):
        yield f"{name}.{member}"
    for base in thing.__mro__:
        if not base.__module__.startswith("dqlitewire"):
            continue
        yield from (f"{name}.{attribute}" for attribute in attributes(base))
        for attribute, found in vars(base).items():
            if attribute.startswith("_") or attribute in getattr(thing, "__members__", ()):
                continue
            yield f"{name}.{attribute}"
            method = getattr(found, "__func__", found)
            # methods that are generated at their first use look different afterwards
            if inspect.isfunction(method) and method.__module__ != "dqlitewire.generated":
                yield from (f"{name}.{attribute}({parameter})" for parameter in parameters(method))


def attributes(cls: type) -> Iterator[str]:
    """Yield the attributes that only objects have: fields of dataclasses, and what the docstring lists."""
    yield from (field for field in getattr(cls, "__dataclass_fields__", ()) if not field.startswith("_"))
    listed = re.search(r"^Attributes:\n((?:(?: .*)?\n?)*)", inspect.cleandoc(cls.__doc__ or ""), re.MULTILINE)
    if listed is not None:
        yield from re.findall(r"^    ([a-z]\w*): ", listed[1], re.MULTILINE)


def parameters(thing: Any) -> Iterator[str]:
    """Yield the parameters of a callable as one writes them; one that can be left out ends in `=`."""
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):  # an exception with the constructor of `Exception`
        return
    for parameter in found:
        if parameter.name in ("self", "cls") or parameter.name.startswith("_"):
            continue
        stars = STARS.get(parameter.kind, "")
        by_name = "*, " if parameter.kind is parameter.KEYWORD_ONLY else ""
        has_default = "=" if parameter.default is not parameter.empty else ""
        yield f"{by_name}{stars}{parameter.name}{has_default}"


def changes(held: list[str], found: list[str]) -> tuple[list[str], list[str]]:
    """Return what is gone and what is new.

    Args:
        held: lines of the file.
        found: lines of the code.
    """
    return sorted(set(held) - set(found)), sorted(set(found) - set(held))


def main(arguments: list[str]) -> int:
    held = HELD.read_text(encoding="utf-8").splitlines() if HELD.exists() else []
    gone, new = changes(held, [*surface(), *formats()])
    if arguments == ["--add"]:
        HELD.write_text("".join(f"{line}\n" for line in sorted({*held, *new})), encoding="utf-8")
        new = []
    for line in gone:
        print(f"gone: {line}")
    for line in new:
        print(f"new: {line}")
    return 1 if gone or new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
