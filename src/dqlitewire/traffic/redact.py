"""Hide what people stored and keep its shape.

A redacted frame is made of zeros, into which goes what may be seen. So the question is never what to hide,
but what to show: a new field, a message of a later version, the padding behind a text stay
hidden without a line of code. The header is kept, and with it the length: what was redacted decodes as
before, to a message of the same type, with as many rows and parameters of the same types.

    frame      08 00 00 00 09 00 00 00 | 00 .. | SELECT 'x' FROM t\0 .. | 01 03 .. | hunter2\0
    redacted   08 00 00 00 09 00 00 00 | 00 .. | SELECT 'x' FROM t\0 .. | 01 03 .. | xxxxxxx\0

What may be seen of a field its declaration says (`shows`); of the parts of a field, their names (`_PARTS`):

* a number that may not be seen becomes the least that the field may hold, which need not be 0;
* addresses and names of files are texts that may be seen; in SQL, literals and comments lose their contents;
  a column is called what its expression says, so its name may be a literal too; any other text becomes `xxx`;
* cells of rows and parameters are hidden: text becomes `xxx`, of a blob the length stays, numbers become 0.

A failure's message quotes what was asked. Of it stay the words that servers are known to say
(`servers.wording`), and quoted names that stand as names in the SQL that failed (`sql.names`): a word is a
name only where nothing but a name can stand, since SQLite takes `"x"` for a string where there is no such
column. Where that is in doubt, the word is hidden.

Of a frame that does not decode only the header stays, and where the error is: which of its bytes are values
is unknown. Bytes that are no frame become zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from dqlitewire import DecodeError, NodeRole, ResponseType
from dqlitewire.explain import Span, explain
from dqlitewire.header import HEADER, ROW_MARKERS
from dqlitewire.messages import REGISTRY
from dqlitewire.servers.wording import Whose, cut
from dqlitewire.sql.names import Names, names_of

_PATH = re.compile(r"[\w.\[\]]+", re.ASCII)
_HIDDEN = "the bytes are hidden"
_TOLD = re.compile(rf"((?P<path>[\w.\[\]]+): )?{_HIDDEN}(, at offset (?P<at>\d{{1,18}}))?", re.ASCII)
_WORDS = re.compile(r"[\w$\x80-\xff]+|[^\w$\x80-\xff]", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_\x80-\xff][\w\x80-\xff]*", re.ASCII)
_PUNCTUATION = frozenset(" .,()\"'`[]")

#: parts of a field that may be seen: those of a node and of a file, and what counts the parts
_PARTS = frozenset({"node_id", "address", "name", "columns", "count", "nodes", "files", "size"})
_MARKERS = frozenset({"DONE", "PART"})
_LAST_CODE = 0xFFFF  # of a failure


def redact(frame: bytes, is_request: bool, version: int = 1, sql: str | None = None) -> bytes:
    """Return a frame of the same length and shape without the values in it.

    Args:
        frame: header and body.
        is_request: whether it goes from client to server.
        version: of the handshake before it.
        sql: of an answer: the text that was asked for.
    """
    return redact_frame(frame, is_request, version, sql)[0]


def redact_frame(
    frame: bytes, is_request: bool, version: int, sql: str | None, error: DecodeError | None = None
) -> tuple[bytes, DecodeError | None]:
    """The same, and why the frame does not decode, without the values in that either.

    Args:
        frame: header and body.
        is_request: whether it goes from client to server.
        version: of the handshake before it.
        sql: of an answer: the text that was asked for.
        error: why it does not decode, where that is known already.
    """
    root = explain(frame, is_request=is_request, version=version)
    error = error or root.error
    out = bytearray(len(frame))
    out[:6] = frame[:6]
    if not is_request and frame[4] == ResponseType.ROWS and frame.endswith(ROW_MARKERS):
        out[-8:] = frame[-8:]  # whether more frames follow: no value, also where the rest does not decode
    if error is None:
        names = None if sql is None else names_of(_bytewise(sql))
        copy = _Copy(frame, out, names, REGISTRY.get((is_request, HEADER.unpack_from(frame)[1])))
        for span in root.children[1:]:
            copy.part(span)
    return bytes(out), None if error is None else without_values(error)


def hidden_parts(frame: bytes, name: str, error: DecodeError) -> Span:
    """The parts of a redacted frame that does not decode."""
    header = explain(frame[: HEADER.size], is_request=True).children[:1]
    undecoded = Span("undecoded", HEADER.size, len(frame), frame[HEADER.size :])
    return Span(name, 0, len(frame), children=[*header, undecoded], error=error)


class HiddenError(DecodeError):
    """Why a redacted frame does not decode: the same place, and no value."""

    @classmethod
    def told(cls, text: str) -> HiddenError | None:
        """Return the error that a text tells, None if it is not one of these.

        Args:
            text: as `str` gives it.
        """
        found = _TOLD.fullmatch(text)
        if found is None:
            return None
        return cls(_HIDDEN, path=found["path"], offset=None if found["at"] is None else int(found["at"]))


def without_values(error: DecodeError) -> DecodeError:
    """Return an error that names the same place and quotes nothing.

    Args:
        error: why something does not decode.
    """
    if isinstance(error, HiddenError):
        return error
    path = error.path if error.path and _PATH.fullmatch(error.path) else None
    return HiddenError(_HIDDEN, path=path, offset=error.offset)


def redact_other(data: bytes) -> bytes:
    """Return as many zeros, for bytes of unknown meaning.

    Args:
        data: the bytes.
    """
    return bytes(len(data))


def redact_sql(text: bytes) -> bytes:
    """Return SQL text of the same length without what may be values in it."""
    return names_of(text.decode("latin-1")).hidden.encode("latin-1")


def redact_message(text: bytes, sql: str | None = None) -> bytes:
    """Return a failure's message of the same length without what it quotes.

    Args:
        text: the message.
        sql: what was asked; its names are shown.
    """
    names = None if sql is None else names_of(_bytewise(sql))
    return _hidden_quotes(text.decode("latin-1"), names).encode("latin-1")


def redact_code(code: int) -> int:
    """Return a failure's code, 0 for what damage has put there."""
    return code if code <= _LAST_CODE else 0


def redact_text(text: str, change: Callable[[bytes], bytes]) -> str:
    """Redact text with one of the functions for bytes."""
    return change(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _bytewise(text: str) -> str:
    # one character for each byte, so that lengths and places are those of the frame
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _hidden_quotes(message: str, names: Names | None) -> str:
    known = names.names if names is not None else frozenset[str]()
    shown: dict[Whose, Callable[[str], str]] = {
        Whose.SERVER: str,
        Whose.QUOTED: partial(_hidden_quote, known=known),
        Whose.UNKNOWN: lambda text: "x" * len(text),
    }
    return "".join(shown[whose](part) for part, whose in cut(message))


def _hidden_quote(text: str, known: set[str] | frozenset[str]) -> str:
    if text.lower() in known:
        return text
    return "".join(
        part if part in _PUNCTUATION or part.lower() in known else "x" * len(part)
        for part in _WORDS.findall(text)
    )


class _Copy:
    """Copies what may be seen of a frame that decodes."""

    def __init__(self, frame: bytes, out: bytearray, names: Names | None, message: Any) -> None:
        self._frame = frame
        self._out = out
        self._names = names
        self._fields: dict[str, Any] = {field.name: field for field in getattr(message, "FIELDS", ())}

    def part(self, span: Span, in_tuple: bool = False) -> None:
        """Copy one part of the frame; `in_tuple` for those of a row or of the parameters."""
        name, held = span.name.partition("[")[0], span.value
        if span.children:
            for child in span.children:
                self.part(child, in_tuple or name in ("params", "rows"))
        elif in_tuple and name == "types":
            self._types(span)
        elif in_tuple and name != "count":
            self._cell(span)
        elif name == "marker" and held in _MARKERS:
            self._put(span, self._frame[span.start : span.end])
        elif isinstance(held, str):
            text = self._bytes(span)
            self._put(span, self._shown(name, text.decode("latin-1")).encode("latin-1"))
        elif isinstance(held, int):
            size = span.end - span.start
            self._put(span, self._number(name, held).to_bytes(size, "little"))

    def _put(self, span: Span, data: bytes) -> None:
        self._out[span.start : span.start + len(data)] = data

    def _types(self, span: Span) -> None:
        value: Any = span.value
        kinds: list[int] = list(value)
        if self._frame[span.start : span.start + len(kinds)] == bytes(kinds):  # of parameters, a byte each
            self._put(span, bytes(kinds))
            return
        kinds += [0] * (len(kinds) % 2)
        self._put(span, bytes(low | high << 4 for low, high in zip(kinds[::2], kinds[1::2], strict=True)))

    def _cell(self, span: Span) -> None:
        if isinstance(span.value, str):
            self._put(span, b"x" * len(self._bytes(span)))
        elif isinstance(span.value, bytes):
            self._put(span, self._frame[span.start : span.start + 8])  # its length

    def _number(self, name: str, number: int) -> int:
        if name == "role":
            return min(number, NodeRole.SPARE)
        if name == "code":
            return redact_code(number)
        field = self._fields.get(name)
        if field is None or not field.format:
            return number if name in _PARTS else 0
        return number if field.shows else _least(field)

    def _shown(self, name: str, text: str) -> str:
        field = self._fields.get(name)
        if name in _PARTS if field is None else field.shows:
            return text
        if name == "sql":
            return names_of(text).hidden
        if name == "column_names":
            return self._column(text)
        if name == "message":
            return _hidden_quotes(text, self._names)
        return "x" * len(text)

    def _column(self, name: str) -> str:
        # a column without a name of its own has the text of its expression for a name, which may be a literal
        if self._names is not None and (name in self._names.literals or self._names.in_doubt):
            return _hidden_quote(name, self._names.names)
        return name if _PLAIN.fullmatch(name) else Names(name).hidden

    def _bytes(self, span: Span) -> bytes:
        data = self._frame[span.start : span.end]
        return data.partition(b"\0")[0]


def _least(field: Any) -> int:
    """The least number that a field may hold."""
    admitted = getattr(field, "decodes", None) or (getattr(field, "low", 0),)  # a reserved word: 0
    return int(admitted[0])
