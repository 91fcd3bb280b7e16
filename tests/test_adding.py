"""What the page on architecture calls "how to add": done in a copy of the tree, where all tools work with it.

A test makes the edits that the page asks for and no other, and then uses the tools of the copy in processes
of their own. The edits for a message, and what is shown for it, are read from CONTRIBUTING.md.
The views of a new message have more tests in traffic/test_new_message.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.copies import ROOT, Copy
from tests.docs.blocks import Block, blocks
from tests.docs.running import as_compared, run_python
from tests.profiles import DEEP
from tests.real.fixtures import SharedNodes

PAGE = ROOT / "CONTRIBUTING.md"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "tree")


# ---------------------------------------------------------------- a message

SESSION = """
import socket
from pathlib import Path
from dqlitewire import decode_message
from dqlitewire.conversation import (
    Answered, ClientConversation, Failed, Observer, ServerConversation, Side, WrongAnswerError,
)
from dqlitewire.explain import explain
from dqlitewire.messages import CheckpointRequest, CheckpointedResponse, EmptyResponse, OpenRequest
from dqlitewire.messages import requests, responses
from dqlitewire.testing import DqliteServer
from dqlitewire.testing.script import ScriptedServer, close, expect, send

assert requests.__all__ == sorted(requests.__all__)  # which `make check` wants
assert responses.__all__ == sorted(responses.__all__)
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
    with socket.create_connection((host, int(port)), timeout=60) as connection:
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


def made_by(copy: Copy, before: str, block: Block) -> bool:
    """Make the edit that the line before a block asks for; False if it asks for none."""
    if end := re.fullmatch(r"At the end of `(\S+)`, behind two empty lines:", before):
        copy.append(end[1], f"\n\n{block.text}")
    elif inside := re.fullmatch(r"In `(\S+)`, behind `(.+)`:", before):
        (line,) = [
            line
            for line in (copy.folder / inside[1]).read_text("utf-8").splitlines(keepends=True)
            if line.strip() == inside[2].strip("`")
        ]
        copy.edit(inside[1], line, block.text)
    else:
        return False
    return True


def edited(copy: Copy) -> Iterator[Block]:
    """Make the edits of the worked example in their order; yield its other blocks, when it is their turn."""
    lines = PAGE.read_text("utf-8").splitlines()
    first = lines.index("## A message, from its declaration to every view")
    last = lines.index("## Real nodes and published clients")
    for block in blocks(PAGE):
        if first < block.line < last and not made_by(copy, lines[block.line - 3], block):
            yield block


def run_steps(copy: Copy, block: Block) -> None:
    """Run the commands of a block in the copy, and compare what they print."""
    for command, shown in block.steps():
        words = command.replace("dqlite-wire", "python -m dqlitewire", 1)
        assert as_compared(copy.shell(words)) == as_compared(shown), f"{block.place}: {command}"


def test_a_message_as_the_page_makes_it(copy: Copy) -> None:
    """The worked example of CONTRIBUTING.md, edit by edit and command by command."""
    done = {"console": 0, "python": 0}
    for block in edited(copy):
        done[block.language] += 1
        if block.language == "console":
            run_steps(copy, block)
        else:
            copy.python("-c", block.text)
    assert done == {"console": 7, "python": 1}
    wrong, asked = copy.python("-c", SESSION).splitlines()
    assert wrong == "CHECKPOINT answered by EMPTY, allowed FAILURE or CHECKPOINTED"
    assert asked == "[20, 20]"
    lua = copy.python("-m", "dqlitewire", "dissector")
    assert re.search(r'\[20\] = \{name = "CHECKPOINT", .*name = "name", kind = "text"', lua)
    assert re.search(r'\[11\] = \{name = "CHECKPOINTED", .*name = "state", kind = "u32"', lua)
    ran = copy.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("-k", "heckpoint or public or enums or registries or answers or every_pair or table_of_fields"),
        *("tests/conversation/test_table.py", "tests/docs/test_vectors.py"),
        *("tests/vectors/test_vectors.py", "tests/vectors/test_coverage.py", "tests/test_interface.py"),
        *("tests/docs/test_api.py", "tests/packaging/test_interface.py"),
        *("tests/messages", "tests/declare", "tests/testing/test_strategies.py"),
    )
    assert " passed" in ran
    if DEEP:
        copy.python("tools/redraw.py")
        assert (copy.folder / "docs/reference/messages/request-checkpoint.md").exists()
        files = "tests/vectors/test_coverage.py", "tests/test_snippets.py"
        copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)


def test_the_other_blocks_of_the_page(real_nodes: SharedNodes) -> None:
    """Those of CONTRIBUTING.md that are no part of the worked example."""
    real_nodes("1.18.7")
    last = PAGE.read_text("utf-8").splitlines().index("## Real nodes and published clients")
    (node, fuzz) = (block for block in blocks(PAGE) if block.line > last)
    assert re.fullmatch(r"1\.18\.7 answers on 127\.0\.0\.1:\d+\n", run_python([node]))
    program, *arguments = fuzz.text.split()
    assert program == "python"
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout[:16]) == (0, b"no difference in"), done


# ---------------------------------------------------------------- a value kind

KINDS = (
    (6, 'Kind(ValueType.FLOAT4, "f4x", float),', "1.5", "1e300"),
    (7, 'Kind(ValueType.UNSIGNED, "Q", int),', "2**64 - 1", "-1"),
    (8, 'Kind(ValueType.INT2, "h6x", int, in_params=False),', "-(2**15)", "2**15"),
    (12, 'Kind(ValueType.TEXT2, TEXT, str, cap="max_text_value_size"),', "'text'", "5"),
    (15, 'Kind(ValueType.BLOB2, BLOB, bytes, cap="max_blob_size"),', "b'blob'", "'x'"),
)
EVERY_TOOL = """
from pathlib import Path
from dqlitewire import EncodeError, ValueType
from dqlitewire.types import decode_value, encode_value
from dqlitewire.values import allowed_codes
from tests.every_kind import check_decode_command, check_kind
from dqlitewire.dissector import dissector
code, good, bad = {code}, {good}, {bad}
name = ValueType(code).name
check_kind(code)
check_decode_command([code, 3, code], Path("."))
data, kind = encode_value(good, ValueType(code))
assert kind is ValueType(code) and decode_value(data, kind)[0] == good
try:
    encode_value(bad, kind)
except EncodeError as error:
    assert str(error).startswith(name + ": got "), error
else:
    raise AssertionError(name)
assert f'[{{code}}] = {{{{name = "{{name}}"' in dissector()
"""


def test_a_value_kind_is_a_member_and_a_row_of_the_table(copy: Copy) -> None:
    """One of each form: numbers of other formats, a text, a blob, one that no parameter may have."""
    names = [re.findall(r"ValueType\.(\w+)", row)[0] for _, row, *_ in KINDS]
    members = "".join(f"    {name} = {code}\n" for name, (code, *_) in zip(names, KINDS, strict=True))
    copy.edit("src/dqlitewire/constants.py", "    BOOLEAN = 11\n", members)
    rows = "".join(f"    {row}\n" for _, row, *_ in KINDS)
    copy.edit("src/dqlitewire/values.py", '    Kind(ValueType.BOOLEAN, "Q", bool, (bool,)),\n', rows)
    tools = "".join(EVERY_TOOL.format(code=code, good=good, bad=bad) for code, _, good, bad in KINDS)
    assert copy.python("-c", tools + "print(allowed_codes())") == "1 to 12 and 15\n"


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
    with socket.create_connection((server.address.split(":")[0], server.port), timeout=60) as connection:
        connection.sendall(bytes([1, *bytes(7)]) + frame)
        first = connection.recv(8)
        while len(first) < 8 or len(first) < 8 + 8 * int.from_bytes(first[:4], "little"):
            first += connection.recv(1 << 16)
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
