"""One example of every request and every answer."""

from __future__ import annotations

from dqlitewire import Message, NodeInfo, NodeRole, RequestType, ValueType
from dqlitewire.conversation.table import DONE, PART
from dqlitewire.messages import (
    AddRequest,
    AssignRequest,
    ClientRequest,
    ClusterRequest,
    DbResponse,
    DescribeRequest,
    DumpRequest,
    EmptyResponse,
    ExecRequest,
    ExecSqlRequest,
    FailureResponse,
    FilesResponse,
    FinalizeRequest,
    InterruptRequest,
    LeaderRequest,
    LeaderResponse,
    MetadataResponse,
    OpenRequest,
    PrepareRequest,
    QueryRequest,
    QuerySqlRequest,
    RemoveRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
    StmtResponse,
    TransferRequest,
    WeightRequest,
    WelcomeResponse,
)
from dqlitewire.messages.requests import ConnectRequest, HeartbeatRequest

REQUESTS: dict[RequestType, Message] = {
    RequestType(request.MSG_TYPE): request
    for request in (
        LeaderRequest(),
        ClientRequest(7),
        HeartbeatRequest(1),
        OpenRequest("main"),
        PrepareRequest(0, "SELECT ?"),
        ExecRequest(0, 1, [5]),
        QueryRequest(0, 1, [5]),
        FinalizeRequest(0, 1),
        ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [1]),
        QuerySqlRequest(0, "SELECT a FROM t"),
        InterruptRequest(),
        ConnectRequest(2, "127.0.0.1:9002"),
        AddRequest(2, "127.0.0.1:9002"),
        AssignRequest(2, NodeRole.VOTER),
        RemoveRequest(2),
        DumpRequest("main"),
        ClusterRequest(),
        TransferRequest(2),
        DescribeRequest(),
        WeightRequest(5),
    )
}
NODE = NodeInfo(1, "127.0.0.1:9001", NodeRole.VOTER)
INTEGER = [ValueType.INTEGER]


def rows(values: tuple[int, ...], more: bool) -> RowsResponse:
    types = [tuple(INTEGER)] * len(values)
    return RowsResponse(["a"], INTEGER if values else [], types, [(value,) for value in values], more)


def part(*values: int) -> RowsResponse:
    return rows(values, True)


def done(*values: int) -> RowsResponse:
    return rows(values, False)


ANSWERS: dict[int, Message] = {
    answer.MSG_TYPE: answer
    for answer in (
        FailureResponse(1, "no such table: t"),
        LeaderResponse(1, "127.0.0.1:9001"),
        WelcomeResponse(15000),
        ServersResponse([NODE]),
        DbResponse(0),
        StmtResponse(0, 1, 1),
        ResultResponse(4, 2),
        EmptyResponse(),
        FilesResponse({"main": bytes(8)}),
        MetadataResponse(0, 5),
    )
} | {DONE: done(1, 2), PART: part(1, 2)}
