"""LOCAL=REAL[=NAME]: where the proxy listens, what it dials, and how the node there calls itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import cast

from dqlitewire.dial import Address, AddressError, Kind
from dqlitewire.dial.listening import parse_local
from dqlitewire.text import shown

__all__ = ["Pair", "PairError", "pairs_of"]


class PairError(ValueError):
    """A text that is no LOCAL=REAL[=NAME]."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One listener.

    Attributes:
        local: Where it listens; port 0 for any free one.
        real: What is dialled for each client.
        name: The address under which the node is known in its cluster, where that is another one than `real`;
            it is compared with what stands in answers, and never dialled.
    """

    local: Address
    real: Address
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Pair:
        """Parse LOCAL=REAL or LOCAL=REAL=NAME.

        A path or an abstract name may hold "=" too: of several readings the one with the shortest LOCAL
        counts, and of those the one with the shortest REAL.

        Args:
            text: The pair.

        Raises:
            PairError: It is none.
        """
        if "\0" in text:
            raise PairError(f"{shown(text)} is no LOCAL=REAL or LOCAL=REAL=NAME")
        problem = ""
        for local, real, name in _readings(text):
            try:
                return cls(parse_local(local), Address.parse(real), name)
            except AddressError as error:
                problem = problem or f": {error}"
        raise PairError(f"{shown(text)} is no LOCAL=REAL or LOCAL=REAL=NAME{problem}")

    @property
    def advertised(self) -> str:
        """The address that stands for the node in answers."""
        return self.name or str(self.real)

    def __str__(self) -> str:
        """Return the pair as `parse` takes it."""
        return f"{self.local}={self.real}" + (f"={self.name}" if self.name else "")


_MOST_EQUALS = 16  # of a text that are tried as separators


def _readings(text: str) -> Iterator[tuple[str, str, str]]:
    at = [place for place, letter in enumerate(text) if letter == "="][:_MOST_EQUALS]
    for first in at:
        for second in (place for place in at if place > first + 1 and place + 1 < len(text)):
            yield text[:first], text[first + 1 : second], text[second + 1 :]
        yield text[:first], text[first + 1 :], ""


def pairs_of(pairs: Mapping[str, str] | Iterable[Pair | str]) -> tuple[Pair, ...]:
    """Return pairs in the order given.

    Args:
        pairs: A mapping of LOCAL to REAL (or to REAL=NAME), or pairs, each a `Pair` or a text.

    Raises:
        PairError: One is no pair; there is none; or two listen on one address.
    """
    if isinstance(pairs, Mapping):
        named = cast("Mapping[str, str]", pairs)
        listed: Iterable[Pair | str] = [f"{local}={real}" for local, real in named.items()]
    else:
        listed = pairs
    found = tuple(pair if isinstance(pair, Pair) else Pair.parse(pair) for pair in listed)
    if not found:
        raise PairError("got no pair, at least one is needed")
    for one, other in combinations(found, 2):
        same = one.local.normalised() == other.local.normalised()
        if same and (one.local.port or one.local.kind is not Kind.TCP):
            raise PairError(f"{one.local} stands in two pairs")
    return found
