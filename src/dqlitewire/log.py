"""The package's logger, without importing `logging` before there is something to log."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logging import Logger

__all__ = ["attach_null_handler", "logger"]


def logger(name: str) -> Logger:
    """Return a logger by name; without a handler of the user's, what it logs goes to a NullHandler."""
    import logging

    attach_null_handler()
    return logging.getLogger(name)


def attach_null_handler() -> None:
    """Attach the package's NullHandler, once, if `logging` is loaded."""
    logging = sys.modules.get("logging")
    root = getattr(logging, "getLogger", None)
    if root is not None and not root("dqlitewire").handlers:
        root("dqlitewire").addHandler(logging.NullHandler())  # type: ignore[union-attr]
