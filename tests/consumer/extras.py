"""What a user's program does with the extras `cli` and `testing`: the embedded server, a client, the command.

python extras.py [native|pure]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import layers

from dqlitewire import __version__, speedups
from dqlitewire.constants import SQLITE_BUSY, RequestType
from dqlitewire.conversation import Generation
from dqlitewire.dial import Health, Status, probe
from dqlitewire.messages import DbResponse, LeaderRequest, OpenRequest
from dqlitewire.testing import DqliteCluster, DqliteServer, HazardKind, RequestRecord
from dqlitewire.testing.script import ScriptedServer, close, expect, send
from dqlitewire.traffic import explain

FRAME = "0100000000000000 0000000000000000"


def embedded() -> None:
    with DqliteServer() as server:
        address: str = server.address
        assert layers.with_a_client(address) == [(1, "a")]
        server.fail_next(SQLITE_BUSY, "database is locked", on="QUERY_SQL")
        seen: list[RequestRecord] = list(server.requests)
        assert RequestType.EXEC_SQL in {record.type for record in seen}
        assert not [hazard for hazard in server.hazards if hazard.kind is HazardKind.OUTSIDE]
        server.clear_faults()
        health: Health = probe(address)
        assert health.status is Status.HEALTHY, health
    with DqliteCluster(3) as cluster:
        assert layers.with_a_client(cluster.nodes[0].address) == [(1, "a")]
    script = ScriptedServer(expect(LeaderRequest), send(DbResponse(0)), expect(OpenRequest), close())
    assert script is not None
    assert Generation.UNKNOWN in Generation


def command(*words: str, given: str = "") -> str:
    script = Path(sys.executable).with_name("dqlite-wire")  # what the installation made
    start = [str(script)] if script.exists() else [sys.executable, "-m", "dqlitewire"]
    done = subprocess.run(
        [*start, *words], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(rows: str) -> None:
    said = command("--version").splitlines()
    assert (said[0], said[1].split(",")[0]) == (
        f"dqlite-wire {__version__}",
        f"rows: {rows or speedups.name}",
    )
    assert "LEADER" in command("decode", "-", given=FRAME)
    assert "SQLITE_IOERR_NOT_LEADER" in command("explain", "10250")
    assert "header" in command("explain", *FRAME.split())
    assert explain(bytes.fromhex(FRAME), is_request=True).name == "LEADER"
    with DqliteServer() as server:
        found = command("query", server.address, "consumer", "SELECT 7 AS seven", "--json")
        assert "7" in found


def main(rows: str = "") -> None:
    layers.main(rows)
    embedded()
    commands(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
