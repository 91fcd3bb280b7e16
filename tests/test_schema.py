"""docs/schema is what the package says of itself, and an output that is not in it fails."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dqlitewire.cli.probe import as_dict
from dqlitewire.conversation import Ending, Outcome, Retry, Side
from dqlitewire.dial import Health, Status
from dqlitewire.messages import REGISTRY, LeaderRequest
from dqlitewire.raft import MESSAGES
from dqlitewire.raft.commands import COMMANDS
from dqlitewire.traffic import Recording
from dqlitewire.traffic.items import items
from dqlitewire.traffic.stats import Statistics
from dqlitewire.traffic.views import json_object
from dqlitewire.traffic.views.json_object import json_text
from dqlitewire.traffic.views.report import report_json
from tests import json_output
from tests.traffic.command import run
from tests.wire_data import captures
from tools.drawn.schema import SCHEMAS
from tools.drawn.schema.decode import BY_HAND, annotated, requests

ROOT = Path(__file__).parent.parent
TOKEN = re.compile(r"^[a-z][a-z0-9_]*$")


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_schema(name: str) -> None:
    json_output.validator(name)


def test_every_message_is_there() -> None:
    definitions = SCHEMAS["decode"]()["$defs"]
    # besides messages: values and nodes; entries and configurations
    assert len(definitions) == len(REGISTRY) + 2 + len(MESSAGES) + len(COMMANDS) + 2
    assert set(BY_HAND) == set(json_object._FIELDS)
    with pytest.raises(ValueError, match=r"say in tools/drawn/schema/decode\.py"):
        annotated("Sequence[Elephant]")


@pytest.mark.parametrize("redact", [False, True])
def test_every_recorded_connection(redact: bool) -> None:
    for capture in captures():
        if redact and len(capture.s2c) > 1 << 18:
            continue  # redaction takes its time
        recording = Recording()
        recording.add(Side.CLIENT, capture.c2s, 10**18)
        recording.add(Side.SERVER, capture.s2c, 10**18 + 1)
        for item in items(recording.source(), redacted=redact):
            json_text(item)
        report_json(Statistics().add_all(items(recording.source(), redacted=redact, count_rows=True)))


def test_every_status_of_a_node() -> None:
    for status in Status:
        made = json.loads(json.dumps(as_dict(Health("a:1", status, "why"))))
        json_output.check("probe", made)
        with pytest.raises(AssertionError, match="undocumented"):
            json_output.check("probe", {**made, "undocumented": 1})


def spoiled(made: Any) -> list[Any]:
    """An object with one thing changed that a schema minds, at every place of it."""
    found: list[Any] = []
    if isinstance(made, dict):
        found.append({**made, "undocumented": 1})
        for key, held in made.items():
            if key in ("unanswered", "statements") and isinstance(held, dict):
                continue  # its keys are part of the traffic
            found.append({**made, key: {"undocumented": [held]}})
            found += [{**made, key: other} for other in spoiled(held)]
    elif isinstance(made, list) and made:
        found += [[other] for other in spoiled(made[0])]
    return found


def test_whatever_is_not_documented_fails() -> None:
    pair = [ROOT / "tests" / "captures" / f"1.18.1-failures-0.{side}.bin" for side in ("c2s", "s2c")]
    made = [("decode", json.loads(line)) for line in run("decode", "--json", *pair).out.splitlines()]
    made.append(("stats", json.loads(run("stats", "--json", *pair).out)))
    tried = 0
    for name, whole in made:
        json_output.check(name, whole)
        for other in spoiled(whole):
            with pytest.raises(AssertionError):
                json_output.check(name, other)
            tried += 1
    assert tried > 500


def test_the_suite_checks_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = json_object.json_object

    def more(*arguments: Any) -> dict[str, Any]:
        return {**written(*arguments), "undocumented": True}

    monkeypatch.setattr(json_object, "json_object", more)
    with pytest.raises(AssertionError, match="undocumented"):
        run("decode", "--json", stdin=LeaderRequest().encode())


def tokens() -> dict[str, list[str]]:
    """Everything that a program decides by, by where it stands."""
    decode, stats = SCHEMAS["decode"]()["properties"], SCHEMAS["stats"]()["properties"]
    meaning, failure = decode["meaning"]["properties"], stats["failures"]["items"]["properties"]
    return {
        "outcome": meaning["outcome"]["enum"],
        "retry": meaning["retry"]["enum"],
        "outcome of stats": failure["outcome"]["enum"],
        "retry of stats": failure["retry"]["enum"],
        "note": [note for note in decode["note"]["anyOf"][0]["enum"] if note not in requests()],
        "change": decode["change"]["enum"],
        "retries": stats["retries"]["propertyNames"]["enum"],
        "direction": decode["direction"]["enum"],
        "status": SCHEMAS["probe"]()["properties"]["status"]["enum"],
    }


def test_what_a_program_decides_by_is_a_token() -> None:
    found = tokens()
    for name, words in found.items():
        assert words
        assert all(map(TOKEN.match, words)), name
    assert found["outcome"] == found["outcome of stats"] == [member.name.lower() for member in Outcome]
    assert found["retry"] == found["retry of stats"] == [member.name.lower() for member in Retry]
    assert {ending.name.lower() for ending in Ending} <= {*found["note"]}


def test_the_docs_list_every_key_and_token() -> None:
    page, lines = (
        (ROOT / "docs" / name).read_text() for name in ("guides/traffic.md", "reference/transcript.md")
    )
    words = {word for listed in tokens().values() for word in listed}
    for schema in SCHEMAS.values():
        words |= set(schema().get("properties", ()))
    assert {word for word in words if f"`{word}`" not in page} == set()
    for name in SCHEMAS:
        assert f"schema/{name}.schema.json" in (lines if name == "transcript" else page)
