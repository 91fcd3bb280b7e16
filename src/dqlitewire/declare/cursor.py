"""Read one frame's fields in order, with every bound tested and every error placed.

Generated decoders (`decoder.py`) are for speed and give up at the first doubt; a `Cursor` then reads the same
bytes again and says what is wrong, in which field, at which offset. It also notes the byte range of each
field, which is what `explain` shows.
"""

from __future__ import annotations

from ..exceptions import DecodeError
from ..scalars import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ..limits import Options
    from ..parts import Parts

    T = TypeVar("T")

__all__ = ["Cursor", "read_body"]


class Cursor:
    """A position in `data[pos:end]`, and the path of the object whose fields are read there.

    Attributes:
        data: the frame.
        pos: where reading goes on.
        end: where the body ends.
        options: caps, and what to do with text that is not UTF-8.
        path: of the object, for errors: "ServersResponse.nodes[2]".
        schema: of the body.
        parts: where the parts that are read are noted; None to note nothing.
    """

    __slots__ = ("data", "end", "options", "parts", "path", "pos", "schema")

    def __init__(
        self,
        data: bytes,
        pos: int,
        end: int,
        options: Options,
        path: str,
        schema: int = 0,
        parts: Parts | None = None,
    ) -> None:
        self.data: bytes = data
        self.pos: int = pos
        self.end: int = end
        self.options: Options = options
        self.path: str = path
        self.schema: int = schema
        self.parts: Parts | None = parts

    def error(
        self, name: str, problem: str, offset: int | None = None, limit: int | None = None
    ) -> DecodeError:
        path = f"{self.path}.{name}" if name else self.path
        return DecodeError(problem, path=path, offset=self.pos if offset is None else offset, limit=limit)

    def note(self, name: str, start: int, kind: str, index: int | None = None) -> None:
        """Note that a part of some kind (see `parts.py`) stands between `start` and here."""
        if self.parts is not None:
            self.parts.note(name, start, self.pos, kind, index)

    def unsigned(self, name: str, size: int) -> int:
        start = self.pos
        after = start + size
        if after > self.end:
            raise self.error(name, f"got {self.end - start} bytes, {size} are needed")
        value = int.from_bytes(self.data[start:after], "little")
        self.pos = after
        self.note(name, start, "number")
        return value

    def text(self, name: str, limit: int, index: int | None = None) -> str:
        start = self.pos
        try:
            value, self.pos = read_text(self.data, start, self.end, limit, self.options.text_errors)
        except DecodeError as error:
            error.path = f"{self.path}.{name}" if index is None else f"{self.path}.{name}[{index}]"
            raise
        self.note(name, start, "text", index)
        return value

    def raw(self, name: str, size: int) -> bytes:
        start = self.pos
        after = start + size
        if after > self.end:
            raise self.error(name, f"got {size} bytes, {self.end - start} are left")
        value = bytes(self.data[start:after])
        self.pos = after
        self.note(name, start, "bytes")
        return value

    def finish(self) -> None:
        if self.pos != self.end:
            raise self.error("", f"got {self.end - self.pos} bytes behind the last field")


def read_body(
    read: Callable[[Cursor], T], path: str, frame: bytes, end: int, options: Options, schema: int = 0
) -> T:
    """Read the whole body of a frame with what reads from a cursor."""
    cursor = Cursor(frame, 8, end, options, path, schema)
    found = read(cursor)
    cursor.finish()
    return found
