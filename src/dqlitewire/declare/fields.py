"""What a declaration is written with: a call for each kind of field that many messages have.

    class ResultResponse(Response, code=ResponseType.RESULT):
        last_insert_id: int = u64(shows=False)
        rows_affected: int = u64(cap="max_rows_affected")

Each call makes an object of its kind (`fixed.py`, `variable.py`; `contract.py` says what a kind is). `field`
makes one of any kind. `Any` lets an annotation say what the attribute is.

For type checkers these are field specifiers, listed at `declared.Declared`: from `default`, `kw_only` and
`init` of a call they know which arguments the constructor of the message takes, and which it needs. So these
three are by keyword only, and the signature of a call whose field is no argument says `init: ... = False`.
"""

from __future__ import annotations

from .contract import MISSING, ByHand
from .fixed import U32, U64, Bits, Ignored, Padding, Reserved, Role
from .variable import Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from .contract import Field

__all__ = ["bits", "by_hand", "field", "ignored", "padding", "reserved", "role", "text", "u32", "u64"]


def field(kind: type[Field], *, default: Any = MISSING, kw_only: bool = False, init: bool = True) -> Any:
    """Declare a field of any kind.

    Args:
        kind: its class.
        default: what the constructor takes it for.
        kw_only: whether the constructor takes it by keyword only.
        init: False if it is no argument of the constructor, as its kind says too.
    """
    return kind(default=default, keyword=kw_only)


def by_hand(kind: str, *, default: Any, smallest: int = 0) -> Any:
    """Declare a field that its message reads and writes by hand, and whose kind is but a name.

    Args:
        kind: the name, for people.
        default: what the constructor takes it for.
        smallest: bytes in the body at least.
    """
    return ByHand(kind=kind, default=default, smallest=smallest)


def u32() -> Any:
    """Declare an unsigned integer of 4 bytes."""
    return U32()


def u64(
    *,
    default: Any = MISSING,
    low: int = 0,
    high: int = 2**64 - 1,
    decodes: tuple[int, int] | None = None,
    cap: str | None = None,
    since: int = 0,
    plain_if_empty: bool = False,
    shows: bool = True,
) -> Any:
    """Declare an unsigned integer of 8 bytes; for the arguments see `Integer` and `Field`."""
    return U64(
        default=default,
        low=low,
        high=high,
        decodes=decodes,
        cap=cap,
        since=since,
        plain_if_empty=plain_if_empty,
        shows=shows,
    )


def text(
    *, default: Any = MISSING, cap: str, low: int = 0, plain_if_empty: bool = False, shows: bool = False
) -> Any:
    """Declare a text; for the arguments see `Text` and `Field`."""
    return Text(default=default, cap=cap, low=low, plain_if_empty=plain_if_empty, shows=shows)


def role() -> Any:
    """Declare a node's role."""
    return Role()


def reserved(*, init: Literal[False] = False) -> Any:
    """Declare a word that is written 0 and must be 0."""
    return Reserved()


def padding(*, init: Literal[False] = False) -> Any:
    """Declare four bytes that are written 0 and ignored."""
    return Padding()


def ignored(*, init: Literal[False] = False) -> Any:
    """Declare a word that is written 0 and ignored."""
    return Ignored()


def bits(
    of: str, shift: int, size: int, *, versions: tuple[int, ...] | None = None, init: bool = False
) -> Any:
    """Declare some bits of another field; for the arguments see `Bits`."""
    return Bits(of=of, shift=shift, size=size, versions=versions)
