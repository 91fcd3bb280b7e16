"""What is public: the modules that users import from, and where the reference describes what they export.

What these modules have in `__all__` is the public interface (docs/explanation/versions.md says what that
promises). An object that several of them export is described once, under the path that users are shown: the
pages of `docs/reference/api` name it in a block

    ```{api} dqlitewire.conversation
    ClientConversation
    TABLE -- the steps of every request
    ```

from which docs/api.py has Sphinx describe it; words behind a name are for data, which has no docstring.
Every other public path of the object leads there.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

__all__ = [
    "API",
    "BLOCK",
    "PUBLIC",
    "described",
    "exported",
    "homes",
    "is_protocol",
    "listed",
    "table",
    "words",
]

PUBLIC = {
    "dqlitewire": "the codec, its errors and limits, constants",
    "dqlitewire.buffer": "framing",
    "dqlitewire.client": "a blocking client for tools",
    "dqlitewire.codec": "encoders and decoders, the registries of messages",
    "dqlitewire.constants": "numbers of the protocol, SQLite's and dqlite's codes",
    "dqlitewire.conversation": "the protocol's order: client, server and observer side",
    "dqlitewire.dial": "addresses, TLS, deadlines; `probe`",
    "dqlitewire.dissector": "the dissector for Wireshark",
    "dqlitewire.exceptions": "errors",
    "dqlitewire.explain": "what each byte of a frame is",
    "dqlitewire.faults": "what can go wrong on order",
    "dqlitewire.faults.words": "faults as text, TOML and JSON",
    "dqlitewire.limits": "caps",
    "dqlitewire.messages": "every request and response",
    "dqlitewire.messages.base": "what messages have in common",
    "dqlitewire.messages.requests": "requests",
    "dqlitewire.messages.responses": "responses",
    "dqlitewire.proxy": "the proxy",
    "dqlitewire.raft": "messages between nodes",
    "dqlitewire.replay": "recordings played to clients",
    "dqlitewire.servers.releases": "the releases of servers that are known, and how they differ",
    "dqlitewire.speedups": "whether rows are read natively",
    "dqlitewire.sql.survey": "what the statements of a text do",
    "dqlitewire.testing": "the embedded server and cluster",
    "dqlitewire.testing.script": "a server that follows a script",
    "dqlitewire.testing.strategies": "Hypothesis strategies",
    "dqlitewire.traffic": "captures, recordings and frames as items",
    "dqlitewire.truncate": "shortening of messages",
    "dqlitewire.tuples": "parameters and rows, encoded",
    "dqlitewire.types": "single values, encoded",
}

API = Path(__file__).resolve().parent.parent / "docs" / "reference" / "api"
BLOCK = re.compile(r"^```\{api\} ([\w.]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def table() -> str:
    """Return the public modules as Markdown."""
    lines = [f"| `{module}` | {what} |" for module, what in PUBLIC.items()]
    return "\n".join(["| module | what |", "|---|---|", *lines])


def is_protocol(thing: object) -> bool:
    """Tell whether a class is a protocol (`typing.Protocol`), of which there are no objects.

    Args:
        thing: a class, or anything else.
    """
    return bool(getattr(thing, "_is_protocol", False))


def exported() -> dict[str, Any]:
    """Return every public name with what it stands for, modules that are public themselves apart."""
    found: dict[str, Any] = {}
    for module in PUBLIC:
        loaded = importlib.import_module(module)
        found |= {f"{module}.{name}": getattr(loaded, name) for name in loaded.__all__}
    return {path: thing for path, thing in found.items() if path not in PUBLIC}


def described() -> list[str]:
    """Return the paths that the pages of the reference name, as often as they name them."""
    return [path for path, _ in _lines()]


def words() -> dict[str, str]:
    """Return what the pages say of data, by path."""
    return {path: told for path, told in _lines() if told}


def listed(text: str) -> list[tuple[str, str]]:
    """Return the names in a block, each with the words behind it.

    Args:
        text: what stands between the fences.
    """
    lines = (line.partition(" -- ") for line in text.splitlines() if line)
    return [(name.strip(), told.strip()) for name, _, told in lines]


def _lines() -> list[tuple[str, str]]:
    return [
        (f"{module}.{name}", told)
        for page in sorted(API.glob("*.md"))
        for module, text in BLOCK.findall(page.read_text(encoding="utf-8"))
        for name, told in listed(text)
    ]


def homes() -> dict[str, str]:
    """Return for every public name the path under which the reference describes what it stands for.

    Names of the same object share one. Numbers are no objects of their own: they have to have the same name.
    A name that is described nowhere is left out.
    """
    public = exported()
    by_identity: dict[object, str] = {}
    for path in described():
        by_identity.setdefault(_key(path, public[path]), path)
    return {
        path: by_identity[_key(path, thing)]
        for path, thing in public.items()
        if _key(path, thing) in by_identity
    }


def _key(path: str, thing: Any) -> object:
    if callable(thing) or hasattr(thing, "__origin__"):
        return id(thing)
    return path.rpartition(".")[2], id(thing)
