"""The class of all faults: which requests it selects, how it counts, and the hooks in which it acts.

A fault is one class. Its own annotated attributes are its words (they become arguments of the constructor, as
with a dataclass), and up to three hooks say what it does:

    class Twice(Fault):
        "Send every frame twice."

        def frame(self, strike: Strike, data: bytes) -> bytes:
            return data + data

    server.order(Twice(on="QUERY_SQL", times=3))

When a request is to be answered, the ordered faults are asked in the order in which they were ordered. Each
one that selects the request, and is neither over nor still letting requests pass, strikes: it is counted, and
its hooks are called with one `Strike` of this answer:

    request --> begin(strike) --> [ the node carries it out ] --> frame(strike, data) ... --> end(strike)
                                                                  for each frame of the answer

Hooks do no I/O and never wait: `strike.wait(seconds)` and its like say what is wanted, and the owner of the
sockets does it. So the same classes serve the embedded server, a proxy, and tests without any socket. What a
fault remembers from frame to frame belongs into `strike.state`: one fault may strike several connections at
the same time.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import KW_ONLY, dataclass, field, fields
from inspect import cleandoc
from types import TracebackType
from typing import ClassVar, Final, Literal, TypeVar, dataclass_transform

from dqlitewire.faults.checks import (
    Requests,
    check_number,
    check_probability,
    choice,
    regular_expression,
    request_types,
)
from dqlitewire.faults.strike import RequestRecord, Strike
from dqlitewire.header import type_name

__all__ = ["REQUEST", "RESPONSE", "Direction", "Fault", "kinds"]

F = TypeVar("F", bound="Fault")

Direction = Literal["request", "response"]
REQUEST: Final = "request"
RESPONSE: Final = "response"
_PASSED_KEPT = 20  # different requests that an order which was never hit is compared with
_SQL_SHOWN = 60


@dataclass_transform(eq_default=False, field_specifiers=(field,))
class _Words:
    # makes each subclass a dataclass that is compared by identity and has the repr of `Fault`
    def __init_subclass__(cls) -> None:
        dataclass(eq=False, repr=False)(cls)


class Fault(_Words):
    """One ordered misbehaviour; as a context manager it is cancelled on leaving.

    Args:
        on: Requests whose answers it takes, one or several: types, message classes, or names such as
            "EXEC_SQL" in any case; None for all.
        sql: A regular expression that is searched in the request's SQL text, for EXEC and QUERY in the text
            that was prepared; None for all requests.
        connection: Number of the one connection it applies to, counted from 1; None for all.
        times: How often it strikes before it is over; None for ever.
        after: How many requests that it selects it lets pass first.
        direction: "response" to spoil the answer, "request" to spoil the request on its way to the node.
        probability: How likely it strikes what it selects, 0 to 1. The same seed of the server gives the same
            strikes again.

    Attributes:
        hits: How often it has struck.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense.
    """

    _: KW_ONLY
    on: Requests = None
    sql: str | re.Pattern[str] | None = None
    connection: int | None = None
    times: int | None = 1
    after: int = 0
    direction: Direction = RESPONSE
    probability: float = 1.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__doc__ = _with_common_words(cls.__doc__, Fault.__doc__)

    directions: ClassVar[tuple[str, ...]] = (RESPONSE, REQUEST)
    """The directions in which it makes sense."""
    replaces_answer: ClassVar[bool] = False
    """Its `begin` calls `strike.answer`. One such fault strikes an answer, others wait for the next."""
    goes_on: ClassVar[bool] = False
    """It goes on over further answers of the connection that it struck, and does not strike there again."""
    runs_last: ClassVar[bool] = False
    """Its `frame` is called after those of other faults, whatever was ordered first."""

    # ---- what a kind of fault overrides

    def check(self) -> None:
        """Refuse arguments without sense, with TypeError or ValueError; the constructor calls it."""

    def begin(self, strike: Strike) -> None:
        """Act before the request is carried out: skip it, answer it, close the connection.

        Args:
            strike: This strike of the fault.
        """

    def frame(self, strike: Strike, data: bytes) -> bytes:
        """Return what goes out instead of a frame, after `strike.wait`, `strike.split` or `strike.close`.

        Args:
            strike: This strike of the fault.
            data: The frame, or what the faults before this one have made of it.

        Returns:
            Any bytes; b"" if nothing is to go out.
        """
        return data

    def end(self, strike: Strike) -> None:
        """Act when the answer is complete, or the connection has ended in the middle of it.

        Args:
            strike: This strike of the fault; it is too late to ask it for anything.
        """

    # ---- counting

    def __post_init__(self) -> None:
        if self.times is not None:
            check_number("times", self.times, 1)
        if self.connection is not None:
            check_number("connection", self.connection, 1)
        check_number("after", self.after, 0)
        check_probability("probability", self.probability)
        choice("direction", self.direction, self.directions)
        self.hits: int = 0
        self._types = request_types(self.on)
        self._pattern = regular_expression("sql", self.sql)
        self._passing = self.after
        self._cancelled = False
        self._node: int | None = None  # the one node that it was ordered for
        self._random = random.Random(0)
        self._passed: Counter[str] = Counter()
        self.check()

    @property
    def over(self) -> bool:
        """Whether it will never strike again."""
        return self._cancelled or self.hits == self.times

    def cancel(self) -> None:
        """Let it never strike again; what it has struck already goes on."""
        self._cancelled = True

    def __enter__(self: F) -> F:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def _selects(self, request: RequestRecord, direction: Direction) -> bool:
        if direction != self.direction or self.connection not in (None, request.connection):
            return False
        if self._types is not None and request.type not in self._types:
            return False
        if self._pattern is None:
            return True
        text = request.prepared_sql or request.sql
        return text is not None and self._pattern.search(text) is not None

    def _strikes(self, request: RequestRecord, direction: Direction, *, barred: bool = False) -> bool:
        # whether it strikes this request, which is counted; barred: another fault replaces the answer already
        if self.over:
            return False
        here = self._node in (None, request.node)
        struck = here and not barred and self._selects(request, direction)
        if struck and self._passing > 0:
            self._passing -= 1
            struck = False
        if struck and self.probability < 1:
            struck = self._random.random() < self.probability
        if struck:
            self.hits += 1
            self._passed.clear()
        elif not self.hits and direction == self.direction:
            self._note(request)
        return struck

    def _note(self, request: RequestRecord) -> None:
        name = type_name(request.type, True)
        text = request.prepared_sql or request.sql
        if self._pattern is not None and text is not None:
            name += f" {text[:_SQL_SHOWN]!r}"
        if self.connection is not None:
            name += f" on connection {request.connection}"
        if self._node is not None:
            name += f" on node {request.node}"
        if name in self._passed or len(self._passed) < _PASSED_KEPT:
            self._passed[name] += 1

    # ---- words

    def words(self) -> list[str]:
        """Describe what it does, for `repr`; by default its own words that are not as by default."""
        common = {one.name for one in fields(Fault)}
        return [
            f"{one.name} {getattr(self, one.name)!r}"
            for one in fields(self)
            if one.name not in common and getattr(self, one.name) != one.default
        ]

    def __repr__(self) -> str:
        said = [type(self).__name__, *self.words()]
        if self._types is not None:
            said.append(f"on {'/'.join(sorted(type_name(code, True) for code in self._types))}")
        if self._pattern is not None:
            said.append(f"sql {self._pattern.pattern!r}")
        if self.connection is not None:
            said.append(f"connection {self.connection}")
        if self._node is not None:
            said.append(f"node {self._node}")
        if self.direction != RESPONSE:
            said.append(self.direction)
        if self.probability < 1:
            said.append(f"probability {self.probability}")
        left = "any number" if self.times is None else self.times - self.hits
        said.append("over" if self.over else f"{left} to come")
        return f"<{', '.join(said)}, {self.hits} hits>"

    def came(self) -> str:
        """Say which requests came since it was ordered, of one that was never hit."""
        seen = [f"{name} {count}" for name, count in self._passed.most_common()]
        return f"came: {', '.join(seen)}" if seen else "nothing came"


def _with_common_words(own: str | None, common: str | None) -> str | None:
    """The docstring of a kind of fault, with the arguments that all have behind its own ones."""
    if own is None or common is None:  # `python -OO` leaves them out
        return own
    common_arguments, _, common_rest = cleandoc(common).partition("Args:\n")[2].partition("\n\n")
    head, _, behind = cleandoc(own).partition("Args:\n")
    arguments, _, rest = behind.partition("\n\n")
    listed = "\n".join(filter(None, (arguments.rstrip(), common_arguments)))
    return f"{head.rstrip()}\n\nArgs:\n{listed}\n\n{rest or common_rest}\n"


def kinds() -> dict[str, type[Fault]]:
    """Return the kinds of faults by the word that names them: a class's name in lower case.

    The words of each are the fields of its constructor (`dataclasses.fields`). A user's own class is
    there as soon as it is defined; of several with one name the last one.
    """
    found: dict[str, type[Fault]] = {}
    waiting: list[type[Fault]] = [Fault]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found[kind.__name__.lower()] = kind
            waiting.append(kind)
    return found
