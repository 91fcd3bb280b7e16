"""ADDRESSes: parsed, written, and told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire.dial import Address, AddressError, Kind
from tests.traffic.command import run

# "unix" is a host that cannot be written: what follows its colon is a path
HOSTS = st.text(st.characters(exclude_characters="[]\0", codec="utf-8"), min_size=1).filter(
    lambda text: not f"{text}:".startswith(("unix:", "@"))
)
NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "host:", ":9000", "host:0", "host:65536", "host:x", "host:９", f"host:{'1' * 5000}"],
)
def test_no_address(text: str) -> None:
    with pytest.raises(AddressError, match="is no HOST:PORT") as raised:
        Address.parse(text)
    assert len(str(raised.value)) < 100
    assert run("probe", text).code == 2


@pytest.mark.parametrize("text", ["unix:", "@", "unix:\0a", "@a\0b", "a\0:1", "host:-1", "[]:1", "host: 1"])
def test_no_address_of_other_kinds(text: str) -> None:
    with pytest.raises(AddressError, match="unix:PATH or @NAME"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:1", (Kind.TCP, "a", 1)),
        ("[::1]:9001", (Kind.TCP, "::1", 9001)),
        ("127.0.0.1:65535", (Kind.TCP, "127.0.0.1", 65535)),
        ("unix:/run/x.sock", (Kind.UNIX, "/run/x.sock", 0)),
        ("unix:rel:9001", (Kind.UNIX, "rel:9001", 0)),
        ("@lxd:1", (Kind.ABSTRACT, "lxd:1", 0)),
        ("@@", (Kind.ABSTRACT, "@", 0)),
    ],
)
def test_addresses(text: str, expected: tuple[Kind, str, int]) -> None:
    address = Address.parse(text)
    assert (address.kind, address.name, address.port) == expected
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LocalHost:09001", "localhost:9001"),
        ("[0:0::1]:1", "[::1]:1"),
        ("[FE80::1%eth0]:1", "[fe80::1%eth0]:1"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("unix:/A/../B", "unix:/A/../B"),
        ("@A", "@A"),
    ],
)
def test_spellings(text: str, expected: str) -> None:
    assert str(Address.parse(text).normalised()) == expected


def test_names_of_sockets() -> None:
    assert Address.parse("unix:/a").socket_name == "/a"
    assert Address.parse("@a").socket_name == "\0a"
    with pytest.raises(ValueError, match="a:1 is no unix socket"):
        _ = Address.parse("a:1").socket_name


@given(
    st.builds(Address, st.just(Kind.TCP), HOSTS, st.integers(1, 65535))
    | st.builds(Address, st.sampled_from([Kind.UNIX, Kind.ABSTRACT]), NAMES)
)
def test_what_is_written_reads_back(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert address.normalised().normalised() == address.normalised()
