"""Attributes of a package that are imported when somebody asks for them (PEP 562).

A package publishes more than most programs use, and every module costs 0.1 ms to import. The `__getattr__`
made here imports the module that has a name at the first use of the name, and keeps the value in the package;
`from package import name` and `from package import *` work as ever. Type checkers are shown plain imports.
"""

from __future__ import annotations

from sys import modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["attributes_of"]


def attributes_of(
    package: str, names: dict[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        names: the module that has each name, relative to the package; that is the value where they are equal.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = __import__(f"{package}.{names[name]}", fromlist=(name,))
        value = module if names[name] == name else getattr(module, name)
        setattr(modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(modules[package]), *names})

    return __getattr__, __dir__
