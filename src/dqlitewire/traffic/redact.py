"""Hide what people stored and keep its shape.

A redacted frame is made of zeros, into which goes what may be seen: whatever is not named here stays hidden.
Every length, type, count, id and code may be seen, and names of databases, tables and columns, and addresses.
Text becomes `xxx`, numbers and blobs zeros; literals and comments in SQL lose their contents; of a failure's
message stay the server's own words, and names that stand as names in the SQL that failed. Of a frame that
does not decode only the header stays, and where the error is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from dqlitewire import HEADER_SIZE, DecodeError, NodeInfo, NodeRole
from dqlitewire.declare.declared import REGISTRY
from dqlitewire.explain import explain
from dqlitewire.parts import Span
from dqlitewire.servers.wording import Whose, cut
from dqlitewire.sql.names import Names, names_of

_INDEX = re.compile(r"\[\d+\]$")
_PATH = re.compile(r"[\w.\[\]]+", re.ASCII)
_WORDS = re.compile(r"[\w$\x80-\xff]+|[^\w$\x80-\xff]", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_\x80-\xff][\w\x80-\xff]*", re.ASCII)
_PUNCTUATION = frozenset(" .,()\"'`[]")

_FIELDS = [*NodeInfo.FIELDS, *(field for message in REGISTRY.values() for field in message.FIELDS)]
_TEXTS = frozenset(field.name for field in _FIELDS if field.shows and not field.format)
# numbers that stay hidden: what somebody may have stored, and bytes that nobody reads
_HIDDEN = frozenset(field.name for field in _FIELDS if field.format and not field.shows)
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
        error: why somebody else could not decode it.
    """
    root = explain(frame, is_request=is_request, version=version)
    error = error or root.error
    out = bytearray(len(frame))
    out[:6] = frame[:6]
    if error is None:
        names = None if sql is None else names_of(_bytewise(sql))
        for span in root.children[1:]:
            _Copy(frame, out, names).part(span, span.name)
    return bytes(out), None if error is None else _without_values(error)


def hidden_parts(frame: bytes, name: str, error: DecodeError) -> Span:
    """The parts of a redacted frame that does not decode."""
    header = explain(frame[:HEADER_SIZE], is_request=True).children[:1]
    undecoded = Span("undecoded", HEADER_SIZE, len(frame), frame[HEADER_SIZE:])
    return Span(name, 0, len(frame), children=[*header, undecoded], error=error)


def _without_values(error: DecodeError) -> DecodeError:
    path = error.path if error.path and _PATH.fullmatch(error.path) else None
    return DecodeError("the bytes are hidden", path=path, offset=error.offset)


def redact_other(data: bytes) -> bytes:
    """Return as many zeros: nobody knows what these bytes are."""
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

    def __init__(self, frame: bytes, out: bytearray, names: Names | None) -> None:
        self._frame = frame
        self._out = out
        self._names = names

    def part(self, span: Span, name: str, in_tuple: bool = False) -> None:
        """Copy one part; those of parameters and rows are values."""
        if span.children:
            for child in span.children:
                self.part(child, child.name, in_tuple or name == "params" or name.startswith("rows["))
        elif name == "types":
            self._types(span)
        elif in_tuple and name != "count":
            self._cell(span)
        elif isinstance(span.value, str) and name != "marker":
            self._text(span, name.partition("[")[0])
        elif name == "role" and isinstance(span.value, int):
            self._put(span, min(span.value, NodeRole.SPARE).to_bytes(8, "little"))
        elif name == "code" and isinstance(span.value, int):
            self._put(span, redact_code(span.value).to_bytes(8, "little"))
        elif name == "marker" or (isinstance(span.value, int) and name not in _HIDDEN):
            self._put(span, self._frame[span.start : span.end])

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

    def _text(self, span: Span, name: str) -> None:
        text = self._bytes(span)
        shown = self._shown(name, text.decode("latin-1"))
        self._put(span, shown.encode("latin-1"))

    def _shown(self, name: str, text: str) -> str:
        if name in _TEXTS:
            return text
        if name == "sql":
            return names_of(text).hidden
        if name == "column_names":
            return self._column(text)
        if name == "message":
            return _hidden_quotes(text, self._names)
        return "x" * len(text)

    def _column(self, name: str) -> str:
        # without a name of its own a column is called what its expression says; a name may be a literal, too
        if self._names is not None and (name in self._names.literals or self._names.in_doubt):
            return _hidden_quote(name, self._names.names)
        return name if _PLAIN.fullmatch(name) else Names(name).hidden

    def _bytes(self, span: Span) -> bytes:
        data = self._frame[span.start : span.end]
        return data.partition(b"\0")[0]
