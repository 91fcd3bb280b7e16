"""Errors carry facts, survive pickling and copying, and say one short line."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from dqlitewire import (
    ConcurrentUseError,
    ContinuationError,
    DecodeError,
    EncodeError,
    HandshakeError,
    PoisonedError,
    ProtocolError,
    ServerFailure,
    StreamError,
)

PLAIN = [ConcurrentUseError, ContinuationError, HandshakeError, ProtocolError, EncodeError, DecodeError]
COUNTED = [StreamError, PoisonedError]


def twins(error: Exception) -> list[Exception]:
    return [
        pickle.loads(pickle.dumps(error)),
        copy.copy(error),
        copy.deepcopy(error),
    ]


@pytest.mark.parametrize("cls", [*PLAIN, *COUNTED])
def test_a_message_alone_is_enough(cls: type[Exception]) -> None:
    error = cls("what went wrong")
    assert str(error) == "what went wrong"
    for twin in twins(error):
        assert type(twin) is cls
        assert str(twin) == str(error)


@pytest.mark.parametrize("cls", [*PLAIN, *COUNTED])
def test_no_argument_is_needed(cls: type[Exception]) -> None:
    assert isinstance(str(cls()), str)


@pytest.mark.parametrize("cls", COUNTED)
def test_stream_errors_count_frames_and_rows(cls: type[StreamError]) -> None:
    plain = cls("x")
    assert (plain.frame_count, plain.total_rows) == (0, 0)
    error = cls("x", frame_count=3, total_rows=500)
    for one in (error, *twins(error)):
        assert (one.frame_count, one.total_rows) == (3, 500)
    with pytest.raises(TypeError):
        cls("x", 3, 500)


def test_server_failure_has_code_and_message() -> None:
    error = ServerFailure(1555, "UNIQUE constraint failed: c.a")
    for one in (error, *twins(error)):
        assert (one.code, one.message) == (1555, "UNIQUE constraint failed: c.a")
        assert one.args == (1555, "UNIQUE constraint failed: c.a")
        assert str(one) == "[1555] UNIQUE constraint failed: c.a"


@pytest.mark.parametrize(
    ("make", "facts"),
    [
        (
            lambda: DecodeError("too many", path="StmtResponse.num_params", offset=16, limit=32766),
            {"path": "StmtResponse.num_params", "offset": 16, "limit": 32766},
        ),
        (lambda: DecodeError("short"), {"path": None, "offset": None, "limit": None}),
        (
            lambda: EncodeError("too long", path="OpenRequest.name", limit=4096),
            {"path": "OpenRequest.name", "limit": 4096},
        ),
        (lambda: EncodeError("not text"), {"path": None, "limit": None}),
    ],
)
def test_facts_are_attributes(make: Callable[[], Exception], facts: dict[str, object]) -> None:
    error = make()
    for one in (error, *twins(error)):
        assert {name: getattr(one, name) for name in facts} == facts
        assert str(one) == str(error)


def test_str_names_field_and_offset() -> None:
    error = DecodeError("9 is not a role", path="ServersResponse.nodes[0].role", offset=40)
    assert "ServersResponse.nodes[0].role" in str(error)
    assert "9 is not a role" in str(error)
    assert "40" in str(error)


def test_drivers_can_derive_from_the_base_class() -> None:
    class DriverError(Exception):
        def __init__(self, *args: object, code: int = 0) -> None:
            super().__init__(*args)
            self.code = code

    class DriverProtocolError(DriverError, ProtocolError):
        pass

    error = DriverProtocolError("wire decode failed", "detail", code=5)
    assert (error.args, error.code) == (("wire decode failed", "detail"), 5)
    assert isinstance(error, ProtocolError)
