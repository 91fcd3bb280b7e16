"""The dqlite wire protocol: a typed codec without I/O, for every message in both directions."""

from __future__ import annotations

from sys import modules as _loaded

from . import constants, messages
from .buffer import ReadBuffer, WriteBuffer
from .codec import MessageDecoder, MessageEncoder, decode_message, encode_message
from .constants import *  # noqa: F403
from .exceptions import (
    ConcurrentUseError,
    ContinuationError,
    DecodeError,
    EncodeError,
    HandshakeError,
    PoisonedError,
    ProtocolError,
    ServerFailure,
    StreamError,
)
from .later import attributes_of as _attributes_of
from .limits import MAX_ADDRESS_SIZE, MAX_NODE_COUNT, Limits
from .messages.base import Header, Message
from .messages.responses import NodeInfo, sanitize_for_log, sanitize_server_text
from .values import WireValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import tuples, types
    from .truncate import DEFAULT_MAX_RAW_MESSAGE, cap_raw_message
    from .tuples import RowMarker
    from .types import WireInput

__getattr__, __dir__ = _attributes_of(
    __name__,
    {
        "dqlitewire.truncate": ("DEFAULT_MAX_RAW_MESSAGE", "cap_raw_message"),
        "dqlitewire.tuples": ("RowMarker",),
        "dqlitewire.types": ("WireInput",),
    },
)

__version__ = "0.8.100"  # satisfies the pins of the published clients 0.8.0; pip keeps it

__all__ = [
    "DEFAULT_MAX_RAW_MESSAGE",
    "MAX_ADDRESS_SIZE",
    "MAX_NODE_COUNT",
    "ConcurrentUseError",
    "ContinuationError",
    "DecodeError",
    "EncodeError",
    "HandshakeError",
    "Header",
    "Limits",
    "Message",
    "MessageDecoder",
    "MessageEncoder",
    "NodeInfo",
    "PoisonedError",
    "ProtocolError",
    "ReadBuffer",
    "RowMarker",
    "ServerFailure",
    "StreamError",
    "WireInput",
    "WireValue",
    "WriteBuffer",
    "__version__",
    "cap_raw_message",
    "decode_message",
    "encode_message",
    "messages",
    "sanitize_for_log",
    "sanitize_server_text",
    "tuples",
    "types",
]
__all__ += constants.__all__

if "logging" in _loaded:  # else `log` does it with the first record
    from .log import attach_null_handler as _attach_null_handler

    _attach_null_handler()
