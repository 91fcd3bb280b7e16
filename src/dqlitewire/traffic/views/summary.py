"""A message on one line: the fields that matter, values as SQL writes them, long ones elided.

The line comes from the declaration: each field with its name, in wire order. Where people write it
another way, one of the two tables has a function for the message: `_SIMPLE` for those that need the message
alone, `_SQL` for those whose line depends on the width and on the text of a prepared statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dqlitewire import Message, messages, sanitize_for_log
from dqlitewire.conversation import failure_name
from dqlitewire.messages import requests
from dqlitewire.traffic.shorten import counted, middle, one_line
from dqlitewire.traffic.views.literals import ITEMS, fields_of, value, values


def summarise(message: Message, width: int = 160, sql: str | None = None) -> str:
    """Return a message in words, without its type; made for a width, but not cut to it.

    Args:
        message: any message.
        width: columns that there are.
        sql: the text of the prepared statement that the message runs.
    """
    kind = type(message)
    if kind in _SIMPLE:
        return _SIMPLE[kind](message).strip()
    return _SQL.get(kind, _declared)(message, width, sql)


def _declared(message: Any, width: int, sql: str | None) -> str:
    shown = [
        middle(one_line(held), max(16, width // 2))
        if name == "sql" and isinstance(held, str)
        else f"{name} {value(held)}"
        for name, held in fields_of(message)
    ]
    if sql is not None and not hasattr(message, "sql"):
        shown.append(middle(one_line(sql), max(16, width // 2)))
    return ", ".join(shown)


def _database(message: Any) -> str:
    return f"db {message.db_id} " if message.db_id else ""


def _text(message: Any, width: int, _: str | None) -> str:
    params = f"  {values(message.params)}" if getattr(message, "params", None) else ""
    room = max(width // 2, width - len(params) - 1)  # parameters are worth more than the end of a long text
    return _database(message) + middle(one_line(message.sql), room) + params


def _prepared(message: Any, width: int, sql: str | None) -> str:
    params = f"  {values(message.params)}" if getattr(message, "params", None) else ""
    label = f"{_database(message)}stmt {message.stmt_id}"
    if sql is not None:
        label += ": " + middle(one_line(sql), max(width // 2, width - len(params) - 1) - len(label) - 2)
    return label + params


def _rows(message: messages.RowsResponse) -> str:
    names = ", ".join(sanitize_for_log(name) for name in message.column_names[:ITEMS])
    if len(message.column_names) > ITEMS:
        names += f", … {len(message.column_names)} in all"
    more = ", more to come" if message.has_more else ""
    first = f"  {values(message.rows[0])}" if message.rows else ""
    return f"{counted(len(message.rows), 'row')}{more}: {names}{first}"


def _servers(message: messages.ServersResponse) -> str:
    nodes = [
        f"{node.node_id} {sanitize_for_log(node.address)}"
        + (f" {node.role.name.lower()}" if message.format else "")
        for node in message.nodes[:ITEMS]
    ]
    if len(message.nodes) > ITEMS:
        nodes.append(f"… {len(message.nodes)} in all")
    return f"{counted(len(message.nodes), 'node')}: {', '.join(nodes)}"


def _files(message: messages.FilesResponse) -> str:
    return ", ".join(f"{sanitize_for_log(name)} {len(data)} B" for name, data in message.files.items())


def _stmt(message: messages.StmtResponse) -> str:
    tail = "" if message.tail_offset is None else f", tail at {message.tail_offset}"
    return f"stmt {message.stmt_id}, {counted(message.num_params, 'parameter')}{tail}"


def _open(message: requests.OpenRequest) -> str:
    vfs = f" (vfs {sanitize_for_log(message.vfs)})" if message.vfs else ""
    return f"{sanitize_for_log(message.name)}{vfs}"


def _leader(message: messages.LeaderResponse) -> str:
    if not message.address:
        return "no leader known"
    number = f"{message.node_id} " if message.node_id else ""
    return f"{number}at {sanitize_for_log(message.address)}"


def _failure(message: messages.FailureResponse) -> str:
    name = f" {failure_name(message.code)}" if message.code else ""  # 0 is no SQLITE_OK here
    return f"{message.code}{name}: {sanitize_for_log(message.message)}"


_SIMPLE: dict[type[Message], Callable[[Any], str]] = {
    requests.ClientRequest: lambda m: f"id {m.client_id}",
    requests.HeartbeatRequest: lambda m: f"at {m.timestamp}",
    requests.OpenRequest: _open,
    requests.InterruptRequest: _database,
    requests.ConnectRequest: lambda m: f"raft of node {m.node_id} at {sanitize_for_log(m.address)}",
    requests.AddRequest: lambda m: f"node {m.node_id} at {sanitize_for_log(m.address)}",
    requests.AssignRequest: lambda m: f"node {m.node_id} {m.role.name.lower()}",
    requests.RemoveRequest: lambda m: f"node {m.node_id}",
    requests.DumpRequest: lambda m: sanitize_for_log(m.name),
    requests.ClusterRequest: lambda m: f"format {m.format}",
    requests.TransferRequest: lambda m: f"to node {m.target_node_id}" if m.target_node_id else "to any voter",
    requests.DescribeRequest: lambda m: f"format {m.format}",
    requests.WeightRequest: lambda m: str(m.weight),
    messages.FailureResponse: _failure,
    messages.LeaderResponse: _leader,
    messages.WelcomeResponse: lambda m: f"heartbeat timeout {m.heartbeat_timeout} ms",
    messages.ServersResponse: _servers,
    messages.DbResponse: lambda m: f"db {m.db_id}",
    messages.StmtResponse: _stmt,
    messages.ResultResponse: lambda m: (
        f"{counted(m.rows_affected, 'row')} changed, last id {m.last_insert_id_signed}"
    ),
    messages.RowsResponse: _rows,
    messages.FilesResponse: _files,
    messages.MetadataResponse: lambda m: f"failure domain {m.failure_domain}, weight {m.weight}",
}
_SQL: dict[type[Message], Callable[[Any, int, str | None], str]] = {
    requests.PrepareRequest: _text,
    requests.ExecSqlRequest: _text,
    requests.QuerySqlRequest: _text,
    requests.ExecRequest: _prepared,
    requests.QueryRequest: _prepared,
    requests.FinalizeRequest: _prepared,
}
