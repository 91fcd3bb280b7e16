"""Fold a WAL into its database, as SQLite does at a checkpoint (sqlite.org/fileformat2.html, section 4).

    header   32 bytes | magic, version, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
    frame    24 bytes | page number, database size behind a commit (else 0), salts, checksums
             a page

A frame counts if its salts are the header's and the checksums, which run on from frame to frame, are right;
the first that does not ends the log. Of these, frames behind the last commit do not count. What a node sends
in a snapshot holds frames of an older round behind the valid ones, so this is more than a formality.
"""

from __future__ import annotations

from array import array
from struct import Struct
from sys import byteorder

from dqlitewire.exceptions import DecodeError

__all__ = ["fold_wal"]

_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_MAGIC, _BIG_ENDIAN = 0x377F0682, 1  # the lowest bit tells the byte order of the words in checksums
_MASK = 0xFFFFFFFF


def fold_wal(main: bytes, wal: bytes) -> bytes:
    """Return a database with what its WAL commits.

    Args:
        main: the database file; empty if all of it is in the WAL.
        wal: the WAL; empty if there is none.

    Returns:
        The database file: whole pages.

    Raises:
        DecodeError: the WAL has no header of one.
    """
    if not wal:
        return main
    if len(wal) < _HEADER.size:
        raise DecodeError(f"got a WAL of {len(wal)} bytes, its header has {_HEADER.size}", offset=0)
    magic, _, page_size, _, *rest = _HEADER.unpack_from(wal)
    if magic & ~_BIG_ENDIAN != _MAGIC or page_size & (page_size - 1) or not 512 <= page_size <= 65536:
        raise DecodeError(f"got {wal[:12].hex()}, no WAL begins so", offset=0)
    order = "big" if magic & _BIG_ENDIAN else "little"
    salts, running = tuple(rest[:2]), _checksum(wal[:24], (0, 0), order)
    if running != tuple(rest[2:]):
        return main  # SQLite takes it for an empty one
    pages: dict[int, int] = {}  # where each page stands that was written since the last commit
    committed: dict[int, int] = {}
    size = 0
    for at in range(_HEADER.size, len(wal) - page_size - _FRAME.size + 1, _FRAME.size + page_size):
        number, commit, *tail = _FRAME.unpack_from(wal, at)
        running = _checksum(wal[at : at + 8], running, order)
        running = _checksum(wal[at + _FRAME.size : at + _FRAME.size + page_size], running, order)
        if not number or tuple(tail[:2]) != salts or tuple(tail[2:]) != running:
            break
        pages[number] = at + _FRAME.size
        if commit:
            committed |= pages
            pages.clear()
            size = commit
    if not size:
        return main
    folded = bytearray(main[: size * page_size]).ljust(size * page_size, b"\0")
    for number, at in committed.items():
        if number <= size:
            folded[(number - 1) * page_size : number * page_size] = wal[at : at + page_size]
    return bytes(folded)


def _checksum(data: bytes, before: tuple[int, ...], order: str) -> tuple[int, int]:
    words = array("I", data)
    if order != byteorder:
        words.byteswap()
    first, second = before
    for i in range(0, len(words), 2):
        first = first + words[i] + second & _MASK
        second = second + words[i + 1] + first & _MASK
    return first, second
