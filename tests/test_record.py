"""Records: what `record` makes of annotations, and what it leaves alone."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest

from dqlitewire.record import Record, matched, record


@record
class Gap(Record):
    offset: int
    size: int | None = None


@record
class Named(Gap):
    KINDS: ClassVar[int] = 3

    name: str = "x"

    __match_args__ = ("name", "offset")


class Bare(Named):
    pass


class Counted(Record):
    count: int
    _double: int

    def __init__(self, half: int) -> None:
        self.count = 2 * half
        self._double = 4 * half


def test_slots_and_defaults() -> None:
    gap = Gap(3)
    assert (gap.offset, gap.size) == (3, None)
    assert Gap.__slots__ == ("offset", "size")
    assert not hasattr(gap, "__dict__")
    with pytest.raises(AttributeError):
        gap.other = 1  # type: ignore[attr-defined]


def test_arguments_by_place_and_by_name() -> None:
    assert matched(Gap(1, 2)) == matched(Gap(size=2, offset=1)) == [1, 2]
    with pytest.raises(TypeError, match=r"Gap.__init__\(\) missing 1 required positional argument: 'offset'"):
        Gap()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'offsets'"):
        Gap(offsets=1)  # type: ignore[call-arg]


def test_fields_of_a_base_come_first() -> None:
    named = Named(1, 2, "y")
    assert (named.offset, named.size, named.name) == (1, 2, "y")
    assert Named.__slots__ == ("name",)
    assert Named.KINDS == 3
    assert Named(1).name == "x"


def test_a_derived_class_without_fields_has_the_constructor_of_its_base() -> None:
    assert Bare.__slots__ == ()
    assert repr(Bare(1, 2, "y")) == "Bare('y', 1)"
    assert not hasattr(Bare(1), "__dict__")


def test_what_a_class_writes_itself_stays() -> None:
    assert Named.__match_args__ == ("name", "offset")
    assert Gap.__match_args__ == ("offset", "size")
    assert (Counted(2).count, Counted(2)._double) == (4, 8)
    assert Counted.__match_args__ == ()


def test_match_and_repr() -> None:
    match Gap(1, 2):
        case Gap(offset, size):
            assert (offset, size) == (1, 2)
    assert repr(Gap(1)) == "Gap(1, None)"


def test_records_are_compared_by_identity() -> None:
    gap = Gap(1)
    assert gap == gap
    assert gap != Gap(1)
    assert len({gap, Gap(1)}) == 2


def test_the_constructor_can_be_seen() -> None:
    @record
    class Fresh(Record):
        a: int
        b: int = 1

    assert str(inspect.signature(Fresh)) == "(a, b=1)"
    assert "self.a = a" in inspect.getsource(Fresh.__init__)
