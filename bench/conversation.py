"""What the conversation layer costs on top of the codec: the same exchange with and without it."""

from __future__ import annotations

import importlib
import random
from typing import Any

from bench import frames
from bench.candidates import Codec
from bench.frames import ITF3, Table
from bench.measure import Run, Trial

BATCH = 50
ALONE, LAYERED = "codec", "ours"


def client() -> Any:
    return importlib.import_module("dqlitewire.conversation").ClientConversation()


def exchange(codec: Codec) -> Trial:
    """EXEC_SQL with two parameters out, RESULT in."""
    rng = random.Random("exchange")
    values = [(rng.randrange(1 << 30), frames.word(rng, 12)) for _ in range(BATCH)]
    answers = [
        frames.frame(frames.RESULT, frames.u64(number) + frames.u64(1)) for number in range(1, BATCH + 1)
    ]
    sql = "UPDATE t SET b = ?2 WHERE a = ?1"
    request = codec.messages.ExecSqlRequest
    steps = list(zip(values, answers, strict=True))

    def alone() -> Run:
        encoder, decoder = codec.wire.MessageEncoder(), codec.wire.MessageDecoder()

        def run() -> list[tuple[int, int]]:
            done = []
            for params, answer in steps:
                data = encoder.encode(request(0, sql, params))
                decoder.feed(answer)
                message = decoder.decode()
                done.append((len(data), message.last_insert_id))
            return done

        return run

    def layered() -> Run:
        conversation = open_client(codec)

        def run() -> list[tuple[int, int]]:
            done = []
            for params, answer in steps:
                data = conversation.send(request(0, sql, params))
                for event in conversation.receive(answer):
                    done.append((len(data), event.message.last_insert_id))
            return done

        return run

    expected = [(len(frames.exec_sql(sql, params)), number + 1) for number, params in enumerate(values)]

    def check(name: str, result: Any) -> None:
        assert result == expected, name

    return Trial(BATCH, {LAYERED: layered(), ALONE: alone()}, check)


def stream(codec: Codec) -> Trial:
    """QUERY_SQL out, a stream of pages in."""
    table = Table.of(ITF3, 3400)
    pages = table.pages()
    request = codec.messages.QuerySqlRequest(0, "SELECT a, b, c FROM t")

    def alone() -> Run:
        encoder, decoder = codec.wire.MessageEncoder(), codec.wire.MessageDecoder()

        def run() -> list[Any]:
            encoder.encode(request)
            parts = []
            take = decoder.decode
            for page in pages:
                decoder.feed(page)
                parts.append(take().rows)
                take = decoder.decode_continuation
            return parts

        return run

    def layered() -> Run:
        conversation = open_client(codec)

        def run() -> list[Any]:
            conversation.send(request)
            parts = []
            for page in pages:
                for event in conversation.receive(page):
                    parts.append(event.message.rows)
            return parts

        return run

    def check(name: str, result: Any) -> None:
        assert [row for part in result for row in part] == table.rows, name

    return Trial(table.cells, {LAYERED: layered(), ALONE: alone()}, check)


def open_client(codec: Codec) -> Any:
    """A conversation behind its handshake, with a database open."""
    conversation = client()
    conversation.send(codec.messages.OpenRequest("bench"))
    events = conversation.receive(frames.frame(frames.DB, frames.u64(0)))
    assert len(events) == 1
    assert conversation.idle
    return conversation
