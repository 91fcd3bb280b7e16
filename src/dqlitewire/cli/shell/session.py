"""What a shell does with what was entered; nothing in here knows of a terminal's keys.

Ctrl-C while a statement runs. A server reads an INTERRUPT only behind all rows of a query, so outside of a
transaction the client gives up the connection where that is quicker, and makes another for the next
statement. A transaction would be gone with it: there the rows that come are dropped until the server has read
the INTERRUPT, and only a second Ctrl-C gives up connection and transaction.

Python raises KeyboardInterrupt wherever it is, also while a generator is closed, where nobody could take it.
So what a statement runs under raises it once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import FrameType

from dqlitewire.cli.answers import Display, answer, failure, warn_of_empty
from dqlitewire.cli.output import tell, warn, width
from dqlitewire.cli.shell.dots import dot_command, is_dot_command
from dqlitewire.cli.statements import UNFINISHED, Statement, check, statements
from dqlitewire.cli.tables import Row
from dqlitewire.client import Client, ClientError, Result
from dqlitewire.conversation import HazardError, Outcome
from dqlitewire.dial import Deadline
from dqlitewire.text import printable
from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.shorten import middle

MAX_NAMES = 2000  # tables and columns that are kept for completion
_PATIENCE = 1.0  # seconds spent to learn them
_SHOWN = 24  # characters of a database's name in the prompt
_NAMES = (
    "SELECT m.name, c.name FROM sqlite_master AS m LEFT JOIN pragma_table_info(m.name) AS c "
    "WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' "
    f"LIMIT {MAX_NAMES}"
)
_COMMITS = frozenset({"COMMIT", "END", "RELEASE"})
_CHANGES_NAMES = frozenset({"CREATE", "DROP", "ALTER", "ROLLBACK"})


class Session:
    """Runs what a person enters.

    Args:
        client: connected, with the database open.
        database: its name.
        display: how to show answers.
        write: whether statements may write.

    Attributes:
        client: as given.
        database: as given.
        over: whether to stop.
        names: of tables and columns, for completion.
    """

    def __init__(self, client: Client, database: str, display: Display, write: bool) -> None:
        self.client, self.database = client, database
        self.over = False
        self.names: tuple[str, ...] = ()
        self._given = display
        self._follows = display.width == width()  # the terminal, whose width may change
        self._write = write
        self._leader = client.leader
        self._verb = ""  # of the statement that runs

    @property
    def display(self) -> Display:
        """How to show the next answer."""
        return replace(self._given, width=width()) if self._follows else self._given

    @property
    def prompt(self) -> str:
        """What stands in front of a line; a star tells that a transaction is open."""
        name = printable(middle(self.database, _SHOWN))
        return f"{name}{'' if self.client.in_transaction is False else '*'}> "

    @property
    def continuation(self) -> str:
        """What stands in front of the further lines of a statement."""
        return "...> ".rjust(len(self.prompt))

    def begin(self) -> None:
        """Say where one is.

        Raises:
            ClientError: the cluster failed meanwhile.
        """
        reading = "" if self._write else ", read-only without --write"
        tell(f"connected to {self._leader.address}{reading}; .help lists commands")
        warn_of_empty(self.client, self.database)
        self.learn_names()

    def end(self) -> None:
        """Say what is lost with the connection."""
        if self.client.in_transaction is not False:
            warn(UNFINISHED)

    def take(self, text: str) -> None:
        """Run what was entered, say what comes of it, and go on whatever that is.

        Args:
            text: statements, or a dot command.
        """
        before, self._verb = self.client.in_transaction, ""
        outcome = None
        try:
            if is_dot_command(text):
                with _once():
                    dot_command(self, text)
            elif text.strip():
                self._run(text)
            return
        except KeyboardInterrupt:
            warn("interrupted")
            outcome = Outcome.UNKNOWN
            if before and self.client.in_transaction is False:
                with suppress(ClientError):  # the client tells of the loss once, and here it is told below
                    self.client.nodes()
        except HazardError as error:
            warn(f"refused: {error}")
        except ClientError as error:
            warn(failure(error)[0])
            outcome = getattr(error, "outcome", None)
        except SourceError as error:
            warn(str(error))
        finally:
            self._say_who_leads()
        if before and self.client.in_transaction is False:
            known = outcome is not Outcome.UNKNOWN or self._verb not in _COMMITS
            warn(f"nothing of the transaction stays{'' if known else ', unless it was committed after all'}")

    def _run(self, text: str) -> None:
        try:
            found = statements(text, write=self._write)
            check(text, found, self._write, self.client.generation, self.client.in_transaction)
        except ValueError as error:
            warn(str(error))
            return
        except SystemExit:  # refused, and said so
            return
        for statement in found:
            self._answer(statement)
        if any(statement.verb in _CHANGES_NAMES for statement in found):
            self.learn_names()

    def _answer(self, statement: Statement) -> None:
        self._verb = statement.verb
        with _twice() if self.client.in_transaction is not False else _once() as is_interrupted:
            display = _Interruptible(**vars(self.display), is_interrupted=is_interrupted)
            answer(self.client, statement, display, lasting=True)

    def learn_names(self) -> None:
        """Learn the names for completion; if that fails there are none."""
        self.names = ()
        with suppress(ClientError, HazardError):
            rows = list(self.client.query(_NAMES, deadline=Deadline(_PATIENCE)))
            names = dict.fromkeys(name for row in rows for name in row if isinstance(name, str))
            self.names = tuple(names)

    def _say_who_leads(self) -> None:
        leader = self.client.leader
        if leader != self._leader:
            self._leader = leader
            tell(f"connected to {leader.address}, the new leader")


@dataclass(frozen=True)
class _Interruptible(Display):
    is_interrupted: Callable[[], bool] = field(kw_only=True)

    def rows(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        super().rows(columns, self._until(rows))

    def _until(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            if self.is_interrupted():
                if isinstance(rows, Result):
                    rows.close()
                raise KeyboardInterrupt
            yield row


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _once() -> Generator[Callable[[], bool]]:
    """Let the first Ctrl-C raise KeyboardInterrupt, and those behind it nothing."""
    seen = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    with _handled(note):
        yield lambda: False


@contextmanager
def _twice() -> Generator[Callable[[], bool]]:
    """Keep the first Ctrl-C in mind, and let the second raise KeyboardInterrupt."""
    seen, raised = threading.Event(), threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            with suppress(RuntimeError):  # it struck within a write to the same stream
                tell("interrupting; Ctrl-C once more gives up the transaction")
        elif not raised.is_set():
            raised.set()
            raise KeyboardInterrupt

    with _handled(note):
        yield seen.is_set
