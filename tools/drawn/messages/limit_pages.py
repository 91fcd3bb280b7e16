"""Draw the page of limits: every cap, and where it is met, which is found by lowering it."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from dqlitewire import PROTOCOL_VERSION, DecodeError, EncodeError, MessageDecoder, MessageEncoder
from dqlitewire.limits import DEFAULT_LIMITS, Limits
from dqlitewire.messages import REGISTRY
from dqlitewire.raft import MAX_HEADER_SIZE, MAX_PAYLOAD_SIZE
from tests.wire_data import VECTORS, VECTORS_BY_NAME, Vector
from tools.drawn.messages.pages import file_name
from tools.drawn.text import table

__all__ = ["PARTS", "Met", "met"]

LEAST = {"max_message_size": 8}  # of the others 1
PAIR = "rows, part"  # a frame that announces more
SHOWN = 4  # messages that are named


class Met:
    """Where a cap is met.

    Attributes:
        messages: links to the messages.
        read: what the error of a reader says first, "" if none has it.
        written: the same of a writer.
    """

    def __init__(self) -> None:
        self.messages: dict[str, None] = {}
        self.read = self.written = ""

    def add(self, cls: Any) -> None:
        """Name a message, once."""
        self.messages[f"[{cls.MSG_TYPE.name}](messages/{file_name(cls)}.md)"] = None


def _read(vector: Vector, limits: Limits) -> DecodeError | None:
    decoder = MessageDecoder(is_request=vector.is_request, limits=limits)
    try:
        if vector.is_request:
            decoder.feed(PROTOCOL_VERSION.to_bytes(8, "little"))
            decoder.decode_handshake()
        decoder.feed(vector.data)
        decoder.decode()
        if vector.name == PAIR:
            decoder.feed(VECTORS_BY_NAME[PAIR].data)
            decoder.decode_continuation()
    except DecodeError as error:
        return error
    except Exception:  # what a context would have to be given for, or is none of the decoder's
        return None
    return None


def _written(vector: Vector, limits: Limits) -> EncodeError | None:
    try:
        MessageEncoder(limits=limits).encode(vector.expected())
    except EncodeError as error:
        return error
    except Exception:  # some fields of a vector are what no constructor takes
        return None
    return None


@functools.cache
def met(name: str) -> Met:
    """Return where a cap is met, tried with every vector.

    Args:
        name: of the cap.
    """
    least = LEAST.get(name, 1)
    limits, found = Limits(**{name: least}), Met()
    for cls in REGISTRY.values():
        if any(field.cap == name for field in cls.FIELDS):
            found.add(cls)
    for vector in VECTORS:
        read = _read(vector, limits)
        written = _written(vector, limits)
        if read is not None and read.limit == least:
            found.read = found.read or str(read)
        if written is not None and written.limit == least:
            found.written = found.written or str(written)
        if any(error is not None and error.limit == least for error in (read, written)):
            found.add(vector.message_class)
    return found


def _lines() -> Iterator[tuple[str, ...]]:
    said = dict(re.findall(r"^    (\w+): (.*)$", inspect.getdoc(Limits) or "", re.MULTILINE))
    ways = {(True, True): "", (True, False): ", when read", (False, True): ", when written"}
    for name in Limits.__slots__:
        found = met(name)
        messages = list(found.messages)
        listed = "every message" if len(messages) > 2 * SHOWN else ", ".join(messages)
        way = ways[bool(found.read), bool(found.written)]
        default = getattr(DEFAULT_LIMITS, name)
        yield f"`{name}`", f"{default:,}", said[name].rstrip("."), f"{listed}{way}"


def _caps() -> str:
    return table(("cap", "default", "bounds", "in"), _lines())


def _errors() -> str:
    lines = ((f"`{name}`", f"`{met(name).read or met(name).written}`") for name in Limits.__slots__)
    return table(("cap", "the error"), lines)


def _raft_caps() -> str:
    lines = [
        ("header", f"{MAX_HEADER_SIZE:,}", "`MAX_HEADER_SIZE`"),
        ("payload: entries, a snapshot", f"{MAX_PAYLOAD_SIZE:,}", "`MAX_PAYLOAD_SIZE`"),
    ]
    return table(("part", "bytes", "in `dqlitewire.raft`"), lines)


PARTS: dict[str, Callable[[], str]] = {"caps": _caps, "cap errors": _errors, "raft caps": _raft_caps}
