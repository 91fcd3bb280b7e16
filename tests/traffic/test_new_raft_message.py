"""A message between nodes that was declared, and nothing else, is known to every view.

The test makes a copy of the source tree, adds a message to it (enum member, declaration, registry), and looks
at its traffic through the tools of the copy.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.traffic.between_nodes import behind_connect, connections, data_of

MESSAGE = '''

class Greeting(RaftMessage):
    """Say something to another node.

    Args:
        term: of the sender.
        mood: how it is.
        version: in the type word.
        unused: bytes without meaning, in wire order; empty for zeros.
    """

    TYPE, HEADER_SIZES = RaftType.GREETING, (16,)

    term: int = field(Word)
    mood: int = field(Word)


# ---- snapshots
'''
FRAME = b"".join(number.to_bytes(8, "little") for number in (14, 16, 7, 99))
SCRIPT = """
import json, sys
from tests.traffic.command import run
from tools.drawn.schema import SCHEMAS
print(json.dumps({
    **{name: run(*words).out for name, words in json.loads(sys.argv[1]).items()},
    "schema": json.dumps(SCHEMAS["decode"]()),
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    made = Copy(tmp_path_factory.mktemp("copy"))
    messages = "src/dqlitewire/raft/messages.py"
    made.edit(messages, "    TIMEOUT_NOW = 6\n", "    GREETING = 14\n")
    made.edit(messages, "        InstallSnapshot,\n        TimeoutNow,\n", "        Greeting,\n")
    file = made.folder / messages
    text = file.read_text()
    assert text.count("\n\n# ---- snapshots\n") == 1
    file.write_text(text.replace("\n\n# ---- snapshots\n", MESSAGE))
    return made


def test_every_view_knows_it(copy: Copy, tmp_path: Path) -> None:
    told = connections("1.18.7")[0]
    data = data_of(told)
    file, again = tmp_path / "raft.bin", tmp_path / "raft.dqt"
    begin = behind_connect(told)
    file.write_bytes(data[:begin] + FRAME + data[begin:])

    runs = {
        "json": ["decode", "--json", file],
        "lines": ["decode", "-v", "-x", "--type", "GREETING", file],
        "stats": ["stats", "--json", file],
        "word": ["explain", "GREETING"],
        "bytes": ["explain", "--direction", "raft", FRAME.hex()],
        "written": ["decode", "--redact", "-w", again, file],
        "lua": ["dissector"],
        "again": ["decode", "--json", "--type", "GREETING", again],
    }
    seen = json.loads(copy.python("-c", SCRIPT, json.dumps(runs, default=str)))
    shown = [json.loads(line) for line in seen["json"].splitlines()]
    (found,) = [one for one in shown if one["type"] == "GREETING"]
    assert (found["fields"], found["code"]) == ({"term": 7, "mood": 99, "version": 0}, 14)
    assert [one["type"] for one in shown[:4]] == ["HANDSHAKE", "CONNECT", "GREETING", "APPEND_ENTRIES"]
    head, *details = seen["lines"].splitlines()
    assert head.endswith("GREETING   term 7, mood 99")
    assert [row.startswith("  0x") for row in details if row.endswith(" mood 99")] == [False, True]
    assert json.loads(seen["stats"])["raft"]["messages"]["GREETING"] == 1
    assert "Say something to another node." in seen["word"]
    assert "mood 99" in seen["bytes"]
    assert '"mood":99' in seen["again"]
    assert '[14] = {name = "GREETING"' in seen["lua"]
    assert 'name = "mood"' in seen["lua"]
    assert json.loads(seen["schema"])["$defs"]["raft_GREETING"]["required"] == ["term", "mood", "version"]
