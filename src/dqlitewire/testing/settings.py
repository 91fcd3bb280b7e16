"""What an embedded server or cluster is made of: the constructor's arguments, checked before anything is
opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from dqlitewire.faults.checks import check_flag, check_number, check_text, shown
from dqlitewire.testing.checks import check_file, check_host, check_release, check_socket
from dqlitewire.testing.serving.listening import listen_tcp, listen_unix

if TYPE_CHECKING:
    import os

    from dqlitewire.servers.releases import Release
    from dqlitewire.testing.serving.listening import Listener

__all__ = ["Settings"]

_MOST_NODES = 10_000
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments of `DqliteCluster`, with paths as text.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: An argument has no sense.
    """

    nodes: int
    generation: Release
    host: str
    port: int
    folder: str | None
    files: dict[str, str]
    readonly: bool
    clean_failures: bool
    strict: bool
    seed: int
    unix: str | None

    @classmethod
    def checked(
        cls,
        *,
        nodes: int,
        generation: str | Release,
        host: str,
        port: int,
        folder: str | os.PathLike[str] | None,
        files: Mapping[str, str | os.PathLike[str]] | None,
        readonly: bool,
        clean_failures: bool,
        strict: bool,
        seed: int,
        unix: str | os.PathLike[str] | None,
    ) -> Settings:
        """Check the arguments."""
        check_number("nodes", nodes, 1, _MOST_NODES)
        check_host(host)
        check_number("port", port, 0, _LAST_PORT + 1 - nodes)
        for name, flag in (("readonly", readonly), ("clean_failures", clean_failures), ("strict", strict)):
            check_flag(name, flag)
        check_number("seed", seed, 0)
        return cls(
            nodes=nodes,
            generation=check_release(generation),
            host=host,
            port=port,
            folder=None if folder is None else check_file("folder", folder),
            files=_checked_files(files),
            readonly=readonly,
            clean_failures=clean_failures,
            strict=strict,
            seed=seed,
            unix=None if unix is None else check_socket(unix, f".{nodes}" if nodes > 1 else ""),
        )

    def listen(self, number: int) -> tuple[Listener, str]:
        """Listen for a node, counted from 0; returns the listener and its address.

        Raises:
            OSError: That is not possible there.
        """
        if self.unix is not None:
            address = self.unix if number == 0 else f"{self.unix}.{number + 1}"
            return listen_unix(address), address
        listener = listen_tcp(self.host, self.port + number if self.port else 0)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return listener, f"{host}:{listener.getsockname()[1]}"

    def listen_again(self, address: str) -> Listener:
        """Listen at the address that a node had before.

        Raises:
            OSError: Somebody else listens there by now.
        """
        if self.unix is not None:
            return listen_unix(address)
        return listen_tcp(self.host, int(address.rpartition(":")[2]))


def _checked_files(files: object) -> dict[str, str]:
    if files is None:
        return {}
    if not isinstance(files, Mapping):
        raise TypeError(f"files {shown(files)}, must be a dict of paths by name")
    found: dict[str, str] = {}
    for name, path in cast("Mapping[object, object]", files).items():
        check_text("name of a file", name)
        found[cast(str, name)] = check_file(f"file of {shown(name)}", path)
    return found
