"""How a command ends: an exit code, and where something is wrong one line on standard error.

Needs no package beyond the standard library, so that a missing one can be reported.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from dqlitewire.cli import output
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import ReaderGone, fail
from dqlitewire.text import missing_package
from dqlitewire.traffic.errors import FileExistsAlready, SourceError


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command and return its exit code.

    Errors of users, files, peers and the system end here, with one line. Anything else is a fault of this
    program and keeps its traceback.

    Args:
        command: returns an exit code, or raises.
    """
    output.prepare()
    with _terminated_like_interrupted():
        # what is still held back is written whatever happened: left to the interpreter, an output that takes
        # no more would change the exit code
        return max(_told(command), _told(output.finish))


def _told(step: Callable[[], int | None]) -> int:
    try:
        return step() or Exit.OK
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else Exit.OK
    except SourceError as error:
        output.warn(str(error))
        return Exit.REFUSED if isinstance(error, FileExistsAlready) else Exit.INPUT
    except (ReaderGone, BrokenPipeError):
        output.abandon()
        return Exit.OK
    except OSError as error:
        # inputs report their own errors, and so does `output`: what is left typer meets, writing its help
        output.abandon()
        output.warn(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return Exit.INPUT
    except MemoryError:
        output.warn("out of memory")
        return Exit.INPUT


@contextmanager
def _terminated_like_interrupted() -> Generator[None]:
    """Let SIGTERM end a command as SIGINT does: a terminal gets its cursor back, sockets and files close."""
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # a parent process may have it ignored
    )
    try:
        if ours:
            signal.signal(signal.SIGTERM, _interrupt)
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def ending_signals() -> set[signal.Signals]:
    """Return the signals that end a command which serves until then."""
    found = {signal.SIGINT, signal.SIGTERM}
    # who ignores hang-ups for us (nohup) means it
    return found if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else found | {signal.SIGHUP}


def missing(error: ImportError, extra: str) -> NoReturn:
    """End a command because a package that an extra brings is missing.

    Args:
        error: of its import.
        extra: what brings it: "cli" or "testing".

    Raises:
        SystemExit: a package of others is missing.
        ImportError: it is one of our own, so this program is broken.
    """
    name = (error.name or "").partition(".")[0]
    if name in ("", "dqlitewire"):
        raise error
    fail(missing_package(name, extra), Exit.USAGE)
