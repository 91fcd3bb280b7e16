"""Generated writers of parameters and rows: one for each shape, through `generated.define`.

The header of a shape is constant, and so is the layout of the words between two texts or blobs. A writer
packs each such stretch with one `struct` call, the header included, encodes texts, and joins the pieces:

    | header | INTEGER | TEXT ...... 0 0 | FLOAT    |
    | pack0(HEADER, v0)| t1, ENDS[...]   | pack3(v2)|   joined at once

For rows of INTEGER, TEXT, FLOAT that is

    while at < stop:
        v0, v1, v2,  = rows[at]
        if type(v0) is not int or type(v1) is not str or type(v2) is not float: return at
        t1 = v1.encode()
        if 0 in t1: raise ValueError
        append(join((pack0(HEADER, v0), t1, ENDS[len(t1) & 7], pack3(v2))))
        at += 1
    return at

It tests nothing that packing tests already: an integer that is out of range raises `struct.error`, a lone
surrogate `UnicodeEncodeError`; only a NUL in text is looked for. Whatever raises is a doubt, and the plain
writers then encode the same values, or say what is wrong. A writer of rows compares the Python types of each
row with its own before it writes anything of it, and returns the number of the first row of another shape. It
takes exact types, since a bool is an int as well and a subclass may be anything.
"""

from __future__ import annotations

from struct import Struct

from ..generated import define
from ..scalars import PADS, TEXT_ENDS
from ..values import ENCODED_AS, FIXED, KIND_OF, names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .shapes import RowWriter, Writer

__all__ = ["compile_row_writer", "compile_writer"]


def compile_writer(header: bytes, codes: Sequence[int]) -> Writer:
    """Generate the writer of values with these type codes, behind a constant header."""
    names = dict(_NAMES, HEADER=header)
    steps, result = _write_values_code(header, codes, names)
    lines = ["def write(values):", f"    {_values(codes)} = values", *steps, f"    return {result}"]
    # The same codes have a header in each schema, and none among many parameters.
    title = f"params.write {names_of(codes)} after {header.hex() or 'nothing'}"
    return define(title, "write", lines, names)


def compile_row_writer(header: bytes, codes: Sequence[int]) -> RowWriter:
    """Generate the writer of rows with these type codes.

    It is called with the rows, the numbers of the first and of the one behind the last, and where to append
    each; it stops at the first row with a value of another Python type, and returns its number.
    """
    names = dict(_NAMES, HEADER=header)
    steps, result = _write_values_code(header, codes, names)
    others = [
        f"v{i} is not None" if ENCODED_AS[c] == 5 else f"type(v{i}) is not {KIND_OF[c].python.__name__}"
        for i, c in enumerate(codes)
    ]
    lines = [
        "def write(rows, at, stop, append):",
        "    while at < stop:",
        f"        {_values(codes)} = rows[at]",
        f"        if {' or '.join(others)}: return at",
        *(f"    {step}" for step in steps),
        f"        append({result})",
        "        at += 1",
        "    return at",
    ]
    return define(f"rows.write {names_of(codes)}", "write", lines, names)


_NAMES: dict[str, Any] = {"ENDS": TEXT_ENDS, "PADS": PADS, "join": b"".join}


def _values(codes: Sequence[int]) -> str:
    return "".join(f"v{i}, " for i in range(len(codes)))


def _write_values_code(header: bytes, codes: Sequence[int], names: dict[str, Any]) -> tuple[list[str], str]:
    """Return the steps before, and the expression of, the encoded values."""
    steps: list[str] = []
    parts: list[str] = []
    layout, arguments = (f"{len(header)}s", ["HEADER"]) if header else ("", [])

    def flush() -> None:
        nonlocal layout, arguments
        if layout:
            pack = f"pack{len(parts)}"
            names[pack] = Struct("<" + layout).pack
            only_header = arguments == ["HEADER"] and layout == f"{len(header)}s"
            parts.append("HEADER" if only_header else f"{pack}({', '.join(arguments)})")
        layout, arguments = "", []

    for i, code in enumerate(codes):
        form = ENCODED_AS[code]
        if form in FIXED:
            layout += FIXED[form]
            arguments += [] if form == 5 else [f"v{i}"]
        elif form == 4:
            layout += "Q"
            arguments.append(f"len(v{i})")
            flush()
            parts += [f"v{i}", f"PADS[len(v{i}) & 7]"]
        elif form == 3:
            flush()
            steps += [f"    t{i} = v{i}.encode()", f"    if 0 in t{i}: raise ValueError"]
            parts += [f"t{i}", f"ENDS[len(t{i}) & 7]"]
        else:
            raise KeyError(code)
    flush()
    return steps, parts[0] if len(parts) == 1 else f"join(({', '.join(parts)}))"
