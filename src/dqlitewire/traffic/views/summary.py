"""A message on one line: the fields that matter, values as SQL writes them, long ones elided."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dqlitewire import Message, messages, sanitize_for_log
from dqlitewire.conversation import failure_name
from dqlitewire.messages import requests

ITEMS = 6  # values of a list that are shown
TEXT = 40  # characters of a value that are shown


def elide(text: str, width: int) -> str:
    """Cut text to a width, in the end."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def value(cell: Any, width: int = TEXT) -> str:
    """A parameter or cell as an SQL literal."""
    match cell:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if cell else "FALSE"
        case str():
            return "'" + elide(sanitize_for_log(cell).replace("'", "''"), width) + "'"
        case bytes():
            if 2 * len(cell) > width:
                return f"x'{cell[: width // 2].hex()}…' ({len(cell)} B)"
            return f"x'{cell.hex()}'"
        case _:
            return repr(cell)


def values(cells: Iterable[object], limit: int = ITEMS) -> str:
    """A list of values in parentheses."""
    items = list(cells)
    shown = [value(item) for item in items[:limit]]
    if len(items) > limit:
        shown.append(f"… {len(items)} in all")
    return f"({', '.join(shown)})"


def one_line(sql: str) -> str:
    """SQL text with its line ends and blanks folded."""
    return sanitize_for_log(" ".join(sql.split()))


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _database(message: Any) -> str:
    return f"db {message.db_id} " if message.db_id else ""


def _sql(message: Any, width: int) -> str:
    params = f"  {values(message.params)}" if getattr(message, "params", None) else ""
    room = max(
        width // 2, width - len(params) - 1
    )  # the parameters are worth more than the end of a long text
    return _database(message) + elide(one_line(message.sql), room) + params


def _statement(message: Any, width: int, sql: str | None) -> str:
    params = f"  {values(message.params)}" if getattr(message, "params", None) else ""
    label = f"{_database(message)}stmt {message.stmt_id}"
    if sql is not None:
        label += ": " + elide(one_line(sql), max(width // 2, width - len(params) - 1) - len(label) - 2)
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


_SUMMARIES: dict[type[Message], Callable[[Any], str]] = {
    requests.LeaderRequest: lambda m: "",
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
    messages.EmptyResponse: lambda m: "",
    messages.FilesResponse: _files,
    messages.MetadataResponse: lambda m: f"failure domain {m.failure_domain}, weight {m.weight}",
}


def summarise(message: Message, width: int = 160, sql: str | None = None) -> str:
    """Return what a message says, without its type; made for a width, but not cut to it.

    Args:
        sql: the text of the prepared statement that the message runs.
    """
    if hasattr(message, "sql"):
        return _sql(message, width)
    if isinstance(message, (requests.ExecRequest, requests.QueryRequest, requests.FinalizeRequest)):
        return _statement(message, width, sql)
    return _SUMMARIES[type(message)](message).strip()
