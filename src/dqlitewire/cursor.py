"""Read one frame's fields in order, with every bound tested and every error placed.

The generated readers of `schema` are for speed and give up at the first doubt; a `Cursor` then reads the same
bytes again and says what is wrong, in which field, at which offset. It also notes the byte range of each
field, which is what `explain` shows.
"""

from __future__ import annotations

from .exceptions import DecodeError
from .types import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .limits import Options

__all__ = ["Cursor", "Span"]


class Span:
    """A named range of a frame's bytes and what it means.

    Attributes:
        name: the field's name, or that of a part of it.
        start: first byte, counted from the frame's start.
        end: first byte behind it.
        value: the decoded value, None for a group or padding.
        children: the parts, in wire order.
        error: why reading stopped here, for the root of a frame that could not be read whole.
    """

    __slots__ = ("children", "end", "error", "name", "start", "value")

    def __init__(
        self,
        name: str,
        start: int,
        end: int,
        value: object = None,
        children: list[Span] | None = None,
        error: DecodeError | None = None,
    ) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.value = value
        self.children = [] if children is None else children
        self.error = error

    def __repr__(self) -> str:
        inner = f", {len(self.children)} children" if self.children else ""
        return f"Span({self.name!r}, {self.start}, {self.end}, {self.value!r}{inner})"


class Cursor:
    """A position in `data[pos:end]` that knows the path of the field it stands in."""

    __slots__ = ("data", "end", "options", "path", "pos", "schema", "spans")

    def __init__(
        self,
        data: bytes,
        pos: int,
        end: int,
        options: Options,
        path: str,
        schema: int = 0,
        spans: list[Span] | None = None,
    ) -> None:
        self.data = data
        self.pos = pos
        self.end = end
        self.options = options
        self.path = path
        self.schema = schema
        self.spans = spans

    def error(
        self, name: str, problem: str, offset: int | None = None, limit: int | None = None
    ) -> DecodeError:
        path = f"{self.path}.{name}" if name else self.path
        return DecodeError(problem, path=path, offset=self.pos if offset is None else offset, limit=limit)

    def note(self, name: str, start: int, value: object) -> None:
        if self.spans is not None:
            self.spans.append(Span(name, start, self.pos, value))

    def unsigned(self, name: str, size: int) -> int:
        start = self.pos
        after = start + size
        if after > self.end:
            raise self.error(name, f"got {self.end - start} bytes, {size} are needed")
        value = int.from_bytes(self.data[start:after], "little")
        self.pos = after
        self.note(name, start, value)
        return value

    def text(self, name: str, limit: int) -> str:
        start = self.pos
        try:
            value, self.pos = read_text(self.data, start, self.end, limit, self.options.text_errors)
        except DecodeError as error:
            error.path = f"{self.path}.{name}"
            raise
        self.note(name, start, value)
        return value

    def raw(self, name: str, size: int) -> bytes:
        start = self.pos
        after = start + size
        if after > self.end:
            raise self.error(name, f"got {size} bytes, {self.end - start} are left")
        value = bytes(self.data[start:after])
        self.pos = after
        self.note(name, start, value)
        return value

    def finish(self) -> None:
        if self.pos != self.end:
            raise self.error("", f"got {self.end - self.pos} bytes behind the last field")
