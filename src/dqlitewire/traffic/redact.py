"""Hide what people stored and keep its shape.

Redaction happens on the bytes of a frame, before anything is shown or written, and keeps every length: text
becomes `xxx`, numbers and blobs become zeros, literals and comments in SQL lose their contents, messages of
failures what they quote. Names of tables and columns, database names, addresses, types, counts and codes
stay. Bytes that are no known frame become zeros.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dqlitewire.conversation.sql import Kind, tokenize
from dqlitewire.cursor import Span
from dqlitewire.explain import explain

HEADER = 8
_CELL = re.compile(r"\[\d+\]")
_NAME = re.compile(r"column_names\[\d+\]")
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")
_LITERALS = {Kind.STRING: b"x", Kind.BLOB: b"0", Kind.NUMBER: b"0", Kind.COMMENT: b"x", Kind.BAD: b"x"}


def redact(frame: bytes, is_request: bool, version: int = 1) -> bytes:
    """Return a frame of the same length and shape without the values in it."""
    root = explain(frame, is_request=is_request, version=version)
    out = bytearray(frame)
    for span in root.children:
        _mask(out, span, False)
    return bytes(out)


def redact_other(data: bytes) -> bytes:
    """Return as many zeros: nobody knows what these bytes are."""
    return bytes(len(data))


def redact_sql(text: bytes) -> bytes:
    """Return SQL text of the same length without what its literals and comments say."""
    out = bytearray(text)
    for token in tokenize(text.decode("latin-1")):  # one character a byte, so that positions agree
        filler = _LITERALS.get(token.kind)
        if filler is None:
            continue
        start, end = token.start, token.start + len(token.text)
        if token.kind in (Kind.STRING, Kind.BLOB):
            start, end = token.text.index("'") + token.start + 1, end - 1
        elif token.kind is Kind.COMMENT:
            start += 2
        out[start:end] = filler * (end - start)
    return bytes(out)


def redact_message(text: bytes) -> bytes:
    """Return a failure's message of the same length without what it quotes."""
    return _QUOTED.sub(_blank_quoted, text)


def redact_text(text: str, change: Callable[[bytes], bytes]) -> str:
    """Redact text with one of the functions for bytes."""
    return change(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _mask(out: bytearray, span: Span, values: bool) -> None:
    if span.name == "header":
        return
    if span.children:
        inside = values or span.name == "params" or span.name.startswith("rows")
        for child in span.children:
            _mask(out, child, inside)
    elif span.name in ("undecoded", "content", "half-built rows"):
        out[span.start : span.end] = bytes(span.end - span.start)
    elif values and _CELL.fullmatch(span.name):
        _mask_cell(out, span)
    elif span.name == "params":
        out[span.start : span.end] = bytes(span.end - span.start)
    elif span.name == "sql" or _NAME.fullmatch(span.name):
        _rewrite(out, span, redact_sql)
    elif span.name == "message":
        _rewrite(out, span, redact_message)


def _blank_quoted(found: re.Match[bytes]) -> bytes:
    quote = found[0][:1]
    return quote + b"x" * (len(found[0]) - 2) + quote


def _rewrite(out: bytearray, span: Span, change: Callable[[bytes], bytes]) -> None:
    stop = out.find(0, span.start, span.end)
    stop = span.end if stop < 0 else stop
    out[span.start : stop] = change(bytes(out[span.start : stop]))
    out[stop : span.end] = bytes(span.end - stop)


def _mask_cell(out: bytearray, span: Span) -> None:
    if isinstance(span.value, str):
        _rewrite(out, span, lambda text: b"x" * len(text))
    elif isinstance(span.value, (bytes, bytearray)):
        out[span.start + 8 : span.end] = bytes(span.end - span.start - 8)
    else:
        out[span.start : span.end] = bytes(span.end - span.start)
