"""The rule of commands that listen: beyond this machine only with `--allow-remote`, and then it is said."""

from __future__ import annotations

from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail, warn
from dqlitewire.dial import Address
from dqlitewire.dial.listening import RemoteListenError, check_local

AllowRemoteOption = Annotated[bool, typer.Option("--allow-remote", help="Listen beyond this machine too.")]


def check_remote(address: Address, allowed: bool, told: str) -> None:
    """End the command if other machines could reach it and that is not allowed; warn if it is.

    A host that is not found is left to whoever listens there, and fails.

    Args:
        address: where it is going to listen.
        allowed: whether `--allow-remote` was given.
        told: what that means, for the warning.

    Raises:
        SystemExit: it is not allowed; this was said.
    """
    try:
        check_local(address)
    except RemoteListenError as error:
        if not allowed:
            fail(f"{error}: --allow-remote allows it", Exit.REFUSED)
        warn(f"{error}; {told}")
    except OSError:
        pass
