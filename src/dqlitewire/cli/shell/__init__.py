"""A small SQL shell on a terminal: what `query` is without SQL.

    prompt      prompt_toolkit: history, completion, lines until a statement is complete
    history     its file, which only its owner reads
    session     takes what was entered: statements, or a dot command; knows no terminal
    dots        the dot commands, as one table

Ctrl-C drops the line, or interrupts what runs; Ctrl-D on an empty line ends the shell, as `.exit` does.
SIGTERM ends it, too, and leaves the terminal as it was.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

from dqlitewire.cli.answers import Display, failure
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import fail
from dqlitewire.cli.shell.prompt import Prompt
from dqlitewire.cli.shell.session import Session
from dqlitewire.client import Client, ClientError

__all__ = ["run"]


def run(
    connected: Callable[[], Client],
    database: str,
    *,
    display: Display,
    write: bool,
    prompt: Callable[[Session], Prompt] = Prompt,
) -> Exit:
    """Ask a person for statements and run them, until told to stop.

    Args:
        connected: makes a client, with the database open.
        database: its name.
        display: how to show answers.
        write: whether statements may write.
        prompt: makes what reads, on the terminal unless it is another.

    Raises:
        SystemExit: no leader can be reached; this was said.
    """
    with _terminated(_end):
        try:
            with connected() as client:
                session = Session(client, database, display, write)
                session.begin()
                reader = prompt(session)
                with _terminated(reader.end):
                    loop(session, reader)
                session.end()
        except ClientError as error:
            fail(*failure(error))
    return Exit.OK


def loop(session: Session, prompt: Prompt) -> None:
    """Read and run until the end of the input, or until the session is over.

    Args:
        session: runs it.
        prompt: reads it.
    """
    while not session.over:
        try:
            text = prompt.read(session.prompt, session.continuation)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        session.take(text)


@contextmanager
def _terminated(end: Callable[[], object]) -> Generator[None]:
    """Let SIGTERM end the shell, rather than the line as Ctrl-C does.

    Args:
        end: raises SystemExit, or has it raised soon.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before):  # `ending` sets it unless a parent process has it ignored
        yield
        return
    signal.signal(signal.SIGTERM, lambda *_: end())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end() -> NoReturn:
    raise SystemExit(Exit.INTERRUPTED)
