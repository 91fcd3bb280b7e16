"""Every code block of the README runs as written, what asks a cluster against real nodes and our own."""

from __future__ import annotations

import html
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
TYPED = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]
CONSOLE = [line.partition("  # ")[0] for line in TYPED]
SERVE = "dqlite-wire serve"  # which runs until it is stopped
ADDRESS = "127.0.0.1:9001"  # where `serve` listens unless told otherwise
LIVE = [command for command in CONSOLE if ADDRESS in command]
COMMANDS = [command for command in CONSOLE if command not in (SERVE, *LIVE)]


def run(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", PYTHON)
def test_code(code: str) -> None:
    assert run(code).splitlines() == re.findall(r"print\(.*\)  # (.*)$", code, re.MULTILINE)


def command(line: str, folder: Path) -> str:
    words = shlex.split(line)
    assert words[0] == "dqlite-wire"
    done = subprocess.run(
        [sys.executable, "-m", "dqlitewire.cli", *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("line", LIVE)
def test_asking_a_real_node(line: str, real_node: Any, tmp_path: Path) -> None:
    assert command(line.replace(ADDRESS, real_node.address), tmp_path)


def test_asking_the_server_that_the_readme_starts(tmp_path: Path) -> None:
    assert CONSOLE.count(SERVE) == 1
    serve = [sys.executable, "-m", "dqlitewire.cli", *shlex.split(SERVE)[1:], "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().partition(" on ")[2].strip().removesuffix(", leader")
        try:
            printed = [command(line.replace(ADDRESS, address), tmp_path) for line in LIVE]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert all(printed)


@pytest.mark.parametrize("line", COMMANDS)
def test_command(line: str) -> None:
    assert command(line, ROOT)


def anchor(heading: str) -> str:
    """What a heading is linked by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """What can be linked on a page: its headings, and the targets that MyST takes for such, `(name)=`."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {*map(anchor, headings), *re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)}


def test_links() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    linked = set()
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith("https:"):
                continue
            name, _, heading = link.partition("#")
            other = (page.parent / name).resolve() if name else page
            assert other.exists(), (page.name, link)
            if heading:
                assert heading in anchors(other), (page.name, link)
            if other != page:
                linked.add(other)
    assert set(pages) - linked == {ROOT / "README.md"}  # every other page is found from some page


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 2
    assert len(COMMANDS) >= 2
    assert len(LIVE) >= 1


def test_it_is_of_a_screen_and_a_half() -> None:
    """What it is, for whom, and where to go: all else has a page on the site."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 80
    assert sum(map(len, lines)) <= 3700
    # in a terminal of 80 columns, too: what is wider has a link, which cannot be broken
    assert [line for line in lines if len(line) > 80 and "](" not in line] == []


def test_its_picture_is_the_output_of_the_command_in_it() -> None:
    text = (ROOT / "docs" / "pictures" / "decode.svg").read_text()
    title, typed, *shown = re.findall(r"<text[^>]*>(.*?)</text>", text)
    assert title == "dqlite-wire decode"
    assert html.unescape(typed).removeprefix("$ ") in COMMANDS
    printed = command(f"{html.unescape(typed).removeprefix('$ ')} --width 80", ROOT)
    assert "".join(html.unescape("".join(shown)).split()) == "".join(printed.split())
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
