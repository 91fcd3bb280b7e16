"""Messages to bytes and bytes to messages, one at a time.

The public functions and the encoder are here, where neither keeps state. What finds the reader of a frame is
in `dispatch`, what follows a stream of frames in `decoder`.
"""

from __future__ import annotations

from .checks import check_version
from .constants import DEFAULT_MAX_CONTINUATION_FRAMES, DEFAULT_MAX_TOTAL_ROWS, PROTOCOL_VERSION
from .decoder import MessageDecoder
from .dispatch import (
    REQUEST_READERS,
    REQUEST_TYPES,
    RESPONSE_READERS,
    RESPONSE_TYPES,
    decode_options,
    read_frame,
    readers_for,
    words_and_key,
)
from .exceptions import EncodeError
from .limits import DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MAX_ROWS, DEFAULT_OPTIONS, Limits, Options
from .messages.base import Message
from .text import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = [
    "REQUEST_TYPES",
    "RESPONSE_TYPES",
    "MessageDecoder",
    "MessageEncoder",
    "decode_message",
    "encode_message",
]

_STRICT, _REJECT = "strict", "reject"  # as in the signatures, where equal literals are one object


def encode_message(
    message: Message,
    *,
    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
    limits: Limits | None = None,
) -> bytes:
    """Encode one message, header included.

    Args:
        message: any message, of the protocol or of a class of your own.
        max_message_size: bytes of the frame at the most; None for any size.
        limits: the other caps.

    Returns:
        The frame.

    Raises:
        EncodeError: a field that cannot be encoded, or a frame above the cap.
    """
    if max_message_size is DEFAULT_MAX_MESSAGE_SIZE and limits is None:
        options = DEFAULT_OPTIONS
    else:
        options = Options(limits, max_message_size=max_message_size)
    return encoded(message, options)


def encoded(message: Message, options: Options) -> bytes:
    try:
        data = message._frame(options)
        size = len(data)
    except (AttributeError, TypeError):
        if not issubclass(type(message), Message):
            raise TypeError(f"got {kind_of(message)}, a message is needed") from None
        raise
    if size > options.max_message_size:
        raise _too_large(data, options)
    return data


def _too_large(data: bytes, options: Options) -> EncodeError:
    limit = options.max_message_size
    return EncodeError(
        f"got a frame of {len(data)} bytes, at most {limit}", path="Header.size_words", limit=limit
    )


def decode_message(
    data: bytes | bytearray | memoryview,
    is_request: bool = False,
    version: int = PROTOCOL_VERSION,
    unknown_role_policy: str = "reject",
    max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
    max_rows: int | None = DEFAULT_MAX_ROWS,
    max_continuation_frames: int | None = DEFAULT_MAX_CONTINUATION_FRAMES,
    max_total_rows: int | None = DEFAULT_MAX_TOTAL_ROWS,
    text_errors: str = "strict",
    *,
    limits: Limits | None = None,
) -> Message:
    """Decode exactly one frame, header included.

    Args:
        data: the frame, header included.
        is_request: whether it goes from client to server; the type codes of the two directions overlap.
        version: of the handshake; the legacy one changes the answer to LEADER.
        unknown_role_policy: what to do with an unknown role in SERVERS: "reject" it, or read it as spare and
            "warn", or "accept" it.
        max_message_size: bytes of the frame at the most; None for any size.
        max_rows: rows at the most; None for any number.
        max_continuation_frames: as for `MessageDecoder`; one frame is always allowed.
        max_total_rows: as for `MessageDecoder`; one frame is held to `max_rows`.
        text_errors: what to do with text that is not UTF-8: the name of a codec error handler.
        limits: the other caps.

    Returns:
        The message, of the class that is registered for the type.

    Raises:
        DecodeError: the bytes are not one frame the protocol allows, or exceed a cap.
    """
    if (
        limits is None
        and max_rows is DEFAULT_MAX_ROWS
        and max_message_size is DEFAULT_MAX_MESSAGE_SIZE
        and max_total_rows is DEFAULT_MAX_TOTAL_ROWS
        and max_continuation_frames is DEFAULT_MAX_CONTINUATION_FRAMES
        and text_errors is _STRICT
        and unknown_role_policy is _REJECT
    ):
        options = DEFAULT_OPTIONS
    else:
        options = decode_options(
            limits,
            unknown_role_policy,
            text_errors,
            max_message_size=max_message_size,
            max_rows=max_rows,
            max_continuation_frames=max_continuation_frames,
            max_total_rows=max_total_rows,
        )
    readers = REQUEST_READERS if is_request else RESPONSE_READERS
    if version is not PROTOCOL_VERSION:
        check_version(version)
        readers = readers_for(is_request, version)
    if type(data) is bytes:  # what `read_frame` does, without the call
        size = len(data)
        if 8 <= size <= options.max_message_size:
            words, key = words_and_key(data)
            if size == 8 + 8 * words:  # header.frame_size
                return readers[key](data, size, options)  # type: ignore[no-any-return]
    return read_frame(data, readers, options)  # type: ignore[no-any-return]


class MessageEncoder:
    """Encode messages one after the other; holds no state.

    Args:
        version: of the handshake, 1 or the legacy one.
        max_message_size: bytes of one frame at the most; None for any size.
        limits: the other caps.

    Raises:
        HandshakeError: an unknown version.
        ValueError: a cap out of range.
    """

    __slots__ = ("_options", "_version")

    def __init__(
        self,
        version: int = PROTOCOL_VERSION,
        max_message_size: int | None = DEFAULT_MAX_MESSAGE_SIZE,
        *,
        limits: Limits | None = None,
    ) -> None:
        check_version(version)
        self._version = version
        self._options = Options(limits, max_message_size=max_message_size)

    def __reduce__(self) -> NoReturn:
        raise TypeError("MessageEncoder cannot be pickled")

    def encode(self, message: Message) -> bytes:
        """Encode a message, header included.

        Args:
            message: any message, of the protocol or of a class of your own.

        Raises:
            EncodeError: a field that cannot be encoded, or a frame above the cap.
        """
        return encoded(message, self._options)

    def encode_handshake(self) -> bytes:
        """Encode the handshake: the version in one word, which a client sends first and no server answers."""
        return self._version.to_bytes(8, "little")
