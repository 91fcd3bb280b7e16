"""Every message of the protocol, both directions."""

from __future__ import annotations

from .base import Header, Message
from .requests import *  # noqa: F403
from .requests import __all__ as _requests
from .responses import *  # noqa: F403
from .responses import __all__ as _responses

__all__ = ["Header", "Message", *_requests, *_responses]
