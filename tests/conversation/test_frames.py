"""What is read from the bytes of a frame without decoding it."""

from __future__ import annotations

import pytest

from dqlitewire.constants import RequestType
from dqlitewire.conversation.frames import RawRequest, is_roleless, statement_id
from dqlitewire.messages import (
    REQUESTS,
    ClusterRequest,
    ExecRequest,
    ExecSqlRequest,
    FinalizeRequest,
    LeaderRequest,
    Message,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
)
from tests.conversation.messages import REQUESTS as EXAMPLES


@pytest.mark.parametrize("request_", [ExecRequest(7, 9), QueryRequest(7, 9), FinalizeRequest(7, 9)])
def test_statement_and_database_are_named_by_their_ids(request_: Message) -> None:
    frame = request_.encode()
    assert statement_id(frame) == 9
    assert RawRequest(frame).db_id == 7


@pytest.mark.parametrize(
    "request_", [ExecSqlRequest(7, "SELECT 1"), QuerySqlRequest(7, "SELECT 1"), PrepareRequest(7, "SELECT 1")]
)
def test_a_database_is_named_without_a_statement(request_: Message) -> None:
    frame = request_.encode()
    assert statement_id(frame) is None
    assert RawRequest(frame).db_id == 7


@pytest.mark.parametrize("request_", [LeaderRequest(), OpenRequest("db"), ClusterRequest()])
def test_other_requests_name_neither(request_: Message) -> None:
    frame = request_.encode()
    assert statement_id(frame) is None
    assert RawRequest(frame).db_id == 0


def test_a_request_of_unknown_type_names_neither() -> None:
    frame = bytes((2, 0, 0, 0, 99, 0, 0, 0)) + b"\7" * 16
    assert statement_id(frame) is None
    assert RawRequest(frame).db_id == 0


def test_a_request_that_is_cut_short_names_no_statement() -> None:
    assert statement_id(QueryRequest(7, 9).encode()[:15]) is None


@pytest.mark.parametrize("kind", RequestType)
def test_ids_are_read_as_the_declarations_say(kind: RequestType) -> None:
    example = EXAMPLES[kind]
    frame = example.encode()
    assert type(example) is REQUESTS[kind]
    assert statement_id(frame) == getattr(example, "stmt_id", None)
    assert RawRequest(frame).db_id == getattr(example, "db_id", 0)


@pytest.mark.parametrize(
    ("body", "roleless"),
    [(bytes(8), True), (b"\1" + bytes(7), False), (bytes(8) + b"\1" + bytes(7), True)],
)
def test_nodes_have_no_roles_for_cluster_in_format_0(body: bytes, roleless: bool) -> None:
    """Servers read the first word of the body alone."""
    header = bytes((len(body) // 8, 0, 0, 0, RequestType.CLUSTER, 0, 0, 0))
    assert is_roleless(header + body) is roleless
    assert not is_roleless(LeaderRequest().encode())
