"""Generated code: `define` is the only place where source lines are turned into a function.

Constructors, encoders, decoders, row readers and writers are written as source when they are first needed
(`declare/`, `rows/`). What is made of a string has no file, so a traceback would show no line of it, a
debugger nothing to step through and `inspect.getsource` would fail. Therefore each function gets

* a file name of its own below `dqlitewire/generated/`, a folder that is not there, and
* globals with `__name__` and a `__loader__` that hands out its source (PEP 302: `get_source`), and with a
  `__spec__` that names the same loader, since Python 3.15 looks there first.

Who looks for the source, and where it finds it:

    traceback, pdb, warnings   linecache, which asks the `__loader__` in the globals of the frame
    inspect                    linecache, if the file is in it; else the `__loader__` of the module whose
                               name the globals have, which is this one, and has another source
    coverage                   the plugin of this project's tests, which asks `source_of_file`

For `inspect`, this module has no attribute `__loader__`. It is asked for one by `__getattr__`, at the very
moment somebody wants the source of a function that was made here; then all sources are put into linecache.

Until its source is asked for, a function costs its code, its source and about 3 us, and nothing is imported.
Loaders are kept by weak reference: source, file name and lines in linecache go when the function goes, so
that readers of rows, which come and go with what peers send, leave nothing behind. Two functions that are
alive at once share a file, and its loader, only if they have the same source.

File names have no angle brackets, since coverage and pdb take `<...>` for code that has no source.
`exec` of a string is used, and the file name put into the code afterwards, because `compile` makes CPython
set up all of `_ast` first, 2 ms.
"""

from __future__ import annotations

from _weakref import ref
from sys import modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType
    from typing import Any

__all__ = ["define", "source_of", "source_of_file"]

_FOLDER = __file__.removesuffix(".py") + "/"
_Code = type((lambda: None).__code__)


class _Loader:
    """Holds the source of one function, for as long as its globals live; loader and spec in one."""

    __slots__ = ("__weakref__", "source")
    name = __name__

    def __init__(self, source: str) -> None:
        self.source = source

    @property
    def loader(self) -> _Loader:
        return self

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
    file, loader = _place_for(title, source)
    names["__name__"], names["__loader__"], names["__spec__"] = __name__, loader, loader
    exec(source, names)
    made: Any = names[name]
    made.__code__ = _in_file(made.__code__, file)
    return made  # type: ignore[no-any-return]


def _place_for(title: str, source: str) -> tuple[str, _Loader]:
    """Return file name and loader of a source: those of a living function that has the same, or new ones."""
    stem = _FOLDER + title.replace("/", "_").replace("<", "(").replace(">", ")")
    file, number, loader = f"{stem}.py", 1, _Loader(source)
    while True:
        mine = _reference(loader, file)
        kept = _loaders.setdefault(file, mine)  # one step: of two threads one gets the name
        if kept is mine:
            return file, loader
        living = kept()
        if living is not None and living.source == source:
            return file, living
        number += 1
        file = f"{stem}-{number}.py"


def _reference(loader: _Loader, file: str) -> ref[_Loader]:
    return ref(loader, lambda gone: _forget(file, gone))


def _living(file: str) -> _Loader | None:
    kept = _loaders.get(file)
    return None if kept is None else kept()


def _in_file(code: CodeType, file: str) -> CodeType:
    inner = tuple(_in_file(c, file) if type(c) is _Code else c for c in code.co_consts)
    return code.replace(co_filename=file, co_consts=inner)


def _forget(file: str, gone: ref[_Loader]) -> None:
    if _loaders.get(file) is gone:
        _loaders.pop(file, None)
        linecache = modules.get("linecache")
        if linecache is not None:
            linecache.cache.pop(file, None)


def source_of(function: Callable[..., Any]) -> str:
    """Return the source of a function that `define` made.

    Raises:
        TypeError: the function has another origin.
    """
    loader = getattr(function, "__globals__", {}).get("__loader__")
    if type(loader) is not _Loader:
        raise TypeError(f"{getattr(function, '__name__', function)} is not a generated function")
    return loader.source


def source_of_file(file: str) -> str | None:
    """Return the source that a generated function's file name stands for, None if no such function lives."""
    loader = _living(file)
    return None if loader is None else loader.source


def _tell_linecache() -> None:
    import linecache

    for file in list(_loaders):
        loader = _living(file)  # held while its lines are handed over, so that nobody else gets its file
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
