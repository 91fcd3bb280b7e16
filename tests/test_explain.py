"""A frame as a tree of named byte ranges: complete, in agreement with the decoder, and never an exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import (
    PROTOCOL_VERSION_LEGACY,
    DecodeError,
    Limits,
    RequestType,
    ResponseType,
    ValueType,
    decode_message,
)
from dqlitewire.explain import Span, explain
from dqlitewire.messages import (
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    RowsResponse,
    StmtResponse,
)
from dqlitewire.parts import Parts
from tests.messages.test_messages import EXAMPLES
from tests.test_bad_input import FRAMES, NAME, UNCAPPED, at_most, check_placed, framed, words
from tests.wire_data import OUTSIDE_GATEWAY, VECTORS, Vector


def leaves(span: Span) -> Iterator[Span]:
    if not span.children:
        yield span
    for child in span.children:
        yield from leaves(child)


def named(span: Span) -> dict[str, Span]:
    """Every span below by its path."""
    found = {}
    for child in span.children:
        found[child.name] = child
        found |= {
            f"{child.name}{'' if name.startswith('[') else '.'}{name}": s for name, s in named(child).items()
        }
    return found


def check_tree(span: Span, size: int) -> None:
    """Children follow one another inside their parent; at the root they cover every byte."""
    assert (span.start, span.end) == (0, size)

    def inside(parent: Span) -> None:
        position = parent.start
        for child in parent.children:
            assert child.name
            assert position <= child.start <= child.end <= parent.end
            position = child.end
            inside(child)

    inside(span)
    if span.children:
        assert span.children[0].start == 0
        assert span.children[-1].end == size
        for one, following in zip(span.children, span.children[1:], strict=False):
            assert one.end == following.start


def vectors() -> list[Vector]:
    return [v for v in VECTORS if v.context.get("handshake") != "legacy"]


@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_every_byte_of_every_vector_has_a_name(vector: Vector) -> None:
    tree = explain(vector.data, is_request=vector.is_request)
    assert tree.error is None
    check_tree(tree, len(vector.data))
    assert tree.name == vector.message
    assert "undecoded" not in named(tree)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)
def test_values_are_those_of_the_message(message: Any) -> None:
    tree = explain(message.encode(), is_request=message.IS_REQUEST)
    assert tree.error is None
    found = named(tree)
    for name in message.__match_args__:
        if name in found and found[name].value is not None:
            value = getattr(message, name)
            assert found[name].value == (len(value) if name in ("nodes", "files") else value)
    assert found["header.msg_type"].value == message.MSG_TYPE
    assert found["header.schema"].value == message.encode()[5]
    assert found["header.size_words"].value == (len(message.encode()) - 8) // 8


def spans_of(message: Any) -> dict[str, tuple[int, int, Any]]:
    tree = explain(message.encode(), is_request=message.IS_REQUEST)
    return {name: (span.start, span.end, span.value) for name, span in named(tree).items()}


def test_the_ranges_of_a_statement() -> None:
    found = spans_of(StmtResponse(1, 2, 3, 9))
    assert found["db_id"] == (8, 12, 1)
    assert found["stmt_id"] == (12, 16, 2)
    assert found["num_params"] == (16, 24, 3)
    assert found["tail_offset"] == (24, 32, 9)


def test_the_ranges_of_parameters() -> None:
    found = spans_of(ExecSqlRequest(0, "SELECT ?, ?", [5, "hi"]))
    assert found["sql"] == (16, 32, "SELECT ?, ?")
    assert found["params.count"] == (32, 33, 2)
    assert found["params.types"] == (33, 40, (ValueType.INTEGER, ValueType.TEXT))
    assert found["params[0]"] == (40, 48, 5)
    assert found["params[1]"] == (48, 56, "hi")
    found = spans_of(ExecSqlRequest(0, "SELECT ?, ?", [5, "hi"], schema=1))
    assert found["params.count"] == (32, 36, 2)


def test_the_ranges_of_rows() -> None:
    found = spans_of(RowsResponse(["a", "b"], [], [], [[5, "hi"], [None, "x"]], True))
    assert found["columns"] == (8, 16, 2)
    assert found["column_names[0]"] == (16, 24, "a")
    assert found["rows[0]"] == (32, 56, (5, "hi"))
    assert found["rows[0].types"][:2] == (32, 40)
    assert found["rows[0][1]"] == (48, 56, "hi")
    assert found["rows[1][0]"] == (64, 72, None)
    assert found["marker"] == (80, 88, "PART")


def test_the_ranges_of_a_failure_behind_rows() -> None:
    body = bytes(8) + (1555).to_bytes(8, "little") + b"UNIQUE\0\0"
    found = named(explain(framed(body, 0), is_request=False))
    assert [(span.start, span.end) for name, span in found.items() if name in ("code", "message")] == [
        (16, 24),
        (24, 32),
    ]
    assert spans_of(FailureResponse(1, "x"))["code"] == (8, 16, 1)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.context.get("handshake") == "legacy"], ids=str)
def test_the_legacy_leader_answer_depends_on_the_version(vector: Vector) -> None:
    tree = explain(vector.data, is_request=False, version=PROTOCOL_VERSION_LEGACY)
    assert tree.error is None
    assert named(tree)["address"].value == vector.fields["address"]
    assert "node_id" not in named(tree)
    check_tree(tree, len(vector.data))


def test_limits_are_kept() -> None:
    data = FilesResponse({"a": bytes(64)}).encode()
    assert explain(data, is_request=False).error is None
    assert explain(data, is_request=False, limits=Limits(max_file_content_size=8)).error is not None


def test_types_for_tools_are_explained() -> None:
    vectors = [vector for vector in VECTORS if vector.is_request and vector.type in OUTSIDE_GATEWAY]
    assert {vector.type for vector in vectors} == {*OUTSIDE_GATEWAY}
    for vector in vectors:
        assert explain(vector.data, is_request=True).name == vector.message


def refused(data: bytes, is_request: bool) -> DecodeError | None:
    try:
        decode_message(data, is_request, unknown_role_policy="accept", text_errors="backslashreplace")
    except DecodeError as error:
        return error
    return None


def check_against_the_decoder(data: bytes, is_request: bool) -> None:
    tree = explain(data, is_request=is_request)
    check_tree(tree, len(data))
    error = refused(data, is_request)
    known = len(data) >= 8 and data[4] not in ((*OUTSIDE_GATEWAY,) if is_request else (ResponseType.SERVERS,))
    if known:
        assert (tree.error is None) == (error is None)
    if error is not None and error.path in ("Header.msg_type", "Header.schema") and known:
        assert str(tree.error) == str(error)
    if tree.error is not None:
        check_placed(tree.error, len(data))
        if known and error is not None and len(data) == 8 + 8 * int.from_bytes(data[:4], "little"):
            assert (tree.error.path, tree.error.offset, tree.error.limit) == (
                error.path,
                error.offset,
                error.limit,
            )


@pytest.mark.parametrize("number", range(0, len(FRAMES), 2))
def test_cut_frames_are_explained_as_far_as_they_go(number: int) -> None:
    data, is_request = FRAMES[number]
    for end in range(0, len(data), 5):
        tree = explain(data[:end], is_request=is_request)
        assert tree.error is not None
        check_tree(tree, end)
    for end in range(8, len(data), 8):
        check_against_the_decoder(framed(data[8:end], data[4], data[5]), is_request)


def test_bytes_behind_a_frame_are_undecoded() -> None:
    data = StmtResponse(1, 2, 3).encode()
    tree = explain(data + b"more", is_request=False)
    assert tree.error is not None
    assert (tree.children[-1].name, tree.children[-1].start, tree.children[-1].value) == (
        "undecoded",
        24,
        b"more",
    )


@given(st.sampled_from(FRAMES), st.data())
def test_mutated_frames(chosen: tuple[bytes, bool], data: st.DataObject) -> None:
    frame, is_request = bytearray(chosen[0]), chosen[1]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, max(8, len(frame) - 1)))
        if data.draw(st.booleans()) and at < len(frame):
            frame[at] = data.draw(st.integers(0, 255))
        else:
            frame[at:at] = data.draw(st.sampled_from([bytes(8), b"\xff" * 8, b"\xee" * 8, b"\x01" * 8]))
    frame[:4] = ((len(frame) - 8) // 8).to_bytes(4, "little")
    check_against_the_decoder(bytes(frame), is_request)


@given(st.binary(max_size=120), st.booleans())
def test_anything(data: bytes, is_request: bool) -> None:
    check_against_the_decoder(data, is_request)


def test_unknown_types_are_named_by_number() -> None:
    tree = explain(framed(bytes(8), 99), is_request=True)
    assert "99" in tree.name
    assert tree.error is not None
    assert tree.children[-1].value == bytes(8)


def test_names_of_types_follow_the_direction() -> None:
    assert explain(framed(bytes(8), 0), is_request=True).name == RequestType.LEADER.name
    assert explain(framed(bytes(16), 0), is_request=False).name == ResponseType.FAILURE.name


# ---------------------------------------------------------------- memory

TEXT = b"abcdefg\0"
ONE, LAST = words(1) + NAME, b"\xff" * 8


def params_body(code: bytes, value: bytes, count: int = 4_000) -> bytes:
    return words(0) + count.to_bytes(4, "little") + code * count + bytes(4) + value * count


def nodes_body(count: int = 2_000) -> bytes:
    return words(count) + b"".join(words(n + 1) + TEXT + words(0) for n in range(count))


LARGE: dict[str, tuple[bytes, bool]] = {
    "an INTEGER a row": (framed(ONE + words(1, 2**62) * 4_000 + LAST, 7), False),
    "a TEXT a row": (framed(ONE + (words(3) + TEXT) * 4_000 + LAST, 7), False),
    "types that alternate": (framed(ONE + words(1, 0, 5, 0) * 2_000 + LAST, 7), False),
    "wide rows": (
        framed(words(2000) + NAME * 2000 + (b"\x33" * 1000 + TEXT * 2000) * 5 + LAST, 7),
        False,
    ),
    "one very wide row": (
        framed(words(4_000) + NAME * 4_000 + b"\x55" * 2000 + bytes(32_000) + LAST, 7),
        False,
    ),
    "no marker": (framed(ONE + words(1, 2**62) * 4_000, 7), False),
    "names and nothing": (framed(words(4_000) + NAME * 4_000, 7), False),
    "half-built rows": (framed(words(1) * 4_000 + words(1) + NAME, 0), False),
    "unknown": (framed(bytes(100_000), 99), False),
    "SQL": (framed(words(0) + b"a" * 100_000 + bytes(8), 4), True),
}
WHOLE = {  # what is read whole to see whether it can be
    "nodes": (framed(nodes_body(), 3), False),
    "INTEGER parameters": (framed(params_body(b"\1", words(2**62)), 5, 1), True),
    "TEXT parameters": (framed(params_body(b"\3", TEXT), 5, 1), True),
}


@pytest.mark.parametrize("limits", [None, UNCAPPED], ids=["capped", "uncapped"])
@pytest.mark.parametrize("name", [*LARGE, *WHOLE])
def test_a_tree_takes_little_more_memory_than_its_frame(name: str, limits: Limits | None) -> None:
    data, is_request = (LARGE | WHOLE)[name]
    explain(data[:800], is_request=is_request, limits=limits)
    with at_most(len(data) * (3 if name in LARGE else 12) + 50_000):
        tree = explain(data, is_request=is_request, limits=limits)
        for child in tree.children:
            assert child.name
    if name == "an INTEGER a row":
        assert (tree.children[-2].name, tree.children[-2].value) == ("rows[3999]", (2**62,))
        assert [child.name for child in tree.children[3:5]] == ["rows[0]", "rows[1]"]
        assert [(part.name, part.value) for part in tree.children[500].children] == [
            ("types", (ValueType.INTEGER,)),
            ("[0]", 2**62),
        ]


def test_children_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Walking by index is linear."""
    read = []
    divided = Parts.divided
    monkeypatch.setattr(Parts, "divided", lambda *given: read.append(given) or divided(*given))
    (params,) = explain(ExecRequest(0, 0, [None] * 50).encode(), is_request=True).children[-1:]
    assert [params.children[n].value for n in range(len(params.children))].count(None) >= 50
    assert "children" in repr(params)
    assert len([given for given in read if given[2:] == (params.start, params.end)]) == 1


def test_parts_are_a_sequence() -> None:
    parts = explain(RowsResponse(["a"], rows=[[1], [2], [3]]).encode(), is_request=False).children
    named = [part.name for part in parts]
    assert named == ["header", "columns", "column_names[0]", "rows[0]", "rows[1]", "rows[2]", "marker"]
    assert (len(parts), parts[-1].name, parts[3].value) == (7, "marker", (1,))
    assert [part.name for part in parts[1:3]] == named[1:3]
    for beyond in (7, -8):
        with pytest.raises(IndexError):
            parts[beyond]


@pytest.mark.parametrize("wrong", ["text", 5, None, [1, 2]])
def test_only_bytes_are_explained(wrong: Any) -> None:
    with pytest.raises(TypeError):
        explain(wrong, is_request=True)
