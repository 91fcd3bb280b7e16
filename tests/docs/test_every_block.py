"""Every block of every page is run, and here stands by which test.

`RUN` has the pages with their languages, and for each language one test that takes all of its blocks, or a
tuple of tests, one for each block in the order of the page. A test is `file::function`, from `tests/` on. A
block that is added, a language or a page that nobody runs, and a test that is gone fail here.

Whoever writes a page writes such a test, with `blocks` and `running` of this folder, and a line here.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT, Block, blocks, name_of, pages

# what `make docs` itself runs; text in them that is code is looked at as any other code
LAYOUT = {
    *("{toctree}", "{contents}", "{eval-rst}", "{raw}", "{include}", "{literalinclude}"),
    "{api}",  # names, from which docs/api.py makes directives of autodoc
    *("{note}", "{tip}", "{warning}", "{important}", "{admonition}", "{dropdown}"),
    *("{image}", "{figure}", "{table}", "{list-table}", "{csv-table}"),
    *("{module}", "{py:module}", "{py:currentmodule}", "{automodule}", "{autoclass}", "{autofunction}"),
    *("{autodata}", "{autoexception}", "{autoattribute}", "{automethod}"),
}

CLAIMS = "docs/test_claimed.py"
ADDING = "test_adding.py::test_a_message_as_the_page_makes_it"
RUN: dict[str, dict[str, str | tuple[str, ...]]] = {
    "CONTRIBUTING.md": {
        "bash": "test_adding.py::test_the_other_blocks_of_the_page",
        "console": ADDING,
        "json": ADDING,
        "text": ADDING,
        "python": (*[ADDING] * 3, "test_adding.py::test_the_other_blocks_of_the_page"),
    },
    "README.md": {
        "indented": f"{CLAIMS}::test_what_is_typed_to_install_is_there",
        "python": "test_readme.py::test_code",
        "console": "test_readme.py::test_command",
        "bash": f"{CLAIMS}::test_what_is_typed_to_install_is_there",
    },
    "docs/explanation/architecture.md": {
        "": f"{CLAIMS}::test_the_line_of_the_parts_names_modules",
        "python": f"{CLAIMS}::test_the_declaration_is_that_of_the_package",
    },
    "docs/explanation/performance.md": {"indented": f"{CLAIMS}::test_what_is_typed_to_install_is_there"},
    "docs/guides/client.md": {"python": "client/test_docs.py::test_the_page_runs"},
    "docs/guides/conversation.md": {
        "python": "docs/test_conversation.py::test_the_code",
        "text": "docs/test_conversation.py::test_the_frames_in_the_log",
    },
    "docs/guides/dump.md": {"console": "cli/test_dump_documented.py::test_the_session_of_dump"},
    "docs/guides/proxy.md": {
        "": "docs/test_proxy.py::test_words_that_order_no_fault",
        "console": (
            "docs/test_proxy.py::test_the_first_example",
            "proxy/test_documented.py::test_the_command_line",
            "docs/test_proxy.py::test_asking_from_a_shell",
        ),
        "json": "proxy/test_documented.py::test_the_control_socket",
        "python": "docs/test_proxy.py::test_the_code",
        "toml": "proxy/test_documented.py::test_the_file",
    },
    "docs/guides/query.md": {"console": "cli/test_query_documented.py::test_the_session_of_the_page"},
    "docs/guides/replay.md": {
        "": "docs/test_replay.py::test_the_commands_and_what_differs",
        "python": "docs/test_replay.py::test_the_code",
    },
    "docs/guides/shell.md": {"text": "cli/test_dump_documented.py::test_the_session_of_the_shell"},
    "docs/guides/testing.md": {
        "": (
            "docs/test_testing.py::test_a_fault_that_never_hits",
            "docs/test_testing.py::test_the_script",
        ),
        "bash": "docs/test_testing.py::test_the_commands",
        "python": (
            "docs/test_testing.py::test_the_first_example_and_its_record",
            "faults/test_server.py::test_the_example_of_the_docs",
            "docs/test_testing.py::test_the_first_example_and_its_record",
            "docs/test_testing.py::test_the_script",
        ),
    },
    "docs/guides/top.md": {
        "": "cli/test_top.py::test_the_output_on_the_page_is_real",
        "console": (
            "cli/test_top.py::test_the_commands_on_the_page_are_understood",
            "cli/test_top.py::test_the_output_on_the_page_is_real",
        ),
    },
    "docs/guides/traffic.md": {
        "": (
            "docs/test_traffic.py::test_lines_of_decode",
            "docs/test_traffic.py::test_lines_between_nodes",
            "docs/test_traffic.py::test_statements_of_stats",
        ),
        "bash": "docs/test_traffic.py::test_what_is_typed_for_completion",
        "console": (
            "docs/test_traffic.py::test_the_first_commands",
            "traffic/sources/test_socat.py::test_the_recipe_as_it_stands",
            "traffic/sources/test_socat.py::test_the_recipe_as_it_stands",
            "docs/test_traffic.py::test_the_commands_of_probe",
            "dial/test_real_clusters.py::test_the_page_shows_what_is_printed",
            "dial/test_real_clusters.py::test_the_page_shows_what_is_printed",
        ),
        "indented": "docs/test_traffic.py::test_pages",
        "python": "docs/test_traffic.py::test_the_code",
    },
    "docs/guides/wireshark.md": {"indented": "docs/test_wireshark.py::test_the_commands"},
    "docs/howto/products.md": {
        "console": (
            "proxy/test_howto.py::test_microk8s",
            "proxy/test_howto.py::test_microk8s",
            "proxy/test_howto.py::test_lxd",
            "proxy/test_howto.py::test_microcloud",
            "proxy/test_howto.py::test_juju",
            "proxy/test_howto.py::test_juju",
            "proxy/test_howto.py::test_strace",
        )
    },
    "docs/howto/vectors.md": {"console": "docs/test_vectors.py::test_the_sessions_of_the_page"},
    "docs/installing.md": {
        "bash": f"{CLAIMS}::test_what_is_typed_to_install_is_there",
        "console": f"{CLAIMS}::test_the_version_as_shown",
    },
    "docs/explanation/order.md": {
        "python": "docs/test_reference_pages.py::test_the_code_prints_what_the_page_says"
    },
    "docs/reference/failures.md": {
        "python": "docs/test_reference_pages.py::test_the_code_prints_what_the_page_says"
    },
    "docs/reference/limits.md": {
        "python": "docs/test_reference_pages.py::test_the_code_prints_what_the_page_says"
    },
    "docs/reference/commands.md": {"console": "docs/test_commands.py::test_the_page_is_what_commands_print"},
    "docs/reference/messages/values.md": {"console": "docs/test_redrawn.py::test_nothing_is_stale"},
    "docs/reference/raft.md": dict.fromkeys(
        ("console", "text"), "docs/test_redrawn.py::test_nothing_is_stale"
    ),
    "docs/reference/transcript.md": {"json": f"{CLAIMS}::test_the_lines_of_a_transcript"},
}

# the same of pages that are drawn, each of which has some of the languages
DRAWN_PAGES: dict[str, dict[str, str]] = {
    "docs/reference/messages/re*-*.md": dict.fromkeys(
        ("console", "text"), "docs/test_redrawn.py::test_nothing_is_stale"
    ),
}


def languages(page: Path) -> dict[str, list[Block]]:
    """Return the blocks of a page by language, those apart that `make docs` runs."""
    found: dict[str, list[Block]] = {}
    for block in blocks(page):
        if block.language not in LAYOUT:
            found.setdefault(block.language, []).append(block)
    return found


@cache
def functions_of(path: Path) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_somebody_runs_every_block(page: Path) -> None:
    drawn = next((each for pattern, each in DRAWN_PAGES.items() if fnmatch(name_of(page), pattern)), None)
    run = drawn or RUN.get(name_of(page), {})
    for language, found in languages(page).items():
        assert language in run, f"nobody runs {found[0].place} ({language or 'no language'})"
        tests = run[language]
        assert isinstance(tests, str) or len(tests) == len(found), [block.place for block in found]
    assert drawn or set(run) == set(languages(page)), "the table has a language that the page has not"


def test_the_table_names_pages_that_there_are() -> None:
    assert set(RUN) <= {name_of(page) for page in pages()}
    assert len(pages()) >= 20


@pytest.mark.parametrize("page", [*RUN, *DRAWN_PAGES])
def test_the_tests_are_there_and_read_the_page(page: str) -> None:
    for tests in (RUN | DRAWN_PAGES)[page].values():
        for test in {tests} if isinstance(tests, str) else {*tests}:
            name, _, function = test.partition("::")
            path = ROOT / "tests" / name
            assert function in functions_of(path), test
            assert Path(page).name in path.read_text(encoding="utf-8"), f"{name} does not name {page}"


def test_code_that_hides_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n````{note}\n```python\nhidden = 1\n```\n````\n\n1. one\n\n   ~~~ sh more\n   ls\n   ~~~\n"
        "\n```{code-block} python\nprint()\n```\n\n    indented\n"
    )
    assert [(block.line, block.language, block.info, block.text) for block in blocks(page)] == [
        (3, "{note}", "", "```python\nhidden = 1\n```\n"),
        (4, "python", "", "hidden = 1\n"),
        (11, "sh", "more", "ls\n"),
        (15, "{code-block}", "python", "print()\n"),
        (19, "indented", "", "indented\n"),
    ]
    assert set(languages(page)) == {"python", "sh", "{code-block}", "indented"}


def test_every_page_is_in_the_tree_of_pages() -> None:
    """As Sphinx would see it, without Sphinx: a page that no table of contents has cannot be found."""
    named: set[Path] = set()
    for page in DOCS.rglob("*.md"):
        for block in blocks(page):
            if block.language == "{toctree}":
                entries = [line.strip() for line in block.text.splitlines() if line.strip()]
                for entry in (line for line in entries if not line.startswith(":")):
                    entry = entry.rpartition("<")[2].rstrip(">")
                    base = DOCS if entry.startswith("/") else page.parent
                    named.update(base.glob(f"{entry.lstrip('/')}.md"))
    assert {name_of(page) for page in DOCS.rglob("*.md")} - {*map(name_of, named)} == {"docs/index.md"}
