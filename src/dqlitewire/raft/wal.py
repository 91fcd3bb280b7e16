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
from typing import NamedTuple

from dqlitewire.exceptions import DecodeError

__all__ = ["WalPages", "committed_pages", "fold_wal"]

_HEADER = Struct(">8I")
_FRAME = Struct(">6I")
_MAGIC, _BIG_ENDIAN = 0x377F0682, 1  # the lowest bit tells the byte order of the words in checksums
_MASK = 0xFFFFFFFF


class WalPages(NamedTuple):
    """What a WAL commits.

    Attributes:
        page_size: bytes of a page.
        size: pages of the database behind the last commit.
        places: where in the WAL the newest content of a page stands, by the page's number (from 1).
    """

    page_size: int
    size: int
    places: dict[int, int]


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
    found = committed_pages(wal)
    if found is None:
        return main
    page_size, size, places = found
    folded = bytearray(main[: size * page_size]).ljust(size * page_size, b"\0")
    for number, at in places.items():
        folded[(number - 1) * page_size : number * page_size] = wal[at : at + page_size]
    return bytes(folded)


def committed_pages(wal: bytes) -> WalPages | None:
    """Find the pages that a WAL commits, without copying them.

    Args:
        wal: the WAL; empty if there is none.

    Returns:
        The pages; None if the WAL commits nothing.

    Raises:
        DecodeError: the WAL has no header of one.
    """
    if not wal:
        return None
    if len(wal) < _HEADER.size:
        raise DecodeError(f"got a WAL of {len(wal)} bytes, its header has {_HEADER.size}", offset=0)
    magic, _, page_size, _, *rest = _HEADER.unpack_from(wal)
    if magic & ~_BIG_ENDIAN != _MAGIC or page_size & (page_size - 1) or not 512 <= page_size <= 65536:
        raise DecodeError(f"got {wal[:12].hex()}, no WAL begins so", offset=0)
    order = "big" if magic & _BIG_ENDIAN else "little"
    salts, running = tuple(rest[:2]), _checksum(wal[:24], (0, 0), order)
    if running != tuple(rest[2:]):
        return None  # SQLite takes it for an empty one
    pages: dict[int, int] = {}  # where each page stands that was written since the last commit
    committed: dict[int, int] = {}
    size = 0
    for at in range(_HEADER.size, len(wal) - page_size - _FRAME.size + 1, _FRAME.size + page_size):
        number, commit, *tail = _FRAME.unpack_from(wal, at)
        if not number or tuple(tail[:2]) != salts:
            break
        running = _checksum(wal[at : at + 8], running, order)
        running = _checksum(wal[at + _FRAME.size : at + _FRAME.size + page_size], running, order)
        if tuple(tail[2:]) != running:
            break
        pages[number] = at + _FRAME.size
        if commit:
            committed |= pages
            pages.clear()
            size = commit
    if not size:
        return None
    return WalPages(page_size, size, {number: at for number, at in committed.items() if number <= size})


def _checksum(data: bytes, before: tuple[int, ...], order: str) -> tuple[int, int]:
    words = array("I", data)
    if order != byteorder:
        words.byteswap()
    first, second = before
    each = iter(words)
    for one, other in zip(each, each, strict=True):
        first = first + one + second & _MASK
        second = second + other + first & _MASK
    return first, second
