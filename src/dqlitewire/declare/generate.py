"""Write and compile the constructor, the encoder and the decoders of a declared message, each at its first
use.

Neighbouring fields of fixed size become one `struct.Struct`, on encoding together with the frame header. A
generated decoder accepts what is certainly right and hands everything else to `read_plainly`.

In the code written here a name that is not a field's begins with `$`, builtins included; `_compile` puts a
prefix in its place that no field's name has.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from ..checks import checked_integer, checked_items, checked_text
from ..constants import NodeRole
from ..exceptions import DecodeError, EncodeError
from ..limits import DEFAULT_LIMITS, DEFAULT_OPTIONS
from ..rows.write_params import write_params
from ..scalars import pack_text
from ..text import shown
from ..tuples import read_params
from .cursor import Cursor
from .fields import DERIVED, MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from ..limits import Options
    from .declared import Reader
    from .fields import Field

_NOT_IN_BODY = {"schema", "form", *DERIVED}


def _compile(cls: Any, name: str, lines: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    prefix = "g_"
    while any(field.name.startswith(prefix) for field in cls.FIELDS):
        prefix = f"g{prefix}"
    scope = {key.replace("$", prefix): value for key, value in names.items()}
    exec("\n".join(lines).replace("$", prefix), scope)
    made: Callable[..., Any] = scope[name]
    return made


def _setters(cls: Any) -> dict[str, Any]:
    return {f"$set_{name}": cls.__dict__[name].__set__ for name in cls.__slots__}


# ---- constructor


def lazy_init(self: Any, /, *args: Any, **kwargs: Any) -> None:
    ensure_init(type(self))
    self.__init__(*args, **kwargs)


def ensure_init(cls: Any) -> None:
    if cls.__dict__.get("__init__") is lazy_init:
        cls.__init__ = _constructor(cls)


def _constructor(cls: Any) -> Callable[..., None]:
    fields: list[Field] = [f for f in cls.FIELDS if f.is_attribute]
    names: dict[str, Any] = _setters(cls) | _CHECKS
    arguments = ["$self"]
    body: list[str] = []
    for field in fields:
        if field.keyword and "*" not in arguments:
            arguments.append("*")
        if field.default is MISSING:
            arguments.append(field.name)
        else:
            names[f"$default_{field.name}"] = field.default
            arguments.append(f"{field.name}=$default_{field.name}")
        body += _check(field, f"{cls.__name__}.{field.name}")
    body += [f"$set_{name}($self, {name})" for name in cls.__slots__]
    lines = [f"def __init__({', '.join(arguments)}):", *(f"    {line}" for line in body or ["pass"])]
    made = _compile(cls, "__init__", lines, names)
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return made


def _check(field: Field, path: str) -> list[str]:
    name, kind = field.name, field.kind
    if kind in ("u32", "u64", "schema"):
        cap = None if field.cap is None else getattr(DEFAULT_LIMITS, field.cap)
        high = field.high if cap is None else min(field.high, cap)
        # One shift tests both bounds of a range 0 to 2**n - 1.
        whole = field.low == 0 and not high & (high + 1)
        outside = f"{name} >> {high.bit_length()}" if whole else f"not {field.low} <= {name} <= {high}"
        test = f"$type({name}) is not $int or {outside}"
        if field.default is None:
            test = f"{name} is not None and ({test})"
        return [f"if {test}:", f"    {name} = $integer({name}, {field.low}, {high}, {path!r}, {cap})"]
    lines = [line.format(n=name, path=repr(path)) for line in _CHECK_LINES.get(kind, ())]
    return [*lines, f"if not {name}: $empty({path!r})"] if kind == "text" and field.low else lines


_CHECK_LINES = {
    "text": ("if $type({n}) is not $str: {n} = $text({n}, {path})",),
    "role": ("if $type({n}) is not $NodeRole: {n} = $role({n}, {path})",),
    "params": ("{n} = [*{n}] if $type({n}) is $list or $type({n}) is $tuple else $items({n}, {path})",),
    "params_schema": (
        "if {n} is None: {n} = 1 if $len(params) > 255 else 0",
        "else: {n} = $integer({n}, 0, 1, {path})",
    ),
    "empty_header": ("_form = schema if {n} is False else schema | $bool({n}) << 1",),
    "stmt_schema": ("if {n} is not None: tail_offset = $tail_offset({n}, tail_offset, {path})",),
}


def refuse_empty(path: str) -> NoReturn:
    raise EncodeError("got no text, some is needed", path=path)


def check_role(value: object, path: str) -> NodeRole:
    return NodeRole(checked_integer(value, 0, len(NodeRole) - 1, path))


def check_tail_offset(schema: object, tail_offset: int | None, path: str) -> int | None:
    if checked_integer(schema, 0, 1, path):
        return tail_offset or 0
    if tail_offset is not None:
        raise EncodeError("got 0 with a tail offset, 1 is needed", path=path)
    return None


_CHECKS: dict[str, Any] = {
    "$tail_offset": check_tail_offset,
    "$integer": checked_integer,
    "$text": checked_text,
    "$empty": refuse_empty,
    "$role": check_role,
    "$items": checked_items,
    "$NodeRole": NodeRole,
    **{f"${kind.__name__}": kind for kind in (type, int, str, list, tuple, bool)},
    "$len": len,
}


# ---- encoder


def lazy_frame(self: Any, options: Options) -> bytes:
    cls = self.__class__
    if cls.__dict__.get("_frame") is lazy_frame:
        cls._frame = cls.encode = _encoder(cls)  # one function, without a call in between
    frame: bytes = self._frame(options)
    return frame


def _encoder(cls: Any) -> Callable[..., bytes]:
    names: dict[str, Any] = {
        "$text": pack_text,
        "$params": write_params,
        "$over": _over,
        "$join": b"".join,
        "$default": DEFAULT_OPTIONS,
    }
    lines = ["def _frame(self, $options=$default):"]
    if cls._before_encoding is not None:
        lines.append("    self._before_encoding()")
    newer = [f for f in cls.FIELDS if f.since]
    for field in newer:
        older = [f for f in cls.FIELDS if f.since < field.since]
        lines.append(f"    if self.{field.name} is None:")
        lines += [f"        {line}" for line in _encode(cls, older, str(field.since - 1), names)]
    schema = str(max((f.since for f in newer), default=0))
    for field in cls.FIELDS:
        schema = {"schema": "self.schema", "form": "(self._form & 1)"}.get(field.kind, schema)
    lines += [f"    {line}" for line in _encode(cls, list(cls.FIELDS), schema, names)]
    made = _compile(cls, "_frame", lines, names)
    made.__name__, made.__doc__ = "encode", cls.encode.__doc__
    return made


def _encode(cls: Any, fields: list[Field], schema: str, names: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    groups: list[list[Field]] = [
        []
    ]  # fixed fields and at most one text behind them; the first has the header
    words = [str(sum(field.size for field in fields if field.format) >> 3)]
    for field in fields:
        path = f"{cls.__name__}.{field.name}"
        if field.format and field.cap:
            cap = f"$options.{field.cap}"
            lines.append(f"if self.{field.name} > {cap}: raise $over(self.{field.name}, {cap}, {path!r})")
        elif field.kind in _ENCODE_LINES:
            steps, size = _ENCODE_LINES[field.kind]
            lines += [step.format(n=field.name, cap=field.cap, path=repr(path)) for step in steps]
            words.append(size.format(n=field.name))
        elif not field.format:
            continue
        if field.kind == "params" or (groups[-1] and not groups[-1][-1].format):
            groups.append([])
        groups[-1].append(field)
    variant = schema if schema.isdigit() else "any"
    key = f"{int(cls.MSG_TYPE)} | {schema} << 8"
    if variant == schema:
        key = str(int(cls.MSG_TYPE) | int(schema) << 8)
    header = f"{' + '.join(words)}, {key}"
    parts = [
        f"$value_{group[0].name}"
        if group and group[0].kind == "params"
        else _pack_group(group, f"$pack_{number}_{variant}", "" if number else header, names)
        for number, group in enumerate(groups)
    ]
    joined = " + ".join(parts) if len(parts) < 3 else f"$join(({', '.join(parts)}))"
    return [*lines, f"return {joined}"]


# How a field of variable size is encoded, and its words; text in doubt goes to `pack_text`.
_ENCODE_LINES = {
    "text": (
        (
            "try: $value_{n} = self.{n}.encode()",
            "except UnicodeEncodeError: $value_{n} = b'\\0'",
            "if 0 in $value_{n} or len($value_{n}) > $options.{cap}:",
            "    $text(self.{n}, $options.{cap}, {path})",
        ),
        "1 + (len($value_{n}) >> 3)",
    ),
    "params": (
        ("$value_{n} = $params(self, self._form, $options) if self.{n} or self._form > 1 else b''",),
        "(len($value_{n}) >> 3)",
    ),
}


class _TextPackers(dict[int, "Callable[..., bytes]"]):
    """Packers of fixed fields and a text, by the whole words of the text; `struct` adds NUL and padding."""

    def __init__(self, layout: str) -> None:
        self._layout = layout

    def __missing__(self, words: int) -> Callable[..., bytes]:
        pack = Struct(f"{self._layout}{8 * words + 8}s").pack
        if words < _KEPT_PACKERS:
            self[words] = pack
        return pack


_KEPT_PACKERS = 512


def _pack_group(group: list[Field], packer: str, header: str, names: dict[str, Any]) -> str:
    """Return the call that packs neighbouring fields; the first group with the header's words and key."""
    layout = ("<IH2x" if header else "<") + "".join(f.format for f in group)
    arguments = [header] if header else []
    arguments += [
        f"self.{f.name}" if f.is_attribute else "0" for f in group if f.format and not f.format.endswith("x")
    ]
    if group and group[-1].kind == "text":
        text = f"$value_{group[-1].name}"
        names[packer] = _TextPackers(layout)
        return f"{packer}[len({text}) >> 3]({', '.join([*arguments, text])})"
    names[packer] = Struct(layout).pack
    return f"{packer}({', '.join(arguments)})"


def _over(value: int, limit: int, path: str) -> EncodeError:
    return EncodeError(f"got {shown(value)}, at most {limit}", path=path, limit=limit)


# ---- decoders


def reader(cls: Any, schema: int) -> Reader:
    """Generate the decoder of one schema; a message with fields read by hand has that, or the plain one."""
    if cls._read_frame is not None:
        by_hand: Reader = cls._read_frame
        return by_hand
    fields = [f for f in cls.FIELDS if f.since <= schema]
    names: dict[str, Any] = _setters(cls) | {
        "$cls": cls,
        "$new": object.__new__,
        "$plainly": read_plainly,
        "$errors": (DecodeError, ValueError, struct_error, OverflowError, IndexError),
        "$roles": tuple(NodeRole),
        "$read_params": read_params,
    }
    steps: list[str] = []
    conditions: list[str] = []
    position = "8"
    at = 0
    while at < len(fields):
        group = _leading_fixed(fields[at:])
        if group:
            unpack, size = f"$unpack_{at}", sum(f.size for f in group)
            names[unpack] = Struct("<" + "".join(f.format for f in group)).unpack_from
            targets = [f.name for f in group if not f.format.endswith("x")]
            if targets:
                steps.append(f"{', '.join(targets)}, = {unpack}($frame, {position})")
            position = str(int(position) + size) if position.isdigit() else f"{position} + {size}"
            conditions += [c for f in group for c in _conditions(f)]
            at += len(group)
            continue
        field = fields[at]
        at += 1
        if field.kind == "text":
            steps += _read_text(field, position, cls.__name__)
            conditions.append(f"$size_{field.name} <= $options.{field.cap}")
            position = "$pos"
        elif field.kind == "params":
            steps += _read_params(field, position, schema, cls.__name__)
            position = "$pos"
        elif field.kind not in _NOT_IN_BODY:
            return _plain_reader(cls, schema)
    tests = [f"{position} == $end", *conditions, cls._fast_if]
    fill = ["    $message = $new($cls)"]
    for field in cls.FIELDS:
        if field.is_stored:
            fill.append(f"    $set_{field.name}($message, {_decoded(field, schema)})")
    lines = [
        *("def read($frame, $end, $options):", "    try:"),
        *(f"        {line}" for line in steps),
        f"        if {' and '.join(tests)}:",
        *(f"        {line}" for line in fill),
        "            return $message",
        "    except $errors:",
        "        pass",
        f"    return $plainly($cls, {schema}, $frame, $end, $options)",
    ]
    return _compile(cls, "read", lines, names)


def read_plainly(cls: Any, schema: int, frame: bytes, end: int, options: Options) -> Any:
    """Decode field by field: the oracle of the generated decoder, and where its doubts are settled."""
    cursor = Cursor(frame, 8, end, options, cls.__name__, schema)
    message = cls._read(cursor)
    cursor.finish()
    return message


def _plain_reader(cls: Any, schema: int) -> Reader:
    def read(frame: bytes, end: int, options: Options) -> Any:
        return read_plainly(cls, schema, frame, end, options)

    return read


def _leading_fixed(fields: list[Field]) -> list[Field]:
    group: list[Field] = []
    for field in fields:
        if not field.format:
            break
        group.append(field)
    return group


def _conditions(field: Field) -> list[str]:
    low, high = field.decodes
    tests = [f"{field.name} >= {low}"] if low and field.is_attribute else []
    if field.kind == "reserved":
        tests.append(f"{field.name} == 0")
    elif field.is_attribute and high < (1 << 8 * field.size) - 1:
        tests.append(f"{field.name} <= {high}")
    if field.cap:
        tests.append(f"{field.name} <= $options.{field.cap}")
    return tests


def _read_text(field: Field, position: str, owner: str) -> list[str]:
    name = field.name
    start = [] if position.isdigit() else [f"$pos = {position}"]
    at = position if position.isdigit() else "$pos"
    return [
        *start,
        f"$nul = $frame.index(0, {at}, $end)",
        f"{name} = $frame[{at}:$nul].decode()",
        f"$size_{name} = $nul - {at}",
        "$pos = ($nul + 8) & -8",
    ]


def _read_params(field: Field, position: str, schema: int, owner: str) -> list[str]:
    name, path = field.name, f"{owner}.{field.name}"
    return [
        f"$pos = {position}",
        "$empty = False",
        f"if $pos >= $end: {name} = []",
        "else:",
        f"    {name}, $size = $read_params($frame, $pos, $end, {schema}, $options, {path!r})",
        "    $pos += $size",
        f"    $empty = not {name}",
    ]


def _decoded(field: Field, schema: int) -> str:
    if field.kind == "schema":
        return str(schema)
    if field.kind == "form":
        return f"{schema} | $empty << 1"
    if field.kind == "role":
        return f"$roles[{field.name}]"
    return "None" if field.since > schema else field.name
