"""A single owner: a second thread is refused before anything has changed. Interrupts: test_interrupts.py."""

from __future__ import annotations

import logging
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
from dqlitewire.guard import unguarded
from dqlitewire.messages import (
    DbResponse,
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
            assert self.go_on.wait(60)
            sys.settrace(None)
        return self._trace if not self.entered.is_set() else None

    def __enter__(self) -> Inside:
        self._thread.start()
        assert self.entered.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def body_of(method: Any) -> CodeType:
    """Code that runs only while the method holds the mark."""
    code: CodeType = unguarded(method).__code__
    return code


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
        start.wait(60)
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


@pytest.mark.parametrize("call", ["decode", "take_frame"])
def test_running_out_of_memory_is_an_interrupt_like_any_other(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dqlitewire import buffer as buffer_module

    decoder = ready_decoder()
    untouched = rest(ready_decoder())

    def no_memory(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(buffer_module.FrameBuffer, "_take", no_memory)
    with pytest.raises(MemoryError):
        getattr(decoder, call)()
    monkeypatch.undo()
    if decoder.is_poisoned:
        with pytest.raises(PoisonedError):
            decoder.decode()
    else:
        assert rest(decoder) == untouched


def test_an_encoder_may_be_shared() -> None:
    from dqlitewire import MessageEncoder

    encoder, messages = MessageEncoder(), [LeaderRequest(), OpenRequest("a"), part(1, more=False)]
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
