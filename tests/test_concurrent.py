"""A single owner: a second thread is refused, and an interrupt leaves no trace or a poisoned object."""

from __future__ import annotations

import gc
import itertools
import logging
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import dqlitewire
from dqlitewire import ConcurrentUseError, Message, MessageDecoder, PoisonedError, ReadBuffer
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    LeaderRequest,
    OpenRequest,
    ResultResponse,
    RowsResponse,
    ServersResponse,
)

PACKAGE = str(Path(dqlitewire.__file__).parent)
Made = MessageDecoder | ReadBuffer


def part(*values: int, more: bool = True) -> RowsResponse:
    return RowsResponse(["a"], [], [], [[value] for value in values], more)


DECODER_CALLS: dict[str, Callable[[Any], Any]] = {
    "feed": lambda decoder: decoder.feed(b"more"),
    "decode": MessageDecoder.decode,
    "decode_continuation": MessageDecoder.decode_continuation,
    "decode_handshake": MessageDecoder.decode_handshake,
    "skip_message": MessageDecoder.skip_message,
    "take_frame": MessageDecoder.take_frame,
    "pending_frame_size": MessageDecoder.pending_frame_size,
    "reset": MessageDecoder.reset,
}
BUFFER_CALLS: dict[str, Callable[[Any], Any]] = {
    "feed": lambda buffer: buffer.feed(b"more"),
    "read_message": ReadBuffer.read_message,
    "peek_header": ReadBuffer.peek_header,
    "skip_message": ReadBuffer.skip_message,
    "read_bytes": lambda buffer: buffer.read_bytes(1),
    "peek_bytes": lambda buffer: buffer.peek_bytes(1),
    "reset": ReadBuffer.reset,
    "clear": ReadBuffer.clear,
}


def decoder_in_a_run() -> MessageDecoder:
    decoder = MessageDecoder()
    decoder.feed(part(1).encode() + part(2).encode() + part(3, more=False).encode())
    assert decoder.decode() == decoded(part(1))
    return decoder


def decoded(message: Message) -> Message:
    return type(message).decode_body(message.encode_body())


def ready_decoder() -> MessageDecoder:
    decoder = MessageDecoder()
    decoder.feed(ResultResponse(1, 2).encode() + DbResponse(3).encode())
    return decoder


def ready_server() -> MessageDecoder:
    decoder = MessageDecoder(is_request=True)
    decoder.feed((1).to_bytes(8, "little") + OpenRequest("a").encode())
    return decoder


def ready_buffer() -> ReadBuffer:
    buffer = ReadBuffer()
    buffer.feed(ResultResponse(1, 2).encode() + DbResponse(3).encode())
    return buffer


# ---------------------------------------------------------------- a second thread


class Inside:
    """Runs a call in a thread of its own and holds it where it executes its first line of the package."""

    def __init__(self, call: Callable[[], Any], code: CodeType) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.result: Any = None
        self._call, self._code = call, code
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        sys.settrace(self._trace)
        try:
            self.result = self._call()
        except Exception as error:
            self.result = error
        finally:
            sys.settrace(None)
            self.entered.set()

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code is self._code and not self.entered.is_set():
            self.entered.set()
            assert self.go_on.wait(20)
            sys.settrace(None)
        return self._trace if not self.entered.is_set() else None

    def __enter__(self) -> Inside:
        self._thread.start()
        assert self.entered.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


def body_of(method: Any) -> CodeType:
    """Code that runs only while the method holds the mark: its own, under a guard, or a part of it."""
    return getattr(method, "__wrapped__", PARTS.get(method)).__code__


PARTS: dict[Any, Any] = {
    MessageDecoder.feed: MessageDecoder._swallow,
    MessageDecoder.decode: MessageDecoder._complete,
    MessageDecoder.decode_continuation: MessageDecoder._decoded_continuation,
}


PLACES: list[tuple[str, Callable[[], Made], str, dict[str, Callable[[Any], Any]], Any]] = [
    # what, how to make it, the call that is held, the calls of the second thread, what the held call returns
    ("decoder", ready_decoder, "decode", DECODER_CALLS, ResultResponse(1, 2)),
    ("decoder", ready_decoder, "take_frame", DECODER_CALLS, ResultResponse(1, 2).encode()),
    ("decoder", ready_decoder, "skip_message", DECODER_CALLS, True),
    ("decoder in a run", decoder_in_a_run, "decode_continuation", DECODER_CALLS, decoded(part(2))),
    ("server's decoder", ready_server, "decode_handshake", DECODER_CALLS, 1),
    ("buffer", ready_buffer, "read_message", BUFFER_CALLS, ResultResponse(1, 2).encode()),
    ("buffer", ready_buffer, "peek_header", BUFFER_CALLS, (2, 6, 0)),
    ("buffer", ready_buffer, "skip_message", BUFFER_CALLS, True),
]


@pytest.mark.parametrize(
    ("make", "held", "calls", "result"),
    [place[1:] for place in PLACES],
    ids=[f"{place[0]}: {place[2]}" for place in PLACES],
)
def test_a_second_thread_is_refused_and_the_first_goes_on(
    make: Callable[[], Any], held: str, calls: dict[str, Callable[[Any], Any]], result: Any
) -> None:
    thing, twin = make(), make()
    method = getattr(type(thing), held)
    with Inside(lambda: method(thing), body_of(method)) as first:
        for call in calls.values():
            with pytest.raises(ConcurrentUseError):
                call(thing)
    assert first.result == result
    assert not thing.is_poisoned
    method(twin)
    assert rest(thing) == rest(twin)


def rest(thing: Any) -> list[bytes]:
    """What is left, as frames."""
    if isinstance(thing, MessageDecoder) and thing.version is None:
        thing.decode_handshake()
    take = thing.take_frame if isinstance(thing, MessageDecoder) else thing.read_message
    return list(iter(take, None))


def test_feeding_from_a_second_thread_is_refused() -> None:
    makers: list[tuple[Any, Any]] = [(MessageDecoder, DECODER_CALLS), (ReadBuffer, BUFFER_CALLS)]
    for make, calls in makers:
        thing = make(max_message_size=64)
        thing.feed((9).to_bytes(8, "little"))  # the header of a frame that is too large
        assert thing.skip_message() is False
        data = bytes(72) + DbResponse(3).encode()
        with Inside(lambda thing=thing, data=data: thing.feed(data), body_of(make.feed)):
            for call in calls.values():
                with pytest.raises(ConcurrentUseError):
                    call(thing)
        assert rest(thing) == [DbResponse(3).encode()]


def test_what_never_raises_does_not_raise_now() -> None:
    decoder = ready_decoder()
    with Inside(decoder.decode, body_of(MessageDecoder.decode)):
        assert decoder.has_message() is True
        assert decoder.is_poisoned is False
        assert decoder.is_skipping is False
        assert decoder.version == 1


def test_coming_back_in_from_inside_is_refused() -> None:
    decoder = MessageDecoder(unknown_role_policy="warn")
    refused: list[Exception] = []

    class ComesBackIn(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for call in DECODER_CALLS.values():
                try:
                    call(decoder)
                except ConcurrentUseError as error:
                    refused.append(error)

    body = (1).to_bytes(8, "little") * 2 + b"a:1\0\0\0\0\0" + (7).to_bytes(8, "little")
    decoder.feed(bytes([4, 0, 0, 0, 3, 0, 0, 0]) + body + DbResponse(3).encode())
    handler = ComesBackIn()
    logging.getLogger("dqlitewire.messages.responses").addHandler(handler)
    try:
        message = decoder.decode()
    finally:
        logging.getLogger("dqlitewire.messages.responses").removeHandler(handler)
    assert isinstance(message, ServersResponse)
    assert len(refused) == len(DECODER_CALLS)
    assert decoder.decode() == DbResponse(3)


@contextmanager
def hasty_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("take", ["decode", "take_frame"])
def test_threads_that_share_a_decoder_lose_and_double_nothing(take: str) -> None:
    count, found = 2000, []
    decoder = MessageDecoder()
    decoder.feed(b"".join(ResultResponse(n, 0).encode() for n in range(count)))
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(20)
        while True:
            try:
                message = getattr(decoder, take)()
            except ConcurrentUseError:
                continue
            if message is None:
                return
            found.append(message if take == "decode" else ResultResponse.decode_body(message[8:]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with hasty_threads():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(message.last_insert_id for message in found) == list(range(count))
    assert not decoder.is_poisoned


# ---------------------------------------------------------------- interrupts
#
# CPython looks for signals where a function begins, behind a call of C, and on jumps back. Lines and calls of
# the package and its returns from C cover all of these; in the guard itself, calls and returns are enough.


class Interrupter:
    """Counts the places where an interrupt may strike, and strikes at one of them."""

    def __init__(self, strike_at: int = -1) -> None:
        self.strike_at = strike_at
        self.places = 0

    def _place(self) -> None:
        self.places += 1
        if self.places == self.strike_at:
            sys.settrace(None)
            sys.setprofile(None)
            raise KeyboardInterrupt

    def _of_package(self, frame: FrameType) -> bool:
        name = frame.f_code.co_filename
        return name.startswith(PACKAGE) or (
            frame.f_globals.get("__name__") != __name__ and name.startswith("<")
        )

    def trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not self._of_package(frame):
            return None
        guard = frame.f_code.co_filename == "<string>"
        if event == "call" or (event == "line" and not guard):
            self._place()
        return self.trace

    def profile(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_return" and self._of_package(frame):
            self._place()

    def run(self, call: Callable[[], Any]) -> Any:
        sys.settrace(self.trace)
        sys.setprofile(self.profile)
        try:
            return call()
        finally:
            sys.setprofile(None)
            sys.settrace(None)


def many_rows(more: bool) -> RowsResponse:
    return RowsResponse(["a", "b"], [], [], [[n, f"text {n}"] for n in range(20)], more)


FAILS = b"\x02\0\0\0\0\0\0\0" + (5).to_bytes(8, "little") + b"busy\0\0\0\0"
SCENES: dict[str, tuple[Callable[[], MessageDecoder], Callable[[MessageDecoder], Any]]] = {
    "decode a word": (ready_decoder, MessageDecoder.decode),
    "decode rows": (lambda: stream(many_rows(True), many_rows(False)), MessageDecoder.decode),
    "decode_continuation": (
        lambda: run_begun(many_rows(False), EmptyResponse()),
        MessageDecoder.decode_continuation,
    ),
    "decode_continuation, more": (
        lambda: run_begun(many_rows(True), many_rows(False)),
        MessageDecoder.decode_continuation,
    ),
    "decode_continuation, EMPTY": (lambda: run_begun(EmptyResponse()), MessageDecoder.decode_continuation),
    "take_frame": (ready_decoder, MessageDecoder.take_frame),
    "skip_message": (ready_decoder, MessageDecoder.skip_message),
    "feed": (ready_decoder, lambda decoder: decoder.feed(ResultResponse(7, 8).encode())),
    "handshake": (ready_server, MessageDecoder.decode_handshake),
    "pending_frame_size": (ready_decoder, MessageDecoder.pending_frame_size),
    "decode nothing": (MessageDecoder, MessageDecoder.decode),
}


def stream(*messages: Message) -> MessageDecoder:
    decoder = MessageDecoder()
    decoder.feed(b"".join(message.encode() for message in messages))
    return decoder


def run_begun(*messages: Message) -> MessageDecoder:
    decoder = stream(many_rows(True), *messages)
    decoder.decode()
    return decoder


def drain(decoder: MessageDecoder) -> list[Any]:
    """Everything the decoder still says, messages by their repr."""
    found: list[Any] = []
    if decoder.version is None:
        found.append(decoder.decode_handshake())
    while True:
        try:
            message = decoder.decode()
        except dqlitewire.ContinuationError:
            message = decoder.decode_continuation()
        if message is None:
            return found
        found.append(repr(message))


def said(result: Any) -> list[Any]:
    return [] if result is None or isinstance(result, (bool, bytes)) else [repr(result)]


def struck(make: Callable[[], Any], call: Callable[[Any], Any], places: int) -> Iterator[Any]:
    """A fresh object for each place, interrupted there; their number changes as row shapes are compiled."""
    for strike_at in itertools.count(1):
        thing, interrupter = make(), Interrupter(strike_at)
        try:
            interrupter.run(lambda thing=thing: call(thing))
        except KeyboardInterrupt:
            yield thing
        else:
            assert interrupter.places < strike_at, "the interrupt was swallowed"
            assert strike_at > min(places, 20)
            return


@pytest.mark.parametrize("scene", SCENES)
def test_an_interrupt_anywhere_loses_nothing_doubles_nothing_or_poisons(scene: str) -> None:
    make, call = SCENES[scene]
    call(make())  # what is generated at first use is there
    counter = Interrupter()
    whole = make()
    counter.run(lambda: call(whole))
    after = drain(whole)
    untouched = drain(make())
    assert counter.places > 3
    for decoder in struck(make, call, counter.places):
        if decoder.is_poisoned:
            with pytest.raises(PoisonedError) as caught:
                decoder.decode()
            assert isinstance(caught.value.__cause__, KeyboardInterrupt)
            decoder.reset()
            assert not decoder.is_poisoned
        elif scene == "feed":  # all of the bytes or none of them
            assert drain(decoder) in (after, untouched)
        else:  # as if the call had never been made
            assert drain(decoder) == untouched


BUFFER_SCENES: dict[str, Callable[[ReadBuffer], Any]] = {
    "read_message": ReadBuffer.read_message,
    "skip_message": ReadBuffer.skip_message,
    "peek_header": ReadBuffer.peek_header,
    "feed": lambda buffer: buffer.feed(ResultResponse(7, 8).encode()),
    "read_bytes": lambda buffer: buffer.read_bytes(24),
}


@pytest.mark.parametrize("scene", BUFFER_SCENES)
def test_an_interrupt_anywhere_in_a_buffer(scene: str) -> None:
    call = BUFFER_SCENES[scene]
    counter, whole = Interrupter(), ready_buffer()
    counter.run(lambda: call(whole))
    after, untouched = rest(whole), rest(ready_buffer())
    for buffer in struck(ready_buffer, call, counter.places):
        if buffer.is_poisoned:
            with pytest.raises(PoisonedError):
                buffer.read_message()
            buffer.reset()
            buffer.feed(DbResponse(3).encode())
            assert rest(buffer) == [DbResponse(3).encode()]
        else:
            assert rest(buffer) in ((after, untouched) if scene == "feed" else (untouched,))


def collect(decoder: MessageDecoder, found: list[Any]) -> None:
    # No jump back between the call and the append, where this function itself would lose a message.
    while True:
        message = decoder.decode()
        if message is None:
            return
        found.append(message)


def test_real_signals_lose_and_double_nothing() -> None:
    choose, frames, armed = random.Random(3), [ResultResponse(n, 0).encode() for n in range(40)], False

    def strike(*_: object) -> None:
        if armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, strike)
    gc.disable()  # callbacks of others swallow what is raised in them
    try:
        for _ in range(300):
            decoder, found = stream(), []
            decoder.feed(b"".join(frames))
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, choose.uniform(1e-5, 3e-4))
                collect(decoder, found)
            except KeyboardInterrupt:
                pass
            armed = False
            if not decoder.is_poisoned:
                found += list(iter(decoder.decode, None))
                assert [message.encode() for message in found] == frames
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("call", ["decode", "take_frame"])
def test_running_out_of_memory_is_an_interrupt_like_any_other(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dqlitewire import buffer as buffer_module

    decoder = ready_decoder()
    untouched = drain(ready_decoder())

    def no_memory(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(buffer_module.Frames, "_take", no_memory)
    with pytest.raises(MemoryError):
        getattr(decoder, call)()
    monkeypatch.undo()
    if decoder.is_poisoned:
        with pytest.raises(PoisonedError):
            decoder.decode()
    else:
        assert drain(decoder) == untouched


def test_an_encoder_may_be_shared() -> None:
    from dqlitewire import MessageEncoder

    encoder, messages = MessageEncoder(), [LeaderRequest(), OpenRequest("a"), many_rows(False)]
    wanted = [message.encode() for message in messages]
    found: list[list[bytes]] = []

    def work() -> None:
        found.append([encoder.encode(message) for _ in range(50) for message in messages])

    threads = [threading.Thread(target=work) for _ in range(4)]
    with hasty_threads():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == [wanted * 50] * 4
