"""The options of commands that dial: TLS, the HTTP upgrade, and how long it may take.

A command takes `Dialling` as a group (`options.grouped`) and a TARGET as `TargetArgument`:

    target = target_of(text)
    options = dialling.options(target)       # with the certificate of a store
    deadline = dialling.deadline()           # one for the whole
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dqlitewire.cli.ending import missing
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import LONGEST, finite
from dqlitewire.cli.output import fail
from dqlitewire.dial import AddressError, Deadline, DialOptions, StoreError, Target
from dqlitewire.dial.sockets import server_name
from dqlitewire.dial.upgrade import checked_path
from dqlitewire.text import shown

_TARGET = "HOST:PORT, [IPv6]:PORT, unix:PATH, @NAME (abstract), or a cluster store: FILE.yaml."
TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET)]
TargetsArgument = Annotated[list[str], typer.Argument(metavar="TARGET", help=_TARGET)]
UpgradeOption = Annotated[
    str | None,
    typer.Option("--upgrade", metavar="PATH", help="Switch to dqlite over HTTP: /internal/database."),
]
TIMEOUT = 5.0  # seconds, unless somebody says otherwise


def timeout_option(help: str) -> Any:
    """Return what declares `--timeout`.

    Args:
        help: what must be over by then.
    """
    return typer.Option("--timeout", min=0.05, max=LONGEST, metavar="SECONDS", callback=finite, help=help)


def target_of(text: str) -> Target:
    """Return the TARGET that an argument names.

    Args:
        text: of the argument.

    Raises:
        typer.BadParameter: it is none.
        SystemExit: a store cannot be read; this was said.
    """
    try:
        return Target.parse(text)
    except AddressError as error:
        raise typer.BadParameter(str(error)) from None
    except StoreError as error:
        fail(str(error), Exit.INPUT)
    except ImportError as error:
        missing(error, "cli")


@dataclass(frozen=True)
class Dialling:
    """How nodes are reached. Any option of TLS asks for TLS."""

    cert: Annotated[
        str | None, typer.Option("--cert", metavar="FILE", help="TLS: certificate to show (PEM).")
    ] = None
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="TLS: its key, if it is not in there.")
    ] = None
    ca: Annotated[
        str | None,
        typer.Option("--ca", metavar="FILE", help="TLS: certificates to trust (default: the system's)."),
    ] = None
    server_name: Annotated[
        str | None,
        typer.Option("--server-name", metavar="NAME", help="TLS: name of the server (default: the host)."),
    ] = None
    upgrade: UpgradeOption = None
    timeout: Annotated[float, timeout_option("Time that all may take.")] = TIMEOUT

    def options(self, target: Target) -> DialOptions:
        """Return what to dial the nodes of a target with.

        Args:
            target: what is going to be dialled; of a store the certificate is taken where none is given.

        Raises:
            typer.BadParameter: the options make no sense together.
            SystemExit: a file cannot be used; this was said.
        """
        if self.upgrade is not None:
            try:
                checked_path(self.upgrade)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
        given = DialOptions(self.cert, self.key, self.ca, self.server_name, self.upgrade)
        options = target.options(given)
        if options.tls:
            try:
                for address in target.addresses:
                    server_name(address, options)
                options.tls_context()
            except OSError as error:
                said, name = error.strerror or str(error), error.filename
                fail(said if name is None else f"{name or shown(name)}: {said.lower()}", Exit.INPUT)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
        return options

    def deadline(self) -> Deadline:
        """Return until when all must be over, from now on."""
        return Deadline(self.timeout)
