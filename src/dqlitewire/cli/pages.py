"""`decode --pages DIR`: the databases that nodes send each other, written while their messages are shown."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from dqlitewire.cli.output import fail, tell
from dqlitewire.traffic.item import Item

Watch = Callable[[Iterable[Item]], Iterable[Item]]


@contextmanager
def followed(folder: Path | None) -> Generator[Watch]:
    """Follow the databases of all items that pass; at the end say what is known of them.

    Args:
        folder: where they are written; None for nowhere.

    Raises:
        FileExistsAlready: the folder has something in it.
        SystemExit: it cannot be written.
    """
    if folder is None:
        yield _unchanged
        return
    from dqlitewire.traffic.pages import PageFiles

    with _writing(folder):
        files = PageFiles(folder)

    def watch(stream: Iterable[Item]) -> Iterable[Item]:
        for item in stream:
            message = item.raft_message
            if message is not None:
                with _writing(folder):
                    files.take(message)
            yield item

    try:
        yield watch
    finally:
        with _writing(folder):
            files.close()
        for told in files.databases:
            state = "complete" if told["complete"] else "not complete"
            tell(f"{folder / str(told['file'])}: {state}, {told['pages']} pages, index {told['last_index']}")
        if not files.databases:
            tell(f"{folder}: no pages were seen")


def _unchanged(stream: Iterable[Item]) -> Iterable[Item]:
    return stream


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror or error}")
