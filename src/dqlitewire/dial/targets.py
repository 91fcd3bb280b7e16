"""TARGET: what a command that asks nodes is pointed at: an address, or the file that names a cluster's nodes.

go-dqlite's `app` keeps its cluster in a YAML file (go-dqlite client/store.go: YamlNodeStore), and so do
MicroK8s, Canonical Kubernetes and MicroCloud:

    - Address: 10.0.0.1:19001
      ID: 3297041220608546238
      Role: 0

`info.yaml` beside it has one node in the same form, without the list. `cluster.crt` and `cluster.key`, where
they are, are the certificate that all nodes and clients of the cluster share (go-dqlite app/tls.go:
SimpleTLSConfig): it is shown to the server, and the only one that is taken from it, whatever name it has.

Every value is read as text, as it stands in the file: YAML would make a number of the address 10:30.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import Any, cast

from dqlitewire.constants import NodeRole
from dqlitewire.dial.addresses import Address
from dqlitewire.dial.errors import AddressError, StoreError
from dqlitewire.dial.options import DialOptions
from dqlitewire.text import missing_package, shown

SUFFIX = ".yaml"
MAX_STORE = 1 << 20  # bytes of a store
_LAST_ID = 2**64 - 1


@dataclass(frozen=True, slots=True)
class StoreNode:
    """A node as a store names it.

    Attributes:
        address: where it listens.
        node_id: its id.
        role: what it was when the file was written; None if the file does not tell, or names none we know.
    """

    address: Address
    node_id: int
    role: NodeRole | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """The nodes of a cluster as a file has them.

    Attributes:
        path: of the file.
        nodes: in the order of the file; at least one.
        certificate: files of the cluster's certificate and its key; None if they do not stand beside it.
    """

    path: str
    nodes: tuple[StoreNode, ...]
    certificate: tuple[str, str] | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Store:
        """Read a store.

        Args:
            path: of a YAML file as go-dqlite writes it.

        Raises:
            StoreError: it cannot be read, or names no nodes.
            ImportError: PyYAML is missing.
        """
        name = os.fspath(path)
        found = _parsed(name, _contents(name))
        entries = cast("list[Any]", [found] if isinstance(found, dict) else found)
        if type(entries) is not list:
            raise StoreError(f"{name}: no list of nodes")
        nodes = tuple(_node(entry, f"{name}: node {number}") for number, entry in enumerate(entries, 1))
        if not nodes:
            raise StoreError(f"{name}: names no nodes")
        folder = os.path.dirname(name)
        pair = os.path.join(folder, "cluster.crt"), os.path.join(folder, "cluster.key")
        return cls(name, nodes, pair if all(map(os.path.exists, pair)) else None)

    def completed(self, options: DialOptions) -> DialOptions:
        """Return options with the cluster's certificate where they name none.

        Args:
            options: as somebody gave them; what they have stays.
        """
        if self.certificate is None:
            return options
        cert, key = self.certificate
        if options.cert is None and options.key is None:
            options = replace(options, cert=cert, key=key)
        if options.ca is None:
            options = replace(options, ca=cert, any_name=options.server_name is None)
        return options


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be asked.

    Attributes:
        text: as it was given.
        addresses: of the nodes; at least one.
        store: where the addresses are from; None for a single ADDRESS.
    """

    text: str
    addresses: tuple[Address, ...]
    store: Store | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Parse a TARGET, and read the store that it names.

        Args:
            text: an ADDRESS, or the path of a store that ends in ".yaml".

        Raises:
            AddressError: it is neither.
            StoreError: the store cannot be read.
            ImportError: it is a store, and PyYAML is missing.
        """
        if text.endswith(SUFFIX) and not text.startswith(("unix:", "@")):
            store = Store.load(text)
            return cls(text, tuple(node.address for node in store.nodes), store)
        try:
            return cls(text, (Address.parse(text),))
        except AddressError as error:
            raise AddressError(f"{error}, and no {SUFFIX} file") from None

    def options(self, given: DialOptions) -> DialOptions:
        """Return what to dial the nodes with.

        Args:
            given: what somebody asked for; a store adds its certificate.
        """
        return given if self.store is None else self.store.completed(given)


def _contents(path: str) -> bytes:
    data = None
    try:
        if stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe is to wait for its writer
            with open(path, "rb") as file:
                data = file.read(MAX_STORE + 1)
    except OSError as error:
        raise StoreError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:  # a NUL, or what no file system can encode
        raise StoreError(f"{shown(path)}: no path") from None
    if data is None:
        raise StoreError(f"{path}: not a file")
    if len(data) > MAX_STORE:
        raise StoreError(f"{path}: over {MAX_STORE >> 20} MiB, more than any store")
    return data


def _parsed(path: str, data: bytes) -> Any:
    try:
        import yaml
    except ImportError:
        raise ImportError(missing_package("yaml", "cli"), name="yaml") from None
    try:
        return yaml.load(data, Loader=yaml.BaseLoader)  # which makes texts, lists and mappings only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}"
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not text"
        raise StoreError(f"{path}: no YAML{where}: {problem}") from None
    except (RecursionError, ValueError):  # ValueError: an escape of a character that there is not
        raise StoreError(f"{path}: no YAML that can be read") from None


def _node(entry: Any, where: str) -> StoreNode:
    if not isinstance(entry, dict):
        raise StoreError(f"{where}: {_kind(entry)}, not a mapping with Address and ID")
    told = cast("dict[object, Any]", entry)
    address, node_id, role = told.get("Address"), told.get("ID"), told.get("Role")
    if not isinstance(address, str):
        raise StoreError(f"{where}: no Address")
    number = _number(node_id)
    if number is None or not 0 <= number <= _LAST_ID:
        raise StoreError(f"{where}: its ID is {_said(node_id)}, not a number of 64 bits")
    try:
        parsed = Address.parse(address)
    except AddressError as error:
        raise StoreError(f"{where}: {error}") from None
    known = _number(role)
    if role is not None and known is None:
        raise StoreError(f"{where}: its Role is {_said(role)}, not a number")
    return StoreNode(parsed, number, NodeRole(known) if known in list(NodeRole) else None)


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else _said(value)


def _said(value: Any) -> str:
    return "missing" if value is None else shown(value) if isinstance(value, str) else "no text"
