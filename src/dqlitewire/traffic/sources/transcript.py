"""The transcript format `.dqt`: recorded traffic as JSON lines, one frame a line.

Here is what writer and reader share. docs/reference/transcript.md specifies the format:

    {"dqt":1,"by":"dqlite-wire","redacted":false}
    {"time":1.5,"connection":1,"event":"open","client":"10.0.0.1:40001","server":..}
    {"time":1.5,"connection":1,"direction":"request","type":"LEADER",..,"bytes":"AQAAAAAAAAAA.."}
    {"time":2.0,"connection":1,"event":"gap","direction":"response","lost":1448}
    {"time":2.5,"connection":1,"event":"end","direction":"response"}

A transcript is append-only. Each line stands alone, so a writer that was killed loses at most the line it was
writing, and a reader skips what is no line. The bytes of a direction, joined in order, are the stream as it
was on the wire, garbage included; decoded fields stand beside them for people and for grep, and are never
read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dqlitewire.conversation import Side
from dqlitewire.text import printable_json
from dqlitewire.traffic.errors import SourceError

if TYPE_CHECKING:
    from base64 import b64decode, b64encode
else:
    try:  # comes with the extra "cli", and takes a tenth of the time: base64 is most of what recording costs
        from pybase64 import b64decode, b64encode
    except ImportError:
        from base64 import b64decode, b64encode

__all__ = [
    "DIRECTION_OF",
    "MAGIC",
    "MAX_HEADER",
    "MAX_LINE",
    "MAX_VALUES",
    "SIDE_OF",
    "VERSION",
    "b64decode",
    "b64encode",
    "check_header",
    "check_version",
    "is_readable",
    "is_transcript",
    "json_line",
    "seconds",
]

VERSION = 1
MAGIC = b'{"dqt":'
SIDE_OF = {"request": Side.CLIENT, "response": Side.SERVER}
DIRECTION_OF = {side: name for name, side in SIDE_OF.items()}

MAX_LINE = 128 << 20  # bytes: enough for the largest frame in base64
MAX_VALUES = 1 << 20  # of a line, roughly: each takes some hundred bytes while the line is read
MAX_HEADER = 1 << 16


def seconds(time: int) -> str:
    """A time in nanoseconds as a decimal number of seconds, exact."""
    whole, rest = divmod(time, 1_000_000_000)
    return f"{whole}.{rest // 1000:06d}" if rest % 1000 == 0 else f"{whole}.{rest:09d}"


def json_line(time: int | None, fields: Mapping[str, Any], last: int | None = None) -> str:
    """One JSON object on a line, beginning with its time, and with when it was over if that is another."""
    shown = "null" if time is None else seconds(time)
    if time is not None and last is not None and last != time:
        shown += f',"last":{seconds(last)}'
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return f'{{"time":{shown},' + printable_json(text[1:])


def is_readable(line: bytes) -> bool:
    """Whether reading a line takes no more memory than is stated."""
    return len(line) <= MAX_LINE and (
        len(line) <= MAX_VALUES or sum(line.count(mark) for mark in b",[{") <= MAX_VALUES
    )


def check_header(line: bytes) -> None:
    """Check the first line of a transcript.

    Raises:
        SourceError: it is none, or of a newer version.
    """
    try:
        if len(line) > MAX_HEADER:
            raise ValueError("a long line")
        version = json.loads(line)["dqt"]
        if type(version) is not int:
            raise ValueError("no version")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise SourceError("a file that is no transcript", 'its first line has no "dqt"') from None
    check_version(version)


def check_version(version: int) -> None:
    """Check the version that a header names.

    Raises:
        SourceError: this program does not read it.
    """
    if version != VERSION:
        raise SourceError(
            f"a transcript of version {version}", f"this program reads version {VERSION}: update it"
        )


def is_transcript(head: bytes) -> bool:
    """Say whether an input that begins so is a transcript."""
    return head.lstrip().startswith(MAGIC) or (head.startswith(b"{") and b'"dqt"' in head.partition(b"\n")[0])
