"""docs/howto/raise-limits.md: its code, the texts of its table, and what it says that a frame costs."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable

import pytest

from dqlitewire import DecodeError, EncodeError, Limits, MessageDecoder, decode_message, encode_message
from dqlitewire.messages import ExecSqlRequest, FilesResponse, RowsResponse
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.running import run_python

PAGE = "docs/howto/raise-limits.md"
TEXT = (ROOT / PAGE).read_text()
ROWS = re.findall(r"^\| `(.*)` \| `(\w+)` \| ([^|]*) \|", TEXT, re.MULTILINE)
NONE = Limits(**dict.fromkeys(Limits.__slots__))
SIZE = 1 << 20


@pytest.mark.parametrize("block", blocks(PAGE, "python"), ids=lambda block: str(block.line))
def test_the_code(block: Block) -> None:
    printed = run_python([block])
    assert printed.splitlines() == re.findall(r"print\(.*?\)  # (.*)$", block.text, re.MULTILINE)


def numbered(error: BaseException) -> str:
    """The text of an error, with N for its numbers, without its place."""
    return re.sub(r"\d+", "N", re.sub(r", at offset \d+$", "", str(error)))


def query(rows: int) -> None:
    """Read a query in two frames."""
    decoder = MessageDecoder(max_total_rows=2 * rows - 1)
    decoder.feed(encode_message(RowsResponse(["n"], rows=[(1,)] * rows, has_more=True)))
    decoder.feed(encode_message(RowsResponse(["n"], rows=[(1,)] * rows)))
    decoder.decode()
    decoder.decode_continuation()


HIT: dict[str, Callable[[], object]] = {
    "max_message_size": lambda: decode_message(
        encode_message(RowsResponse(["n"], rows=[(1,)] * 9)), max_message_size=64
    ),
    "max_file_content_size": lambda: decode_message(
        encode_message(FilesResponse({"a": bytes(64)})), limits=Limits(max_file_content_size=8)
    ),
    "max_total_rows": lambda: query(3),
    "max_rows": lambda: decode_message(encode_message(RowsResponse(["n"], rows=[(1,)] * 9)), max_rows=5),
    "max_param_count": lambda: encode_message(ExecSqlRequest(0, "SELECT 1", [1] * 40_000)),
    "max_column_count": lambda: decode_message(
        encode_message(RowsResponse(["a", "b"], rows=[])), limits=Limits(max_column_count=1)
    ),
}


@pytest.mark.parametrize(("text", "cap", "default"), ROWS, ids=[row[1] for row in ROWS])
def test_the_table(text: str, cap: str, default: str) -> None:
    with pytest.raises((DecodeError, EncodeError)) as caught:
        HIT[cap]()
    assert numbered(caught.value) == re.sub(r"\d+", "N", text)
    usual = getattr(Limits(), cap)
    size = {"64 MiB": 64 << 20, "64 MiB less 64 bytes": (64 << 20) - 64}
    assert usual == size.get(default) or usual == int(default.replace(",", ""))
    assert cap == "max_rows" or f"at most {usual}" in text


def test_the_table_is_whole() -> None:
    assert [cap for _, cap, _ in ROWS] == list(HIT)


COSTS = {
    "file": (FilesResponse({"a": bytes(SIZE)}), 2.5),
    "blob": (RowsResponse(["a"], rows=[(bytes(SIZE),)]), 2.5),
    "text": (RowsResponse(["a"], rows=[("x" * SIZE,)]), 3.25),
    "numbers": (RowsResponse(["a"], rows=[(1 << 40 | n,) for n in range(SIZE // 16)]), 7.0),
}


@pytest.mark.parametrize("kind", COSTS)
def test_what_a_frame_costs(kind: str) -> None:
    message, times = COSTS[kind]
    wire = encode_message(message, limits=NONE)
    tracemalloc.start()
    try:
        feed(wire)
        assert tracemalloc.get_traced_memory()[1] <= times * len(wire)
    finally:
        tracemalloc.stop()


def feed(wire: bytes) -> None:
    decoder = MessageDecoder(limits=NONE)
    for start in range(0, len(wire), 1 << 16):
        decoder.feed(wire[start : start + (1 << 16)])
    assert decoder.decode() is not None
