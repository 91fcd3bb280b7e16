"""Every message of the protocol, both directions."""

from __future__ import annotations

from ..declare.declared import REGISTRY as REGISTRY
from . import requests, responses  # they fill the registry
from .base import Header, Message
from .requests import *  # noqa: F403
from .responses import *  # noqa: F403

__all__ = ["Header", "Message"]
__all__ += requests.__all__
__all__ += responses.__all__
