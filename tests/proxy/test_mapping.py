"""Addresses in answers: what each client is told, in every layout; everything else byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import NodeInfo, decode_message
from dqlitewire.constants import PROTOCOL_VERSION, PROTOCOL_VERSION_LEGACY
from dqlitewire.dial import Address
from dqlitewire.dial.listening import parse_local
from dqlitewire.messages import LeaderResponse, ServersResponse
from dqlitewire.proxy.mapping import Place, local_names, rewritten
from dqlitewire.proxy.pairs import Pair
from tests.proxy.peers import frame

REAL = "10.0.0.1:9001"
addresses = st.from_regex(r"[a-z0-9.]{1,30}:[1-9][0-9]{0,3}", fullmatch=True)


def text(value: str) -> bytes:
    data = value.encode()
    return data + bytes(8 - len(data) % 8)


def place(local: str, real: str = REAL, name: str = "", wildcard: bool = False) -> Place:
    return Place(Pair(parse_local(local), Address.parse(real), name), parse_local(local), wildcard)


@given(addresses, addresses, st.sampled_from([0, 1]))
def test_an_address_of_any_length_takes_the_place_of_any_other(real: str, local: str, format: int) -> None:
    others = [NodeInfo(2, "other:1", 1), NodeInfo(9, "third:2", 2)]
    frame_ = ServersResponse([NodeInfo(1, real, 0), *others], format=format).encode()
    wanted = ServersResponse([NodeInfo(1, local, 0), *others], format=format).encode()
    assert rewritten(frame_, {real: local}, PROTOCOL_VERSION) == wanted
    leader = LeaderResponse(7, real).encode()
    assert rewritten(leader, {real: local}, PROTOCOL_VERSION) == LeaderResponse(7, local).encode()


def test_the_layout_of_before_1_0_has_no_id() -> None:
    old, new = frame(1, text(REAL)), frame(1, text("127.0.0.1:55555"))
    assert rewritten(old, {REAL: "127.0.0.1:55555"}, PROTOCOL_VERSION_LEGACY) == new
    assert decode_message(new, False, PROTOCOL_VERSION_LEGACY).address == "127.0.0.1:55555"  # type: ignore[attr-defined]
    assert rewritten(old, {REAL: "127.0.0.1:55555"}, PROTOCOL_VERSION) is old


def test_a_role_of_a_later_release_stays() -> None:
    body = (1).to_bytes(8, "little") + (5).to_bytes(8, "little") + text(REAL) + (9).to_bytes(8, "little")
    got = rewritten(frame(3, body), {REAL: "@x"}, PROTOCOL_VERSION)
    assert got == frame(3, body[:16] + text("@x") + body[-8:])


@pytest.mark.parametrize(
    "body",
    [b"", bytes(8), b"\xff" * 8, (1).to_bytes(8, "little") + text(REAL)[:8], text(REAL) + bytes(8)],
)
@pytest.mark.parametrize("kind", [1, 3])
def test_what_does_not_decode_goes_on_as_it_came(kind: int, body: bytes) -> None:
    data = frame(kind, body)
    assert rewritten(data, {REAL: "x:1"}, PROTOCOL_VERSION) is data


def test_what_leads_past_the_proxy_is_told() -> None:
    told: list[str] = []
    names = {REAL: "127.0.0.1:7"}
    nodes = [REAL, "10.0.0.2:9001", "127.0.0.1:7", "[fd00:0::1]:1", "node one", "10.0.0.2:9001"]
    data = ServersResponse([NodeInfo(i, address, 0) for i, address in enumerate(nodes, 1)]).encode()
    rewritten(data, names, PROTOCOL_VERSION, told.append)
    assert told == ["10.0.0.2:9001", "[fd00::1]:1", "node one", "10.0.0.2:9001"]
    rewritten(LeaderResponse(0, "").encode(), names, PROTOCOL_VERSION, told.append)
    rewritten(data, {}, PROTOCOL_VERSION, told.append)  # nothing is mapped: clients are meant to leave
    assert len(told) == 4


def test_what_no_pair_stands_for_is_the_same_object() -> None:
    data = LeaderResponse(1, "10.0.0.9:1").encode()
    assert rewritten(data, {REAL: "x:1"}, PROTOCOL_VERSION) is data
    assert rewritten(data, {"10.0.0.9:1": "10.0.0.9:1"}, PROTOCOL_VERSION) is data
    nobody = LeaderResponse(0, "").encode()
    assert rewritten(nobody, {REAL: "x:1"}, PROTOCOL_VERSION) is nobody


@pytest.mark.parametrize(
    ("advertised", "real"),
    [("[fd00:0:0::1]:9001", "[fd00::1]:9001"), ("Node-1.EXAMPLE:9001", "node-1.example:9001")],
)
def test_other_spellings_are_the_same_address(advertised: str, real: str) -> None:
    own = place("127.0.0.1:1", real)
    data = LeaderResponse(1, advertised).encode()
    names = local_names([own], own, "127.0.0.1")
    assert rewritten(data, names, PROTOCOL_VERSION) == LeaderResponse(1, "127.0.0.1:1").encode()


def test_a_name_is_what_the_node_calls_itself() -> None:
    own = place("127.0.0.1:1", REAL, "db-1:9001")
    assert local_names([own], own, "127.0.0.1") == {"db-1:9001": "127.0.0.1:1"}
    free = place("127.0.0.1:1", REAL, "node one")
    assert local_names([free], free, "127.0.0.1") == {"node one": "127.0.0.1:1"}


def test_clients_of_unix_sockets_and_of_tcp_are_each_told_their_own() -> None:
    tcp, unix, abstract = place("127.0.0.1:1"), place("unix:/run/one"), place("@one", "10.0.0.2:9001")
    both = [tcp, unix, abstract]
    assert local_names(both, tcp, "127.0.0.1") == {REAL: "127.0.0.1:1"}
    assert local_names(both, unix, "") == {REAL: "unix:/run/one", "10.0.0.2:9001": "@one"}
    assert local_names(both, abstract, "") == {REAL: "unix:/run/one", "10.0.0.2:9001": "@one"}


def test_a_wildcard_is_where_the_client_came_in() -> None:
    own, other = place("0.0.0.0:1", wildcard=True), place("0.0.0.0:2", "10.0.0.2:9001", wildcard=True)
    assert local_names([own, other], own, "192.0.2.7") == {
        REAL: "192.0.2.7:1",
        "10.0.0.2:9001": "192.0.2.7:2",
    }
    six = place("[::]:3", "10.0.0.3:9001", wildcard=True)
    assert local_names([six], six, "::ffff:192.0.2.7") == {"10.0.0.3:9001": "192.0.2.7:3"}
    assert local_names([own, six], six, "::1")[REAL] == "127.0.0.1:1"
    assert REAL not in local_names([own, six], six, "2001:db8::7")  # nobody listens there


def test_of_several_locals_the_client_s_own_comes_first_then_its_family() -> None:
    four, six, second = place("127.0.0.1:1"), place("[::1]:2"), place("127.0.0.1:3")
    assert local_names([four, six, second], second, "")[REAL] == "127.0.0.1:3"
    other = place("[::1]:4", "10.0.0.2:9001")
    assert local_names([four, six, other], other, "::1")[REAL] == "[::1]:2"
