"""Interrupts between any two bytecodes of the package: one, and a second one while the first is handled.

A trace function that raises at an "opcode" event interrupts just before that bytecode.  CPython then switches
tracing off; for the second interrupt it is switched on again at once, by the finalizer of the object that
CPython drops with it.

Code that was generated counts as the package's.  Of a loop, a place is struck the first and the last time; a
long call is struck at places chosen at random, and everywhere in the modules of `ALWAYS`.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import dqlitewire

PACKAGE = str(Path(dqlitewire.__file__).parent)
ALWAYS = (
    "/guard.py",
    "/buffer.py",
    "/client.py",
    "/sending.py",
    "/server.py",
    "/incoming.py",
    "/observer.py",
    "/transcript.py",
)
LONG = 100
_NEVER = 1 << 60
_GUARDS = "/generated/guard_"

Place = tuple[Any, int]  # a code object and an offset in it


def is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    generated = name.startswith("<") and not name.startswith("<frozen")
    return name.startswith(PACKAGE) or (generated and "tests" not in frame.f_globals.get("__name__", ""))


class Interrupts:
    """Runs a call and interrupts it.

    Args:
        at: the bytecode to interrupt, counted from 1; the second counted from the first interrupt.
        ours: which frames count.

    Attributes:
        places: where each bytecode that ran stands.
        struck: how many interrupts there were.
        ignored: CPython dropped one, as it does in a generator that it finalizes.
    """

    def __init__(self, *at: int, ours: Callable[[FrameType], bool] = is_ours) -> None:
        self.places: list[Place] = []
        self.struck = 0
        self.ignored = False
        self._at = list(at)
        self._count = 0
        self._ours = ours

    def run(self, call: Callable[[], Any]) -> Any:
        """Run a call and return or raise what it does.

        In a thread of its own: a handler that is interrupted at its very end leaves its exception behind in
        the thread's state, as the context of every exception that is raised there later.
        """
        made: list[Any] = []
        raised: list[BaseException] = []

        def target() -> None:
            sys._getframe().f_trace_opcodes = True  # CPython 3.12 wants one before it traces any
            sys.settrace(self.trace)
            try:
                made.append(call())
            except BaseException as error:
                raised.append(error)
            finally:
                sys.settrace(None)

        hook, sys.unraisablehook = sys.unraisablehook, self._ignore
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
        sys.unraisablehook = hook
        if raised:
            raise raised[0]
        return made[0]

    def _ignore(self, _: Any) -> None:
        self.ignored = True

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "call":
            if not self._ours(frame):
                return None
            self.watch(frame)
        elif event == "opcode":
            self._count += 1
            self.places.append((frame.f_code, frame.f_lasti))
            if self._at and self._count == self._at[0]:
                self._strike(frame)
        return self.trace

    def watch(self, frame: FrameType) -> None:
        frame.f_trace = self.trace
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False

    def _strike(self, frame: FrameType) -> None:
        self.struck += 1
        self._count = 0
        del self._at[0]
        if self._at:
            frame.f_trace = _Again(self, frame)
        raise KeyboardInterrupt

    def again(self, frame: FrameType | None) -> None:
        sys.settrace(self.trace)
        while frame is not None:
            if self._ours(frame):
                self.watch(frame)
            frame = frame.f_back


class _Again:
    def __init__(self, interrupts: Interrupts, frame: FrameType) -> None:
        self._interrupts, self._frame = interrupts, frame

    def __call__(self, *_: Any) -> None:
        raise AssertionError("CPython drops it instead")

    def __del__(self) -> None:
        self._interrupts.again(self._frame)


def places_of(
    make: Callable[[], Any],
    call: Callable[[Any], Any],
    *at: int,
    ours: Callable[[FrameType], bool] = is_ours,
) -> list[Place]:
    """Run a call and return the places of its bytecodes; of one that is interrupted, those behind that."""
    thing, interrupts = make(), Interrupts(*at, _NEVER, ours=ours)
    try:
        interrupts.run(lambda: call(thing))
    except (Exception, KeyboardInterrupt):
        pass  # what the call raises is part of it
    return interrupts.places[sum(at) :]


def firsts_and_lasts(places: list[Place]) -> list[int]:
    """The number of the first and of the last time that each place is met, counted from 1."""
    first: dict[Place, int] = {}
    last: dict[Place, int] = {}
    for number, place in enumerate(places, 1):
        first.setdefault(place, number)
        last[place] = number
    numbers = sorted({*first.values(), *last.values()})
    if len(numbers) <= LONG:
        return numbers
    chosen = set(random.Random(1).sample(numbers, LONG))
    return [n for n in numbers if n in chosen or _is_struck_everywhere(places[n - 1][0].co_filename)]


def _is_struck_everywhere(file: str) -> bool:
    return file.endswith(ALWAYS) or _GUARDS in file


def interrupted_once(make: Callable[[], Any], call: Callable[[Any], Any]) -> Iterator[tuple[Any, Place]]:
    """A fresh object for each place of a call, interrupted there."""
    call_quietly(call, make())  # what is generated at first use is there
    places = places_of(make, call)
    assert len(places) > 3
    for number in firsts_and_lasts(places):
        thing = make()
        if interrupt(thing, call, number):
            yield thing, places[number - 1]


def interrupted_twice(
    make: Callable[[], Any],
    call: Callable[[Any], Any],
    count: int,
    ours: Callable[[FrameType], bool] = is_ours,
) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Fresh objects, interrupted at pairs of places that are chosen at random."""
    choose = random.Random(2)
    numbers = firsts_and_lasts(places_of(make, call, ours=ours))
    behind: dict[int, int] = {}
    for _ in range(count):
        first = choose.choice(numbers)
        if first not in behind:
            behind[first] = len(places_of(make, call, first, ours=ours))
        if behind[first]:
            pair = first, choose.randint(1, behind[first])
            thing = make()
            if interrupt(thing, call, *pair, ours=ours):
                yield thing, pair


def interrupt(
    thing: Any, call: Callable[[Any], Any], *at: int, ours: Callable[[FrameType], bool] = is_ours
) -> bool:
    """Interrupt a call; False if that place was not met."""
    interrupts = Interrupts(*at, ours=ours)
    try:
        interrupts.run(lambda: call(thing))
    except KeyboardInterrupt:
        return interrupts.struck == len(at)
    except Exception:
        pass  # what the call raises is part of it
    assert interrupts.ignored or not interrupts.struck, "the interrupt was swallowed"
    return False


def call_quietly(call: Callable[[Any], Any], thing: Any) -> None:
    try:
        call(thing)
    except Exception:
        pass
