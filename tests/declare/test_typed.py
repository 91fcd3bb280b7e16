"""What type checkers say of constructors and attributes that declarations make, held by the checkers.

Each wrong line is refused at run time, and has a comment by which mypy and pyright let it pass. Where it is
not needed the comment is an error of both: of mypy in its strict mode, of pyright by the line below. So
`make check` fails if one of them does not see what is wrong.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import pytest

from dqlitewire import EncodeError, NodeRole
from dqlitewire.messages import (
    AddRequest,
    ClientRequest,
    DbResponse,
    EmptyResponse,
    ExecRequest,
    LeaderRequest,
    NodeInfo,
    OpenRequest,
    PrepareRequest,
    ServersResponse,
    StmtResponse,
)
from dqlitewire.raft import RequestVote


def test_missing_arguments() -> None:
    with pytest.raises(TypeError):
        OpenRequest()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        PrepareRequest(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        DbResponse()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ClientRequest()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        NodeInfo(1, "a:1")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        RequestVote()  # type: ignore[call-arg]


def test_arguments_too_many() -> None:
    with pytest.raises(TypeError):
        LeaderRequest(None)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        EmptyResponse(unused=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        DbResponse(0, None)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        OpenRequest("main", 0, "", "more")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        OpenRequest("main", flag=0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        AddRequest(1, "a:1", NodeRole.VOTER)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        RequestVote(1, 2, 3, 4, flags=1, pre_vote=True)  # type: ignore[call-arg]


def test_arguments_by_keyword_only() -> None:
    with pytest.raises(TypeError):
        ExecRequest(0, 0, (), 1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ServersResponse([], 1)  # type: ignore[call-arg]


def test_arguments_of_another_type() -> None:
    with pytest.raises(EncodeError):
        OpenRequest(5)  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        PrepareRequest(0, "SELECT 1", "1")  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        NodeInfo(1, "a:1", "voter")  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        StmtResponse(0, None, 0)  # type: ignore[arg-type]


def test_attributes_are_not_set() -> None:
    message = OpenRequest("main")
    with pytest.raises(AttributeError):
        message.name = "other"  # type: ignore[misc]


def test_what_is_right_needs_no_comment() -> None:
    assert OpenRequest("main", flags=1).vfs == ""
    assert PrepareRequest(0, "SELECT 1", schema=1).schema == 1
    assert ExecRequest(0, 0, [1, "x"], schema=1, empty_header=False).params == [1, "x"]
    assert StmtResponse(0, 1, 2, tail_offset=3).schema == 1
    assert NodeInfo(1, "a:1", NodeRole.SPARE).role is NodeRole.SPARE
