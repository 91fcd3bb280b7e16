"""What C may get wrong besides values: references, the garbage collector, memory that runs out, interrupts,
threads, interpreters.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from dqlitewire import MessageDecoder, PoisonedError, ValueType, decode_message, speedups
from dqlitewire.messages import RowsResponse
from tests.fuzz.frames import CODES, framed, packed, value_of

I, F, T, B, N, U, D, L = CODES
VALUES = {I: 2**40, F: 1.5, T: "some text", B: b"blob", N: None, U: 3, D: "2020-01-01", L: True}


def frame(codes: tuple[int, ...], count: int, more: bool = False) -> bytes:
    one = packed(["a"] * len(codes), [codes], [tuple(VALUES[c] for c in codes)], more).data
    start = 16 + 8 * len(codes)
    return framed(one[8:start] + one[start:-8] * count + one[-8:])


def read(data: bytes, width: int) -> Any:
    return speedups.native.read_rows(data, 16 + 8 * width, len(data), width)


# ---------------------------------------------------------------- references and the garbage collector


def test_references_are_given_and_taken_once() -> None:
    """Of what stays in use over many calls: types, singletons, the frame, members of ValueType."""
    data, wrong = frame(CODES, 50), frame(CODES, 50)[:-8] + b"\0" * 8
    types = read(data, len(CODES))[0][0][1]
    watched = [
        data,
        wrong,
        types,
        # from 3.14 on what was built for an older Python may count them up, and nothing counts them down
        *(value for value in (True, False, None) if sys.version_info < (3, 14)),
        *ValueType,
        runs := [(0, types)],
    ]
    rows = read(data, len(CODES))[1]
    values = list(rows[0])
    read(wrong, len(CODES))
    before = list(map(sys.getrefcount, watched))
    for _ in range(2000):  # other threads of a worker use the singletons, too
        read(data, len(CODES))
        read(wrong, len(CODES))
        speedups.native.write_rows(rows, runs, len(CODES))
        speedups.native.write_rows([*rows, (None,)], runs, len(CODES))
        speedups.native.write_params(values, 1)
        speedups.native.write_params([*values, object()], 1)
    after = list(map(sys.getrefcount, watched))
    assert [abs(a - b) < 1000 for a, b in zip(after, before, strict=True)] == [True] * len(watched)
    assert sys.getrefcount(rows[0]) == sys.getrefcount(rows[-1])


def test_rows_are_out_of_the_collectors_lists_and_live_on() -> None:
    message = decode_message(frame(CODES, 2000))
    assert isinstance(message, RowsResponse)
    gc.collect()
    assert not any(map(gc.is_tracked, message.rows))
    assert gc.is_tracked(message.rows)
    kept = {id(thing) for thing in gc.get_objects()}
    assert not kept & set(map(id, message.rows))
    row = message.rows[0]
    loop: list[Any] = [row]
    loop.append(loop)
    del loop, message
    gc.collect()
    assert row == tuple(VALUES[code] for code in CODES)
    assert hash(row) == hash(tuple(VALUES[code] for code in CODES))


def test_the_collector_runs_at_every_allocation() -> None:
    """With finalizers that read and write themselves, in the midst of reading."""
    small = frame((I, T), 3)

    class Reading:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal count
            count += 1
            speedups.native.read_rows(small, 32, len(small), 2)
            rows = [tuple(value_of(code, rng) for code in (I, F, N)) for _ in range(3)]
            assert speedups.native.write_rows(rows, [(0, None)], 3)

    rng, count = Random(1), 0
    types = [tuple(rng.choice(CODES) for _ in range(5)) for _ in range(300)]
    data = packed(["a"] * 5, types, [tuple(VALUES[c] for c in codes) for codes in types]).data
    wanted = decode_message(data)
    threshold = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(30):
            Reading()
            assert decode_message(data) == wanted
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert count == 30


CHANGED = """
import codecs, gc
from dqlitewire import speedups

def whole():
    return [1.5, "x"] * 50

class Emptying:
    def __init__(self, values):
        self.me, self.values = self, values
    def __del__(self):
        self.values.clear()

held = []
for _ in range(60):  # CPython 3.11 collects where it makes a list, if none of the freed ones is left
    gc.disable()
    values = whole()
    Emptying(values)
    held.append([[] for _ in range(100)])
    gc.set_threshold(1, 1, 1)
    gc.enable()
    speedups.native.write_params(values, 1)
gc.disable()
assert speedups.native.write_params(whole(), 1)

def emptying(*lists):
    def handler(error):
        for values in lists:
            values.clear()
        return "?" * len(str(error.object)), error.end
    codecs.register_error("strict", handler)

try:
    for size in (1, 400):
        for at in (0, 5):
            values = [f"{n}" * size + ("\\ud800" if n >= at else "") for n in range(1000)]
            emptying(values)
            assert speedups.native.write_params(values, 1) is None
            types = [(0, None), (500, None)]
            rows = [(f"{n}" * size + ("\\ud800" if n >= at else ""), n + 2**40) for n in range(1000)]
            emptying(rows, types)
            assert speedups.native.write_rows(rows, types, 2) is None
finally:
    codecs.register_error("strict", codecs.strict_errors)
"""


def test_lists_that_are_emptied_while_they_are_written() -> None:
    """By a finalizer, where the collector runs, or by what has taken the place of codecs' "strict"."""
    done = subprocess.run([sys.executable, "-c", CHANGED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_memory_at_the_most_is_not_more_than_in_python() -> None:
    for codes in ((I,), (I, T, F), CODES):
        data = frame(codes, 4000)
        peaks = []
        for native in (True, False):
            before = speedups._use(native)
            try:
                decode_message(data).encode()  # imports and generates what it needs
                tracemalloc.start()
                message = decode_message(data)
                assert isinstance(message, RowsResponse)
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.reset_peak()
                message.encode()
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
                speedups._use(before)
            del message
        assert peaks[0] <= peaks[2] * 1.02
        assert peaks[1] <= peaks[3] * 1.02


# ---------------------------------------------------------------- what strikes from outside


def test_memory_that_runs_out_is_an_exception() -> None:
    """At each allocation in turn; never None, which would read everything again, and never half a result."""
    testcapi = pytest.importorskip("_testcapi")
    data = frame(CODES, 3)
    rows = read(data, len(CODES))[1]
    types = tuple(map(ValueType, CODES))
    values = [1, "é" * 300, b"x", 0.5]
    calls: list[Callable[[], Any]] = [
        lambda: speedups.native.read_rows(data, 16 + 8 * len(CODES), len(data), len(CODES)),
        lambda: speedups.native.write_rows(rows, [(0, types)], len(CODES)),
        lambda: speedups.native.write_params(values, 1),
    ]
    for call in calls:
        wanted, failed = call(), 0
        for number in range(400):
            testcapi.set_nomemory(number, number + 1)
            try:
                found = call()
            except MemoryError:
                failed += 1
                continue
            finally:
                testcapi.remove_mem_hooks()
            assert found == wanted
        assert failed
        assert call() == wanted


def interrupted(data: bytes) -> bool:
    """Read while a signal comes whose handler raises; tell whether it struck."""

    def handler(*_: object) -> None:
        raise KeyboardInterrupt

    known = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # which may call Python code, where the interrupt would be lost
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.004)
        read(data, 1)
        return False
    except KeyboardInterrupt:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, known)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer")
def test_an_interrupt_ends_the_reading_of_a_large_frame() -> None:
    data = frame((I,), 400_000)
    assert any(interrupted(data) for _ in range(20))
    assert len(read(data, 1)[1]) == 400_000


def test_what_a_signal_handler_raises_is_no_doubt() -> None:
    """Not even an error like that for text which is not UTF-8."""

    def handler(*_: object) -> None:
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "from a handler")

    data = frame((I,), 400_000)

    def read_often() -> None:
        for _ in range(50):
            signal.setitimer(signal.ITIMER_REAL, 0.004)
            assert read(data, 1) is not None

    known = signal.signal(signal.SIGALRM, handler)
    gc.disable()
    try:
        with pytest.raises(UnicodeDecodeError, match="from a handler"):
            read_often()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, known)


def test_an_interrupt_breaks_the_decoder() -> None:
    """A frame is lost: the stream cannot be followed further."""
    known = signal.getsignal(signal.SIGINT)
    decoder = MessageDecoder()
    decoder.feed(frame((I,), 20_000))
    fired = False

    def handler(*_: object) -> None:
        nonlocal fired
        fired = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    native = speedups.read_rows
    assert native is not None

    def striking(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return native(*given)

    speedups.read_rows = striking
    try:
        with pytest.raises(KeyboardInterrupt):
            decoder.decode()
    finally:
        speedups.read_rows = native
        signal.signal(signal.SIGINT, known)
    assert fired
    with pytest.raises(PoisonedError):
        decoder.decode()


def test_threads_read_and_write_at_the_same_time() -> None:
    """In frames so large that each lets the others run in the midst, and with ever new types."""
    rng = Random(3)
    types = [tuple(rng.choice((I, F, N, L)) for _ in range(6)) for _ in range(300)] * 20
    hostile = packed(["a"] * 6, types, [tuple(VALUES[c] for c in codes) for codes in types]).data
    large = frame((I,), 200_000)
    wanted = read(large, 1), read(hostile, 6)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(2):
                assert read(large, 1) == wanted[0]
                found = read(hostile, 6)
                assert found == wanted[1]
                assert speedups.native.write_rows(found[1], found[0], 6) == hostile[64:-8]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_another_interpreter_has_its_own_module() -> None:
    """Which it may load again and again; one with a GIL of its own is pure."""
    testcapi = pytest.importorskip("_testcapi")
    code = (
        "from dqlitewire import speedups, decode_message\n"
        "assert speedups.name == 'native', speedups.why\n"
        f"assert len(decode_message({frame(CODES, 3)!r}).rows) == 3\n"
    )
    for _ in range(3):
        assert testcapi.run_in_subinterp(code) == 0
    assert len(read(frame(CODES, 3), len(CODES))[1]) == 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a GIL for each interpreter")
def test_an_interpreter_with_a_gil_of_its_own_is_pure() -> None:
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    code = (
        f"import {name} as i; made = i.create()\n"
        "found = i.run_string(made, '''if 1:\n"
        "    from dqlitewire import speedups\n"
        "    assert speedups.name == 'pure' and 'not loaded' in speedups.why, speedups.why''')\n"
        "assert found is None, found\n"
    )
    if sys.version_info < (3, 13):
        pytest.skip("how one is made differs")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
