"""Cut the bytes of a connection between nodes into messages, and decode one.

A connection carries a handshake and CONNECT, which are the clients' protocol, and behind them messages of the
node that dialled, back to back; the other node never writes on it. `frame_size` is the arithmetic that cuts,
`RaftReader` the buffer that applies it to bytes as they come, `decode_message` reads one message, and
`explain_message` shows its bytes. A message whose header fits its type can be passed over whether its payload
can be read or not; what follows a header that does not fit is lost, since nothing else marks a beginning.
"""

from __future__ import annotations

from dqlitewire.checks import checked_number, checked_text_errors, whole_bytes
from dqlitewire.exceptions import DecodeError, PoisonedError, without_trace
from dqlitewire.limits import DEFAULT_OPTIONS, Limits, Options
from dqlitewire.parts import Parts, Span
from dqlitewire.raft.entries import ENTRY_HEAD
from dqlitewire.raft.kinds import PartCursor
from dqlitewire.raft.messages import MESSAGES, PREAMBLE, AppendEntries, InstallSnapshot, RaftMessage, RaftType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_HEADER_SIZE",
    "MAX_PAYLOAD_SIZE",
    "RaftReader",
    "decode_message",
    "explain_message",
    "frame_size",
    "raft_type_name",
]

# what 1.18.7 accepts (dqlite src/raft/uv_recv.c); other servers have no bounds
MAX_HEADER_SIZE = 4 << 20
MAX_PAYLOAD_SIZE = 500 << 20

_NO_CAP = 1 << 64
_CONFIGURATION_AT = PREAMBLE.size + 32  # of InstallSnapshot: the size of the configuration


def raft_type_name(code: int) -> str:
    """Return the name of a message's type, `type N` for an unknown one.

    Args:
        code: byte 0 of the type word.
    """
    found = MESSAGES.get(code)
    return found.TYPE.name if found else f"type {code}"


def frame_size(
    data: bytes | bytearray | memoryview,
    at: int = 0,
    *,
    max_header_size: int | None = MAX_HEADER_SIZE,
    max_payload_size: int | None = MAX_PAYLOAD_SIZE,
) -> int | None:
    """Return the bytes of the message that begins at a position.

    Args:
        data: bytes of the connection.
        at: where a message begins.
        max_header_size: bytes of its header at most; None for any number.
        max_payload_size: bytes of its payload at most; None for any number.

    Returns:
        Bytes of preamble, header and payload; None while that cannot be told yet.

    Raises:
        DecodeError: no message begins so; its `offset` counts from `at`.
    """
    head = bytes(data[at : at + PREAMBLE.size])
    if len(head) < PREAMBLE.size:
        return None
    code, _, size = PREAMBLE.unpack(head)
    if head[1] or any(head[3:8]) or code not in MESSAGES:
        raise DecodeError(f"got type word {head[:8].hex()}, no message between nodes has it", offset=0)
    name = MESSAGES[code].__name__
    limit = _NO_CAP if max_header_size is None else max_header_size
    if size > limit:
        raise DecodeError(f"got a header of {size} bytes, at most {limit}", path=name, offset=8, limit=limit)
    _check_header_size(MESSAGES[code], size)
    end = at + PREAMBLE.size + size
    if len(data) < end and code in (RaftType.APPEND_ENTRIES, RaftType.INSTALL_SNAPSHOT):
        return None
    payload = _PAYLOADS[code](data, at, size) if code in _PAYLOADS else 0
    limit = _NO_CAP if max_payload_size is None else max_payload_size
    if payload > limit:
        raise DecodeError(
            f"got a payload of {payload} bytes, at most {limit}", path=name, offset=8, limit=limit
        )
    whole: int = PREAMBLE.size + size + payload
    return whole


def _check_header_size(cls: type[RaftMessage], size: int) -> None:
    sizes = cls.HEADER_SIZES
    if cls in (AppendEntries, InstallSnapshot):
        fits = size >= sizes[0] and not (size - sizes[0]) % (ENTRY_HEAD.size if cls is AppendEntries else 8)
        allowed = f"at least {sizes[0]}"
    else:
        fits, allowed = size in sizes, " or ".join(map(str, sizes))
    if not fits:
        raise DecodeError(f"got a header of {size} bytes, {allowed} allowed", path=cls.__name__, offset=8)


def _word(data: bytes | bytearray | memoryview, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _entries_payload(data: bytes | bytearray | memoryview, at: int, size: int) -> int:
    start = at + PREAMBLE.size + 32
    count = _word(data, start)
    if size != AppendEntries.HEADER_SIZES[0] + ENTRY_HEAD.size * count:
        problem = f"got {count} entries in a header of {size} bytes"
        raise DecodeError(problem, path="AppendEntries.entries", offset=PREAMBLE.size + 32)
    heads = bytes(data[start + 8 : start + 8 + ENTRY_HEAD.size * count])
    return sum(length for _, _, _, length in ENTRY_HEAD.iter_unpack(heads))


def _snapshot_payload(data: bytes | bytearray | memoryview, at: int, size: int) -> int:
    configuration = _word(data, at + _CONFIGURATION_AT)
    if configuration % 8 or size not in (n + configuration for n in InstallSnapshot.HEADER_SIZES):
        problem = f"got a configuration of {configuration} bytes in a header of {size}"
        raise DecodeError(problem, path="InstallSnapshot.configuration", offset=_CONFIGURATION_AT)
    return _word(data, at + _CONFIGURATION_AT + 8 + configuration)


_PAYLOADS = {RaftType.APPEND_ENTRIES: _entries_payload, RaftType.INSTALL_SNAPSHOT: _snapshot_payload}


# ---- one message


def decode_message(
    data: bytes | bytearray | memoryview, *, text_errors: str = "strict", limits: Limits | None = None
) -> RaftMessage:
    """Decode one message.

    Args:
        data: preamble, header and payload.
        text_errors: what to do with names that are not UTF-8, a codec error handler's name. What was decoded
            with another than "strict" may encode to other bytes.
        limits: caps of names and addresses; by default the usual ones.

    Returns:
        The message, one of `MESSAGES`.

    Raises:
        DecodeError: it is no message, or not exactly one.
        TypeError: `data` is not bytes.
    """
    whole = whole_bytes(data)
    return _read(whole, Options(limits, text_errors=checked_text_errors(text_errors)), None)


def _read(data: bytes, options: Options, parts: Parts | None) -> RaftMessage:
    size = frame_size(data, max_header_size=None, max_payload_size=None)
    if size is None:
        raise DecodeError(f"got {len(data)} bytes, more are needed", offset=len(data))
    code, version, header_size = PREAMBLE.unpack_from(data)
    cls = MESSAGES[code]
    if size > len(data):
        raise DecodeError(f"got {len(data)} bytes of a message of {size}", path=cls.__name__, offset=0)
    cursor = PartCursor(data, PREAMBLE.size, size, options, cls.__name__, version, parts)
    cursor.header_end = PREAMBLE.size + header_size
    message = cls._read(cursor)
    cursor.finish()
    if size < len(data):
        problem = f"got {len(data) - size} bytes behind the message"
        raise DecodeError(problem, path=cls.__name__, offset=size)
    return message


def explain_message(data: bytes, *, limits: Limits | None = None) -> Span:
    """Return a message's parts as a tree of byte ranges; bytes that are wrong are part of it, never an error.

    Args:
        data: preamble, header and payload, perhaps cut short or with bytes behind.
        limits: caps; by default the usual ones.

    Returns:
        The root, named by the message type. What could not be read is a child named "undecoded", and the
        root's `error` says why.

    Raises:
        TypeError: `data` is not bytes.
    """
    whole = whole_bytes(data)
    parts = Parts(whole, DEFAULT_OPTIONS, 0)
    error: DecodeError | None = None
    if len(whole) >= PREAMBLE.size:
        parts.note("type", 0, 1, "number")
        parts.note("unused", 1, 2, "bytes")
        parts.note("version", 2, 3, "number")
        parts.note("unused", 3, 8, "bytes")
        parts.note("header_size", 8, 16, "number")
    try:
        _read(whole, Options(limits, "backslashreplace"), parts)
    except DecodeError as found:
        error = without_trace(found)
    if parts.end < len(whole):
        parts.note("undecoded", parts.end, len(whole), "bytes")
    name = raft_type_name(whole[0]) if whole else "message"
    return Span(name, 0, len(whole), children=parts, error=error)


# ---- a stream of them


class RaftReader:
    """The messages of one connection, as bytes of them come.

    Args:
        max_header_size: bytes of a header at most; None for any number.
        max_payload_size: bytes of a payload at most; None for any number.

    Attributes:
        offset: bytes of the messages that were taken: where the next one begins.

    Raises:
        ValueError: a cap below 1.
        TypeError: a cap that is neither an integer nor None.
    """

    def __init__(
        self,
        *,
        max_header_size: int | None = MAX_HEADER_SIZE,
        max_payload_size: int | None = MAX_PAYLOAD_SIZE,
    ) -> None:
        for name, cap in (("max_header_size", max_header_size), ("max_payload_size", max_payload_size)):
            if cap is not None:
                checked_number(name, cap, 1, None, "an integer or None")
        self._max_header_size = max_header_size
        self._max_payload_size = max_payload_size
        self._data = bytearray()
        self._size: int | None = None  # of the message at the front, once it is known
        self._broken: DecodeError | None = None
        self.offset: int = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes of the connection, those behind CONNECT.

        Args:
            data: as they came, in any pieces.
        """
        self._data += data

    def available(self) -> int:
        """Return how many bytes wait to be taken."""
        return len(self._data)

    def next_frame(self) -> bytes | None:
        """Take the bytes of the next message; None while it is not whole.

        Raises:
            DecodeError: no message begins there.
            PoisonedError: that was so before.
        """
        if self._broken is not None:
            raise PoisonedError(f"an earlier error: {self._broken}") from self._broken
        if self._size is None:
            try:
                self._size = frame_size(
                    self._data,
                    max_header_size=self._max_header_size,
                    max_payload_size=self._max_payload_size,
                )
            except DecodeError as error:
                error.offset = (error.offset or 0) + self.offset
                self._broken = without_trace(error)
                raise
        if self._size is None or len(self._data) < self._size:
            return None
        with memoryview(self._data) as view:
            frame = bytes(view[: self._size])
        del self._data[: self._size]
        self.offset += self._size
        self._size = None
        return frame

    def frames(self) -> Iterator[bytes]:
        """Take the bytes of every message that is whole; raises as `next_frame` does."""
        while (frame := self.next_frame()) is not None:
            yield frame
