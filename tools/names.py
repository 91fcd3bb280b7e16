"""Names of the pages of messages."""

from __future__ import annotations

from typing import Any

__all__ = ["file_name"]


def file_name(cls: Any) -> str:
    """Return the name of a message's page, without what ends it.

    Args:
        cls: the message's class.
    """
    return f"{'request' if cls.IS_REQUEST else 'response'}-{cls.MSG_TYPE.name.lower().replace('_', '-')}"
