"""The byte diagrams are right: every vector and recorded frame reads by the layout that is drawn of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dqlitewire import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY, DecodeError
from dqlitewire.declare.contract import Field
from dqlitewire.declare.fixed import U64, Integer
from dqlitewire.explain import Span, explain
from dqlitewire.messages import REGISTRY, LeaderRequest
from dqlitewire.traffic.redact import redact
from tests.docs.layout_reader import Found, Reader
from tests.wire_data import VECTORS, Vector, captures, frames
from tools.drawn.messages.layouts import VARIANTS, Cell, header, layouts_of
from tools.drawn.messages.pages import DRAWINGS, KINDS, REDACTED, file_name, files, form_of, redacted_words
from tools.drawn.text import doc_of, look_up


def read(cls: Any, form: str, data: bytes) -> list[Found]:
    (layout,) = [one for one in layouts_of(cls) if one.name == form]
    reader = Reader(data)
    reader.read(header(cls.MSG_TYPE, layout.schema) + layout.parts)
    assert reader.pos == len(data)
    return reader.found


def leaves(span: Span) -> list[tuple[int, int]]:
    if span.children:
        return [place for child in span.children for place in leaves(child)]
    return [(span.start, span.end)] if span.end > span.start else []


def same_parts(cls: Any, form: str, data: bytes) -> None:
    version = PROTOCOL_VERSION_LEGACY if form == "legacy" else PROTOCOL_VERSION
    span = explain(data, is_request=cls.IS_REQUEST, version=version)
    found = [(one.start, one.end) for one in read(cls, form, data) if one.end > one.start]
    assert span.error is None
    assert found == leaves(span)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_every_vector(vector: Vector) -> None:
    same_parts(vector.message_class, form_of(vector), vector.data)


def test_every_short_frame_that_was_recorded() -> None:
    tried = set()
    for capture in captures():
        for is_request, data in ((True, capture.c2s[8:]), (False, capture.s2c)):
            for frame in frames(data):
                cls: Any = REGISTRY.get((is_request, frame[4]))
                if len(frame) > 1024 or cls is None or frame[5] not in cls.SCHEMAS:
                    continue
                form = str(frame[5])
                if (is_request, frame[4]) in VARIANTS:
                    continue  # which form it has depends on what went before: see the vectors
                if explain(frame, is_request=is_request).error is None:
                    same_parts(cls, form, frame)
                    tried.add((is_request, cls.MSG_TYPE))
    assert len(tried) > 20


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: cls.__name__)
def test_every_form_is_drawn_with_each_field(cls: Any) -> None:
    for layout in layouts_of(cls):
        drawn = files()[DRAWINGS / f"{file_name(cls)}-{layout.name}.svg"]
        names = re.findall(r"<text[^>]*>([^<]+)</text>", drawn)
        shown = {one.name for one in layout.parts if isinstance(one, Cell)}
        assert shown | {"words", "type", "schema"} <= set(names)


def test_a_kind_without_a_layout_is_said() -> None:
    class Elephant(Field):
        kind = "elephant"

    one = Elephant()
    one.name = "trunk"

    class Message:
        IS_REQUEST, MSG_TYPE, SCHEMAS, FIELDS = True, 99, (0,), (one,)

    with pytest.raises(ValueError, match=r"elephant field: say in tools/drawn/messages/layouts\.py"):
        layouts_of(Message)


def test_what_a_table_does_not_say_is_told_with_its_place() -> None:
    assert look_up(KINDS, "u64", "a field", "here") == KINDS["u64"]
    with pytest.raises(ValueError, match=r"^an elephant: say in here$"):
        look_up(KINDS, "elephant", "an elephant", "here")


# ---------------------------------------------------------------- what the pages say of fields


def attributes() -> list[tuple[Any, Field]]:
    return [(cls, one) for cls in REGISTRY.values() for one in cls.FIELDS if one.is_attribute]


def test_every_field_is_told_in_the_docstring() -> None:
    missing = [f"{cls.__name__}.{one.name}" for cls, one in attributes() if one.name not in doc_of(cls).each]
    assert missing == []
    assert doc_of(LeaderRequest).words.count("\n\n") == 1


def value_in(data: bytes, vector: Vector, name: str) -> Any:
    (span,) = [one for one in explain(data, is_request=vector.is_request).children if one.name == name]
    return span.value


def test_what_redaction_shows_is_what_the_pages_say() -> None:
    tried = set()
    for vector in VECTORS:
        if vector.context or vector.decode_only:
            continue
        try:
            hidden = redact(vector.data, vector.is_request)
            found = {
                one.name: one.value for one in explain(vector.data, is_request=vector.is_request).children
            }
        except DecodeError:
            continue
        for field in vector.message_class.FIELDS:
            if field.name not in found or field.kind not in ("u32", "u64", "text", "role"):
                continue
            told, before, after = (
                redacted_words(field),
                found[field.name],
                value_in(hidden, vector, field.name),
            )
            if told == "shown":
                assert after == before, field
            elif told == "becomes 0":
                assert after == 0, field
            elif told == "each byte becomes `x`":
                assert after == "x" * len(before.encode()), field
            else:
                assert told == REDACTED[field.name], field
            tried.add((vector.message_class, field.name, told))
    assert {told for _, _, told in tried} >= {"shown", "becomes 0", REDACTED["sql"], REDACTED["message"]}
    assert issubclass(U64, Integer)
    assert set(KINDS) >= {one.kind for cls in REGISTRY.values() for one in cls.FIELDS if one.place == "body"}
