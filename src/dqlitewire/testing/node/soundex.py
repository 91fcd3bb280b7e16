"""The SQL function soundex, which Debian's SQLite has and apsw's has not."""

from __future__ import annotations

__all__ = ["soundex"]

# of the letters a to z, as SQLite's src/func.c: soundexFunc has them
_CODES = b"01230120022455012623010202"
_WIDTH = 4


def soundex(value: object) -> str:
    """Return the Soundex code of a text, "?000" of one without letters.

    Letters are those of ASCII. Of other bytes SQLite drops the highest bit, so that "\u00e9" counts as "C)".
    """
    text = _text(value).split(b"\0", 1)[0]
    start = next((at for at, byte in enumerate(text) if chr(byte).isascii() and chr(byte).isalpha()), None)
    if start is None:
        return "?000"
    found = chr(text[start]).upper()
    before = _code(text[start])
    for byte in text[start:]:
        if len(found) == _WIDTH:
            break
        code = _code(byte)
        if code not in ("0", before):
            found += code
        before = code
    return found.ljust(_WIDTH, "0")


def _code(byte: int) -> str:
    letter = chr(byte & 0x7F).lower()
    return chr(_CODES[ord(letter) - ord("a")]) if letter.isalpha() else "0"


def _text(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return format(value, ".17g").encode()  # its letters are SQLite's: e of an exponent, or inf
    return b"" if value is None else str(value).encode()
