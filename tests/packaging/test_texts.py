"""What stands beside the package for those who release it and those who depend on it."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import dqlitewire

ROOT = Path(__file__).resolve().parent.parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_the_changelog_has_the_form_that_it_names() -> None:
    releases = re.findall(r"^## \[(.+?)\](?: - (.+))?$", CHANGELOG, re.MULTILINE)
    assert releases[0] == ("Unreleased", "")
    assert releases[1][0] == dqlitewire.__version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d|unreleased", date) for _, date in releases[1:])
    for section in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]


@pytest.mark.parametrize("name", ["CHANGELOG.md", "SECURITY.md"])
def test_links_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / name).read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert inside
    assert [target for target in inside if not (ROOT / target).exists()] == []


def test_security_says_what_counts_and_what_does_not() -> None:
    assert re.findall(r"^## (.*)$", SECURITY, re.MULTILINE) == [
        "Reporting",
        "Which versions get fixes",
        "What counts as a vulnerability",
        "What does not",
    ]
    assert not re.search(r"https?://|@\w+\.", SECURITY)  # no address is known


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "See [this](docs/a.md#part), and [that](https://example.org/).",
            "See this, and [that](https://example.org/).",
        ),
        ("[above](#usage) [mail](mailto:a)", "[above](#usage) [mail](mailto:a)"),
        ("![a picture](docs/a.svg)\n\nText", "Text"),
        ("[![a badge](https://example.org/a.svg)](https://example.org/)", None),
        ('<img alt="" src="docs/a.svg">\nText', "Text"),
        ('<picture>\n<source srcset="a.svg">\n<img src="b.svg">\n</picture>\n\nText', "Text"),
        ("[two\nlines](docs/a.md)", "two\nlines"),
        ("[`words` of code](docs/a.md)", "`words` of code"),
        ("`x[0](1)`", None),
        ("```python\nx[0](1)\n```\n[a](b)", "```python\nx[0](1)\n```\na"),
    ],
)
def test_an_index_gets_no_link_into_the_tree(text: str, shown: str | None) -> None:
    code = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    wanted = {"ELSEWHERE", "CODE", "LEADS_INTO_THE_TREE", "for_an_index"}
    code.body = [
        node
        for node in code.body
        if wanted
        & {getattr(node, "name", ""), *(getattr(name, "id", "") for name in getattr(node, "targets", ()))}
    ]
    made: dict[str, Any] = {"re": re}
    exec(compile(code, "setup.py", "exec"), made)
    assert made["for_an_index"](text) == (text if shown is None else shown)


def test_pythons_of_the_metadata_agree() -> None:
    named = re.findall(r"Python :: (3\.\d+)'", str(PROJECT["classifiers"]))
    assert [int(name[2:]) for name in named] == list(range(11, 11 + len(named)))
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert f"{named[0]} and every later release" in (ROOT / "docs/explanation/versions.md").read_text()


def test_extras_for_users_are_documented_and_the_others_are_private() -> None:
    page = (ROOT / "docs" / "explanation" / "versions.md").read_text(encoding="utf-8")
    extras = set(PROJECT["optional-dependencies"])
    assert {"cli", "testing"} <= extras
    for extra in extras:
        assert f"`{extra}`" in page
