"""A proxy in front of dqlite nodes: passes, records, maps addresses, and spoils frames on order.

    async with Proxy({"127.0.0.1:0": "10.0.0.1:9001"}) as proxy:
        client = await connect(proxy["10.0.0.1:9001"])

`BlockingProxy` is the same in a thread of its own. docs/guides/proxy.md describes both, and the command.

`pairs` parses LOCAL=REAL, `proxy` listens, `connecting` dials, `relay` is a connection with its two `end`s
and its two `stream`s. A stream reads along at the `opening`, cuts frames out by `walking`, and changes what
is to be changed: `mapping`, `faulting`, `hooks`. `recording` and its like are told of what passes.
"""

from __future__ import annotations

from dqlitewire.proxy.blocking import BlockingProxy
from dqlitewire.proxy.hooks import DROP, Frame, Hook, Verdict
from dqlitewire.proxy.pairs import Pair, PairError
from dqlitewire.proxy.protocols import Looker
from dqlitewire.proxy.proxy import Options, Proxy, RemoteListenError
from dqlitewire.proxy.recording import Recorder
from dqlitewire.proxy.security import ClientTls
from dqlitewire.proxy.watching import Watcher

__all__ = [
    "DROP",
    "BlockingProxy",
    "ClientTls",
    "Frame",
    "Hook",
    "Looker",
    "Options",
    "Pair",
    "PairError",
    "Proxy",
    "Recorder",
    "RemoteListenError",
    "Verdict",
    "Watcher",
]
