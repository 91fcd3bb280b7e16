"""`dqlite-wire explain`: a frame byte by byte, a code or a type in words."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, BinaryIO, NamedTuple, NoReturn, cast

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption
from dqlitewire.cli.output import colourful, emit, fail, joined, painted, width
from dqlitewire.cli.sources import RAFT, Damage, DirectionOption, FormatOption, side_of
from dqlitewire.constants import WORD_SIZE
from dqlitewire.explain import explain as frame_spans
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.item import Item
from dqlitewire.traffic.items import items
from dqlitewire.traffic.shorten import elide
from dqlitewire.traffic.sources import pasted
from dqlitewire.traffic.sources.formats import PASTED, Format, open_source
from dqlitewire.traffic.sources.inputs import file_id
from dqlitewire.traffic.sources.opening import HANDSHAKES, is_header
from dqlitewire.traffic.sources.source import Source
from dqlitewire.traffic.views.line import Clock, line
from dqlitewire.traffic.views.lookup import explain_word, nearest
from dqlitewire.traffic.views.tree import hexdump, tree

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT)
MAX_WORDS = 4096  # bytes of a text that may be codes and names
MAX_WORD = 64  # characters of a word that may be one by mistake
_MOST = 3  # words that are shown of many
_WORD = re.compile(r"[A-Za-z_][\w-]*|0[xX][0-9a-fA-F]+|0|[1-9][0-9a-fA-F]*", re.ASCII)


def command(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WHAT",
            help="Failure codes, message types, or bytes: hex, base64, Python, a file; - or none for stdin.",
            show_default=False,
        ),
    ] = None,
    format: FormatOption = None,
    direction: DirectionOption = None,
    columns: WidthOption = None,
    all_bytes: Annotated[
        bool, typer.Option("--all", help="Show every byte and every row of long frames.")
    ] = False,
) -> Exit:
    """Explain a frame byte by byte, or failure codes and message types in words.

    Examples: explain 10250; explain 5 SQLITE_BUSY 0x105; explain QUERY_SQL; explain
    01000000000000000000000000000000
    """
    if not what and sys.stdin.isatty():
        fail("nothing to explain: name a code, a message type or bytes, or pipe something in", Exit.USAGE)
    asked = _asked(
        what or ["-"], partial(open_source, format=format, side=side_of(direction), raft=direction == RAFT)
    )
    if format is None and _explained(asked.text):
        return Exit.OK
    damage = Damage()
    with _source(asked, format is None) as source:
        for item in damage.watch(items(source)):
            _show(item, width(columns), all_bytes)
    damage.report()
    return damage.exit


class _Asked(NamedTuple):
    """What is to be explained."""

    text: str  # all of it, if it is short and is text; else empty
    opens: Callable[[], Source]  # as bytes
    typed: bool  # whether it stood on the command line itself


def _asked(what: list[str], opens: Callable[..., Source]) -> _Asked:
    name = what[0]
    if len(what) > 1 or (name != "-" and (explain_word(name) or not os.path.exists(name))):
        text = " ".join(what)
        return _Asked(text, partial(opens, os.fsencode(text)), True)
    if name != "-" and file_id(name) is not None:  # a file can be read twice
        head = b"" if os.path.getsize(name) > MAX_WORDS else _whole(name)
        return _Asked(_text(head), partial(opens, name), False)
    try:
        file = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115 (the source closes it)
    except OSError:
        return _Asked("", partial(opens, name), False)  # which says why
    again = _Again(file, "stdin" if name == "-" else name)
    return _Asked(_text(again.head), partial(opens, cast(BinaryIO, again)), False)


def _whole(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_WORDS)
    except OSError:
        return b""  # `open_source` says why


def _text(head: bytes) -> str:
    """What may be words: all of a short input that is text; else nothing."""
    if len(head) > MAX_WORDS:
        return ""
    try:
        return head.decode()
    except UnicodeDecodeError:
        return ""


class _Again:
    """An input that can be read once, from its front again after its head was looked at."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        try:
            self.head = file.read(MAX_WORDS + 1)
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror or error}") from None
        self._ahead = self.head
        if not self._rest:
            self.close()

    @property
    def _rest(self) -> bool:
        """Whether there may be more than the head."""
        return len(self.head) > MAX_WORDS

    def read(self, size: int) -> bytes:
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data or (self._file.read(size) if self._rest else b"")

    def close(self) -> None:
        if self._file is not getattr(sys.stdin, "buffer", None):
            self._file.close()


def _explained(text: str) -> bool:
    """Explain codes and names, if that is what a text holds.

    Raises:
        SystemExit: it holds some, or what may have been meant for one, beside what is none.
    """
    words = list(dict.fromkeys(text.replace(",", " ").split()))
    if not words or _is_dump(text) or not all(map(_WORD.fullmatch, words)):
        return False
    found = {word: explain_word(word) for word in words}
    unknown = [word for word in words if not found[word]]
    known = len(unknown) < len(words)
    if unknown and not (known or any(map(nearest, unknown))):
        return False
    if unknown and len(_pasted(text)) >= (WORD_SIZE if known else 1):  # less than a word of bytes is no frame
        return False
    entries = dict.fromkeys(tuple(lines) for word in words for lines in found[word])  # each of them once
    for number, lines in enumerate(entries):
        for each in ("",) * bool(number) + lines:
            emit(each)
    if unknown:
        _unknown(*unknown)
    return True


def _is_dump(text: str) -> bool:
    """Whether a text is bytes as gdb prints them: 0x05 may be a code, eight of them are a word."""
    words = text.replace(",", " ").split()
    return len(words) >= WORD_SIZE and all(len(word) == 4 and word[:2] in ("0x", "0X") for word in words)


def _pasted(text: str) -> bytes:
    """The bytes of a text in a form stricter than base64, which nearly any word is; else nothing."""
    try:
        form, data = pasted.parse(text)
    except SourceError as error:
        # nearly bytes: the error says what is wrong with them; so few digits are no word of a frame
        return b"" if error.quoted or len(text) < 2 * WORD_SIZE else bytes(WORD_SIZE)
    return b"" if form == Format.BASE64.value else data


def _source(asked: _Asked, guessed: bool) -> Source:
    """Open bytes; a word that somebody typed and that cannot be any is no code and no name either."""
    text = asked.text.strip()
    if not text and (asked.text or asked.typed):
        fail("nothing to explain but blanks", Exit.INPUT)
    word = guessed and len(text.split()) == 1 and not any(mark in text for mark in "'\"")
    if word and len(text) <= MAX_WORD and _is_letters(text):
        _unknown(text)
    try:
        source = asked.opens()
    except SourceError as error:
        if word and error.quoted:
            _unknown(text)
        raise error
    if asked.typed and source.format not in PASTED:
        _unknown(text)
    return source


def _is_letters(word: str) -> bool:
    """Whether a word is base64 by chance only, and stands for nothing that begins as a stream does."""
    try:
        form, data = pasted.parse(word)
    except SourceError:
        return False
    begins = is_header(data, True) or is_header(data, False) or data[:WORD_SIZE] in HANDSHAKES
    return form == Format.BASE64.value and not begins


def _unknown(*words: str) -> NoReturn:
    near = dict.fromkeys(each for word in words for each in nearest(word))
    meant = f"; did you mean {' or '.join(list(near)[:_MOST])}?" if near else ""
    shown = ", ".join(repr(elide(word, 60)) for word in words[:_MOST])
    if len(words) > 1:
        more = f" and {len(words) - _MOST} more" if len(words) > _MOST else ""
        fail(f"{shown}{more}: no codes and no message types{meant}", Exit.INPUT)
    fail(f"{shown} is no code, no message type, no bytes and no file{meant}", Exit.INPUT)


def _show(item: Item, columns: int, all_bytes: bool) -> None:
    colour = colourful(sys.stdout)
    shown = line(item, Clock("none"), columns)
    kind = painted(shown.type.strip(), shown.style, colour)
    emit(joined(kind, f" {'request' if item.is_request else 'response'}  {shown.text}".rstrip()))
    span = item.spans()
    if span is None and item.type == "INCOMPLETE":
        span = frame_spans(item.data, is_request=item.is_request)
    if span is not None:
        for text in tree(span, columns, *((None, None) if all_bytes else ())):
            emit(f"  {text}")
    for text in hexdump(item.data, span, columns, None if all_bytes else 4096):
        emit(text)
