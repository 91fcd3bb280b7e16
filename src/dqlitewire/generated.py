"""The one door through which generated code comes: `define` turns source lines into a function.

Constructors, encoders, decoders, row readers and writers are written as source when they are first needed
(`declare/`, `rows/`). What is made of a string has no file, so a traceback would show no line of it, a
debugger nothing to step through and `inspect.getsource` would fail. Therefore each function gets

* a file name of its own below `dqlitewire/generated/`, a folder that does not exist, and
* globals with `__name__` and a `__loader__` that hands out its source (PEP 302: `get_source`), which is where
  `traceback` and `pdb` look through `linecache`.

`inspect` asks the loader of the module that the function names, which is this one and has another source; it
also takes what `linecache` has already. So this module has no attribute `__loader__` but the function
`__getattr__`, which is called when `inspect` asks for it, and then hands all sources to `linecache`. Until
somebody looks, a function costs its code and about 3 us, and nothing is imported.

`exec` of a string is used, and the file name put into the code afterwards, because `compile` makes CPython set
up all of `_ast` first, 2 ms.
"""

from __future__ import annotations

from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any

__all__ = ["define", "source_of"]

_FOLDER = __file__.removesuffix(".py") + "/"
_Code = type((lambda: None).__code__)


class _Loader:
    """Holds the source of one function, for as long as its globals live."""

    __slots__ = ("__weakref__", "source")

    def __init__(self, source: str) -> None:
        self.source = source

    def get_source(self, _name: str) -> str:
        return self.source


_loaders: dict[str, ref[_Loader]] = {}  # by file name


def define(title: str, name: str, lines: Iterable[str], names: dict[str, Any]) -> Callable[..., Any]:
    """Make a function from the lines of its source.

    Args:
        title: what it is for, such as "QueryRequest.encode"; its file is named after it.
        name: the name it has in the source.
        lines: the source, one `def` that begins in the first line.
        names: what the source refers to; becomes the function's globals.

    Returns:
        The function.
    """
    source = "\n".join(lines) + "\n"
    loader = _Loader(source)
    names["__name__"], names["__loader__"] = __name__, loader
    exec(source, names)
    made: Any = names[name]
    file = f"{_FOLDER}{title.replace('/', '_')}.py"
    made.__code__ = _in_file(made.__code__, file)
    _loaders[file] = ref(loader, lambda gone: _forget(file, gone))
    return made  # type: ignore[no-any-return]


def _in_file(code: CodeType, file: str) -> CodeType:
    inner = tuple(_in_file(c, file) if type(c) is _Code else c for c in code.co_consts)
    return code.replace(co_filename=file, co_consts=inner)


def _forget(file: str, gone: ref[_Loader]) -> None:
    if _loaders.get(file) is gone:
        _loaders.pop(file, None)


def source_of(function: Callable[..., Any]) -> str:
    """Return the source of a function that `define` made."""
    loader: _Loader = function.__globals__["__loader__"]  # type: ignore[attr-defined]
    return loader.source


def _tell_linecache() -> None:
    import linecache

    for file, kept in list(_loaders.items()):
        loader = kept()
        if loader is not None:
            lines = loader.source.splitlines(keepends=True)
            linecache.cache[file] = (len(loader.source), None, lines, file)


_own_loader = __loader__  # type: ignore[name-defined]
del __loader__  # type: ignore[name-defined]


def __getattr__(name: str) -> Any:
    if name == "__loader__":
        _tell_linecache()
        return _own_loader
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
