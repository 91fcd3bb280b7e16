"""Write the decoders of a declared message, one for each schema; the plain decoder settles their doubts."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ..exceptions import DecodeError
from .contract import BODY, ByHand
from .cursor import read_body
from .source import define, indented, setters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..limits import Options
    from .contract import Field

    Reader = Callable[[bytes, int, Options], Any]

__all__ = ["decoder", "read_plainly"]

_DOUBTS = (DecodeError, ValueError, struct_error, OverflowError, IndexError)


def decoder(cls: Any, schema: int) -> Reader:
    """Return the decoder of one schema: generated, or the plain one if a field is read by hand.

    Its arguments are a frame, the position of its end (bytes may follow), and options.
    """
    fields = [field for field in cls.FIELDS if field.since <= schema]
    if any(isinstance(field, ByHand) for field in fields):
        return _plain_decoder(cls, schema)
    body = _Body(cls, schema, [field for field in fields if field.place == BODY])
    stored = [field for field in cls.FIELDS if field.is_stored]
    fill = [f"$set_{f.name}($message, {'None' if f.since > schema else f.stored(schema)})" for f in stored]
    for field in stored:
        body.names |= field.decoder_names()
    lines = [
        "def decode($frame, $end, $options):",
        "    try:",
        *indented(body.steps, 2),
        f"        if {' and '.join([f'{body.position} == $end', *body.conditions])}:",
        "            $message = $new($cls)",
        *indented(fill, 3),
        "            return $message",
        "    except $errors:",
        "        pass",
        f"    return $plainly($cls, {schema}, $frame, $end, $options)",
    ]
    return define(cls, "decode", f"decode_{schema}", lines, body.names)


class _Body:
    """The steps that read the fields of a body, and the conditions under which what they read is right."""

    def __init__(self, cls: Any, schema: int, fields: list[Field]) -> None:
        self.cls = cls
        self.schema = schema
        self.names: dict[str, Any] = setters(cls) | {
            "$cls": cls,
            "$new": object.__new__,
            "$plainly": read_plainly,
            "$errors": _DOUBTS,
        }
        self.steps: list[str] = []
        self.conditions: list[str] = []
        self.position = "8"  # an expression: where the next field begins
        group: list[Field] = []
        for field in fields:
            self.names |= field.decoder_names()
            if field.format:
                group.append(field)
                continue
            self._read_fixed(group)
            group = []
            self.steps += field.read(f"{cls.__name__}.{field.name}", self.position, schema)
            self.conditions += field.conditions()
            self.position = "$pos"
        self._read_fixed(group)

    def _read_fixed(self, group: list[Field]) -> None:
        """Read neighbouring fields of fixed size with one `struct` call."""
        targets = [field.name for field in group if field.argument]
        if targets:
            unpack = f"$unpack_{targets[0]}"
            self.names[unpack] = Struct("<" + "".join(field.format for field in group)).unpack_from
            self.steps.append(f"{', '.join(targets)}, = {unpack}($frame, {self.position})")
        size = sum(field.smallest for field in group)
        if size:
            at = self.position
            self.position = str(int(at) + size) if at.isdigit() else f"{at} + {size}"
        self.conditions += [test for field in group for test in field.conditions()]


def read_plainly(cls: Any, schema: int, frame: bytes, end: int, options: Options) -> Any:
    """Decode field by field: the oracle of the generated decoder, and where its doubts are settled."""
    return read_body(cls._read, cls.__name__, frame, end, options, schema)


def _plain_decoder(cls: Any, schema: int) -> Reader:
    def read(frame: bytes, end: int, options: Options) -> Any:
        return read_plainly(cls, schema, frame, end, options)

    read.__module__, read.__qualname__ = cls.__module__, cls._read.__qualname__  # what it comes down to
    return read
