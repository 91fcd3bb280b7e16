"""Where bytes come from: a file, standard input or memory; plain or gzipped; ended or still growing."""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable
from typing import IO, Any, BinaryIO, cast

from dqlitewire.traffic.errors import SourceError

BLOCK = 1 << 20  # bytes that are asked for at a time
ENOUGH = 24  # bytes that tell any format from any other


class Input:
    """Bytes with a name, whose beginning can be looked at before it is read.

    Args:
        file: read from front to back; it need not be seekable.
        name: for messages.
        size: bytes in all, for progress; None if unknown.
        more: asked at the end of the file; true if reading again makes sense (it should wait a little first).

    Attributes:
        name: for messages.
        more: as given.
        size: bytes in all; None if unknown.
        position: bytes read so far.
        damage: why what was read is not all, None if it is: of packed data that is cut off or damaged, what
            comes out before is read.
        shrunk: why a file that is followed is not read on, None if it is: it got smaller, so that what comes
            next does not stand behind what was read.
    """

    def __init__(
        self, file: BinaryIO, name: str, size: int | None = None, more: Callable[[], bool] | None = None
    ) -> None:
        self._read: Callable[[int], bytes | None] = getattr(file, "read1", file.read)
        self.more: Callable[[], bool] | None = more
        self._ahead = b""
        self._file = file  # kept alive, and closed with us
        self.name = name
        self.size = size
        self.position = 0
        self.damage: str | None = None
        self.shrunk: str | None = None

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end.

        Args:
            size: at most so many.
        """
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data or self._next(size)

    def head(self, size: int = ENOUGH, until: bytes | None = None) -> bytes:
        """Return what is there, without taking it: so many bytes, or more, or all.

        Args:
            size: how many are enough.
            until: fewer are, with these among them.
        """
        while len(self._ahead) < size and (until is None or until not in self._ahead):
            if not (data := self._next(1 << 16)):
                break
            self._ahead += data
        return self._ahead

    def _next(self, size: int) -> bytes:
        if self.damage is not None or self.shrunk is not None:
            return b""
        try:
            while not (data := self._read(size) or b"") and self.more is not None and self.more():
                if self._has_shrunk():
                    self.shrunk = f"cut to less than the {self.position} bytes that were read: not read on"
                    return b""
        except EOFError:
            self.damage = "the gzip data is cut off"
            return b""
        except (zlib.error, gzip.BadGzipFile) as error:
            self.damage = f"the gzip data is damaged ({_GZIP.get(str(error)[:5], 'no more comes out of it')})"
            return b""
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            raise SourceError(f"{self.name}: {getattr(error, 'strerror', None) or error}") from None
        self.position += len(data)
        return data

    def _has_shrunk(self) -> bool:
        if self.size is None:  # no regular file
            return False
        return os.fstat(self._file.fileno()).st_size < self.position

    def close(self) -> None:
        """Close the file, except standard input."""
        if self._file is not getattr(sys.stdin, "buffer", None):
            self._file.close()


#: how an error of the gzip module begins -> what it says to those who read
_GZIP = {"CRC c": "its checksum is another", "Incor": "its length is another", "Not a": "other bytes follow"}


class _Unzipped(Input):
    """The contents of a gzipped input; position and size stay those of the file."""

    def __init__(self, packed: Input) -> None:
        self._packed = packed
        reader = cast(BinaryIO, io.BufferedReader(_Raw(packed)))
        super().__init__(cast(BinaryIO, gzip.GzipFile(fileobj=reader)), packed.name, packed.size)

    @property
    def position(self) -> int:
        return self._packed.position

    @position.setter
    def position(self, value: int) -> None:
        pass

    def close(self) -> None:
        super().close()
        self._packed.close()


class _Raw(io.RawIOBase):
    def __init__(self, source: Input) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_input(
    what: str | os.PathLike[str] | bytes | BinaryIO | Input, more: Callable[[], bool] | None = None
) -> Input:
    """Open a path ("-" is standard input), bytes, or a binary file.

    Args:
        what: one of these, or what this has returned, which is returned again.
        more: for a growing file: asked at its end whether to read on.

    Raises:
        SourceError: there is nothing to read.
    """
    if isinstance(what, Input):
        return what
    if isinstance(what, (bytes, bytearray, memoryview)):
        found = Input(io.BytesIO(what), "bytes", len(what))
    elif isinstance(what, (str, os.PathLike)):
        found = _open_path(os.fspath(what), more)
    else:
        found = Input(what, str(getattr(what, "name", "file")), None, more)
    try:
        return _Unzipped(found) if found.head()[:2] == b"\x1f\x8b" else found
    except SourceError:
        found.close()
        raise


def packed_damage(name: str) -> SourceError:
    """Return the error of packed data of which nothing can be made.

    Args:
        name: of the input.
    """
    return SourceError(f"{name}: damaged gzip data", "copy the file again")


class ByteReader:
    """A cursor over bytes that arrive in blocks.

    Args:
        read: gives at most that many bytes, and b"" at the end.
        head: bytes that were already taken from the front.
    """

    def __init__(self, read: Callable[[int], bytes], head: bytes = b"") -> None:
        self._read = read
        self._ended = False
        self.buffer: bytes = head
        self.position = 0
        self.offset: int = 0  # of buffer[0] in the input

    def need(self, size: int) -> bool:
        """Make `size` bytes available at `position`; false if the input ends before."""
        have = len(self.buffer) - self.position
        if have >= size:
            return True
        self.buffer, self.position, self.offset = self._joined(size), 0, self.offset + self.position
        return len(self.buffer) >= size

    def _joined(self, size: int) -> bytes:
        first = self._block(size)
        joined = self.buffer[self.position :] + first
        if not first or len(joined) >= size:
            return joined
        many = bytearray(joined)  # blocks may be small, and many
        while len(many) < size and (block := self._block(size - len(many))):
            many += block
        return bytes(many)

    def _block(self, size: int) -> bytes:
        block = b"" if self._ended else self._read(max(BLOCK, size))
        self._ended = not block
        return block

    @property
    def rest(self) -> int:
        """Bytes left over at the end of the input."""
        return len(self.buffer) - self.position


def file_id(file: str | os.PathLike[str] | IO[Any] | None) -> tuple[int, int] | None:
    """Return device and inode of a regular file; None of anything else."""
    try:
        status = os.stat(file if isinstance(file, (str, os.PathLike)) else file.fileno())  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: "no such file",
    PermissionError: "permission denied: run as its owner, or as root",
    IsADirectoryError: "is a folder: name a file in it",
}


def _open_path(path: str, more: Callable[[], bool] | None) -> Input:
    if path == "-":
        if sys.stdin is None:
            raise SourceError("stdin: closed")
        return Input(sys.stdin.buffer, "stdin", None, more)
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (Input closes it)
        status = os.fstat(file.fileno())
    except OSError as error:
        raise SourceError(f"{path}: {_HINTS.get(type(error), error.strerror)}") from None
    except ValueError:  # a NUL, or what no file system can encode
        raise SourceError(f"{path!r}: no path") from None
    size = status.st_size if stat.S_ISREG(status.st_mode) else None
    return Input(cast(BinaryIO, file), path, size, more)
