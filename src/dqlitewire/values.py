"""The kinds of value a row or a parameter tuple holds, as one table; everything that handles values reads it.

Each value is announced by a type code (`ValueType`, dqlite src/tuple.h) and takes whole words. How its bytes
lie is its form, and there are three:

    a struct format    one word:               | q, d, Q, ...                  |
    TEXT               to the first NUL:       | U T F - 8 ... | 0 | padding   |
    BLOB               behind its size:        | size, a word  | bytes | padding |

Several kinds may share a form: UNIXTIME lies in the frame as INTEGER does, ISO8601 as TEXT does. Code that
must be fast switches on what a kind is *encoded as*, which is the first code with its form and Python
type: 1, 2, 3, 4, 5 or 11 today (`ENCODED_AS`). It may spell these six out. Any other number there is a kind
that was added with a struct format of its own, and is read and written by that (`UNPACK`, `FIXED`). So a new
kind is a member of `ValueType` and a row of `KINDS`, and a reader or writer has to be written only for a form
that is neither a struct format nor TEXT nor BLOB.

A kind with a struct format of its own holds an int or a float, as `struct` gives it; of "Q" there is BOOLEAN,
where any word but zero is true, and of "8x" NULL, which has no field. `tests/test_values.py` sends each kind
of the table through every reader and writer of the package.
"""

from __future__ import annotations

from struct import Struct, calcsize

from .constants import ValueType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BLOB",
    "ENCODED_AS",
    "FIXED",
    "INFERRED",
    "KINDS",
    "KIND_OF",
    "PACK",
    "TEXT",
    "TYPES_BY_CODE",
    "UNPACK",
    "Kind",
    "WireValue",
    "allowed_codes",
    "encoded_as",
    "names_of",
]

WireValue = bool | int | float | str | bytes | None

TEXT, BLOB = "text", "blob"
NoneType = type(None)


class Kind:
    """A kind of value.

    Args:
        code: announces it.
        form: the struct format of its one word, without byte order; or TEXT or BLOB.
        python: the Python type it is decoded to, and the only one that generated writers take for it.
        sent_for: Python types whose values are sent as this kind where none is chosen, subclasses included.
            A mapped file is sent as BLOB, see `scalars.infer_type`.
        in_params: whether a parameter may be of this kind (dqlite src/tuple.c refuses the others).
        cap: the name of the limit on its bytes, for TEXT and BLOB.

    Attributes:
        name: of the code, in capitals.
        bits: of its number, if it holds integers or floats.
    """

    def __init__(
        self,
        code: ValueType,
        form: str,
        python: type,
        sent_for: tuple[type, ...] = (),
        *,
        in_params: bool = True,
        cap: str = "",
    ) -> None:
        self.code = code
        self.name = code.name
        self.form = form
        self.python = python
        self.sent_for = sent_for
        self.in_params = in_params
        self.cap = cap
        self.bits: int = 8 * calcsize(f"<{form.strip('x0123456789')}") if python in (int, float) else 0

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the greatest integer of a kind that holds integers."""
        if self.form.strip("x0123456789").islower():
            return -(1 << self.bits - 1), (1 << self.bits - 1) - 1
        return 0, (1 << self.bits) - 1


KINDS = (
    Kind(ValueType.INTEGER, "q", int, (int,)),
    Kind(ValueType.FLOAT, "d", float, (float,)),
    Kind(ValueType.TEXT, TEXT, str, (str,), cap="max_text_value_size"),
    Kind(ValueType.BLOB, BLOB, bytes, (bytes, bytearray, memoryview), cap="max_blob_size"),
    Kind(ValueType.NULL, "8x", NoneType, (NoneType,)),
    Kind(ValueType.UNIXTIME, "q", int, in_params=False),
    Kind(ValueType.ISO8601, TEXT, str, cap="max_text_value_size"),
    Kind(ValueType.BOOLEAN, "Q", bool, (bool,)),
)

KIND_OF: dict[int, Kind] = {kind.code: kind for kind in KINDS}
TYPES_BY_CODE = tuple(KIND_OF[code].code if code in KIND_OF else None for code in range(16))
# Of the kinds that take one word, by code: the struct format, what writes it, what reads it.
FIXED: dict[int, str] = {int(kind.code): kind.form for kind in KINDS if kind.form not in (TEXT, BLOB)}
PACK = {code: Struct(f"<{form}").pack for code, form in FIXED.items()}
UNPACK = {code: Struct(f"<{form}").unpack_from for code, form in FIXED.items()}

# Python types and the kind that each is sent as; subclasses first, since a bool is an int as well.
INFERRED = sorted(
    ((python, kind) for kind in KINDS for python in kind.sent_for), key=lambda pair: -len(pair[0].__mro__)
)


def _encoded_as() -> bytes:
    first: dict[tuple[str, type], int] = {}
    table = bytearray(256)
    for kind in KINDS:
        table[kind.code] = first.setdefault((kind.form, kind.python), kind.code)
    return bytes(table)


ENCODED_AS = _encoded_as()  # by code: what it is encoded as, 0 where there is no such kind


def encoded_as(codes: Sequence[int]) -> bytes:
    """Return what each of some codes is encoded as."""
    return bytes(codes).translate(ENCODED_AS)


def names_of(codes: Sequence[int]) -> str:
    """Return the names of a row's kinds, for people; many columns as one digit each."""
    if len(codes) > 32:
        return f"{len(codes)} columns {''.join(f'{code:x}' for code in codes)}"
    return ",".join(KIND_OF[code].name for code in codes)


def allowed_codes(in_params: bool = False) -> str:
    """Return the codes of rows, or of parameters, in the words of an error: "1 to 5, 10 and 11"."""
    parts: list[str] = []
    codes = [code for code in range(16) if code in KIND_OF and (KIND_OF[code].in_params or not in_params)]
    while codes:
        run = 1
        while codes[run:] and codes[run] == codes[0] + run:
            run += 1
        parts += [f"{codes[0]} to {codes[run - 1]}"] if run > 2 else map(str, codes[:run])
        codes = codes[run:]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
