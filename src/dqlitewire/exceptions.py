"""Errors: EncodeError for what a caller gives, DecodeError for bytes received, StreamError for their order.

What an error is about is kept in attributes; `str()` joins them into one line. Everything pickles and copies.
"""

from __future__ import annotations

__all__ = [
    "ConcurrentUseError",
    "ContinuationError",
    "DecodeError",
    "EncodeError",
    "HandshakeError",
    "PoisonedError",
    "ProtocolError",
    "ServerFailure",
    "StreamError",
]


class ProtocolError(Exception):
    """Base of every error this package raises about bytes, messages and streams."""


class EncodeError(ProtocolError):
    """A message or value that cannot be encoded.

    Attributes:
        problem: what is wrong: what was got, then what is allowed; the first item of `args`.
        path: the field, such as "OpenRequest.name", where known.
        limit: the cap that was exceeded, where one was.
    """

    def __init__(self, problem: str = "", *, path: str | None = None, limit: int | None = None) -> None:
        super().__init__(problem)
        self.path = path
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.path}: {self.args[0]}" if self.path else str(self.args[0])


class DecodeError(ProtocolError):
    """Bytes that are not what the protocol allows, or more of them than a cap allows.

    Attributes:
        problem: what is wrong: what was got, then what is allowed; the first item of `args`.
        path: the field, such as "StmtResponse.num_params", where known.
        offset: where it begins, in bytes from the start of the frame (or of the data given), where known.
        limit: the cap that was exceeded, where one was.
    """

    def __init__(
        self,
        problem: str = "",
        *,
        path: str | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(problem)
        self.path = path
        self.offset = offset
        self.limit = limit

    def __str__(self) -> str:
        where = f", at offset {self.offset}" if self.offset is not None else ""
        return f"{self.path}: {self.args[0]}{where}" if self.path else f"{self.args[0]}{where}"


class StreamError(ProtocolError):
    """A frame that the protocol does not allow at its place in the stream.

    Attributes:
        msg: what was got, then what is allowed; the first item of `args`.
        frame_count: frames of the row stream so far.
        total_rows: rows of the row stream so far.
    """

    def __init__(self, msg: str = "", *, frame_count: int = 0, total_rows: int = 0) -> None:
        super().__init__(msg)
        self.frame_count = frame_count
        self.total_rows = total_rows


class PoisonedError(StreamError):
    """Use of a buffer or decoder after an error behind which its stream cannot be read; `reset` mends it."""


class HandshakeError(ProtocolError):
    """An unknown protocol version, or a handshake missing, repeated or out of place."""


class ContinuationError(ProtocolError):
    """A call that needs a row stream when none is open, or none when one is."""


class ConcurrentUseError(ProtocolError):
    """A second thread inside an object that has a single owner; nothing was changed."""


class ServerFailure(ProtocolError):
    """A FAILURE frame in place of the next ROWS frame.

    Attributes:
        code: SQLite's extended code or one of dqlite's own.
        message: the server's text, sanitised.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


def without_trace(error: DecodeError) -> DecodeError:
    """Return an error that will be kept, without its traceback, which would keep the frames of callers."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
