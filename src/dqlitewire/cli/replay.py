"""`dqlite-wire replay`: recorded traffic again, as the node towards clients, or as the clients to a node."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from dqlitewire.cli.dialling import Dialling, target_of, timeout_option
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import colourful, emit, fail, painted, tell, warn, width
from dqlitewire.cli.remote import AllowRemoteOption, check_remote
from dqlitewire.dial import Address, AddressError
from dqlitewire.dial.listening import listen, parse_local
from dqlitewire.text import printable
from dqlitewire.traffic.shorten import counted, elide

if TYPE_CHECKING:
    from dqlitewire.conversation import Generation
    from dqlitewire.dial import Deadline, DialOptions, Target
    from dqlitewire.replay.recording import Recording
    from dqlitewire.replay.serving import ReplayService

EXITS = (Exit.OK, Exit.DAMAGED, Exit.INPUT, Exit.REFUSED)
TIMEOUT = 60.0  # seconds, unless somebody says otherwise
LOOK = 5.0  # seconds that a node has to say what it is
NAMED = 5  # refused requests that are named
_STYLES = {"-": "failure", "+": "response"}


@dataclass(frozen=True)
class ReplayDialling(Dialling):
    """How the node is reached; a recording takes longer than a question."""

    timeout: Annotated[float, timeout_option("With --to: time that all may take.")] = TIMEOUT


def command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Transcripts (.dqt); several follow each other."),
    ],
    *,
    serve: Annotated[
        str | None,
        typer.Option(metavar="LOCAL", help="Listen here and be the node: HOST:PORT, unix:PATH or @NAME."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="TARGET", help="Send the requests to this node, and compare its answers."),
    ] = None,
    match: Annotated[
        bool, typer.Option("--match", help="With --serve: answer any recorded request, in any order.")
    ] = False,
    allow_remote: AllowRemoteOption = False,
    timing: Annotated[bool, typer.Option("--timing", help="With --to: send at the recorded times.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="With --to: send requests that change something, too.")
    ] = False,
    dialling: ReplayDialling,
) -> Exit:
    """Play recorded traffic again: as the node (--serve), or as the clients (--to).

    With --serve, the first client that connects gets the first recorded connection, and so on; whoever asks
    for what was not recorded is shown the difference and cut off. With --to, the answers of a node are
    compared with the recorded ones.

    Example: replay traffic.dqt --to 127.0.0.1:9002
    """
    if (serve is None) == (to is None):
        fail("either --serve LOCAL or --to TARGET is needed", Exit.USAGE)
    if serve is not None:
        if timing or write:
            fail("--timing and --write go with --to", Exit.USAGE)
        return _serve(files, _local(serve, allow_remote), match)
    if match or allow_remote:
        fail("--match and --allow-remote go with --serve", Exit.USAGE)
    target = target_of(to or "")
    return _send(files, target, dialling, timing, write)


# ---------------------------------------------------------------- as the node


def _local(text: str, allow_remote: bool) -> Address:
    try:
        address = parse_local(text)
    except AddressError as error:
        fail(str(error), Exit.USAGE)
    check_remote(address, allow_remote, "whoever connects is told what was recorded")
    return address


def _serve(files: list[str], local: Address, match: bool) -> Exit:
    import asyncio

    from dqlitewire.replay.recording import Recording
    from dqlitewire.replay.serving import ReplayService

    with Recording.load(files) as recording:
        _note(recording)
        try:
            listener, address = listen(local)
        except OSError as error:
            fail(error.strerror or str(error))
        service = ReplayService(recording, listener, address, match, _warn_lines)
        asyncio.run(_served(service, address))
        left = service.leftovers()
    _warn_lines(left)
    return Exit.DAMAGED if left or service.differences else Exit.OK


async def _served(service: ReplayService, address: Address) -> None:
    import asyncio

    from dqlitewire.cli.service import prepare

    prepare(service.stop)
    serving = asyncio.ensure_future(service.run())
    await asyncio.sleep(0)  # now it serves, and can be stopped
    tell(f"listening on {address}")
    await serving


def _note(recording: Recording) -> None:
    for note in recording.notes:
        warn(note)


def _warn_lines(lines: list[str]) -> None:
    for line in lines:
        warn(line)


# ---------------------------------------------------------------- as the clients


def _send(files: list[str], target: Target, dialling: Dialling, timing: bool, write: bool) -> Exit:
    from dqlitewire.dial import dial
    from dqlitewire.replay.live import in_words
    from dqlitewire.replay.recording import Recording, View
    from dqlitewire.replay.sending import Sending

    options = dialling.options(target)
    with Recording.load(files, View.NODE) as recording:
        _note(recording)
        if not write:
            _refuse_writes(recording)
        deadline = dialling.deadline()
        address = _node(target, options, deadline)
        generation = _checked(recording, address, options, deadline)
        sending = Sending(recording, partial(dial, address, deadline, options), deadline, generation, _show)
        try:
            (sending.timed if timing else sending.in_order)()
        except OSError as error:
            fail(f"{address}: {in_words(error, deadline)}")
    skipped = f", {sending.skipped} not sent" if sending.skipped else ""
    tell(
        f"{counted(sending.sent, 'request')} on {counted(sending.connections, 'connection')}{skipped}: "
        + (counted(sending.differences, "difference") if sending.differences else "no difference")
    )
    return Exit.DAMAGED if sending.differences else Exit.OK


def _node(target: Target, options: DialOptions, deadline: Deadline) -> Address:
    """The one node that everything is sent to; of a cluster its leader."""
    from dqlitewire.dial import probe

    if len(target.addresses) == 1:
        return target.addresses[0]
    answers = (
        probe(str(address), min(LOOK, deadline.left()), options).leader_address
        for address in target.addresses
    )
    leader = next(filter(None, answers), None)
    if leader is None:
        fail(f"{target.text}: no node names a leader")
    return Address.parse(leader)


def _checked(recording: Recording, address: Address, options: DialOptions, deadline: Deadline) -> Generation:
    """Refuse what harms the node; return what is known of it."""
    from dqlitewire.conversation import Generation
    from dqlitewire.dial import probe
    from dqlitewire.replay.checking import hazards

    found = list(hazards(recording, Generation.UNKNOWN))
    generation = Generation.UNKNOWN
    if found:  # some harm old servers only: which one is it?
        generation = probe(str(address), min(LOOK, deadline.left()), options).generation
        found = list(hazards(recording, generation))
    if found:
        _refuse(f"refused, and nothing was sent: {counted(len(found), 'request')} would harm the node", found)
    return generation


def _refuse_writes(recording: Recording) -> None:
    from dqlitewire.replay.checking import writes

    found = list(writes(recording))
    if found:
        _refuse(
            f"refused, and nothing was sent: {counted(len(found), 'request')} may change something "
            "(--write allows it)",
            found,
        )


def _refuse(why: str, found: list[str]) -> None:
    warn(why)
    for line in found[:NAMED]:
        warn(f"  {line}")
    if len(found) > NAMED:
        warn(f"  and {len(found) - NAMED} more")
    raise SystemExit(int(Exit.REFUSED))


def _show(lines: list[str]) -> None:
    colour, columns = colourful(sys.stdout), width() if sys.stdout.isatty() else None
    for number, line in enumerate(lines):
        shown = printable(f"  {line}" if number else line)
        if columns is not None:
            shown = elide(shown, columns)
        style = _STYLES.get(line[:1]) if number else None
        emit(painted(shown, style, colour) if style else shown)
