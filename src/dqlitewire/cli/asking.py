"""Errors of a client of a cluster as the end of a command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail
from dqlitewire.client import ClientError, NoDatabaseError, StatementFailed
from dqlitewire.conversation import HazardError


def exit_of(error: ClientError) -> Exit:
    """Return how a command ends that met an error: whether the cluster answered and failed, or did not."""
    return Exit.FAILED if isinstance(error, StatementFailed | NoDatabaseError) else Exit.INPUT


@contextmanager
def failures_told() -> Generator[None]:
    """End the command at what a client raises.

    Raises:
        SystemExit: it raised; this was said.
    """
    try:
        yield
    except HazardError as error:
        fail(f"refused: {error}", Exit.REFUSED)
    except ClientError as error:
        fail(str(error), exit_of(error))
