"""Every message of the protocol, both directions.

`REQUESTS` and `RESPONSES` are the two tables by type code, the codes ascending. `REGISTRY` has both under the
keys `(is a request, type code)`, and whatever a user of this package declares later as well.
"""

from __future__ import annotations

from ..declare.declared import REGISTRY as REGISTRY
from . import requests, responses  # they fill the registry
from .base import Header, Message, Request, Response
from .requests import *  # noqa: F403
from .responses import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Header", "Message", "Request", "Response"]
__all__ += requests.__all__
__all__ += responses.__all__


def _by_code(is_request: bool) -> dict[int, Any]:
    return {int(code): cls for (asks, code), cls in sorted(REGISTRY.items()) if asks is is_request}


REQUESTS: dict[int, type[Request]] = _by_code(True)
RESPONSES: dict[int, type[Response]] = _by_code(False)
