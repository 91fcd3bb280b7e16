"""The table of value kinds: each passes every reader and every writer, and errors are derived from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqlitewire import DecodeError, EncodeError, ValueType
from dqlitewire.tuples import decode_params_tuple, encode_row_header
from dqlitewire.types import decode_value
from dqlitewire.values import ENCODED_AS, FIXED, KIND_OF, KINDS, TYPES_BY_CODE, Kind, allowed_codes, names_of
from tests.every_kind import check_decode_command, check_kind


def test_every_member_of_the_enumeration_has_a_row() -> None:
    assert [kind.code for kind in KINDS] == list(ValueType)
    assert [code for code in TYPES_BY_CODE if code is not None] == list(ValueType)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code.name)
def test_every_kind_passes_every_reader_and_writer(kind: Kind) -> None:
    check_kind(kind.code)


def test_the_decode_command_shows_every_kind(tmp_path: Path) -> None:
    check_decode_command([int(kind.code) for kind in KINDS], tmp_path)


def test_what_a_kind_is_encoded_as() -> None:
    assert {code: ENCODED_AS[code] for code in KIND_OF} == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 9: 1, 10: 3, 11: 11}
    assert not any(ENCODED_AS[code] for code in range(256) if code not in KIND_OF)


def test_a_struct_format_of_its_own_holds_integers_or_floats() -> None:
    """What fast readers and writers rely on where they know no other form."""
    for code in {ENCODED_AS[code] for code in FIXED} - {5, 11}:
        assert KIND_OF[code].python in (int, float)


def test_bounds() -> None:
    assert KIND_OF[1].bounds == (-(2**63), 2**63 - 1)
    assert Kind(ValueType.INTEGER, "Q", int).bounds == (0, 2**64 - 1)
    assert Kind(ValueType.INTEGER, "i4x", int).bounds == (-(2**31), 2**31 - 1)


def test_errors_say_what_the_table_has() -> None:
    assert allowed_codes() == "1 to 5 and 9 to 11"
    assert allowed_codes(in_params=True) == "1 to 5, 10 and 11"
    for call, problem in (
        (lambda: decode_value(bytes(8), 6), "value type 6, allowed 1 to 5 and 9 to 11"),  # type: ignore[arg-type]
        (lambda: encode_row_header([1, 7]), "value type 7, allowed 1 to 5 and 9 to 11"),
        (
            lambda: decode_params_tuple(b"\x01\x09" + bytes(14)),
            "value type 9, allowed 1 to 5, 10 and 11 in parameters",
        ),
    ):
        with pytest.raises((DecodeError, EncodeError), match=problem):
            call()


def test_names_of_many_columns_are_short_and_still_tell_them_apart() -> None:
    assert names_of([1, 3, 2]) == "INTEGER,TEXT,FLOAT"
    assert names_of([1] * 33 + [11]) == "34 columns " + "1" * 33 + "b"
