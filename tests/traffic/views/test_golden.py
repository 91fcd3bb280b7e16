"""What the commands print for recorded traffic, kept as files for review.

After a change that is meant, write them anew with DQLITE_WIRE_GOLDEN=write and look at the difference in git.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dqlitewire.messages import FailureResponse
from tests.traffic import wire
from tests.traffic.captured import as_pcap, named, segments
from tests.traffic.command import run

GOLDEN = Path(__file__).parent / "golden"
CAPTURES = Path(__file__).parent.parent.parent / "captures"


def pair(name: str) -> list[str]:
    return [str(CAPTURES / f"{name}.{side}.bin") for side in ("c2s", "s2c")]


def capture_file(folder: Path, name: str, spoil: str = "") -> str:
    packets = segments(named(name), step=1_234_567)
    if spoil == "loss":
        data = [number for number, packet in enumerate(packets) if packet.payload]
        packets = wire.lose(packets, [data[9], data[30], data[31]])
    elif spoil == "middle":
        packets = packets[len(packets) // 2 + 1 :]
    path = folder / "capture.pcap"
    path.write_bytes(as_pcap(packets))
    return str(path)


PAIRS = {
    **{
        f"decode-{name}": ["decode", "--width", "100", *pair(name)]
        for name in (
            "1.11.1-failures-0",
            "1.18.1-basics-0",
            "1.18.1-failures-0",
            "1.18.1-interrupt-0",
            "1.18.1-members-0",
            "1.18.1-toowide-0",
            "1.18.1-handshakes-0",
            "1.18.1-handshakes-1",
            "1.18.1-types-0",
        )
    },
    "verbose": ["decode", "-v", "--width", "100", "--limit-rows", "6", *pair("1.18.1-handshakes-0")],
    "verbose-rows": [
        "decode",
        "-v",
        "--width",
        "80",
        "--type",
        "ROWS,FAILURE",
        "--limit-rows",
        "2",
        *pair("1.18.1-failures-0"),
    ],
    "hexdump": ["decode", "-x", "--width", "100", *pair("1.18.1-members-0")],
    "json": ["decode", "--json", *pair("1.18.1-members-0")],
    "json-failures": ["decode", "--json", "--type", "FAILURE", *pair("1.18.1-failures-0")],
    "redacted": ["decode", "--redact", "--width", "140", *pair("1.18.1-basics-0")],
    "redacted-json": [
        "decode",
        "--redact",
        "--json",
        "--type",
        "EXEC,EXEC_SQL,ROWS,QUERY_SQL,FAILURE",
        "--limit-rows",
        "3",
        *pair("1.18.1-basics-0"),
    ],
    "stats-pair": ["stats", "--width", "100", *pair("1.18.1-failures-0")],
    "explain-code": ["explain", "10250"],
    "explain-type": ["explain", "query_sql"],
    "explain-number": ["explain", "7"],
    "explain-request": ["explain", "0300000009000000 0000000000000000 53454c4543542031 0000000000000000"],
    "explain-response": [
        "explain",
        repr(FailureResponse(10250, "not leader").encode()),
    ],
    "explain-cut-off": ["explain", FailureResponse(10250, "not leader").encode()[:-8].hex()],
    "explain-heartbeat": ["explain", "--direction", "request", "0100000002000000 0100000000000000"],
    "explain-unknown": ["explain", "--direction", "request", "0100000063000000 0100000000000000"],
}
CAPTURED = {
    "pcap": (["decode", "--width", "100"], "1.18.1-members-0", ""),
    "pcap-80": (["decode", "--width", "80", "--time", "utc"], "1.18.1-basics-0", ""),
    "pcap-40": (["decode", "--width", "40"], "1.18.1-failures-0", ""),
    "pcap-verbose-40": (["decode", "-v", "--width", "40", "-c", "1"], "1.18.1-members-0", ""),
    "pcap-loss": (["decode", "--width", "100"], "1.18.1-basics-0", "loss"),
    "pcap-middle": (["decode", "--width", "100", "--time", "delta"], "1.18.1-basics-0", "middle"),
    "pcap-no-time": (["decode", "--width", "100", "--no-time"], "1.18.1-members-0", ""),
    "pcap-json": (["decode", "--json", "--type", "LEADER,EXEC,ROWS,FAILURE"], "1.18.1-basics-0", ""),
    "pcap-failures": (["decode", "--failures", "--width", "100"], "1.18.1-failures-0", ""),
    "pcap-sql": (["decode", "--sql", "insert into t", "--width", "100"], "1.18.1-basics-0", ""),
    "stats": (["stats", "--width", "100"], "1.18.1-basics-0", ""),
    "stats-80": (["stats", "--width", "80", "--sort", "count", "--top", "5"], "1.18.1-failures-0", ""),
    "stats-160": (["stats", "--width", "160", "--sort", "rows"], "1.18.1-interrupt-0", ""),
    "stats-json": (["stats", "--json"], "1.18.1-basics-0", "loss"),
}


def check(name: str, printed: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("DQLITE_WIRE_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(printed)
    assert printed == path.read_text()


def shown(result: object) -> str:
    code, out, err = result  # type: ignore[misc]
    return f"{out}--- standard error, exit code {code}\n{err}"


@pytest.mark.parametrize("name", PAIRS)
def test_streams(name: str) -> None:
    check(name, shown(run(*PAIRS[name])))


@pytest.mark.parametrize("name", CAPTURED)
def test_captures(name: str, tmp_path: Path) -> None:
    arguments, capture, spoil = CAPTURED[name]
    check(name, shown(run(*arguments, capture_file(tmp_path, capture, spoil))))


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {*PAIRS, *CAPTURED}
