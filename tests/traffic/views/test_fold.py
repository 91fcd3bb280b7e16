"""Rows of one query are folded: nothing that is wrong is hidden, and a live stream is shown as it comes."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from dqlitewire import ResponseType
from dqlitewire.conversation import Side
from dqlitewire.messages import FailureResponse, LeaderRequest, QuerySqlRequest, RowsResponse
from dqlitewire.traffic import Item, Recording, items, lines
from dqlitewire.traffic.select import MAX_HELD
from dqlitewire.traffic.views.fold import Fold, Folded
from tests.traffic.captured import ALL, clean
from tests.traffic.command import COMMAND, run
from tests.waiting import PATIENCE, is_waiting, unread, wait_for

HANDSHAKE = bytes([1, *bytes(7)])
QUERY = QuerySqlRequest(0, "SELECT a FROM t").encode()
FAILURE = FailureResponse(1, "integer overflow").encode()
LIKE_IT = re.compile(r"\.\. (\d+) frames? like it \.\.")


def rows(number: int, *, last: bool = False, column: str = "a") -> bytes:
    return RowsResponse(column_names=[column], rows=[(number,)], has_more=not last).encode()


def recorded(*answers: bytes, query: bytes = QUERY) -> Recording:
    recording = Recording()
    recording.add(Side.CLIENT, HANDSHAKE + query)
    for answer in answers:
        recording.add(Side.SERVER, answer)
    return recording


def folded(recording: Recording) -> list[str]:
    """Types of what is shown, and counts."""
    return [
        str(shown.count) if isinstance(shown, Folded) else shown.type
        for shown in Fold()(items(recording.source()))
    ][2:]


def shown_frames(stream: Iterator[Item | Folded]) -> int:
    return sum(shown.count if isinstance(shown, Folded) else 1 for shown in stream)


@pytest.mark.parametrize("capture", ALL, ids=lambda capture: capture.name)
def test_every_frame_is_shown_or_counted(capture: object) -> None:
    plain = list(items(clean(capture)))  # type: ignore[arg-type]
    kept = list(Fold()(iter(plain)))
    assert shown_frames(iter(kept)) == len(plain)
    assert [one for one in plain if one.type != "ROWS"] == [
        one for one in kept if isinstance(one, Item) and one.type != "ROWS"
    ]
    for before, one in pairwise(kept):
        if isinstance(one, Folded):
            assert isinstance(before, Item)
            assert before.type == "ROWS"


def test_first_and_last_are_shown() -> None:
    for count in range(2, 30):
        answers = [rows(number, last=number == count - 1) for number in range(count)]
        assert folded(recorded(*answers)) == ["ROWS", *([str(count - 2)] if count > 2 else []), "ROWS"]


def test_a_failure_is_shown_with_what_went_before() -> None:
    assert folded(recorded(*map(rows, range(9)), FAILURE)) == ["ROWS", "8", "FAILURE"]


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_shown_where_it_is(seed: int) -> None:
    """Whatever byte of the answer is wrong: what it spoils is shown, and the rest is shown or counted."""
    chance = Random(seed)
    answers = bytearray(b"".join(rows(number, last=number == 19) for number in range(20)))
    answers[chance.randrange(len(answers))] ^= 1 << chance.randrange(8)
    recording = recorded(bytes(answers))
    plain, kept = list(items(recording.source())), list(Fold()(items(recording.source())))
    assert shown_frames(iter(kept)) == len(plain)
    assert [(one.type, one.offset) for one in kept if isinstance(one, Item) and one.strange] == [
        (one.type, one.offset) for one in plain if one.strange
    ]


def test_a_frame_that_does_not_decode_is_not_folded() -> None:
    answers = [bytearray(rows(number, last=number == 9)) for number in range(10)]
    answers[4][24] = 7  # no type of a value
    assert folded(recorded(*map(bytes, answers))) == ["ROWS", "3", "ROWS", "ROWS", "3", "ROWS"]


def test_frames_of_other_columns_are_not_like_it() -> None:
    answers = [rows(0), rows(1), rows(2, column="b"), rows(3, column="b"), rows(4, last=True, column="b")]
    assert folded(recorded(*answers)) == ["ROWS", "1", "ROWS", "1", "ROWS"]


def test_a_request_between_the_rows_ends_the_run() -> None:
    recording = recorded(*map(rows, range(5)))
    recording.add(Side.CLIENT, LeaderRequest().encode())
    for number in range(5, 9):
        recording.add(Side.SERVER, rows(number, last=number == 8))
    assert folded(recording)[:6] == ["ROWS", "4", "LEADER", "ROWS", "2", "ROWS"]


def test_queries_one_after_the_other_are_not_one() -> None:
    recording = recorded(rows(1, last=True))
    for _ in range(4):
        recording.add(Side.CLIENT, QUERY)
        recording.add(Side.SERVER, rows(1, last=True))
    assert folded(recording) == ["ROWS", *["QUERY_SQL", "ROWS"] * 4]


def test_connections_fold_apart() -> None:
    count = 12
    sources = [items(recorded(*[rows(n, last=n == count - 1) for n in range(count)]).source()) for _ in "abc"]
    mixed = [item for together in zip(*sources, strict=True) for item in together]
    counts = [one.count for one in Fold()(iter(mixed)) if isinstance(one, Folded)]
    assert counts == [count - 2] * 3


def test_answers_alone_fold_too(tmp_path: Path) -> None:
    path = tmp_path / "answers"
    path.write_bytes(b"".join(rows(number, last=number == 19) for number in range(20)))
    found = LIKE_IT.findall(run("decode", "--direction", "response", path).out)
    assert found == ["18"]


# ---------------------------------------------------------------- the command


@pytest.fixture
def answer(tmp_path: Path) -> list[Path]:
    """A query that is answered by twenty frames, as a pair of files."""
    paths = [tmp_path / "a.c2s", tmp_path / "a.s2c"]
    paths[0].write_bytes(HANDSHAKE + QUERY)
    paths[1].write_bytes(b"".join(rows(number, last=number == 19) for number in range(20)))
    return paths


def counted(*arguments: str | Path) -> tuple[int, list[int]]:
    """How often the type ROWS is shown, and what was folded."""
    out = run("decode", *arguments).out
    frames = len(re.findall(r"^ *\d+ < ROWS\b", out, re.MULTILINE))
    return frames, [int(number) for number in LIKE_IT.findall(out)]


def test_what_folds_and_what_does_not(answer: list[Path], tmp_path: Path) -> None:
    assert counted(*answer) == (2, [18])
    assert counted("--sql", "from t", *answer) == counted("--type", "ROWS", *answer) == (2, [18])
    assert counted("--no-fold", *answer) == (20, [])
    for view in ("-v", "-x"):  # who asks for what is in each gets each
        assert counted(view, *answer) == (20, [])
    objects = [json.loads(line) for line in run("decode", "--json", *answer).out.splitlines()]
    assert sum(one["type"] == "ROWS" for one in objects) == 20
    transcript = tmp_path / "a.dqt"
    run("decode", "-w", transcript, *answer)
    assert counted("--no-fold", transcript) == (20, [])


def test_a_selection_that_kept_only_the_ends_of_an_answer_says_so(tmp_path: Path) -> None:
    count = 3 * MAX_HELD
    paths = [tmp_path / "a.c2s", tmp_path / "a.s2c"]
    paths[0].write_bytes(HANDSHAKE + QUERY)
    paths[1].write_bytes(b"".join(map(rows, range(count))) + FAILURE)
    assert counted("--failures", *paths) == (1, [count - 1])
    frames, left_out = counted("--failures", "--no-fold", *paths)
    assert frames + sum(left_out) == count


def test_the_library_folds_when_asked() -> None:
    recording = recorded(*[rows(number, last=number == 9) for number in range(10)])
    assert len(list(lines(recording))) == 12
    assert [line for line in lines(recording, fold=True) if LIKE_IT.search(line)] == [
        " 1 <  .. 8 frames like it .."
    ]


class _Live:
    """`decode -` on a pipe that goes on."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "decode", "-f", "--direction", "response", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "80"},
        )

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def until(self, text: str) -> str:
        """What it writes up to a text, which may come in pieces."""
        assert self.process.stdout is not None
        said = b""
        while text.encode() not in said:
            assert select.select([self.process.stdout], [], [], PATIENCE)[0], said
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, said
            said += piece
        return said.decode()

    def has_read(self) -> bool:
        """Whether it waits for more than it was sent."""
        assert self.process.stdin is not None
        return not unread(self.process.stdin.fileno()) and is_waiting(self.process.pid)


def test_a_live_stream_is_shown_as_it_comes() -> None:
    live = _Live()
    try:
        live.send(rows(0))
        live.until("(0)")
        live.send(rows(1) + rows(2))
        live.send(rows(3, last=True))
        assert LIKE_IT.findall(live.until("(3)")) == ["2"]
        live.send(FailureResponse(1, "x").encode())
        live.until(ResponseType.FAILURE.name)
        live.send(rows(0) + rows(1))
        live.until("(0)")
        wait_for(live.has_read)  # the second one: nothing else tells it
        live.process.send_signal(signal.SIGINT)
        assert live.process.stdout is not None
        out = live.process.stdout.read().decode()
        assert LIKE_IT.findall(out) == ["1"]  # told when it is interrupted
    finally:
        live.process.kill()
        live.process.wait(60)
        for pipe in (live.process.stdin, live.process.stdout):
            assert pipe is not None
            pipe.close()
