"""Read a frame by the layout that is drawn of it, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tools.drawn.messages.layouts import Cell, Element, Group


class Found(NamedTuple):
    """A cell of a layout in a frame."""

    name: str
    start: int
    end: int


def words(size: int) -> int:
    return (size + 7) // 8 * 8


class Reader:
    """Reads one frame; what a cell holds tells what is behind it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.found: list[Found] = []
        self._numbers: dict[str, int] = {}
        self._sizes: list[int] = []  # of entries, whose heads stand before all of them
        self._types: list[int] = []

    def read(self, parts: Sequence[Element]) -> None:
        for number, part in enumerate(parts):
            if isinstance(part, Group):
                self._group(part)
            else:
                start = self.pos
                self.pos += part.size or self._size(part, parts[number + 1 :])
                self.found.append(Found(part.name, start, self.pos))
                if part.kind in ("u8", "u16", "u32", "u64"):
                    self._numbers[part.name] = int.from_bytes(self.data[start : self.pos], "little")
                if part.name == "size":
                    self._sizes.append(self._numbers["size"])
                if part.value:
                    assert self._numbers.get(part.name, 0) == int(part.value), part

    def _group(self, group: Group) -> None:
        if group.times == "rows":
            while self.data[self.pos : self.pos + 8] not in (b"\xff" * 8, b"\xee" * 8):
                self.read(group.parts)
        elif group.times == "header":
            if self.pos < 16 + self._numbers["header_size"]:
                self.read(group.parts)
        elif group.times == "always":
            self.read(group.parts)
        elif group.times:
            for _ in range(self._numbers[group.times]):
                self.read(group.parts)
        elif self.pos < len(self.data):
            self.read(group.parts)

    def _size(self, cell: Cell, behind: Sequence[Element]) -> int:
        match cell.kind:
            case "text":
                return words(self.data.index(0, self.pos) + 1 - self.pos)
            case "bytes":
                return self._numbers["size"]
            case "param types":
                count, begun = self._numbers["count"], self.pos % 8
                self._types = [*self.data[self.pos : self.pos + count]]
                return words(begun + count) - begun
            case "row types":
                count = self._numbers["columns"]
                self._types = [self.data[self.pos + at // 2] >> 4 * (at % 2) & 15 for at in range(count)]
                return words((count + 1) // 2)
            case "value":
                return self._value(self._types.pop(0))
            case "unaligned text":
                return self.data.index(0, self.pos) + 1 - self.pos
            case "to the next word":
                return -self.pos % 8
            case "entry":
                return self._sizes.pop(0)
            case "configuration" | "snapshot":
                return self._numbers[f"{cell.kind}_size"]
            case "content":
                return self._numbers[f"{cell.name}_size"]
            case "page":
                return self._numbers["page_size"]
            case "half":
                return self._up_to(behind)
            case _:
                raise AssertionError(f"nobody has said how {cell} is read")

    def _value(self, kind: int) -> int:
        if kind in (3, 10):
            return words(self.data.index(0, self.pos) + 1 - self.pos)
        if kind == 4:
            return 8 + words(int.from_bytes(self.data[self.pos : self.pos + 8], "little"))
        return 8

    def _up_to(self, behind: Sequence[Element]) -> int:
        """Bytes in front of what ends the frame: the first place from which it is read whole."""
        for at in range(self.pos, len(self.data), 8):
            rest = Reader(self.data)
            rest.pos = at
            try:
                rest.read(behind)
            except ValueError:
                continue
            if rest.pos == len(self.data):
                return at - self.pos
        raise AssertionError("what stands behind it is not there")
