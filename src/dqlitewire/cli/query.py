"""`dqlite-wire query`: ask a cluster a question in SQL; `asking` does it."""

from __future__ import annotations

from typing import Annotated

import typer

from dqlitewire.cli.dialling import Dialling, TargetArgument, target_of
from dqlitewire.cli.exits import Exit
from dqlitewire.cli.options import WidthOption

EXITS = (Exit.OK, Exit.INPUT, Exit.REFUSED, Exit.FAILED)


def command(
    target: TargetArgument,
    database: Annotated[
        str, typer.Argument(metavar="DATABASE", help="Name of the database, as its users open it.")
    ],
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL",
            help="One or more statements; - for standard input. Without it, on a terminal, a shell.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PARAM",
            help="Value of a parameter: NULL, true, false, a number, x'hex', else text. A -- before the "
            "first lets it begin with a minus.",
            show_default=False,
        ),
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="Take every PARAM for text.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Let statements write.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a statement.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="RFC 4180, with a header.")] = False,
    columns: WidthOption = None,
    *,
    dialling: Dialling,
) -> Exit:
    """Ask a cluster in SQL: a table, JSON or CSV. The leader is found from any node.

    Example: query 10.0.0.1:9001 app.db "SELECT * FROM users WHERE id = ?" 5

    Example: query --write @node app.db "UPDATE t SET a = ?" -- -5
    """
    from dqlitewire.cli.asking import Wanted, ask

    wanted = Wanted(database, sql, params or [], as_text, write, as_json, as_csv, columns)
    return ask(target_of(target), wanted, dialling)
