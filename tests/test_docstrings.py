"""Every public function, method and class documents each of its arguments by name."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

import pytest

from tools.public import PUBLIC, is_protocol


def arguments(function: Callable[..., Any]) -> list[str]:
    """Return the names of what a caller passes."""
    try:
        names = inspect.signature(function).parameters
    except ValueError:  # an exception with the constructor of `Exception`
        return []
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def undocumented(thing: Any) -> list[str]:
    """Return the arguments for which a docstring has no line that begins with their name and a colon."""
    text = inspect.getdoc(thing) or ""  # a method may have that of the base
    return [name for name in arguments(thing) if not re.search(rf"(?m)^ +{re.escape(name)}: \S", text)]


def described(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield what must be documented of an exported object: itself, and its methods, inherited ones included.

    The constructor of an enumeration takes what a member is, a protocol has none, and most errors have that
    of their base.
    """
    if not inspect.isclass(thing):
        if inspect.isfunction(thing):
            yield name, thing
        return
    made = not issubclass(thing, Enum) and not is_protocol(thing)
    if made and ("__init__" in vars(thing) or not issubclass(thing, Exception)):
        yield name, thing
    for attribute in dir(thing):
        found = inspect.getattr_static(thing, attribute)
        method = getattr(found, "__func__", found)
        # An encoder that is generated at its first use has an argument more, for the package itself.
        generated = getattr(method, "__module__", "") == "dqlitewire.generated"
        if not attribute.startswith("_") and inspect.isfunction(method) and not generated:
            yield f"{name}.{attribute}", getattr(thing, attribute)


def exported() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in PUBLIC:
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            thing = getattr(loaded, name)
            home = getattr(thing, "__module__", "")
            if isinstance(home, str) and home.startswith("dqlitewire."):
                found |= {f"{home}: {title}": one for title, one in described(name, thing)}
    return found


EXPORTED = exported()


@pytest.mark.parametrize("name", EXPORTED)
def test_every_argument_is_documented(name: str) -> None:
    assert undocumented(EXPORTED[name]) == []


def test_a_missing_argument_is_found() -> None:
    def function(one: int, two: int) -> None:
        """Do.

        Args:
            one: a number.
        """

    assert undocumented(function) == ["two"]
