"""A file that is there as a whole or not at all.

It is written under another name beside its place, so on the same file system, and gets its own name when
all of it is on the disk. Whatever ends the writing before that, the file that may have been there is as it
was; an end that nobody can catch (SIGKILL) leaves `.NAME.xxxx.part`.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from dqlitewire.text import shown
from dqlitewire.traffic.errors import FileExistsAlready, SourceError

ADVICE = "--force overwrites it"
_MAX_NAME = 200  # bytes of the name that the other one is made of; file systems take 255


@contextmanager
def whole_file(path: str, force: bool) -> Generator[BinaryIO]:
    """Write a file; it appears when the block ends, with mode 0600, and not at all if the block raises.

    Args:
        path: where; behind a link, what that names.
        force: take the place of a file that is there.

    Raises:
        FileExistsAlready: the file is there, and `force` is false, or it is none that can be replaced.
        SourceError: it cannot be written.
    """
    try:
        _check_place(path, force)
        place = os.path.realpath(path)
        folder, name = os.path.split(place)
        begin = os.fsdecode(os.fsencode(name)[:_MAX_NAME])
        number, part = tempfile.mkstemp(prefix=f".{begin}.", suffix=".part", dir=folder)
    except OSError as error:
        raise _cannot(path, error) from None
    try:
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _place(part, place, force)
        _sync(folder)
    except OSError as error:
        raise _cannot(path, error) from None
    finally:
        with suppress(OSError):  # after `_place` it is there only if a link was made of it
            os.unlink(part)


def _check_place(path: str, force: bool) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not os.path.basename(path):  # "folder/" names no file, and `realpath` would make one of it
            raise
        return
    except ValueError:  # a NUL, or what no file system can encode
        raise SourceError(f"{shown(path)}: no path") from None
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path}: is a directory")
    if not stat.S_ISREG(mode):
        raise FileExistsAlready(f"{path}: is no regular file", "-o - writes to standard output")
    if not force:
        raise FileExistsAlready(f"{path}: there is such a file", ADVICE)


def _place(part: str, path: str, force: bool) -> None:
    if not force:
        with suppress(OSError):
            os.link(part, path)  # unlike renaming, refuses to replace what somebody has made meanwhile
            return
        _check_place(path, force)  # a file system without links, or one that is full
    os.replace(part, path)


def _sync(folder: str) -> None:
    with suppress(OSError):  # not every file system can
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _cannot(path: str, error: OSError) -> SourceError:
    return SourceError(f"{path}: {(error.strerror or str(error)).lower()}")
