"""Generated code: what it looks like, and the generators of constructors and encoders.

The constructor, the encoder and the decoders of a message are Python source, written from its fields at the
first use and compiled once. `python -m dqlitewire.declare ResultResponse` prints them; a debugger steps
through them and a traceback shows their lines (`dqlitewire.generated`). The decoder of RESULT:

    def decode(g_frame, g_end, g_options):
        try:
            last_insert_id, rows_affected, = g_unpack_last_insert_id(g_frame, 8)
            if 24 == g_end and rows_affected <= g_options.max_rows_affected:
                g_message = g_new(g_cls)
                g_set_last_insert_id(g_message, last_insert_id)
                g_set_rows_affected(g_message, rows_affected)
                return g_message
        except g_errors:
            pass
        return g_plainly(g_cls, 0, g_frame, g_end, g_options)

* It reads a whole frame, header included, so that no slice is made:

      byte  0           4      5        6          8             16           24
            | words     | type | schema | reserved | last id     | affected    |
            '--------- read by the codec ----------'-- unpacked with "<QQ" ----'

  `g_end` is the end of the frame; the bytes may go on behind it.
* Neighbouring fields of fixed size are one `struct.Struct`; a text ends at its NUL, and what follows it
  begins at the next word.
* There is one test, at the end. What passes it is certainly right, and fills the slots without the
  constructor, whose checks would be the same again. Nothing is tested on the way: a position behind the end
  raises, or fails `== g_end`.
* What does not pass is decoded again by `g_plainly`, field by field with every bound tested. The plain
  decoder raises the error with its path and offset, or returns the message after all: a rare form, text with
  another error handler, a value that the message checks or logs. So a generated decoder needs no error
  texts, and it may refuse what is right, but never accept what is wrong. The tests hold both against each
  other, and run the generated ones with the plain ones taken away.

An encoder packs the same groups the other way round, the first of them behind the frame's header, which is a
constant where the size is; a message without fields that vary is one constant. It tests only the caps:
everything else was tested by the constructor, or by the decoder that made the message.

Names: a field's value is a local variable of its own name, whatever that is (`type`, `self`, `g_frame`).
So every other name must be one that no field has. Where code is written here these begin with `$`, builtins
included, and `define` puts a prefix in place of the `$`: `g_`, or `gg_` if a field's name begins with that,
and so on.
"""

from __future__ import annotations

from struct import Struct

from ..generated import define as define_function
from ..header import HEADER
from ..limits import DEFAULT_OPTIONS
from .contract import BODY, MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .contract import Field

__all__ = ["constructor", "define", "encoder", "indented", "setters"]

KEPT_PACKERS = 512  # of a group that ends with a text: one packer for each size of the text, in words


def define(cls: Any, name: str, title: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    """Make a function of a declared class.

    Args:
        cls: the class.
        name: the function's name in the source.
        title: what the class's name is followed by in the name of the source's file.
        lines: the source, names that are no field's with `$`.
        names: what the source refers to, with `$`.

    Returns:
        The function.
    """
    prefix = "g_"
    while any(field.name.startswith(prefix) for field in cls.FIELDS):
        prefix = f"g{prefix}"
    return define_function(
        f"{cls.__name__}.{title}",
        name,
        [line.replace("$", prefix) for line in lines],
        {key.replace("$", prefix): value for key, value in names.items()},
    )


def indented(lines: list[str], by: int = 1) -> list[str]:
    """Return lines of a block."""
    return [f"{'    ' * by}{line}" for line in lines]


def setters(cls: Any) -> dict[str, Any]:
    """Return what fills the slots of an object, which no assignment does."""
    return {f"$set_{name}": cls.__dict__[name].__set__ for name in cls.__slots__}


# ---- the constructor


def constructor(cls: Any) -> Callable[..., None]:
    """Generate the `__init__` of a declared class."""
    # arguments by keyword stand behind the others, wherever their fields are on the wire
    fields: list[Field] = sorted((f for f in cls.FIELDS if f.is_attribute), key=lambda f: f.keyword)
    names = setters(cls)
    arguments = ["$self"]
    body: list[str] = []
    for field in fields:
        names |= field.names()
        if field.keyword and "*" not in arguments:
            arguments.append("*")
        if field.default is MISSING:
            arguments.append(field.name)
        else:
            names[f"$default_{field.name}"] = field.default
            arguments.append(f"{field.name}=$default_{field.name}")
        body += field.check(f"{cls.__name__}.{field.name}")
    body += [f"$set_{name}($self, {name})" for name in cls.__slots__]
    lines = [f"def __init__({', '.join(arguments)}):", *indented(body or ["pass"])]
    made = define(cls, "__init__", "__init__", lines, names)
    made.__qualname__ = f"{cls.__qualname__}.__init__"  # what a TypeError names when arguments are missing
    return made


# ---- the encoder


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
        lines += indented(_Encoded(cls, older, field.since - 1, names).lines, 2)
    newest = max((field.since for field in newer), default=0)
    lines += indented(_Encoded(cls, list(cls.FIELDS), newest, names).lines)
    made = define(cls, "encode", "encode", lines, names)
    made.__doc__ = cls.encode.__doc__
    return made


class _Encoded:
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
