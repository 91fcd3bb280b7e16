"""Generated code: what it looks like, and how it becomes a function of a declared class.

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

from ..generated import define as define_function
from .fields import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .fields import Field

__all__ = ["constructor", "define", "indented", "setters"]


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


def constructor(cls: Any) -> Callable[..., None]:
    """Generate the `__init__` of a declared class."""
    fields: list[Field] = [f for f in cls.FIELDS if f.is_attribute]
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
