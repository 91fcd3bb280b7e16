"""TARGETs: an address, or go-dqlite's file of a cluster's nodes; what is wrong with one is said in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dqlitewire
from dqlitewire import NodeRole
from dqlitewire.dial import Address, AddressError, DialOptions, Store, StoreError, StoreNode, Target

# as go-dqlite's `app` writes it: an id over 2**63, an abstract address, which YAML must quote
WRITTEN = """\
- Address: 127.0.0.1:9001
  ID: 3297041220608546238
  Role: 0
- Address: '@abstract-1'
  ID: 18446744073709551615
  Role: 1
- Address: '[::1]:9003'
  ID: 3
  Role: 2
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(WRITTEN)
    return path


def test_a_store_as_go_dqlite_writes_it(store: Path) -> None:
    assert Store.load(store) == Store(
        str(store),
        (
            StoreNode(Address.parse("127.0.0.1:9001"), 3297041220608546238, NodeRole.VOTER),
            StoreNode(Address.parse("@abstract-1"), 2**64 - 1, NodeRole.STANDBY),
            StoreNode(Address.parse("[::1]:9003"), 3, NodeRole.SPARE),
        ),
    )
    target = Target.parse(str(store))
    assert [str(address) for address in target.addresses] == ["127.0.0.1:9001", "@abstract-1", "[::1]:9003"]
    assert target.store == Store.load(store)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("{Address: 'a:1', ID: 1, Role: 0}", [("a:1", 1, NodeRole.VOTER)]),  # info.yaml: this node alone
        ("Address: a:1\nID: 1\nRole: 0\n", [("a:1", 1, NodeRole.VOTER)]),
        ("[{Address: a:1, ID: 1}]", [("a:1", 1, None)]),  # from before there were roles
        ("[{Address: a:1, ID: 1, Role: 7}]", [("a:1", 1, None)]),
        ("[{Address: a:1, ID: 1, Role: 0, Weight: 3}]", [("a:1", 1, NodeRole.VOTER)]),
        ("[{Address: 10:30, ID: 1}]", [("10:30", 1, None)]),  # to YAML 1.1 the number 630
        ("\ufeff- Address: a:1\r\n  ID: 1\r\n", [("a:1", 1, None)]),
        ("x: &a {Address: a:1, ID: 1}", None),
        ("- &a {Address: a:1, ID: 1}\n- *a\n", [("a:1", 1, None)] * 2),
    ],
)
def test_forms_of_a_store(
    text: str, nodes: list[tuple[str, int, NodeRole | None]] | None, tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, newline="")
    if nodes is None:
        with pytest.raises(StoreError):
            Store.load(path)
    else:
        found = [(str(node.address), node.node_id, node.role) for node in Store.load(path).nodes]
        assert found == nodes


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no list of nodes"),
        (b"[]", "names no nodes"),
        (b"nonsense", "no list of nodes"),
        (b"- Address: a:1\n ID: 1\n", "no YAML at line 2: "),
        (b"\xff\xfe\x00", "no YAML: "),
        (b"- a:1\n", "node 1: 'a:1', not a mapping with Address and ID"),
        (b"- [a]\n", "node 1: a list, not a mapping with Address and ID"),
        (b"- {ID: 1}\n", "node 1: no Address"),
        (b"- {Address: [], ID: 1}\n", "node 1: no Address"),
        (b"- {Address: a, ID: 1}\n", "node 1: 'a' is no HOST:PORT, [IPv6]:PORT, unix:PATH or @NAME"),
        (
            b"- {Address: a:1, ID: 1}\n- {Address: a:1}\n",
            "node 2: its ID is missing, not a number of 64 bits",
        ),
        (b"- {Address: a:1, ID: -1}\n", "node 1: its ID is '-1', not a number of 64 bits"),
        (b"- {Address: a:1, ID: 18446744073709551616}\n", "not a number of 64 bits"),
        (b"- {Address: a:1, ID: {}}\n", "node 1: its ID is no text, not a number of 64 bits"),
        (b"- {Address: a:1, ID: 1, Role: voter}\n", "node 1: its Role is 'voter', not a number"),
        (b"- " * 5000, "no YAML that can be read"),
        (b"[" * 50_000, "no YAML that can be read"),
        (b'- "\\U0fffffff"\n', "no YAML"),
        (b"#" * ((1 << 20) + 1), "over 1 MiB"),
    ],
)
def test_what_is_no_store(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    with pytest.raises(StoreError) as raised:
        Store.load(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert told in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 120


@given(st.binary(max_size=200) | st.text("{}[]-&*!|>'\"#%@`:, \n\tAddressIDRole019", max_size=80))
def test_any_file_is_a_store_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes | str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    try:
        assert Store.load(path).nodes
    except StoreError:
        pass


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")  # nobody writes into it
    (tmp_path / "folder.yaml").mkdir()
    for name, told in (
        ("none.yaml", "no such file or directory"),
        ("pipe.yaml", "not a file"),
        ("folder.yaml", "not a file"),
        ("a\0b.yaml", "no path"),
    ):
        with pytest.raises(StoreError, match=told):
            Target.parse(str(tmp_path / name))


@pytest.mark.parametrize("text", ["host:9001", "unix:/run/x.yaml", "@x.yaml", "a.yaml:1"])
def test_addresses_are_targets(text: str) -> None:
    assert Target.parse(text) == Target(text, (Address.parse(text),))


@pytest.mark.parametrize("text", ["", "host", "cluster.yml", "host:x", "unix:"])
def test_no_target(text: str) -> None:
    with pytest.raises(AddressError, match=r"is no HOST:PORT, .*, and no .yaml file"):
        Target.parse(text)


# ---------------------------------------------------------------- certificates beside a store


def test_the_certificate_beside_a_store(store: Path) -> None:
    crt, key = store.with_name("cluster.crt"), store.with_name("cluster.key")
    given = DialOptions(upgrade="/x")
    crt.touch()
    assert Store.load(store).certificate is None  # half of it is none
    assert Target.parse(str(store)).options(given) is given
    key.touch()
    both = str(crt), str(key)
    assert Store.load(store).certificate == both
    options = Target.parse(str(store)).options
    assert options(given) == DialOptions(*both, ca=both[0], upgrade="/x", any_name=True)
    assert options(DialOptions(server_name="n")) == DialOptions(*both, ca=both[0], server_name="n")
    assert options(DialOptions(ca="other")) == DialOptions(*both, ca="other")
    assert options(DialOptions("c", "k")) == DialOptions("c", "k", ca=both[0], any_name=True)
    assert options(DialOptions("c", "k", "a")) == DialOptions("c", "k", "a")


def test_a_store_of_the_current_folder(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.with_name("cluster.crt").touch()
    store.with_name("cluster.key").touch()
    monkeypatch.chdir(store.parent)
    assert Store.load("cluster.yaml").certificate == ("cluster.crt", "cluster.key")


# ---------------------------------------------------------------- PyYAML comes with an extra

WITHOUT = """
import sys
sys.path.insert(0, {source!r})
from dqlitewire.dial import Target
print(Target.parse("a:1").text)
assert "yaml" not in sys.modules
sys.modules["yaml"] = None
try:
    Target.parse({path!r})
except ImportError as error:
    print(error)
"""


def test_without_pyyaml_addresses_do_and_stores_say_what_is_missing(store: Path) -> None:
    source = str(Path(dqlitewire.__file__).parent.parent)
    code = WITHOUT.format(source=source, path=str(store))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines() == [
        "a:1",
        (
            "yaml is missing: it comes with the extra 'cli' of dqlite-wire "
            "(from a checkout: pip install '.[cli]')"
        ),
    ]
