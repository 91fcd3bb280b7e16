"""Write the Python snippets of README and docs as modules, so that type checkers can look at them.

    python tools/snippets.py FOLDER && mypy --strict FOLDER

A snippet of the README is a module as it stands. One of a page of the docs may take things for given, which
stand in front of it: what an earlier snippet has imported, a socket, somebody's driver. `GIVEN` has
them for each page; `BEYOND` are snippets that are no modules of a user, each with the reason.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

__all__ = ["BEYOND", "BLOCK", "PAGES", "write"]

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

GIVEN = {
    "conversation": """
import socket
from dqlitewire.conversation import (
    ClientConversation, Exchange, Failed, Generation, Lost, Observer, Refused, Rows, ServerConversation, Side,
)
from dqlitewire.messages import DbResponse, FailureResponse, OpenRequest, QuerySqlRequest
sock = socket.socket()
rows: list[object] = []
data, names, cursor = b"", ["a"], [(1,)]
capture: list[tuple[Side, bytes, float]] = []
def send(data: bytes) -> None: ...
""",
    "proxy": """
from collections.abc import Callable, Sequence
from dqlitewire.proxy import BlockingProxy
from dqlitewire.testing import DqliteCluster
class Client:
    def execute(self, sql: str) -> None: ...
def connect(addresses: Sequence[str]) -> Client:
    return Client()
""",
    "replay": """
from collections.abc import Callable
def run_client(address: str) -> None: ...
""",
    "testing": """
from dqlitewire.constants import RequestType
from dqlitewire.testing import DqliteCluster, DqliteServer
class Client:
    def execute(self, sql: str) -> None: ...
def connect(address: str) -> Client:
    return Client()
def drive(address: str) -> None: ...
server, cluster = DqliteServer(), DqliteCluster()
""",
    "traffic": """
frame = b""
""",
}
HEAD = "# pyright: strict, reportUnusedImport=false\n"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BUILT = ("blocking_client.py", "asyncio_client.py")  # which snippets of the page that builds them import
TOGETHER = ("faults",)  # pages whose snippets are one module, in their order
BEYOND = {
    "architecture": "a declaration of the package itself",
    "sqlalchemy": "of a Python with SQLAlchemy, which the checks have not",
}


def write(folder: Path) -> list[Path]:
    """Write all snippets.

    Args:
        folder: gets a module for each.

    Returns:
        The modules with snippets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for example in BUILT:
        shutil.copy(ROOT / "examples" / example, folder)
    written = []
    for page in PAGES:
        name, text = page.stem.lower(), page.read_text(encoding="utf-8")
        found = BLOCK.findall(text)
        if name in BEYOND or not found:
            continue
        for number, code in enumerate(["".join(found)] if name in TOGETHER else found, start=1):
            path = folder / f"{name}_{number}.py"
            path.write_text(f"{HEAD}{GIVEN.get(name, '')}{code}", encoding="utf-8")
            written.append(path)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
