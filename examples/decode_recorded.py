"""Decode a recorded session with a real dqlite node, frame by frame, into lines of at most 80 columns.

    python examples/decode_recorded.py [NAME]        NAME as in tests/captures, default 1.18.1-basics-0

Two decoders, one for each direction, are all it takes: `>` is a request of the client, `<` an answer of the
node. One answer says nothing about its own layout, that to CLUSTER format 0: there the request tells.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from dqlitewire import HEADER_SIZE, Message, MessageDecoder, ServerFailure
from dqlitewire.messages import ClusterRequest, FailureResponse, RowsResponse, ServersResponse

CAPTURES = Path(__file__).parent.parent / "tests" / "captures"
DEFAULT = "1.18.1-basics-0"
WIDTH = 80
SHOWN_ROWS = 3


def requests(data: bytes) -> Iterator[Message]:
    decoder = MessageDecoder(is_request=True)
    decoder.feed(data)
    decoder.decode_handshake()
    while (request := decoder.decode()) is not None:
        yield request


def answers(decoder: MessageDecoder, request: Message) -> Iterator[Message]:
    """All frames of one answer: one, or a run of ROWS."""
    if request == ClusterRequest.decode_body(bytes(8)):
        frame = decoder.take_frame()
        if frame is not None:
            yield ServersResponse.decode_body(frame[HEADER_SIZE:], format=0)
        return
    answer = decoder.decode()
    while answer is not None:
        yield answer
        if not (isinstance(answer, RowsResponse) and answer.has_more):
            return
        try:
            answer = decoder.decode_continuation()
        except ServerFailure as failure:
            answer = FailureResponse(failure.code, failure.message)


def lines(message: Message) -> Iterator[str]:
    if not isinstance(message, RowsResponse):
        yield repr(message)
        return
    more = ", more to come" if message.has_more else ""
    yield f"RowsResponse: rows {len(message.rows)}, columns {len(message.column_names)}{more}"
    yield "  " + " | ".join(message.column_names)
    for row in message.rows[:SHOWN_ROWS]:
        yield "  " + " | ".join(map(repr, row))
    if len(message.rows) > SHOWN_ROWS:
        yield f"  .. {len(message.rows) - SHOWN_ROWS} more"


def show(mark: str, message: Message) -> None:
    for line in lines(message):
        text = f"{mark} {line}"
        print(text if len(text) <= WIDTH else text[: WIDTH - 2] + "..")
        mark = " "


def main(name: str = DEFAULT) -> None:
    decoder = MessageDecoder()
    decoder.feed((CAPTURES / f"{name}.s2c.bin").read_bytes())
    frames = 0
    for request in requests((CAPTURES / f"{name}.c2s.bin").read_bytes()):
        show(">", request)
        frames += 1
        for answer in answers(decoder, request):
            show("<", answer)
            frames += 1
    print(f"{frames} frames decoded from {name}")


if __name__ == "__main__":
    known = {path.name.removesuffix(".c2s.bin") for path in CAPTURES.glob("*.c2s.bin")}
    try:
        main(*sys.argv[1:]) if known.issuperset(sys.argv[1:]) else sys.exit(__doc__)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
