"""LOCAL=REAL[=NAME]."""

from __future__ import annotations

import pytest

from dqlitewire.proxy import Pair, PairError
from dqlitewire.proxy.pairs import pairs_of


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:0=10.0.0.1:9001",
        "127.0.0.1:9001=10.0.0.1:9001=db-1:9001",
        "[::1]:9001=[fd00::1]:9001",
        "unix:/run/a.sock=@b",
        "@a=unix:/run/b.sock=10.0.0.1:9001",
        "unix:/a=b=unix:/c",
        "0.0.0.0:0=localhost:9001",
    ],
)
def test_pairs_are_read_and_written(text: str) -> None:
    assert str(Pair.parse(text)) == text


def test_the_parts() -> None:
    pair = Pair.parse("[::1]:0=unix:/c=10.0.0.1:9001")
    assert (str(pair.local), str(pair.real), pair.name) == ("[::1]:0", "unix:/c", "10.0.0.1:9001")
    assert pair.advertised == "10.0.0.1:9001"
    assert Pair.parse("@a=h:1").advertised == "h:1"
    path = Pair.parse("unix:/a=b=unix:/c")
    assert (path.local.name, path.real.name) == ("/a=b", "/c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "a",
        "127.0.0.1:0",
        "127.0.0.1:0=",
        "=127.0.0.1:1",
        "127.0.0.1:0=b",
        "h:1=h:0",
        "h:x=h:1",
        "a\0b",
    ],
)
def test_what_is_no_pair_is_said(text: str) -> None:
    with pytest.raises(PairError, match="LOCAL=REAL") as caught:
        Pair.parse(text)
    assert len(str(caught.value)) < 160


def test_two_pairs_cannot_listen_on_one_address() -> None:
    with pytest.raises(PairError, match="stands in two pairs"):
        pairs_of(["127.0.0.1:1=h:1", "127.0.0.1:1=h:2"])
    with pytest.raises(PairError, match="stands in two pairs"):
        pairs_of(["@a=h:1", "@a=h:2"])
    assert len(pairs_of(["127.0.0.1:0=h:1", "127.0.0.1:0=h:2"])) == 2
    with pytest.raises(PairError, match="at least one"):
        pairs_of([])


def test_a_mapping_may_hold_names() -> None:
    assert pairs_of({"127.0.0.1:0": "h:1=n:2"})[0].name == "n:2"
