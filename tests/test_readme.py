"""Every code block of the README runs as written, what asks a cluster against a real node and our own."""

from __future__ import annotations

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
CONSOLE = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]
SERVE = "dqlite-wire serve"  # which runs until it is stopped
ADDRESS = "127.0.0.1:9001"  # where `serve` listens unless told otherwise
LIVE = [command for command in CONSOLE if ADDRESS in command]
COMMANDS = [command for command in CONSOLE if command not in (SERVE, *LIVE)]


def run(code: str, **environment: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", [code for code in PYTHON if "DQLITE_ADDRESS" not in code])
def test_code(code: str) -> None:
    printed = run(code)
    for expected in re.findall(r"print\(.*\)  # (\w+[.(:].*)$", code, re.MULTILINE):
        if "whatever" not in expected:
            assert expected in printed


def asked(address: str) -> list[str]:
    """Return what the example that asks a cluster prints."""
    (code,) = (code for code in PYTHON if "DQLITE_ADDRESS" in code)
    assert f'"{ADDRESS}"' in code
    return run(code, DQLITE_ADDRESS=address).splitlines()


def expected_of(address: str) -> list[str]:
    return [address, "ResultResponse(last_insert_id=1, rows_affected=1)", "[(1, 'one')]"]


def command(line: str, folder: Path) -> str:
    words = shlex.split(line)
    assert words[0] == "dqlite-wire"
    done = subprocess.run(
        [sys.executable, "-m", "dqlitewire.cli", *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_asking_a_real_node(real_node: Any) -> None:
    assert asked(real_node.address) == expected_of(real_node.address)


def test_asking_the_server_that_the_readme_starts(tmp_path: Path) -> None:
    assert CONSOLE.count(SERVE) == 1
    serve = [sys.executable, "-m", "dqlitewire.cli", *shlex.split(SERVE)[1:], "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().partition(" on ")[2].strip().removesuffix(", leader")
        try:
            assert asked(address) == expected_of(address)
            printed = [command(line.replace(ADDRESS, address), tmp_path) for line in LIVE]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert [bool(text) for text in printed] == [
        " -o " not in line for line in LIVE
    ]  # a file says it on stderr
    assert (tmp_path / "readme.db").read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("line", COMMANDS)
def test_command(line: str) -> None:
    assert command(line, ROOT)


def anchor(heading: str) -> str:
    """What a heading is linked by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


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
                text = other.read_text()
                named = re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)  # as MyST names a place
                headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
                assert heading in {*map(anchor, headings), *named}, (page.name, link)
            if other != page:
                linked.add(other)
    assert set(pages) - linked == {ROOT / "README.md"}  # every other page is found from some page


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 6
    assert len(COMMANDS) >= 4
    assert {shlex.split(line)[1] for line in LIVE} == {"query", "dump", "probe", "top"}
