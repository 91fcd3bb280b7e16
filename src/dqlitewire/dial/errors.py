"""What can go wrong between an address and an answer, beyond the system's own errors."""

from __future__ import annotations


class AddressError(ValueError):
    """A text that is no ADDRESS."""


class StoreError(ValueError):
    """A cluster store that cannot be read, or is none."""


class UpgradeRefusedError(ConnectionError):
    """The HTTP server did not switch to dqlite."""


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
