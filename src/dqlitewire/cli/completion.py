"""Completion of our words in a shell: what the shell has to be told, and what it is answered.

    eval "$(dqlite-wire --show-completion bash)"     # in ~/.bashrc; zsh the same, behind compinit
    dqlite-wire --show-completion fish | source

Nothing is written into anybody's files. The text that the shell evaluates makes it call this program for each
word that is completed, with `_DQLITE_WIRE_COMPLETE` set; both are typer's.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import typer

from dqlitewire.cli.output import emit

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_DQLITE_WIRE_COMPLETE"


def show(shell: str) -> None:
    """Print what makes a shell complete our words.

    Args:
        shell: one of `SHELLS`.

    Raises:
        typer.Exit: always.
    """
    text = _typer().get_completion_script(prog_name="dqlite-wire", complete_var=_VARIABLE, shell=shell)
    for line in text.removeprefix("#compdef dqlite-wire").strip().splitlines():
        emit(line)
    raise typer.Exit


def wanted() -> bool:
    """Whether a shell asks for completions, and no person for a command."""
    return bool(os.environ.get(_VARIABLE))


def complete(group: Any, name: str) -> int:
    """Print what may stand where the cursor is; returns the exit code.

    Args:
        group: the command with all its commands.
        name: of the command.
    """
    typers = _typer()
    typers.completion_init()
    return int(typers.shell_complete(group, {}, name, _VARIABLE, os.environ[_VARIABLE]))


def _typer() -> Any:
    return import_module("typer.completion")  # whose names no release has listed as public
