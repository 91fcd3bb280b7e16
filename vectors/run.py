#!/usr/bin/env python3
"""Check an implementation of the dqlite wire protocol against the vectors of this folder.

    python vectors/run.py COMMAND [ARGUMENT ...]

COMMAND starts an adapter: a program that reads a JSON object a line from its input, and writes one a line.

    in    {"id": ID, "direction": "request", "schema": 0, "hex": "0100..."}
    out   {"id": ID, "message": {"type": NAME, "fields": {...}}}     what the frame says
          {"id": ID, "error": TEXT}                                  it is no frame that may be accepted
    in    {"id": ID, "direction": "request", "schema": 0, "message": {...}}      with --encode only
    out   {"id": ID, "hex": "0100..."}

It may answer in any order, and ends where its input ends. README.md says what a message looks like.

The adapter's time and memory are bounded, and what it writes; whatever it does, this ends and says what was
wrong. Exit code: 0 all is as it must be; 1 an answer is wrong or missing, or a line is none; 2 wrong use;
3 the adapter could not be started, died, hung, or wrote without end; 130 interrupted. Needs Python 3.10
and nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows bounds memory another way
    resource = None  # type: ignore[assignment]

HERE = Path(__file__).resolve().parent
FILES = ("handshake", "requests", "responses", "malformed")
DIRECTIONS = {"handshake": "handshake", "requests": "request", "responses": "response"}
LINE = 1 << 16  # bytes of a line of the adapter; no right answer has a tenth of it
JUNK = 20  # lines that are no answers, until the adapter is given up
LAST_WORDS = 2000
SHOWN = 64
FEW = 5  # vectors without an answer that are named
MOST = 32  # differences of an answer that are told
SAFE = 2**53 - 1
WRONG, USAGE, BROKEN, INTERRUPTED = 1, 2, 3, 130
Json = dict[str, Any]
Fault = tuple[str, str]  # kind, words
Verdicts = dict[str, "Json | None"]  # what is wrong with the answers that came, None if nothing
SPECIAL = ("nan", "inf", "-inf", "-0.0")
ENCODE = "encode "


# ---------------------------------------------------------------- what is asked, and what must come


class Case:
    """One line for the adapter, and the answer that it must give.

    `key` is what the answer has beside its id, `expected` the value, None for an error of any wording.
    """

    def __init__(self, name: str, line: Json, key: str, expected: Json | str | None, vector: Json) -> None:
        self.id, self.key, self.expected, self.vector = name, key, expected, vector
        self.line = {"id": name, **line}


def read(name: str) -> Json:
    found: Json = json.loads((HERE / name).read_text("utf-8"))
    return found


def cases(encode: bool) -> list[Case]:
    """All cases, in the order of the files; those of `--encode` come last."""
    found, encoded = [], []
    for stem in FILES:
        for vector in read(stem + ".json")["vectors"]:
            name = stem + "/" + vector["name"]
            vector["hex"] = "".join(word for word, *_ in vector["words"]).replace(" ", "")
            line = {
                "direction": DIRECTIONS.get(stem) or vector["direction"],
                "schema": vector.get("schema", 0),
            }
            if "context" in vector:
                line["context"] = vector["context"]
            if stem == "malformed":
                found.append(Case(name, {**line, "hex": vector["hex"]}, "error", None, vector))
                continue
            message = {"type": vector["message"], "fields": vector["fields"]}
            found.append(Case(name, {**line, "hex": vector["hex"]}, "message", message, vector))
            if "decode_only" not in vector:
                made = {**line, "message": message}
                encoded.append(Case(ENCODE + name, made, "hex", vector["hex"], vector))
    by_id = {case.line["id"]: case.line for case in found}
    for case in found + encoded:  # the frame before it, which is named by its vector
        context = case.line.get("context", {})
        if "after" in context:
            case.line["context"] = {"after": by_id["responses/" + context["after"]]["hex"]}
    return found + (encoded if encode else [])


# ---------------------------------------------------------------- the adapter


def bounded(memory: int) -> Callable[[], None] | None:
    """What a process does first to have so many MiB at most; None where it has no bound."""
    if resource is None or not memory:
        return None
    of_system = resource

    def bound() -> None:
        hard = of_system.getrlimit(of_system.RLIMIT_DATA)[1]
        size = memory << 20 if hard < 0 else min(memory << 20, hard)
        of_system.setrlimit(of_system.RLIMIT_DATA, (size, size))

    return bound


class Adapter:
    """The adapter's process; what it writes are events: ("line", text), ("end", None), ("flood", text)."""

    def __init__(self, command: list[str], memory: int) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue(100)
        self.threads: list[threading.Thread] = []
        self.words = b""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=bounded(memory),
            start_new_session=os.name == "posix",
        )

    def start(self, lines: list[Json]) -> None:
        parts: list[tuple[Any, tuple[Any, ...]]] = [
            (self._write, (lines,)),
            (self._read, ()),
            (self._listen, ()),
        ]
        self.threads = [threading.Thread(target=one, args=given, daemon=True) for one, given in parts]
        for thread in self.threads:
            thread.start()

    def _write(self, lines: list[Json]) -> None:
        assert self.process.stdin is not None
        try:
            with self.process.stdin as stream:
                for line in lines:
                    stream.write(json.dumps(line).encode() + b"\n")
        except OSError:
            pass  # it does not read any more; its answers tell why

    def _read(self) -> None:
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline(LINE + 1)
            if not line:
                return self.events.put(("end", None))
            if len(line) > LINE:
                return self.events.put(("flood", f"a line of more than {LINE} bytes"))
            if line.strip():
                self.events.put(("line", line.decode("utf-8", "replace")))

    def _listen(self) -> None:
        assert isinstance(self.process.stderr, io.BufferedReader)
        for data in iter(partial(self.process.stderr.read1, 1 << 16), b""):
            self.words = (self.words + data)[-LAST_WORDS:]

    def stop(self) -> None:
        """End it and what it started; wait for its last words, though not for long."""
        try:
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        except OSError:
            pass
        self.process.wait()
        end = time.monotonic() + 2
        while any(thread.is_alive() for thread in self.threads) and time.monotonic() < end:
            try:  # the thread that reads may wait for room
                self.events.get(timeout=0.01)
            except queue.Empty:
                pass
        if not any(thread.is_alive() for thread in self.threads):
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()


def no_constant(name: str) -> None:
    raise ValueError(name + ' is not JSON: write "nan", "inf" or "-inf"')


def parsed(text: str) -> Json:
    """The answer in a line; ValueError says why it is none."""
    try:
        answer = json.loads(text, parse_constant=no_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), str):
        raise ValueError('not an object with an "id"')
    keys = sorted(set(answer) - {"id"})
    if keys not in (["error"], ["hex"], ["message"]):
        raise ValueError(f'beside "id" it has {", ".join(keys) or "nothing"}')
    return answer


def talk(adapter: Adapter, asked: list[Case], timeout: float) -> tuple[Verdicts, list[Fault]]:
    """Give every line to an adapter; return what is wrong with its answers, by id, and faults.

    An answer is judged where it comes and not kept: parsed it may take twenty times the bytes of its line.
    """
    answers: Verdicts = {}
    faults: list[Fault] = []
    end = time.monotonic() + timeout
    ids = {case.id: case for case in asked}
    adapter.start([case.line for case in asked])
    number = 0
    while len(faults) < JUNK:
        try:
            kind, text = adapter.events.get(timeout=max(0, end - time.monotonic()))
        except queue.Empty:
            left = len(ids) - len(answers)
            words = f"{left} answers missing" if left else "all is answered, and its output is open"
            return answers, [*faults, ("hung", f"not ended after {timeout:g} s; {words}")]
        if kind != "line":
            break
        number += 1
        try:
            answer = parsed(text)
        except ValueError as error:
            faults.append(("junk", f"line {number}: {error}: {short(text.strip(), SHOWN // 2)}"))
            continue
        name = answer.pop("id")
        if name not in ids:
            faults.append(("unknown id", f"line {number}: {short(name)}"))
        elif name in answers:
            faults.append(("twice", f"line {number}: {short(name)}"))
        else:
            answers[name] = judged(ids[name], answer)
    else:
        return answers, [*faults, ("flood", f"more than {JUNK - 1} lines that are no answers")]
    if kind == "flood":
        return answers, [*faults, (kind, text)]
    try:
        code = adapter.process.wait(max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return answers, [*faults, ("hung", f"its output ended, and it did not in {timeout:g} s")]
    if code:
        died = f"signal {-code}" if code < 0 else f"exit code {code}"
        faults.append(("died", f"{died} after {len(answers)} of {len(ids)} answers"))
    return answers, faults


# ---------------------------------------------------------------- comparing


def differences(expected: Any, got: Any, path: str = "", kind: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: (path, expected, got); `kind` is the key that the value has."""
    if isinstance(expected, dict) and isinstance(got, dict) and (set(expected) & set(got) or not expected):
        for key in [*expected, *(key for key in got if key not in expected)]:
            where = path + "." + key if path else key
            if key not in got or key not in expected:
                yield where, expected.get(key, "nothing"), got.get(key, "nothing")
            else:
                yield from differences(expected[key], got[key], where, key)
    elif isinstance(expected, list) and isinstance(got, list):
        for i, (one, other) in enumerate(zip(expected, got, strict=False)):
            yield from differences(one, other, f"{path}[{i}]", kind)
        if len(expected) != len(got):
            yield path, f"{len(expected)} items", f"{len(got)} items"
    elif not same(expected, got, kind):
        yield path, expected, got


def compared(expected: Any, got: Any) -> Iterator[tuple[str, Any, Any]]:
    """The differences of two messages, by paths from the fields on."""
    for path, one, other in differences(expected, got):
        yield path[len("fields.") :] if path.startswith("fields.") else path or "message", one, other


def same(expected: Any, got: Any, kind: str) -> bool:
    """Whether two values that are neither objects nor lists are the same."""
    if kind == "float":
        bits = float_bits(got)
        return bits is not None and bits == float_bits(expected)
    if kind in ("blob", "text_bytes", "content"):
        return isinstance(got, str) and got.lower() == expected
    if isinstance(expected, bool):
        return expected is got
    wanted = integer(expected)
    if wanted is not None:
        return integer(got, strict=False) == wanted
    return type(expected) is type(got) and expected == got


def integer(value: Any, strict: bool = True) -> int | None:
    """The integer that a value is, a number or digits; in a vector (strict) only a large one has digits."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    if isinstance(value, int):
        return value
    if len(value) > 20 or not value.lstrip("-").isdigit() or not value.isascii():
        return None
    number = int(value) if str(value).count("-") < 2 else None
    return number if number is None or not strict or abs(number) > SAFE else None


def float_bits(value: Any) -> bytes | str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and value not in SPECIAL:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return "nan" if number != number else struct.pack("<d", number)


def judged(case: Case, answer: Json) -> Json | None:
    """What is wrong with an answer, as an object of the report; None if nothing."""
    wrong = {"id": case.id}
    ((key, got),) = answer.items()
    if key == "error" and not (isinstance(got, str) and got.strip()):
        return {**wrong, "outcome": "no words", "error": shown(got)}
    if key != case.key:
        outcome = "refused" if key == "error" else "accepted" if case.key == "error" else "another key"
        return {**wrong, "outcome": outcome, key: shown(got)}
    if key == "error":
        return None
    if key == "hex":
        return judged_bytes(case, got, wrong)
    found = [
        {"path": path, "expected": shown(one), "got": shown(other), **place(case, path)}
        for path, one, other in islice(compared(case.expected, got), MOST)
    ]
    return {**wrong, "outcome": differs(found), "differences": found} if found else None


def differs(found: list[Json]) -> str:
    """The outcome of an answer that differs: in which fields."""
    return "differs in " + ", ".join(one["path"] for one in found)


def judged_bytes(case: Case, got: Any, wrong: Json) -> Json | None:
    try:
        data = bytes.fromhex(got)
    except (TypeError, ValueError):
        return {**wrong, "outcome": "no hex", "hex": shown(got)}
    wanted = bytes.fromhex(str(case.expected))
    if data == wanted:
        return None
    pairs = enumerate(zip(wanted, data, strict=False))
    at = next((i for i, (one, other) in pairs if one != other), min(len(wanted), len(data)))
    start = at & ~7
    one, other = (part[start : start + 8].hex() or "the end" for part in (wanted, data))
    difference = {"path": f"byte {at}", "expected": one, "got": other, "offset": start}
    return {**wrong, "outcome": differs([difference]), "differences": [difference]}


POSITIONS: dict[str, dict[str, list[int]]] = {}


def place(case: Case, path: str) -> Json:
    """The offset of the field at a path, and its bytes."""
    if not POSITIONS:
        POSITIONS.update(read("positions.json"))
    known = POSITIONS.get(case.id, {})
    while path and path not in known:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    if not path:
        return {}
    start, end = known[path]
    return {"offset": start, "hex": case.vector["hex"][2 * start : 2 * end]}


# ---------------------------------------------------------------- telling


def shown(value: Any) -> str:
    """A value in the report: as JSON if it is no text, and cut where no right one reaches."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LINE // 4 else text[: LINE // 4] + "..."


def short(text: str, size: int = SHOWN) -> str:
    """A text for people: no control characters, and not too long."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: 4 * size])
    return clean if len(text) <= size else clean[: size - 3] + "..."


def around(one: str, other: str) -> tuple[str, ...]:
    """Two texts, cut so that the place from which they differ is seen."""
    pairs = enumerate(zip(one, other, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    if at <= SHOWN // 2 or max(len(one), len(other)) <= SHOWN:
        return short(one), short(other)
    start = at - SHOWN // 4
    return tuple(short("..." + text[start:]) for text in (one, other))


def report(asked: list[Case], answers: Verdicts, faults: list[Fault], known: list[Json]) -> Json:
    """The whole result as an object; schema/report.schema.json describes it."""
    missing = {case.id: {"id": case.id, "outcome": "missing"} for case in asked}
    failed = [wrong for wrong in {**missing, **answers}.values() if wrong]
    expected = {one["id"]: one["outcome"] for one in known}
    ids = {case.id for case in asked}
    new = [wrong for wrong in failed if expected.get(wrong["id"]) != wrong["outcome"]]
    still = {wrong["id"]: wrong["outcome"] for wrong in failed}
    return {
        "vectors": len(asked),
        "passed": len(asked) - len(failed),
        "known": len(failed) - len(new),
        "failed": new,
        "gone": {
            name: expected[name] for name in expected if name in ids and still.get(name) != expected[name]
        },
        "faults": [{"kind": kind, "words": words} for kind, words in faults],
    }


def exit_code(result: Json) -> int:
    if {"died", "hung", "flood", "not started"} & {fault["kind"] for fault in result["faults"]}:
        return BROKEN
    return WRONG if result["failed"] or result["gone"] or result["faults"] else 0


MEANING = {
    "refused": "refused, and is well formed",
    "accepted": "accepted, and must be refused",
    "another key": "answered with another key than was asked for",
    "no words": "an error needs words",
    "no hex": "not hex digits",
}


def lines_of(result: Json, by_id: dict[str, Case], words: bytes) -> Iterator[str]:
    """The report for people, line by line."""
    missing = [wrong["id"] for wrong in result["failed"] if wrong["outcome"] == "missing"]
    for name in missing[:FEW]:
        yield name + ": no answer"
    if missing[FEW:]:
        yield f"and {len(missing[FEW:])} more without an answer"
    for wrong in result["failed"]:
        if wrong["outcome"] == "missing":
            continue
        vector = by_id[wrong["id"]].vector
        meaning = MEANING.get(wrong["outcome"], "")
        yield wrong["id"] + (": " + meaning if meaning else "")
        if wrong["outcome"] == "accepted":
            at = f" at byte {vector['offset']}" if "offset" in vector else ""
            yield f"    wrong{at}: {vector['why']}"
        for key in ("error", "message", "hex"):
            if key in wrong:
                yield f"    got {key} {short(wrong[key])}"
        for one in wrong.get("differences", ()):
            yield f"    {one['path']}"
            expected, got = around(one["expected"], one["got"])
            yield f"        expected  {expected}"
            yield f"        got       {got}"
            if "hex" in one:
                yield f"        at {one['offset']:<6} {short(spaced(one['hex']), 47)}"
    for name in result["gone"]:
        yield f"{name}: known as {result['gone'][name]!r}, and is not so"
    for fault in result["faults"]:
        yield f"adapter {fault['kind']}: {fault['words']}"
    if words and result["faults"]:
        yield "adapter's last words:"
        for line in words.decode("utf-8", "replace").splitlines()[-16:]:
            yield "    " + short(line, 76)
    many = result["vectors"]
    counts = f"{many} vector{'s' * (many != 1)}: {result['passed']} passed"
    for key, many in (("known", result["known"]), ("failed", len(result["failed"]))):
        counts += f", {many} {key}" if many else ""
    yield counts


def spaced(digits: str) -> str:
    return " ".join(digits[i : i + 2] for i in range(0, len(digits), 2))


# ---------------------------------------------------------------- the command


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"got {text}, more than 0 is needed")
    return number


def megabytes(text: str) -> int:
    number = int(text)
    if not 0 <= number < 1 << 30:
        raise argparse.ArgumentTypeError(f"got {text}, 0 or more is needed")
    return number


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Check an implementation of the dqlite wire protocol against the vectors.",
        epilog="Exit code: 0 all well; 1 an answer is wrong or missing; 2 wrong use; 3 the adapter could not"
        " be started, died, hung or flooded; 130 interrupted. README.md describes the lines.",
    )
    parser.add_argument("--encode", action="store_true", help="ask for the bytes of messages as well")
    parser.add_argument("--only", metavar="TEXT", help="only vectors whose id has this text, in any case")
    parser.add_argument("--known", metavar="FILE", type=Path, help="differences that are known, as JSON")
    parser.add_argument("--timeout", metavar="S", type=positive, default=60.0, help="for all of it (60)")
    parser.add_argument("--memory", metavar="MB", type=megabytes, default=1024, help="0: no bound (1024)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--lines", action="store_true", help="print what an adapter is given, and end")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="starts the adapter")
    options = parser.parse_args(given)
    options.command = options.command[options.command[:1] == ["--"] :]
    if not options.command and not options.lines:
        parser.error("a command that starts an adapter is needed")
    try:
        options.known = json.loads(options.known.read_text("utf-8"))["known"] if options.known else []
        _ = [(one["id"], one["outcome"]) for one in options.known]
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"--known: {type(error).__name__}: {error}")
    options.asked = [
        case for case in cases(options.encode) if (options.only or "").lower() in case.id.lower()
    ]
    if not options.asked:
        parser.error(f"no vector's id has {options.only!r}")
    return options


def main(given: list[str] | None = None) -> int:
    options = arguments(given)
    if options.lines:
        return tell(json.dumps(case.line) for case in options.asked)
    answers: Verdicts = {}
    words = b""
    try:
        adapter = Adapter(options.command, options.memory)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        faults = [("not started", str(error))]
    else:
        try:
            answers, faults = talk(adapter, options.asked, options.timeout)
        finally:
            adapter.stop()
        words = adapter.words
    result = report(options.asked, answers, faults, options.known)
    if options.json:
        tell([json.dumps(result, ensure_ascii=False, indent=1)])
    else:
        tell(lines_of(result, {case.id: case for case in options.asked}, words))
    return exit_code(result)


def tell(lines: Iterable[str]) -> int:
    for line in lines:
        sys.stdout.write(line.encode("utf-8", "replace").decode("utf-8") + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read the report has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(WRONG)
