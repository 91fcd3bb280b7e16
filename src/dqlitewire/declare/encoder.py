"""Write the encoder of a declared message: the tests of its caps, then one or a few `struct` calls."""

from __future__ import annotations

from struct import Struct

from ..header import HEADER
from ..limits import DEFAULT_OPTIONS
from .fields import BODY
from .source import define, indented

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .fields import Field

__all__ = ["encoder"]

KEPT_PACKERS = 512  # of a group that ends with a text: one packer for each size of the text, in words


def encoder(cls: Any) -> Callable[..., bytes]:
    """Generate the encoder of a declared message, its method `encode` and `_frame`."""
    names: dict[str, Any] = {"$join": b"".join, "$default": DEFAULT_OPTIONS}
    lines = ["def encode(self, $options=$default):"]
    if cls._before_encoding is not None:
        lines.append("    self._before_encoding()")
    for field in cls.FIELDS:
        names |= field.encoder_names()
    newer = [field for field in cls.FIELDS if field.since]
    for field in newer:
        older = [f for f in cls.FIELDS if f.since < field.since]
        lines.append(f"    if self.{field.name} is None:")
        lines += indented(_Body(cls, older, field.since - 1, names).lines, 2)
    newest = max((field.since for field in newer), default=0)
    lines += indented(_Body(cls, list(cls.FIELDS), newest, names).lines)
    made = define(cls, "encode", "encode", lines, names)
    made.__doc__ = cls.encode.__doc__
    return made


class _Body:
    """The lines that encode a message whose body has these fields.

    Args:
        cls: the message.
        fields: those of this schema.
        schema: of the frame, where no field decides it.
        names: what the lines refer to is added here.
    """

    def __init__(self, cls: Any, fields: list[Field], schema: int, names: dict[str, Any]) -> None:
        self.code = int(cls.MSG_TYPE)
        self.names = names
        self.variant = str(schema)
        chosen = "".join(field.schema for field in fields)  # at most one field decides it
        self.schema = chosen or str(schema)
        in_body = [field for field in fields if field.place == BODY]
        self.least_words = sum(field.smallest for field in in_body) >> 3
        self.words = [field.words for field in in_body if not field.format]
        self.header = b""  # of every frame, where all have the same
        if not self.words and self.schema.isdigit():
            self.header = HEADER.pack(self.least_words, self.code, int(self.schema), 0)
        lines = [line for field in in_body for line in field.write(f"{cls.__name__}.{field.name}")]
        self.lines = [*lines, f"return {self._result(self._groups(in_body))}"]

    @staticmethod
    def _groups(fields: list[Field]) -> list[list[Field]]:
        """Group what is packed by one call: fixed fields and at most one text, which ends the group."""
        groups: list[list[Field]] = [[]]  # the first is packed behind the header
        for field in fields:
            if not field.is_packed or (groups[-1] and not groups[-1][-1].format):
                groups.append([])
            groups[-1].append(field)
        return groups

    def _result(self, groups: list[list[Field]]) -> str:
        parts = [self._packed(number, group) for number, group in enumerate(groups)]
        return " + ".join(parts) if len(parts) < 3 else f"$join(({', '.join(parts)}))"

    def _packed(self, number: int, group: list[Field]) -> str:
        """Return the expression for the bytes of a group, the first with the frame's header."""
        if group and not group[0].is_packed:
            return f"$value_{group[0].name}"
        layout, arguments = ("", []) if number else self._header()
        layout = f"<{layout}{''.join(field.format for field in group)}"
        arguments += [field.argument for field in group if field.format and field.argument]
        packer = f"$pack_{number}_{self.variant}"
        if group and not group[-1].format:
            text = f"$value_{group[-1].name}"
            self.names[packer] = _TextPackers(layout)
            return f"{packer}[$len({text}) >> 3]({', '.join([*arguments, text])})"
        if self.header and not any(field.is_attribute for field in group):
            return repr(Struct(layout).pack(self.header, *[0] * (len(arguments) - 1)))
        self.names[packer] = Struct(layout).pack
        return f"{packer}({', '.join(arguments)})"

    def _header(self) -> tuple[str, list[str]]:
        """Return format and arguments of the frame's header, one constant where all frames have the same."""
        if self.header:
            return "8s", [repr(self.header)]
        key = f"{self.code} | {self.schema} << 8"
        if self.schema.isdigit():
            key = str(self.code | int(self.schema) << 8)
        return "IH2x", [" + ".join([str(self.least_words), *self.words]), key]


class _TextPackers(dict[int, "Callable[..., bytes]"]):
    """Packers of fixed fields and a text, by the whole words of the text; `struct` adds NUL and padding."""

    def __init__(self, layout: str) -> None:
        self._layout = layout

    def __missing__(self, words: int) -> Callable[..., bytes]:
        pack = Struct(f"{self._layout}{8 * words + 8}s").pack
        if words < KEPT_PACKERS:
            self[words] = pack
        return pack
