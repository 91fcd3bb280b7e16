"""An interrupt at any bytecode, or two: the call has done nothing, or the object is broken and says so.

SCENES has a scene for every public method of what has an owner; the test below it holds it to that.
"""

from __future__ import annotations

import copy
import gc
import itertools
import json
import pickle
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import pytest

from dqlitewire import (
    ContinuationError,
    DecodeError,
    Message,
    MessageDecoder,
    PoisonedError,
    ProtocolError,
    ReadBuffer,
    ServerFailure,
    StreamError,
    WriteBuffer,
)
from dqlitewire.conversation import (
    ClientConversation,
    Ended,
    Exchange,
    Observer,
    Phase,
    Rows,
    ServerConversation,
    SessionLost,
    Side,
)
from dqlitewire.guard import Guarded, guarded, resetting, unguarded
from dqlitewire.messages import (
    DbResponse,
    EmptyResponse,
    ExecSqlRequest,
    FailureResponse,
    InterruptRequest,
    LeaderRequest,
    LeaderResponse,
    OpenRequest,
    PrepareRequest,
    QuerySqlRequest,
    ResultResponse,
    RowsResponse,
    StmtResponse,
)
from dqlitewire.messages.requests import ConnectRequest
from dqlitewire.traffic import TranscriptWriter
from dqlitewire.traffic.sources.pieces import Connection
from tests.interrupts import interrupt, interrupted_once, interrupted_twice, is_ours, places_of

HANDSHAKE = (1).to_bytes(8, "little")
RESULT, DB = ResultResponse(1, 2), DbResponse(3)
OPEN, LEADER = OpenRequest("main"), LeaderRequest()
INSERT = ExecSqlRequest(0, "INSERT INTO t VALUES (1)")
SELECT = QuerySqlRequest(0, "SELECT a FROM t")
HUGE = (9).to_bytes(8, "little")  # the header of a frame of 80 bytes


def many_rows(more: bool) -> RowsResponse:
    return RowsResponse(["a", "b"], [], [], [[n, f"text {n}"] for n in range(4)], more)


def sent(*messages: Message) -> bytes:
    return b"".join(message.encode() for message in messages)


# ---------------------------------------------------------------- the kinds: what is left, what broken says


class Frames:
    """Decoders and read buffers."""

    @staticmethod
    def broken(thing: Any) -> bool:
        if not thing.is_poisoned:
            return False
        for _ in range(2):
            with pytest.raises(PoisonedError) as caught:
                thing.feed(b"")
            assert isinstance(caught.value.__cause__, (KeyboardInterrupt, ProtocolError))
        thing.reset()
        assert not thing.is_poisoned
        if isinstance(thing, MessageDecoder) and thing.version is None:
            thing.feed(HANDSHAKE)
            assert thing.decode_handshake() == 1
            thing.feed(LEADER.encode())
        else:
            thing.feed(DB.encode())
        assert len(thing.take_frame() if isinstance(thing, MessageDecoder) else thing.read_message()) >= 16
        return True

    @staticmethod
    def rest(thing: Any) -> list[Any]:
        found: list[Any] = [thing.is_skipping, thing.available()]
        try:
            if isinstance(thing, ReadBuffer):
                return found + list(iter(thing.read_message, None))
            if thing.version is None:
                found.append(thing.decode_handshake())
            while True:
                try:
                    message = thing.decode()
                except ContinuationError:
                    message = thing.decode_continuation()
                if message is None:
                    return found
                found.append(repr(message))
        except (ProtocolError, ServerFailure) as error:
            return [*found, str(error)]


class Written:
    @staticmethod
    def broken(thing: WriteBuffer) -> bool:
        if not thing.is_poisoned:
            return False
        for call in (thing.getvalue, lambda: thing.write(b"x")):
            with pytest.raises(PoisonedError):
                call()
        thing.clear()
        thing.write(b"again")
        assert thing.getvalue() == b"again"
        return True

    @staticmethod
    def rest(thing: WriteBuffer) -> list[Any]:
        return [len(thing), thing.getvalue()]


class Client:
    @staticmethod
    def broken(thing: ClientConversation) -> bool:
        if thing.error is None:
            return False
        assert thing.phase is Phase.BROKEN
        for call in (lambda: thing.send(LEADER), lambda: thing.receive(RESULT.encode())):
            with pytest.raises(StreamError, match="broken") as caught:
                call()
            assert caught.value.__cause__ is thing.error
        events = thing.receive_eof()
        assert isinstance(events[-1], Ended)
        ends = [event.request for event in events if is_last(event)]
        waiting = [id(request) for request in getattr(thing, "open_requests", ())]
        for request in waiting:
            assert [id(ended) for ended in ends].count(request) == waiting.count(request)
        for call in (lambda: thing.send(LEADER), thing.receive_eof):
            with pytest.raises(StreamError, match="broken"):
                call()
        return True

    @staticmethod
    def rest(thing: ClientConversation) -> list[Any]:
        found: list[Any] = [repr(thing.session), thing.phase, [repr(one) for one in thing.unanswered]]
        if thing.phase not in (Phase.NEW, Phase.OPEN):
            return found
        found += [thing.send(LEADER), thing.send(INSERT)]
        try:
            for message in (RESULT, many_rows(False), LeaderResponse(1, "a:1"), RESULT):
                found += map(repr, thing.receive(message.encode()))
        except ProtocolError as error:
            found.append(str(error))
        return [*found, repr(thing.session)]


def is_last(event: Any) -> bool:
    if isinstance(event, (Ended, SessionLost)):
        return False
    return not isinstance(event, Rows) or event.last


class Server:
    @staticmethod
    def broken(thing: ServerConversation) -> bool:
        if thing.error is None or thing.phase is not Phase.BROKEN:
            return False
        for call in (thing.next_request, thing.next_event, lambda: thing.receive(b"x"), thing.abandon):
            with pytest.raises(StreamError, match="broken") as caught:
                call()
            assert caught.value.__cause__ is thing.error
        assert isinstance(thing.receive_eof(), Ended)
        with pytest.raises(StreamError, match="broken"):
            thing.next_request()
        return True

    @staticmethod
    def rest(thing: ServerConversation) -> list[Any]:
        found: list[Any] = [thing.phase, thing.buffered, repr(thing.current), thing.interrupted]
        if thing.phase is Phase.RAFT:
            return [*found, thing.raft_data()]
        if thing.answer_open:
            found.append(thing.answer_frame(FailureResponse(1, "x").encode()))
        try:
            while (request := thing.next_request()) is not None:
                found += [repr(request), thing.answer(FailureResponse(1, "x"))]
        except ProtocolError as error:
            found.append(str(error))
        return found


class Overheard:
    @staticmethod
    def broken(thing: Observer) -> bool:
        if thing.error is None:
            return False
        for call in (lambda: thing.receive(Side.CLIENT, b""), thing.finish):
            with pytest.raises(PoisonedError) as caught:
                call()
            assert caught.value.__cause__ is thing.error
        return True

    @staticmethod
    def rest(thing: Observer) -> list[Any]:
        events = thing.receive(Side.SERVER, RESULT.encode()) + thing.finish()
        return [
            (event.label, event.answer_count, event.ending) if isinstance(event, Exchange) else repr(event)
            for event in events
        ]


CONNECTION = Connection(1, "a:1", "b:2")
FIELDS = {"type": "LEADER"}


class Script:
    """Transcript writers, each with a file of its own."""

    folder: Path
    opened: ClassVar[list[TranscriptWriter]] = []

    @classmethod
    def make(cls) -> TranscriptWriter:
        path = cls.folder / f"{len(cls.opened)}.dqt"
        path.unlink(missing_ok=True)
        cls.opened.append(TranscriptWriter(path))
        return cls.opened[-1]

    @classmethod
    def path(cls, thing: TranscriptWriter) -> Path:
        return cls.folder / f"{cls.opened.index(thing)}.dqt"

    @classmethod
    def broken(cls, thing: TranscriptWriter) -> bool:
        if not thing.is_poisoned:
            return False
        for call in (thing.end, thing.end):
            with pytest.raises(PoisonedError):
                call(CONNECTION, Side.CLIENT, None)
            thing.close()
        with TranscriptWriter(cls.path(thing)) as writer:
            writer.frame(CONNECTION, Side.CLIENT, b"again", 1, FIELDS)
        assert json.loads(cls.path(thing).read_text().splitlines()[-1])["bytes"] == "YWdhaW4="
        return True

    @classmethod
    def rest(cls, thing: TranscriptWriter) -> list[Any]:
        try:
            thing.frame(CONNECTION, Side.CLIENT, b"rest", 1, FIELDS)
        except ValueError as error:
            return [str(error)]
        thing.close()
        return cls.path(thing).read_text().splitlines()


@pytest.fixture(autouse=True)
def script_folder(tmp_path: Path) -> Iterator[None]:
    Script.folder = tmp_path
    yield
    for writer in Script.opened:
        writer.close()
    Script.opened.clear()


KINDS: dict[type[Any], Any] = {
    MessageDecoder: Frames,
    ReadBuffer: Frames,
    WriteBuffer: Written,
    ClientConversation: Client,
    ServerConversation: Server,
    Observer: Overheard,
    TranscriptWriter: Script,
}


# ---------------------------------------------------------------- the scenes: how it is made, what is called


def decoder(*messages: Message, data: bytes = b"", **options: Any) -> Callable[[], MessageDecoder]:
    def make() -> MessageDecoder:
        made = MessageDecoder(**options)
        made.feed(data + sent(*messages))
        return made

    return make


def in_run(*messages: Message) -> Callable[[], MessageDecoder]:
    def make() -> MessageDecoder:
        made = decoder(many_rows(True), *messages)()
        made.decode()
        return made

    return make


def failed(*messages: Message) -> Callable[[], MessageDecoder]:
    def make() -> MessageDecoder:
        made = in_run(FAILS, *messages)()
        with pytest.raises(ServerFailure):
            made.decode_continuation()
        return made

    return make


def buffer(data: bytes, size: int = 1000) -> Callable[[], ReadBuffer]:
    def make() -> ReadBuffer:
        made = ReadBuffer(size)
        made.feed(data)
        return made

    return make


def skipping() -> ReadBuffer:
    made = buffer(HUGE, 64)()
    assert made.skip_message() is False
    return made


def poisoned(make: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        thing = make()
        thing._break(DecodeError("x"))
        return thing

    return made


def written() -> WriteBuffer:
    made = WriteBuffer()
    made.write(b"12345")
    return made


def client(*requests: Any, data: bytes = b"", version: int = 1) -> Callable[[], ClientConversation]:
    def make() -> ClientConversation:
        made = ClientConversation(version)
        made.send(OPEN)
        made.receive(DbResponse(0).encode())
        for request in requests:
            made.send(request)
        if data:
            made.receive(data)
        made.open_requests = made.unanswered  # type: ignore[attr-defined]
        return made

    return make


def broken_client() -> ClientConversation:
    made = client(INSERT, SELECT)()
    with pytest.raises(ProtocolError):
        made.receive(EmptyResponse().encode())
    return made


def server(*requests: Message, data: bytes = HANDSHAKE) -> Callable[[], ServerConversation]:
    def make() -> ServerConversation:
        made = ServerConversation()
        made.receive(data + sent(*requests))
        return made

    return make


def asked(*requests: Message) -> Callable[[], ServerConversation]:
    def make() -> ServerConversation:
        made = server(*requests)()
        made.next_request()
        return made

    return make


def observer(*requests: Message) -> Callable[[], Observer]:
    def make() -> Observer:
        made = Observer()
        made.receive(Side.CLIENT, HANDSHAKE + sent(*requests))
        return made

    return make


def recording() -> TranscriptWriter:
    made = Script.make()
    made.frame(CONNECTION, Side.CLIENT, b"before", 1, FIELDS)
    return made


TWO = HANDSHAKE + sent(OPEN, LEADER)
CHUNK = sent(RESULT, many_rows(True), many_rows(False), FailureResponse(12, "no database opened"))
FAILS = FailureResponse(5, "busy")
EACH = (INSERT, SELECT, PrepareRequest(0, "SELECT 1"))

SCENES: dict[type[Any], dict[str, list[tuple[Callable[[], Any], Callable[[Any], Any]]]]] = {
    MessageDecoder: {
        "feed": [
            (decoder(RESULT), lambda d: d.feed(DB.encode())),
            (decoder(RESULT), lambda d: d.feed("abc")),
            (decoder(RESULT), lambda d: d.feed(memoryview(DB.encode())[::2])),
        ],
        "has_message": [(decoder(RESULT), MessageDecoder.has_message)],
        "available": [(decoder(RESULT), MessageDecoder.available)],
        "decode": [
            (decoder(RESULT, DB), MessageDecoder.decode),
            (decoder(many_rows(True), many_rows(False)), MessageDecoder.decode),
            (decoder(), MessageDecoder.decode),
            (decoder(RESULT, max_message_size=16), MessageDecoder.decode),
            (decoder(data=sent(DB)[:4] + b"\x63" + bytes(11)), MessageDecoder.decode),
            (in_run(many_rows(False)), MessageDecoder.decode),
            (failed(RESULT), MessageDecoder.decode),
        ],
        "decode_continuation": [
            (in_run(many_rows(True), many_rows(False)), MessageDecoder.decode_continuation),
            (in_run(many_rows(False), RESULT), MessageDecoder.decode_continuation),
            (in_run(EmptyResponse(), RESULT), MessageDecoder.decode_continuation),
            (in_run(FAILS, RESULT), MessageDecoder.decode_continuation),
            (in_run(RESULT), MessageDecoder.decode_continuation),
            (decoder(RESULT), MessageDecoder.decode_continuation),
        ],
        "decode_handshake": [
            (decoder(data=TWO, is_request=True), MessageDecoder.decode_handshake),
            (decoder(data=HUGE, is_request=True), MessageDecoder.decode_handshake),
        ],
        "decode_bytes": [(decoder(RESULT), lambda d: d.decode_bytes(DB.encode()))],
        "skip_message": [(decoder(RESULT, DB), MessageDecoder.skip_message)],
        "take_frame": [(decoder(RESULT, DB), MessageDecoder.take_frame)],
        "pending_frame_size": [(decoder(RESULT, max_message_size=16), MessageDecoder.pending_frame_size)],
        "peek_header": [(decoder(RESULT), MessageDecoder.peek_header)],
        "reset": [
            (decoder(RESULT), MessageDecoder.reset),
            (failed(RESULT), MessageDecoder.reset),
            (poisoned(in_run(many_rows(False))), MessageDecoder.reset),
        ],
    },
    ReadBuffer: {
        "feed": [
            (buffer(sent(RESULT)), lambda b: b.feed(DB.encode())),
            (skipping, lambda b: b.feed(bytes(72) + DB.encode())),
        ],
        "has_message": [(buffer(sent(RESULT)), ReadBuffer.has_message)],
        "available": [(buffer(sent(RESULT)), ReadBuffer.available)],
        "read_message": [
            (buffer(sent(RESULT, DB)), ReadBuffer.read_message),
            (buffer(HUGE, 64), ReadBuffer.read_message),
        ],
        "peek_header": [(buffer(sent(RESULT)), ReadBuffer.peek_header)],
        "skip_message": [
            (buffer(sent(RESULT, DB)), ReadBuffer.skip_message),
            (buffer(HUGE, 64), ReadBuffer.skip_message),
        ],
        "read_bytes": [
            (buffer(sent(RESULT)), lambda b: b.read_bytes(16)),
            (buffer(b""), lambda b: b.read_bytes(-1)),
        ],
        "peek_bytes": [(buffer(sent(RESULT)), lambda b: b.peek_bytes(16))],
        "poison": [(buffer(sent(RESULT)), lambda b: b.poison(DecodeError("x")))],
        "reset": [
            (buffer(sent(RESULT)), ReadBuffer.reset),
            (poisoned(buffer(sent(RESULT))), ReadBuffer.reset),
        ],
        "clear": [(buffer(sent(RESULT)), ReadBuffer.clear)],
    },
    WriteBuffer: {
        "write": [(written, lambda b: b.write(b"x")), (written, lambda b: b.write("x"))],
        "write_padded": [(written, lambda b: b.write_padded(b"x"))],
        "getvalue": [(written, WriteBuffer.getvalue)],
        "clear": [(written, WriteBuffer.clear)],
    },
    ClientConversation: {
        "send": [
            (client(INSERT, SELECT), lambda c: c.send(ExecSqlRequest(0, INSERT.sql))),
            (client(INSERT, SELECT), lambda c: c.send(InterruptRequest())),
            (client(INSERT), lambda c: c.send(PrepareRequest(0, "SELECT 1"))),
            (ClientConversation, lambda c: c.send(INSERT)),
            (client(), lambda c: c.send(None)),
            (client(), lambda c: c.send(QuerySqlRequest(0, "DELETE FROM t RETURNING a"))),
            (client(), lambda c: c.send(ConnectRequest(1, "a:1"))),
        ],
        "send_frame": [
            (client(INSERT), lambda c: c.send_frame(SELECT.encode())),
            (client(INSERT), lambda c: c.send_frame(bytes(8))),
        ],
        "send_probe": [(client(INSERT), lambda c: c.send_probe())],
        "receive": [
            (client(INSERT, SELECT), lambda c: c.receive(sent(RESULT))),
            (client(*EACH), lambda c: c.receive(CHUNK)),
            (client(*EACH), lambda c: c.receive(sent(RESULT, many_rows(False), StmtResponse(0, 1, 0)))),
            (
                client(SELECT, InterruptRequest(), INSERT, data=many_rows(True).encode()),
                lambda c: c.receive(sent(many_rows(True), EmptyResponse(), RESULT)),
            ),
            (client(INSERT, INSERT, SELECT), lambda c: c.receive(sent(RESULT, DB))),
            (client(INSERT), lambda c: c.receive("")),
            (client(INSERT, SELECT), lambda c: c.receive(b"")),
        ],
        "receive_eof": [
            (client(INSERT, SELECT), ClientConversation.receive_eof),
            (broken_client, ClientConversation.receive_eof),
        ],
    },
    ServerConversation: {
        "receive": [
            (server(), lambda s: s.receive(sent(OPEN, LEADER))),
            (server(), lambda s: s.receive(None)),
            (server(OPEN, LEADER), lambda s: s.receive(b"")),
        ],
        "next_event": [
            (server(OPEN, LEADER), ServerConversation.next_event),
            (server(OPEN, data=b""), ServerConversation.next_event),
        ],
        "next_request": [
            (server(OPEN, LEADER), ServerConversation.next_request),
            (server(ConnectRequest(1, "a:1")), ServerConversation.next_request),
            (asked(OPEN, LEADER), ServerConversation.next_request),
        ],
        "answer": [
            (asked(OPEN, LEADER), lambda s: s.answer(DbResponse(0))),
            (asked(SELECT, LEADER), lambda s: s.answer(many_rows(True))),
            (asked(SELECT, LEADER), lambda s: s.answer(DbResponse(0))),
        ],
        "answer_frame": [
            (asked(SELECT, InterruptRequest(), LEADER), lambda s: s.answer_frame(EmptyResponse().encode())),
            (asked(OPEN), lambda s: s.answer_frame(b"")),
        ],
        "rows": [],  # a generator has a test of its own
        "interrupt": [(asked(SELECT, InterruptRequest(), LEADER), ServerConversation.interrupt)],
        "abandon": [(asked(SELECT, LEADER), ServerConversation.abandon)],
        "raft_data": [(asked(ConnectRequest(1, "a:1"), LEADER), ServerConversation.raft_data)],
        "receive_eof": [(server(OPEN, LEADER), ServerConversation.receive_eof)],
    },
    Observer: {
        "receive": [
            (observer(INSERT, SELECT), lambda o: o.receive(Side.SERVER, sent(RESULT, many_rows(False)))),
            (observer(), lambda o: o.receive(Side.CLIENT, sent(OPEN)[:20])),
            (observer(INSERT), lambda o: o.receive("server", b"")),
        ],
        "receive_gap": [(observer(INSERT, SELECT), lambda o: o.receive_gap(Side.SERVER, 3))],
        "receive_cut": [
            (observer(INSERT, SELECT), lambda o: o.receive_cut(Side.SERVER, "frame", sent(RESULT))),
            (observer(INSERT), lambda o: o.receive_cut(Side.SERVER, "garbage", b"x")),
            (observer(INSERT), lambda o: o.receive_cut(Side.SERVER, "no kind", b"x")),
        ],
        "receive_eof": [(observer(INSERT, SELECT), lambda o: o.receive_eof(Side.SERVER))],
        "finish": [(observer(INSERT, SELECT), Observer.finish)],
        "offset": [(observer(INSERT), lambda o: o.offset(Side.CLIENT))],
        "received": [(observer(INSERT), lambda o: o.received(Side.CLIENT))],
    },
    TranscriptWriter: {
        "frame": [
            (recording, lambda w: w.frame(CONNECTION, Side.SERVER, b"x", 2, FIELDS)),
            (Script.make, lambda w: w.frame(CONNECTION, Side.SERVER, b"x", 2, FIELDS)),
            (recording, lambda w: w.frame(CONNECTION, Side.SERVER, "x", 2, FIELDS)),
        ],
        "gap": [(Script.make, lambda w: w.gap(CONNECTION, Side.SERVER, 3, 2))],
        "end": [(recording, lambda w: w.end(CONNECTION, Side.SERVER, 2))],
        "unanswered": [(recording, lambda w: w.unanswered(CONNECTION, 2, FIELDS))],
        "fault": [(recording, lambda w: w.fault(CONNECTION, "fail", 1, "EXEC", 2))],
        "close": [(recording, TranscriptWriter.close)],
    },
}

CASES = [
    pytest.param(kind, make, call, id=f"{kind.__name__}.{name}-{number}")
    for kind, scenes in SCENES.items()
    for name, cases in scenes.items()
    for number, (make, call) in enumerate(cases)
]
READS_ONLY = {"has_message", "available", "decode_bytes", "getvalue", "offset", "poison", "received"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_method_is_guarded_and_has_a_scene(kind: type[Any]) -> None:
    names = {name for name in dir(kind) if not name.startswith("_")}
    methods = {name for name in names if callable(getattr(kind, name))}
    assert methods == set(SCENES[kind])
    assert {name for name in methods if not hasattr(getattr(kind, name), "__wrapped__")} <= READS_ONLY


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_has_an_owner_is_not_copied(kind: type[Any], copied: Callable[[Any], Any]) -> None:
    thing = next(make for cases in SCENES[kind].values() for make, _ in cases)()
    with pytest.raises(TypeError, match=f"{kind.__name__} cannot be copied or pickled"):
        copied(thing)


# ---------------------------------------------------------------- the proof


def rest(kind: type[Any], thing: Any) -> list[Any]:
    return ["broken"] if KINDS[kind].broken(thing) else KINDS[kind].rest(thing)


def check(kind: type[Any], struck: Iterator[tuple[Any, Any]], untouched: list[Any]) -> None:
    model = KINDS[kind]
    for thing, place in struck:
        where = (
            [(code.co_name, offset) for code, offset in [place]] if not isinstance(place[0], int) else place
        )
        assert model.broken(thing) or model.rest(thing) == untouched, where


@pytest.mark.parametrize(("kind", "make", "call"), CASES)
def test_an_interrupt_anywhere(kind: type[Any], make: Callable[[], Any], call: Callable[[Any], Any]) -> None:
    untouched = rest(kind, make())
    check(kind, interrupted_once(make, call), untouched)


@pytest.mark.parametrize(("kind", "make", "call"), CASES)
def test_a_second_interrupt_while_the_first_is_handled(
    kind: type[Any], make: Callable[[], Any], call: Callable[[Any], Any]
) -> None:
    untouched = rest(kind, make())
    pairs = [*interrupted_twice(make, call, 30)]
    assert pairs or not hasattr(call, "__wrapped__")
    check(kind, iter(pairs), untouched)


def all_rows(conversation: Any) -> None:
    conversation.handed = []
    for data in conversation.rows(["a"], [[1], ["x" * 5000], ["x" * 5000], [3]]):
        conversation.handed.append(data)


def test_an_interrupt_anywhere_in_rows() -> None:
    make = asked(SELECT, LEADER)
    untouched, whole = Server.rest(make()), make()
    all_rows(whole)
    assert len(whole.handed) > 2
    after = Server.rest(whole)
    once = interrupted_once(make, all_rows)
    twice = interrupted_twice(make, all_rows, 100)
    complete = 0
    for thing, place in itertools.chain(once, twice):
        assert thing.handed == whole.handed[: len(thing.handed)]
        if thing.handed == whole.handed:
            complete += 1  # the interrupt came behind the last frame
            assert Server.broken(thing) or Server.rest(thing) == after, place
        elif not Server.broken(thing):
            assert not thing.handed
            assert Server.rest(thing) == untouched, place
    assert complete


# ---------------------------------------------------------------- the guard itself, every pair


class Counter(Guarded):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @guarded
    def step(self) -> int:
        self.count += 1
        return self.count

    @guarded
    def refuse(self) -> None:
        raise ValueError("no")

    @resetting
    def reset(self) -> None:
        self.count, self._error = 0, None


def is_guard(frame: FrameType) -> bool:
    return is_ours(frame) or frame.f_globals.get("method") in map(unguarded, (Counter.step, Counter.refuse))


def check_counter(counter: Counter) -> None:
    if counter.is_poisoned:
        with pytest.raises(PoisonedError):
            counter.step()
        counter.reset()
    with pytest.raises(ValueError, match="no"):
        counter.refuse()
    assert counter.step() == 1
    assert not counter.is_poisoned


def test_every_pair_of_interrupts() -> None:
    pairs = 0
    for first in itertools.count(1):
        if not interrupt(Counter(), Counter.step, first, ours=is_guard):
            break
        for second in itertools.count(1):
            counter = Counter()
            if not interrupt(counter, Counter.step, first, second, ours=is_guard):
                break
            pairs += 1
            check_counter(counter)
    assert pairs > 500


def test_pairs_of_interrupts_behind_an_error_of_the_method() -> None:
    choose = random.Random(4)
    pairs = 0
    for first in itertools.count(1):
        if not interrupt(Counter(), Counter.refuse, first, ours=is_guard):
            break
        behind = len(places_of(Counter, Counter.refuse, first, ours=is_guard))
        for second in choose.sample(range(1, behind + 1), min(behind, 9)):
            counter = Counter()
            pairs += interrupt(counter, Counter.refuse, first, second, ours=is_guard)
            check_counter(counter)
    assert pairs > 500


# ---------------------------------------------------------------- real signals
#
# No jump back stands between a call and what keeps its result: there the loop itself would lose it.


class Alarm:
    """Interrupts by a real signal at a random moment of the next call."""

    def __init__(self) -> None:
        self.armed = False
        self.struck = 0
        self._choose = random.Random(3)

    def strike(self, *_: object) -> None:
        if self.armed:
            self.struck += 1
            raise KeyboardInterrupt

    def during(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self.armed = True
            signal.setitimer(signal.ITIMER_REAL, self._choose.uniform(1e-5, 3e-4))
            call(*arguments)
        except KeyboardInterrupt:
            pass
        self.armed = False


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    made = Alarm()
    before = signal.signal(signal.SIGALRM, made.strike)
    gc.disable()  # callbacks of others swallow what is raised in them
    yield made
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_real_signals_while_decoding(alarm: Alarm) -> None:
    frames = [ResultResponse(n, 0).encode() for n in range(40)]

    def collect(made: MessageDecoder, found: list[Any]) -> None:
        while True:
            message = made.decode()
            if message is None:
                return
            found.append(message)

    for _ in range(200):
        made, found = MessageDecoder(), list[Any]()
        made.feed(b"".join(frames))
        alarm.during(collect, made, found)
        if not made.is_poisoned:
            found += list(iter(made.decode, None))
            assert [message.encode() for message in found] == frames
    assert alarm.struck


def test_real_signals_while_sending(alarm: Alarm) -> None:
    def send(made: ClientConversation, wire: list[bytes]) -> None:
        for number in range(40):
            data = made.send(ExecSqlRequest(0, "INSERT INTO t VALUES (?)", [number]))
            wire.append(data)

    broken = 0
    for _ in range(200):
        made, wire = client()(), list[bytes]()
        alarm.during(send, made, wire)
        broken += made.phase is Phase.BROKEN
        if made.phase is not Phase.BROKEN:
            assert [request.encode() for request in made.unanswered] == wire
    assert broken
