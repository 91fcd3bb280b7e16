"""The file behind a transcript that is written: made or continued, and how a part of it begins.

A file that is made has mode 0600: it holds what people stored. One that is there is taken only where the
caller says so, and only if it is a transcript of this version; where its last line was cut off, a new line
is begun behind it. What is no regular file (a pipe, a device) has nothing to lose, and is always taken.
"""

from __future__ import annotations

import functools
import io
import json
import os
import stat
from typing import Any

from dqlitewire.traffic.errors import FileExistsAlready, SourceError
from dqlitewire.traffic.sources.transcript import VERSION, check_header


def part_name(path: str, number: int) -> str:
    """Return the name of a part of a recording: FILE.dqt, FILE.1.dqt, FILE.2.dqt.

    Args:
        path: of the first part.
        number: of the part; the first one is 0.
    """
    stem, suffix = os.path.splitext(path)
    return f"{stem}.{number}{suffix}" if number else path


def open_to_append(path: str, append: bool) -> io.FileIO:
    """Open a transcript; what is written goes to its end.

    Args:
        path: the file.
        append: take a file that is there.

    Raises:
        FileExistsAlready: it is there, and `append` is false.
        SourceError: it cannot be opened.
    """
    try:
        return io.FileIO(path, "a+", opener=functools.partial(_opened, append=append))
    except FileExistsError:
        raise FileExistsAlready(f"{path}: there is such a file", "--append continues it") from None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    except ValueError:  # a NUL
        raise SourceError(f"{path!r}: no path") from None


def _opened(path: str, flags: int, append: bool) -> int:
    if append:
        return os.open(path, flags, 0o600)
    try:
        return os.open(path, flags | os.O_EXCL, 0o600)
    except FileExistsError:
        if not os.path.exists(path) or stat.S_ISREG(os.stat(path).st_mode):
            raise  # a link to no file, too: what it names was not asked for
        return os.open(path, flags, 0o600)


def header_of(file: io.FileIO, keys: dict[str, Any]) -> bytes:
    """Return the line that begins a part of a transcript, to be written next.

    Args:
        file: as `open_to_append` gives it.
        keys: of the line, besides the version.

    Raises:
        SourceError: the file is no transcript of this version.
    """
    line = json.dumps({"dqt": VERSION, **keys}, separators=(",", ":")).encode() + b"\n"
    size = os.fstat(file.fileno()).st_size
    if size:
        check_header(os.pread(file.fileno(), 4096, 0).partition(b"\n")[0])
        if os.pread(file.fileno(), 1, size - 1) != b"\n":
            return b"\n" + line  # the last writer was cut off
    return line


def write_whole(file: io.FileIO, data: bytes) -> None:
    """Write all of some bytes.

    Raises:
        OSError: the file takes no more; of the bytes, the first ones may have been written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) or 0 :]
