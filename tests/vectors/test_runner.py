"""The runner itself: adapters that misbehave in each way end it, and its report says how."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.vectors.runner import ADAPTER, RUN
from tests.vectors.test_adapters import validator
from tests.waiting import is_waiting, wait_for

FIRST = "requests/client"  # of three vectors whose ids begin like that


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("runner_of_vectors", RUN)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


Report = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def report(module: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Report:
    """Run a program as the adapter of three vectors: the exit code, the report, and the report for people."""

    def run(program: str, timeout: str = "20") -> tuple[int, dict[str, Any], str]:
        made: list[dict[str, Any]] = []
        draw = module.report

        def kept(*arguments: Any) -> dict[str, Any]:
            made.append(draw(*arguments))
            return made[0]

        with monkeypatch.context() as patch:
            patch.setattr(module, "report", kept)
            options = ["--only", "requests/client", "--timeout", timeout, "--"]
            code = module.main([*options, sys.executable, "-I", "-S", "-c", PRELUDE + program])
        text = capsys.readouterr().out
        validator("report").validate(made[0])
        assert all(len(line) < 132 for line in text.splitlines())
        return code, made[0], text

    return run


PRELUDE = f"""
import json, os, sys, time
lines = [json.loads(line) for line in sys.stdin]
ids = [line["id"] for line in lines]
def say(**answer): print(json.dumps(answer), flush=True)
def right(line):
    number = int.from_bytes(bytes.fromhex(line["hex"])[8:], "little")
    say(id=line["id"], message={{"type": "CLIENT", "fields": {{"client_id": number}}}})
assert ids[0] == {FIRST!r}
"""
ALL = "for line in lines: right(line)\n"


def faults(result: dict[str, Any]) -> list[str]:
    return [fault["kind"] for fault in result["faults"]]


def test_right_answers_in_any_order(report: Report) -> None:
    code, result, text = report("for line in reversed(lines): right(line)")
    assert (code, result["failed"], result["faults"]) == (0, [], [])
    assert text == "3 vectors: 3 passed\n"


def test_a_wrong_field_is_told_with_its_bytes(report: Report) -> None:
    program = 'say(id=ids[0], message={"type": "CLIENT", "fields": {"client_id": 8}})\n'
    code, result, text = report(program + "for line in lines[1:]: right(line)")
    difference = {
        "path": "client_id",
        "expected": "7",
        "got": "8",
        "offset": 8,
        "hex": "0700000000000000",
    }
    assert code == 1
    assert result["failed"] == [{"id": FIRST, "outcome": "differs in client_id", "differences": [difference]}]
    assert text == (
        "requests/client\n    client_id\n        expected  7\n        got       8\n"
        "        at 8      07 00 00 00 00 00 00 00\n3 vectors: 2 passed, 1 failed\n"
    )


@pytest.mark.parametrize(
    ("program", "code", "kinds", "words"),
    [
        ("", 1, [], "requests/client: no answer\n"),
        (ALL + "print('hello')", 1, ["junk"], "line 4: Expecting value"),
        (ALL + "print('[1]')", 1, ["junk"], 'not an object with an "id"'),
        (ALL + "print('[' * 9999)", 1, ["junk"], "line 4: "),
        (ALL + 'print(\'{"id": "a", "message": NaN}\')', 1, ["junk"], "NaN is not JSON"),
        (ALL + "say(id=ids[0])", 1, ["junk"], "it has nothing"),
        (ALL + "say(id=ids[0], error='x', hex='')", 1, ["junk"], "it has error, hex"),
        (ALL + "right(lines[0])", 1, ["twice"], "adapter twice: line 4: requests/client\n"),
        (ALL + "say(id='a\\x1b', error='x')", 1, ["unknown id"], "adapter unknown id: line 4: a?\n"),
        (ALL + "sys.exit('gone \\x1b[31m')", 3, ["died"], "last words:\n    gone ?[31m\n"),
        ("os.abort()", 3, ["died"], "signal 6 after 0 of 3 answers"),
        (ALL + "print('x' * 2_000_000)", 3, ["flood"], "a line of more than 65536 bytes"),
        (ALL + "while True: print('x')", 3, ["junk"] * 20 + ["flood"], "more than 19 lines"),
        ("say(id=ids[0], error=' ')\n" + ALL, 1, ["twice"], "an error needs words"),
        ("say(id=ids[0], hex='00')\n" + ALL, 1, ["twice"], "another key than was asked for"),
        ("say(id=ids[0], message=7)\n" + ALL, 1, ["twice"], "got       7\n"),
        ("say(id=ids[0], message={})\n" + ALL, 1, ["twice"], "got       {}\n"),
        (ALL + "bytes(2 << 30)", 3, ["died"], "MemoryError"),
    ],
)
def test_what_is_wrong_is_said(report: Report, program: str, code: int, kinds: list[str], words: str) -> None:
    found, result, text = report(program)
    assert (found, faults(result)) == (code, kinds), text
    assert words in text


def test_an_adapter_that_hangs_is_ended_and_so_is_what_it_started(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = "import subprocess; child = subprocess.Popen(['sleep', '60'])\n"
    program += f"open({str(file)!r}, 'w').write(str(child.pid))\ntime.sleep(60)"
    for seconds in ("2", "40"):  # in which a busy machine has it answer
        code, result, text = report(ALL + program, seconds)
        if not result["failed"]:
            break
    assert (code, faults(result), result["failed"]) == (3, ["hung"], [])
    assert f"not ended after {seconds} s; all is answered, and its output is open" in text
    wait_for(lambda: is_over(file.read_text()), "end of what the adapter started")


def is_over(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_an_adapter_that_does_not_read(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    # all lines are more than a pipe holds
    code = module.main(["--timeout", "20", sys.executable, "-I", "-S", "-c", "pass"])
    text = capsys.readouterr().out
    assert code == 1
    assert text.startswith("handshake/handshake, version 1: no answer\n")
    assert " more without an answer\n" in text
    assert len(text.splitlines()) == 7


HEAVY = """
heavy = ",".join(["[]"] * 20_000)
for line in lines[:2]: print('{"id":%s,"message":[%s]}' % (json.dumps(line["id"]), heavy))
keys = ",".join('"k%d":[]' % i for i in range(5000))
print('{"id":%s,"message":{"type":"CLIENT","fields":{"client_id":7,%s}}}' % (json.dumps(ids[2]), keys))
"""


def test_what_is_kept_of_an_answer_is_bounded(
    report: Report, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[Any, ...]] = []
    talk = module.talk

    def kept_talk(*given: Any) -> tuple[Any, ...]:
        kept.append(talk(*given))
        return kept[-1]

    monkeypatch.setattr(module, "talk", kept_talk)
    code, result, text = report(HEAVY)
    assert (code, result["passed"], len(result["failed"])) == (1, 0, 3)
    assert len(result["failed"][2]["differences"]) == module.MOST
    ((verdicts, _),) = kept
    assert len(json.dumps(verdicts)) < 2 * 65536  # of 150 kB that came, which are megabytes when parsed
    assert text.endswith("3 vectors: 0 passed, 3 failed\n")


def test_no_right_answer_is_near_the_bound_of_a_line(module: ModuleType) -> None:
    assert (module.LINE, module.JUNK) == (64 << 10, 20)  # as vectors/README.md has them
    asked = module.cases(True)
    assert 10 * max(len(json.dumps([case.id, case.expected])) for case in asked) < module.LINE


def test_a_command_that_cannot_be_started(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert module.main(["/nowhere/adapter"]) == 3
    assert "adapter not started: [Errno 2] No such file or directory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "a command that starts an adapter is needed"),
        (["--only", "nothing like it", "cat"], "no vector's id has 'nothing like it'"),
        (["--known", "/nowhere", "cat"], "--known: FileNotFoundError"),
        (["--timeout", "0", "cat"], "got 0, more than 0 is needed"),
        (["--memory", "-1", "cat"], "got -1, 0 or more is needed"),
        (["--memory", "x", "cat"], "invalid megabytes value"),
    ],
)
def test_wrong_use(
    module: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        module.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


EQUAL = [
    ({"integer": 7}, {"integer": "7"}),
    ({"integer": "9223372036854775807"}, {"integer": 9223372036854775807}),
    ({"float": 3.0}, {"float": 3}),
    ({"float": "-0.0"}, {"float": -0.0}),
    ({"blob": "0aff"}, {"blob": "0AFF"}),
    ({"text": "ß"}, {"text": "ß"}),
]
UNEQUAL = [
    ({"integer": 7}, {"integer": 7.0}),
    ({"integer": 1}, {"integer": True}),
    ({"integer": "9223372036854775807"}, {"integer": 9223372036854775808}),
    ({"integer": 7}, {"integer": "x"}),
    ({"integer": 7}, {"integer": "-7-7"}),
    ({"float": "-0.0"}, {"float": 0.0}),
    ({"float": 0.0}, {"float": "-0.0"}),
    ({"float": "nan"}, {"float": "NAN"}),
    ({"float": 1.5}, {"float": "1.5"}),
    ({"float": 1.5}, {"float": 10**400}),
    ({"boolean": True}, {"boolean": 1}),
    ({"null": True}, {"null": None}),
    ({"text": "7"}, {"text": 7}),
    ({"text": "a"}, {"iso8601": "a"}),
    ({"blob": ""}, {"blob": None}),
    ({"rows": [1]}, {"rows": [1, 2]}),
    ({"rows": []}, {"rows": {}}),
    ({"fields": {}}, {"fields": {"more": 1}}),
]


def test_values_are_compared_as_the_page_says(module: ModuleType) -> None:
    for expected, got in EQUAL:
        assert [*module.differences(expected, json.loads(json.dumps(got)))] == [], (expected, got)
    for expected, got in UNEQUAL:
        assert [*module.differences(expected, got)] != [], (expected, got)


def test_no_text_of_a_vector_looks_like_a_large_integer(module: ModuleType) -> None:
    """A large integer and a text of its digits are not told apart, so no vector has such a text."""

    def texts(value: Any, key: str = "") -> list[str]:
        if isinstance(value, dict):
            return [text for name, held in value.items() for text in texts(held, name)]
        if isinstance(value, list):
            return [text for held in value for text in texts(held, key)]
        named = ("name", "vfs", "sql", "address", "message", "text", "iso8601", "column_names")
        return [value] if isinstance(value, str) and key in named else []

    cases = [case for case in module.cases(True) if isinstance(case.expected, dict)]
    found = [text for case in cases for text in texts(case.expected["fields"])]
    assert len(found) > 100
    assert [text for text in found if module.integer(text) is not None] == []


def test_differences_in_a_long_text_are_shown_where_they_are(module: ModuleType) -> None:
    one, other = "x" * 100 + "one", "x" * 100 + "other"
    assert module.around(one, other) == ("..." + "x" * 15 + "one", "..." + "x" * 15 + "other")
    assert module.around("one", "other") == ("one", "other")


def test_bytes_that_differ_are_told_by_their_word(module: ModuleType) -> None:
    (case,) = [case for case in module.cases(True) if case.id == "encode requests/client"]
    wrong = module.judged(case, {"hex": case.expected[:-2] + "01"})
    assert wrong["differences"] == [
        {"path": "byte 15", "expected": "0700000000000000", "got": "0700000000000001", "offset": 8}
    ]
    assert module.judged(case, {"hex": "0x"})["outcome"] == "no hex"
    assert module.judged(case, {"hex": case.expected[:16]})["differences"][0]["got"] == "the end"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_it_and_the_adapter(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    program = f"import time; open({str(runs)!r}, 'w').close(); print('{{', flush=True); time.sleep(600)"
    command = [sys.executable, str(RUN), sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(runs.exists, "adapter")
        wait_for(lambda: is_waiting(process.pid), "runner that waits for it")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
        assert (process.returncode, out, error) == (130, b"", b"")


def test_a_reader_of_the_report_may_leave() -> None:
    command = f"'{sys.executable}' '{RUN}' --encode --lines | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=300, check=False)
    assert json.loads(done.stdout)["id"] == "handshake/handshake, version 1"
    assert done.stderr == ""


def test_it_runs_as_a_module_too() -> None:
    command = [sys.executable, "-m", "vectors.run", "--only", "requests/client", sys.executable, str(ADAPTER)]
    done = subprocess.run(
        command, cwd=RUN.parents[1], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.returncode) == ("3 vectors: 3 passed\n", 0)
