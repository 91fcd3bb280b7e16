"""Reads statements and dot commands from a terminal, by prompt_toolkit.

Enter ends the input where a statement is complete, as SQLite's own shell judges (`sqlite3_complete`: a
semicolon outside of strings, comments and the body of a trigger), and begins another line elsewhere. A dot
command is one line.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import has_completions, is_searching
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.shell.dots import DOTS, is_dot_command, quoted
from dqlitewire.cli.shell.history import History, history_path
from dqlitewire.cli.shell.session import Session
from dqlitewire.sql.normalise import KEYWORDS

_WORD = re.compile(r'"?\w+$')  # in front of the cursor


def is_complete(text: str) -> bool:
    """Tell whether an input needs no further line.

    Args:
        text: what was entered.
    """
    return not text.strip() or is_dot_command(text) or sqlite3.complete_statement(text)


class Prompt:
    """Reads from a terminal.

    Args:
        session: whose names complete.
        input: where keys come from; None for the terminal.
        output: where the line is drawn; None for the terminal.
    """

    def __init__(self, session: Session, input: Input | None = None, output: Output | None = None) -> None:
        self._session: PromptSession[str] = PromptSession(
            history=History(history_path()),
            completer=Completed(session),
            complete_while_typing=False,
            multiline=True,
            key_bindings=_bindings(),
            enable_open_in_editor=False,
            include_default_pygments_style=False,
            input=input,
            output=output,
        )
        self._ended = False

    def read(self, prompt: str, continuation: str) -> str:
        """Return what was entered.

        Args:
            prompt: stands in front of the first line.
            continuation: stands in front of the others.

        Raises:
            EOFError: Ctrl-D on an empty line, or the terminal is gone.
            KeyboardInterrupt: Ctrl-C.
            SystemExit: it was told to end.
        """

        def before(_: int, __: int, wrapped: int) -> str:
            return " " * len(continuation) if wrapped else continuation

        entered = self._session.prompt(prompt, prompt_continuation=before)
        if self._ended:  # in the moment in which the line was complete
            raise SystemExit(Exit.INTERRUPTED)
        return entered

    def end(self) -> None:
        """Raise SystemExit out of `read` once the terminal is given back; for handlers of signals.

        An exception that a handler raises strikes anywhere, also in the library's own giving back of the
        terminal. So while the library's loop runs it is asked to end.

        Raises:
            SystemExit: at once, where nothing is read.
        """
        loop = self._session.app.loop
        if loop is None:
            raise SystemExit(Exit.INTERRUPTED)
        self._ended = True
        loop.call_soon_threadsafe(self._exit)

    def _exit(self) -> None:
        if self._session.app.is_running and not self._session.app.is_done:
            self._session.app.exit(exception=SystemExit(Exit.INTERRUPTED))


def _bindings() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter", filter=~is_searching)
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state and buffer.complete_state.current_completion:
            buffer.complete_state = None  # takes what is chosen, and no line is ended by it
        elif is_complete(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    @keys.add("escape", filter=has_completions, eager=True)
    def escape(event: KeyPressEvent) -> None:
        event.current_buffer.cancel_completion()

    return keys


class Completed(Completer):
    """Completes dot commands, what stands behind them, keywords and names.

    Args:
        session: whose names.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._paths = PathCompleter(expanduser=False)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Yield what the word in front of the cursor may become.

        Args:
            document: what was entered, and where the cursor is.
            complete_event: what asks for it.
        """
        before = document.text_before_cursor
        if before.lstrip().startswith("."):
            name, space, rest = before.lstrip().partition(" ")
            if not space:
                yield from _matching(name, DOTS)
            elif name in DOTS and DOTS[name].completes == "table":
                yield from _matching(rest.lstrip(), map(quoted, self._session.names))
            elif name in DOTS and DOTS[name].completes == "path":
                inner = Document(rest.lstrip())
                yield from self._paths.get_completions(inner, complete_event)
            return
        if word := _WORD.search(before):
            yield from _matching(word[0], [*map(quoted, self._session.names), *sorted(KEYWORDS)])


def _matching(begun: str, words: Iterable[str]) -> Iterable[Completion]:
    small = begun.lower()
    for word in words:
        if word.lower().startswith(small):
            whole = word.lower() if begun.islower() and word in KEYWORDS else word
            yield Completion(whole, start_position=-len(begun))
