"""The dot commands of the shell: one table, which help and completion read, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from dqlitewire.cli.answers import Display
from dqlitewire.cli.dumping import STDOUT, TIMEOUT, copy, destination
from dqlitewire.cli.output import emit, tell, warn
from dqlitewire.client import Client
from dqlitewire.dial import Deadline
from dqlitewire.text import shown
from dqlitewire.traffic.pages import safe_name

_TABLES = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
    "AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
)
_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name"
_SCHEMA_OF = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL "
    "AND (name = ?1 COLLATE NOCASE OR tbl_name = ?1 COLLATE NOCASE) ORDER BY type DESC, name"
)
_FORCE = "--force"
_CLOSING = {'"': '"', "'": "'", "`": "`", "[": "]"}


class Asking(Protocol):
    """What dot commands need of a session."""

    client: Client
    database: str
    over: bool

    @property
    def display(self) -> Display:
        """How to show the next answer."""
        ...


class Dot(NamedTuple):
    """A dot command.

    Attributes:
        run: does it, with what stands behind its name.
        takes: what may stand there, in words; "" for nothing.
        does: what it does, in words.
        completes: what completes there: "" nothing, "table" or "path".
    """

    run: Callable[[Asking, str], object]
    takes: str
    does: str
    completes: str = ""


def dot_command(session: Asking, text: str) -> None:
    """Run a dot command.

    Args:
        session: whose.
        text: as it was entered.

    Raises:
        ClientError: the cluster failed.
        SourceError: a file cannot be written.
    """
    name, _, rest = text.strip().partition(" ")
    rest = rest.strip().removesuffix(";").rstrip()
    dot = DOTS.get(_dotted(text) or name.removesuffix(";").lower())
    if dot is None:
        warn(f"{shown(name)} is no command; .help lists them")
    elif rest and not dot.takes:
        warn(f"{name} takes nothing, got {shown(rest)}")
    else:
        dot.run(session, rest)


def is_dot_command(text: str) -> bool:
    """Tell whether an input is a dot command: it begins with a dot, or is one of the words of other shells.

    Args:
        text: as it was entered.
    """
    return text.lstrip().startswith(".") or bool(_dotted(text))


def _dotted(text: str) -> str:
    """The dot command that is meant by `help`, `exit` or `quit` alone, which are no SQL; "" if none is."""
    word = text.strip().removesuffix(";").rstrip().lower()
    return f".{word}" if word in _BARE else ""


_BARE = frozenset({"help", "exit", "quit"})


def quoted(name: str) -> str:
    """Return an identifier as SQL has it: in quotes where it needs them.

    Args:
        name: of a table, or another thing.
    """
    from dqlitewire.sql.normalise import KEYWORDS

    plain = name.isascii() and name.isidentifier() and name.upper() not in KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'


def unquoted(text: str) -> str:
    """Return the name that an identifier of SQL stands for.

    Args:
        text: with or without quotes.
    """
    closing = _CLOSING.get(text[:1], "")
    if len(text) < 2 or not closing or text[-1] != closing:
        return text
    inner = text[1:-1]
    return inner if closing == "]" else inner.replace(closing * 2, closing)


def _tables(session: Asking, _: str) -> None:
    for (name,) in session.client.query(_TABLES):
        emit(quoted(str(name)))


def _schema(session: Asking, rest: str) -> None:
    name = unquoted(rest)
    rows = list(session.client.query(_SCHEMA_OF, [name]) if rest else session.client.query(_SCHEMA))
    for (sql,) in rows:
        for line in f"{sql};".expandtabs().splitlines():
            emit(line)
    if rest and not rows:
        warn(f"there is nothing named {shown(name)}")


def _cluster(session: Asking, _: str) -> None:
    nodes, leader = session.client.nodes(), session.client.leader.node_id
    rows = [(node.node_id, node.address, node.role.name.lower(), node.node_id == leader) for node in nodes]
    session.display.rows(("id", "address", "role", "leads"), rows)


def _leader(session: Asking, _: str) -> None:
    session.client.nodes()  # a leader that has gone is found out
    leader = session.client.leader
    emit(f"{leader.node_id}  {leader.address}" if leader.node_id else str(leader.address))


def _dump(session: Asking, rest: str) -> None:
    force, named = _forced(rest)
    file = unquoted(named)
    problem = ""
    if named == STDOUT:
        problem = "standard output is a terminal: name a file"
    elif named.startswith("-"):
        problem = f"no option of .dump: {shown(named)}; quotes make it a FILE"
    elif file == named and (named[:1] in _CLOSING or " " in named):
        problem = f".dump takes one FILE, got {shown(named)}; quotes make it one"
    if problem:
        warn(problem)
        return
    file = file or safe_name(session.database)
    with destination(file, force) as write:
        said = copy(session.client, session.database, write, Deadline(TIMEOUT))
    tell(f"{file}: {said}")


def _forced(rest: str) -> tuple[bool, str]:
    """Return whether --force stands in front or at the end, and what else there is."""
    others = (
        rest.removeprefix(_FORCE) if rest.partition(" ")[0] == _FORCE else rest.removesuffix(f" {_FORCE}")
    )
    return others != rest, others.strip()


def _help(session: Asking, _: str) -> None:
    named = [(f"{name} {dot.takes}".rstrip(), dot.does) for name, dot in DOTS.items()]
    size = max(len(usage) for usage, _ in named)
    for usage, does in named:
        emit(f"{usage.ljust(size)}  {does}")
    emit("Anything else is SQL and ends with a semicolon.")
    emit("What begins with a space is not kept in the history.")


def _exit(session: Asking, _: str) -> None:
    session.over = True


DOTS: dict[str, Dot] = {
    ".tables": Dot(_tables, "", "tables and views"),
    ".schema": Dot(_schema, "[NAME]", "what made the tables, or one of them", "table"),
    ".cluster": Dot(_cluster, "", "the nodes of the cluster"),
    ".leader": Dot(_leader, "", "who leads: id and address"),
    ".dump": Dot(_dump, "[--force] [FILE]", "copy the database into a file that SQLite opens", "path"),
    ".help": Dot(_help, "", "these lines"),
    ".exit": Dot(_exit, "", "leave; so does Ctrl-D"),
    ".quit": Dot(_exit, "", "leave"),
}
