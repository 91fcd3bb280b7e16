"""How docs/api.py reads docstrings: where Sphinx is installed, which the suite itself does not need."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Any

import pytest

from dqlitewire.client import Leader
from dqlitewire.messages import ExecSqlRequest, InterruptRequest, OpenRequest
from tests.docs.blocks import DOCS


@pytest.fixture(scope="module")
def api() -> Any:
    sys.path.insert(0, str(DOCS))
    try:
        return import_module("api")
    finally:
        sys.path.remove(str(DOCS))


def read(api: Any, text: str, what: str = "function", name: str = "dqlitewire.MessageDecoder.decode") -> str:
    lines = inspect.cleandoc(text).splitlines()
    api._docstring(None, what, name, None, None, lines)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("see `MessageEncoder`", "see :py:obj:`MessageEncoder <dqlitewire.MessageEncoder>`"),
        ("then `reset()`", "then :py:obj:`reset() <dqlitewire.MessageDecoder.reset>`"),
        ("see `LeaderRequest`", "see :py:obj:`LeaderRequest <dqlitewire.messages.LeaderRequest>`"),
        ("`Limits`s", ":py:obj:`Limits <dqlitewire.Limits>`\\ s"),
        ("what `decode` is called itself", "what ``decode`` is called itself"),
        ("`Frame` is of two modules", "``Frame`` is of two modules"),
        ("`no_such_name` and `SELECT 1`", "``no_such_name`` and ``SELECT 1``"),
        ("``two``, 2**3, a|b, name_ and *args", "``two``, 2\\*\\*3, a\\|b, name\\_ and \\*args"),
        ("* a list", "* a list"),
    ],
)
def test_a_line(api: Any, written: str, read_as: str) -> None:
    assert read(api, written) == read_as


def test_code_and_results(api: Any) -> None:
    written = """Do it:

        x = `1` ** 2

    Args:
        a: one thing.

    Returns:
        In the order: first,
        then last.

    Raises:
        ValueError: none.
    """
    assert read(api, written).splitlines() == [
        *("Do it:", "", "::", "", "    x = `1` ** 2", "", "Args:", "    a: one thing.", ""),
        *(":returns: In the order: first,", "    then last.", "", "Raises:", "    ValueError: none."),
    ]


def test_a_property_has_no_type_in_its_words(api: Any) -> None:
    assert read(api, "Whether all is well: so far.", "property") == "..\n\nWhether all is well: so far."


def test_messages_have_types_and_tell_their_own(api: Any) -> None:
    def signature(kind: type) -> str:
        found = api._signature(None, "class", kind.__name__, kind, None, "()", None)
        assert found is not None
        return str(found[0])

    assert signature(OpenRequest) == "(name: str, flags: int = 0, vfs: str = '')"
    assert "schema: int | None = None" in signature(ExecSqlRequest)
    told = api._on_the_wire(OpenRequest)
    assert told == "Type 3, `RequestType.OPEN`; schema 0; answered by `DbResponse`."
    assert "`EmptyResponse`" in api._on_the_wire(InterruptRequest)
    lines = ["Open.", "", "Args:", "    name: of it."]
    api._docstring(None, "class", "dqlitewire.messages.OpenRequest", OpenRequest, None, lines)
    assert lines[2].startswith("Type 3, :py:obj:`RequestType.OPEN <dqlitewire.RequestType.OPEN>`")


def test_data_is_told_of(api: Any) -> None:
    assert api._about("dqlitewire.WORD_SIZE", 8) == ["Bytes of a word: every frame is a number of them."]
    assert api._about("dqlitewire.SQLITE_BUSY", 5) == ["Another connection holds the lock."]
    assert api._about("dqlitewire.SQLITE_NOTICE", 27) == []


def test_what_is_private_or_said_twice_is_left_out(api: Any) -> None:
    given = "(leader: str, _by_address: dict[str, ~a.B] = <factory>)"
    assert api._signature(None, "class", "dqlitewire.dial.ClusterView", object, None, given, None)[0] == (
        "(leader: str)"
    )
    given = "(address: str, nodes: list[~a.B] = <factory>, weight: int = 0)"
    assert api._signature(None, "class", "dqlitewire.dial.Health", object, None, given, None)[0] == (
        "(address: str, nodes: list[~a.B] = [], weight: int = 0)"
    )
    # the fields of a named tuple stand in its docstring; Sphinx calls each "Alias for field number 0" besides
    directive = "\n".join(api._directive("Leader", Leader))
    assert "   :exclude-members: node_id, address\n" in directive
