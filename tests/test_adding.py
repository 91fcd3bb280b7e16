"""What the page on architecture calls "how to add": done in a copy of the tree, where all tools work with it.

A test makes the edits that the page asks for and no other, and then uses the tools of the copy in processes
of their own. The views of a new message have more tests in traffic/test_new_message.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.copies import Copy


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "tree")


# ---------------------------------------------------------------- a message

REQUEST = '''

class CheckpointRequest(Request, code=RequestType.CHECKPOINT, answers=(ResponseType.CHECKPOINTED,)):
    """Write the pages of a log back.

    Args:
        db_id: the id of the database.
        name: of the log.
    """

    db_id: int = u64()
    name: str = text(cap="max_filename_size", shows=True)
'''
RESPONSE = '''

class CheckpointedResponse(Response, code=ResponseType.CHECKPOINTED):
    """Answer to CHECKPOINT.

    Args:
        pages: how many were written back.
        state: of the log afterwards.
    """

    pages: int = u64(cap="max_rows_affected")
    state: int = u32()
    unused: None = padding()
'''
VECTORS = {
    "requests": """
[[vector]]
name = "checkpoint"
message = "CHECKPOINT"
type = 20
schema = 0
origin = "worked by hand"
hex = [
  "02 00 00 00 14 00 00 00",  # 2 words, type 20, schema 0
  "07 00 00 00 00 00 00 00",  # db id 7
  "6d 61 69 6e 00 00 00 00",  # "main"
]

[vector.fields]
db_id = 7
name = "main"
""",
    "responses": """
[[vector]]
name = "checkpointed"
message = "CHECKPOINTED"
type = 11
schema = 0
origin = "worked by hand"
hex = [
  "02 00 00 00 0b 00 00 00",  # 2 words, type 11, schema 0
  "0c 00 00 00 00 00 00 00",  # 12 pages
  "03 00 00 00 00 00 00 00",  # state 3
]

[vector.fields]
pages = 12
state = 3
""",
}
SESSION = """
import socket
from pathlib import Path
from dqlitewire import decode_message
from dqlitewire.conversation import (
    Answered, ClientConversation, Failed, Observer, ServerConversation, Side, WrongAnswerError,
)
from dqlitewire.explain import explain
from dqlitewire.messages import CheckpointRequest, CheckpointedResponse, EmptyResponse, OpenRequest
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.script import ScriptedServer, close, expect, send

request, answer = CheckpointRequest(7, "main"), CheckpointedResponse(12, 3)
assert decode_message(request.encode(), is_request=True) == request
assert decode_message(answer.encode(), is_request=False) == answer
spans = explain(request.encode(), is_request=True).children
assert [span.name for span in spans] == ["header", "db_id", "name"]

client, server, observer = ClientConversation(), ServerConversation(), Observer()
sent = client.send(request)
server.receive(sent)
assert server.next_request() == request
told = server.answer(answer)
assert client.receive(told) == [Answered(request, answer)]
seen = [*observer.receive(Side.CLIENT, sent), *observer.receive(Side.SERVER, told)]
assert [event.message for event in seen if hasattr(event, "message")] == [request, answer]
assert seen[-1].request.message == request and seen[-1].answers[0].message == answer
client.send(request)
try:
    client.receive(EmptyResponse().encode())
except WrongAnswerError as error:
    print(error)


def say(address, *requests):
    host, port = address.rsplit(":", 1)
    events, conversation = [], ClientConversation()
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for one in requests:
            connection.sendall(conversation.send(one))
            while not conversation.idle:
                events += conversation.receive(connection.recv(1 << 16))
    return events


with ScriptedServer(expect(CheckpointRequest), send(answer), close()) as scripted:
    assert say(scripted.address, request) == [Answered(request, answer)]
with DqliteServer() as embedded:
    (refused,) = say(embedded.address, request)
    assert isinstance(refused, Failed) and refused.failure.message == "unrecognized request type", refused
    embedded.fail_next(5, on="checkpoint")
    (failed,) = say(embedded.address, request)
    assert isinstance(failed, Failed) and failed.failure.code == 5, failed
    print([record.type for record in embedded.requests])
Path("client").write_bytes(sent)
Path("server").write_bytes(told)
"""


def test_a_message_is_an_enum_member_a_declaration_and_a_line_of_all(copy: Copy) -> None:
    copy.edit("src/dqlitewire/constants.py", "    WEIGHT = 19\n", "    CHECKPOINT = 20\n")
    copy.edit("src/dqlitewire/constants.py", "    METADATA = 10\n", "    CHECKPOINTED = 11\n")
    for side, name, declaration in (
        ("requests", "CheckpointRequest", REQUEST),
        ("responses", "CheckpointedResponse", RESPONSE),
    ):
        copy.edit(f"src/dqlitewire/messages/{side}.py", "__all__ = [\n", f'    "{name}",\n')
        copy.append(f"src/dqlitewire/messages/{side}.py", declaration)
        copy.append(f"vectors/{side}.toml", VECTORS[side])
    wrong, asked = copy.python("-c", SESSION).splitlines()
    assert wrong == "CHECKPOINT answered by EMPTY, allowed FAILURE or CHECKPOINTED"
    assert asked == "[20, 20]"
    pair = ("-m", "dqlitewire", "decode", "--requests", "client", "--responses", "server")
    assert "CHECKPOINT db_id 7, name main" in " ".join(copy.python(*pair).replace("'", "").split())
    assert "def encode(" in copy.python("-m", "dqlitewire.declare", "CheckpointedResponse")
    lua = copy.python("-m", "dqlitewire", "dissector")
    assert re.search(r'\[20\] = \{name = "CHECKPOINT", .*name = "name", kind = "text"', lua)
    assert re.search(r'\[11\] = \{name = "CHECKPOINTED", .*name = "state", kind = "u32"', lua)
    ran = copy.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "heckpoint"),
        *(
            "tests/vectors/test_vectors.py",
            "tests/messages",
            "tests/declare",
            "tests/testing/test_strategies.py",
        ),
    )
    assert " passed" in ran


# ---------------------------------------------------------------- a value kind

KINDS = {
    "a float of four bytes": (6, 'Kind(ValueType.ADDED, "f4x", float),', "1.5", "1e300"),
    "an unsigned integer": (6, 'Kind(ValueType.ADDED, "Q", int),', "2**64 - 1", "-1"),
    "an integer of two bytes": (
        7,
        'Kind(ValueType.ADDED, "h6x", int, in_params=False),',
        "-(2**15)",
        "2**15",
    ),
    "another text": (12, 'Kind(ValueType.ADDED, TEXT, str, cap="max_text_value_size"),', "'text'", "5"),
    "another blob": (15, 'Kind(ValueType.ADDED, BLOB, bytes, cap="max_blob_size"),', "b'blob'", "'x'"),
}
EVERY_TOOL = """
from pathlib import Path
from dqlitewire import EncodeError, ValueType
from dqlitewire.types import decode_value, encode_value
from dqlitewire.values import allowed_codes
from tests.every_kind import check_decode_command, check_kind
check_kind({code})
check_decode_command([{code}, 3, {code}], Path("."))
data, kind = encode_value({good}, ValueType.ADDED)
assert kind is ValueType.ADDED and decode_value(data, kind)[0] == {good}
try:
    encode_value({bad}, ValueType.ADDED)
except EncodeError as error:
    print(error)
print(allowed_codes())
from dqlitewire.dissector import dissector
assert '[{code}] = {{name = "ADDED"' in dissector()
"""


@pytest.mark.parametrize("name", KINDS)
def test_a_value_kind_is_a_member_and_a_row_of_the_table(copy: Copy, name: str) -> None:
    code, row, good, bad = KINDS[name]
    copy.edit("src/dqlitewire/constants.py", "    BOOLEAN = 11\n", f"    ADDED = {code}\n")
    copy.edit(
        "src/dqlitewire/values.py", '    Kind(ValueType.BOOLEAN, "Q", bool, (bool,)),\n', f"    {row}\n"
    )
    error, allowed = copy.python("-c", EVERY_TOOL.format(code=code, good=good, bad=bad)).splitlines()
    assert error.startswith("ADDED: got ")
    assert str(code) in allowed or f"1 to {code}" in allowed or f"to {code}" in allowed


# ---------------------------------------------------------------- a fault

FAULT = '''

class Stutter(Fault):
    """Send each frame more than once.

    Args:
        copies: how often, at least 2.
    """

    copies: int = 2

    directions: ClassVar[tuple[str, ...]] = (RESPONSE,)

    def check(self) -> None:
        """Refuse fewer than 2."""
        check_number("copies", self.copies, 2)

    def frame(self, strike: Strike, data: bytes) -> bytes:
        """Repeat the frame."""
        return data * self.copies

    def words(self) -> list[str]:
        """Describe the number."""
        return [str(self.copies)]
'''
STUTTERING = """
import socket
from dqlitewire.faults import kinds
from dqlitewire.faults.kinds import Stutter
from dqlitewire.messages import LeaderRequest
from dqlitewire.testing import DqliteServer

assert kinds()["stutter"] is Stutter
frame = LeaderRequest().encode()
with DqliteServer(strict=True) as server:
    order = server.order(Stutter(copies=3, on="leader", after=1))
    with socket.create_connection((server.address.split(":")[0], server.port), timeout=10) as connection:
        connection.sendall(bytes([1, *bytes(7)]) + frame)
        first = connection.recv(1 << 16)
        connection.sendall(frame)
        second = b""
        while len(second) < 3 * len(first):
            second += connection.recv(1 << 16)
    assert second == 3 * first, second
    print(order)
"""


def test_a_fault_is_one_class(copy: Copy) -> None:
    copy.edit("src/dqlitewire/faults/kinds.py", '"Hold", "Split"', ', "Stutter"')
    copy.append("src/dqlitewire/faults/kinds.py", FAULT)
    printed = copy.python("-c", STUTTERING)
    assert printed.startswith("<Stutter, 3, on LEADER, ")


# ---------------------------------------------------------------- a command

GREET = '''
"""`dqlite-wire greet`: a command of a test."""

from __future__ import annotations

from typing import Annotated

import typer

from dqlitewire.cli.exits import Exit
from dqlitewire.cli.output import emit
from dqlitewire.cli.sources import Inputs

EXITS = (Exit.OK, Exit.FAILED)


def command(inputs: Inputs, loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False) -> Exit:
    """Greet the sources."""
    for name in inputs.names:
        emit(f"hello {name}{'!' * loud}")
    return Exit.FAILED if loud else Exit.OK
'''


def test_a_command_is_one_file_and_one_entry(copy: Copy) -> None:
    copy.append("src/dqlitewire/cli/greet.py", GREET)
    copy.edit("src/dqlitewire/cli/app.py", '"serve"', ', "greet"')
    command = ("-m", "dqlitewire")
    assert re.search(r"^  greet +Greet the sources\.$", copy.python(*command, "--help"), re.MULTILINE)
    shown = copy.python(*command, "greet", "--help")
    for told in ("--loud", "Shout.", "--requests FILE", "Exit code: 0 all well; 2 wrong use; 5 the peer"):
        assert told in shown
    assert copy.python(*command, "greet", "a\x1b", "b") == "hello a?\nhello b\n"
    assert copy.python(*command, "greet", "--loud", code=5) == "hello -!\n"
