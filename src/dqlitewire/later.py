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
    package: str, names: dict[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Args:
        package: its name.
        names: the full name of each module, and the names that the package has from there. A module that is
            the package's own is an attribute itself.
    """
    module_of = {name: module for module, found in names.items() for name in found}
    inside = f"{package}."
    module_of |= {module.removeprefix(inside): module for module in names if module.startswith(inside)}

    def __getattr__(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = __import__(module_of[name], fromlist=("*",))
        value = module if module_of[name] == inside + name else getattr(module, name)
        setattr(modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(modules[package]), *module_of})

    return __getattr__, __dir__
