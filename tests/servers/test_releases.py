"""The table of releases, and that everything which reads it says the same."""

from __future__ import annotations

import copy
import pickle
import string
from pathlib import Path

import pytest

from dqlitewire import RequestType
from dqlitewire.conversation import Generation, Retry, explain_failure, judge_generation
from dqlitewire.dial import Health, Status
from dqlitewire.messages import FailureResponse
from dqlitewire.servers import refusals
from dqlitewire.servers.failures import RULES
from dqlitewire.servers.hazards import Hazard, HazardKind, Seen
from dqlitewire.servers.releases import ALIASES, RELEASES, Release, release_named, rules_of
from dqlitewire.servers.sql_hazards import PRAGMAS
from dqlitewire.servers.wording import Whose, cut
from dqlitewire.testing import Generation as Playable
from tests.naming import shown

KNOWN = [generation for generation in Generation if generation]
ROWS = {rules_of(generation) for generation in Generation} | set(RELEASES.values())
STATEMENTS = (RequestType.EXEC, RequestType.QUERY, RequestType.EXEC_SQL, RequestType.QUERY_SQL)


def said(release: Release) -> set[tuple[int, str]]:
    """Every code and text that stands in a row."""
    failures = {release.rows_in_exec, release.rows_in_exec_sql, (10506, release.lost_text)}
    failures |= {*release.bad_value.values(), *release.too_many.values(), (1, release.not_found_text)}
    failures |= {pragma.failure for pragma in release.refused_pragmas.values()}
    failures |= {refusals.schema_refusal(kind, release) for kind in RequestType}
    return failures


EVERYWHERE = {
    value
    for name in refusals.__all__
    if name.isupper() and isinstance(value := getattr(refusals, name), tuple)
}


def test_a_generation_has_a_row_of_its_own() -> None:
    assert [rules_of(generation).generation for generation in KNOWN] == KNOWN
    assert rules_of(Generation.UNKNOWN) is rules_of(Generation.V1_11)


def test_releases_are_found_by_name_and_by_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, release in RELEASES.items():
        assert release_named(name) is release
        assert release.name == name
    assert set(ALIASES.values()) <= set(RELEASES)
    monkeypatch.setitem(ALIASES, "1.18.0", "1.18.1")
    assert release_named("1.18.0") is RELEASES["1.18.1"]
    assert release_named("2.0") is None


def test_whoever_lists_releases_or_generations_lists_these() -> None:
    page = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"
    text = page.read_text()
    assert all(f'"{name}"' in text for name in (*RELEASES, *ALIASES))
    found = [Health("", Status.HEALTHY, generation=generation).server for generation in KNOWN]
    assert found[0] == "1.11 or older"
    assert found[1:] == [f"{generation.release} or newer" for generation in KNOWN[1:]]


def test_a_release_is_as_old_as_the_first_of_its_generation() -> None:
    def number(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    for release in RELEASES.values():
        if not release.name[0].isdigit():  # cowsql counts by itself
            continue
        assert number(release.generation.release) <= number(release.name)
        newer = [g for g in Generation if g > release.generation]
        assert all(number(release.name) < number(generation.release) for generation in newer)


def test_a_row_cannot_be_changed_and_is_derived_from_another() -> None:
    old = RELEASES["1.11.1"]
    with pytest.raises(AttributeError):
        old.returning = True  # type: ignore[misc]
    new = old.but("1.11.2", returning=True)
    assert (new.name, new.returning, old.returning) == ("1.11.2", True, False)
    assert new.lost_text == old.lost_text
    with pytest.raises(TypeError, match="flies"):
        old.but("1.11.2", flies=True)
    with pytest.raises(TypeError, match="returning"):
        Release(name="1.0")  # type: ignore[call-arg]
    for twin in (copy.deepcopy(old), pickle.loads(pickle.dumps(old))):
        assert vars(twin).keys() == vars(old).keys()
    assert repr(old) == "<Release 1.11.1>"
    assert Playable is Release


@pytest.mark.parametrize("release", sorted(ROWS, key=lambda row: (row.generation, repr(row))), ids=shown)
def test_what_is_said_is_known_as_the_servers_own_words(release: Release) -> None:
    # redaction lets these words through, since no user has written them
    for _, text in said(release) | EVERYWHERE:
        assert [whose for _, whose in cut(text)] == [Whose.SERVER], text


@pytest.mark.parametrize(("code", "text"), sorted(EVERYWHERE))
def test_every_refusal_is_explained_by_a_rule(code: int, text: str) -> None:
    rules = [rule for rule in RULES if code in rule[0] and rule[1] in text]
    assert rules
    assert explain_failure(code, text, generation=Generation.V1_15).retry is not Retry.CHECK


@pytest.mark.parametrize("generation", KNOWN)
def test_the_probe_is_judged_by_what_the_rows_say(generation: Generation) -> None:
    rules = rules_of(generation)
    if not rules.checks_schema:
        return
    code, text = refusals.schema_refusal(RequestType.EXEC_SQL, rules)
    told = judge_generation(FailureResponse(code, text))
    assert told <= generation
    assert rules_of(told).statement_schema_code == rules.statement_schema_code


def test_types_that_are_answered_are_those_with_an_answer() -> None:
    assert {kind for kind in range(256) if refusals.knows_type(kind)} == {
        kind for kind in RequestType if kind is not RequestType.HEARTBEAT
    }


@pytest.mark.parametrize("generation", KNOWN)
def test_schemas(generation: Generation) -> None:
    rules = rules_of(generation)
    for kind in (*RequestType, 20, 255):
        schemas = [refusals.schema_for(kind, schema, rules) for schema in (0, 1, 2)]
        if generation < Generation.V1_12:
            assert schemas == [0, 0, 0]
        elif kind in STATEMENTS or (kind == RequestType.PREPARE and generation.prepare_schema):
            assert schemas == [0, 1, None]
        else:
            assert schemas == [0 if kind < 20 else None, None, None]


def test_a_hazard_is_one_row() -> None:
    flags = [kind.flag for kind in HazardKind if kind.flag]
    assert sorted(flags) == sorted(Hazard)
    for kind in HazardKind:
        assert bool(kind.happens) is bool(kind.flag)
        assert kind.flag or kind.seen in (Seen.HEADER, Seen.SQL, Seen.ANSWER)
        assert kind.value[0] in string.ascii_letters


def test_a_deadly_pragma_is_not_one_that_the_release_refuses() -> None:
    for release in ROWS:
        for name in release.refused_pragmas.keys() & PRAGMAS.keys():
            if name == "wal_checkpoint" and release.generation is Generation.V1_15:
                continue  # 1.18.1 refuses it, but cowsql, which nothing tells from it, runs it and dies
            # a name with capitals passes the refusal
            rows = [row for row in PRAGMAS[name] if row.capitals is not True]
            assert not any(row.harms(release.generation) for row in rows), (release, name)
