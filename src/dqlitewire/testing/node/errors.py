"""How a node does not answer: the exceptions between the layers of one simulated node."""

from __future__ import annotations

__all__ = ["BadValue", "Deaf", "SqlFailure", "Undecodable"]


class SqlFailure(Exception):
    """The code and text of a FAILURE.

    Attributes:
        before_rows: Nothing of an answer was begun when it happened.
    """

    before_rows = False

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class Undecodable(Exception):
    """The fixed part of a body does not decode: a node closes the connection without a word."""


class BadValue(Exception):
    """A parameter does not decode."""


class Deaf(Exception):
    """Nothing is answered any more, though the connection stays open."""
