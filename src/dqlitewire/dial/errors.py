"""What can go wrong between an address and an answer, beyond the system's own errors."""

from __future__ import annotations


class AddressError(ValueError):
    """A text that is no ADDRESS."""


class StoreError(ValueError):
    """A cluster store that cannot be read, or is none."""


class SilentError(TimeoutError):
    """The peer took the connection, and then TLS or the upgrade took too long."""


class ClosedError(ConnectionError):
    """The peer took the connection, and closed it before TLS or the upgrade stood."""


class UpgradeRefusedError(ConnectionError):
    """The HTTP server did not switch to dqlite.

    Args:
        told: what it did, in words.
        is_http: whether it answered as an HTTP server does.

    Attributes:
        is_http: whether it answered as an HTTP server does.
    """

    def __init__(self, told: str, is_http: bool = False) -> None:
        super().__init__(told)
        self.is_http = is_http


class Unexpected(Exception):
    """The peer does what a dqlite node does not.

    Args:
        told: what it does, in words.
        head: the first bytes of an answer that is not dqlite; may be empty.

    Attributes:
        head: the first bytes of an answer that is not dqlite; may be empty.
    """

    def __init__(self, told: str, head: bytes = b"") -> None:
        super().__init__(told)
        self.head = head
