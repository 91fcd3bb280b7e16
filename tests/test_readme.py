"""Every code block of the README runs as written, the exchange against a real node."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
CONSOLE = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]
ADDRESS = "127.0.0.1:9001"
SERVE = "dqlite-wire serve"  # which runs until it is stopped
LIVE = [command for command in CONSOLE if ADDRESS in command]  # which ask a node
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


def test_exchange_with_a_real_node(real_node: object, tmp_path: Path) -> None:
    (code,) = (code for code in PYTHON if "DQLITE_ADDRESS" in code)
    printed = run(code, DQLITE_ADDRESS=real_node.address)  # type: ignore[attr-defined]
    assert printed.splitlines()[0].startswith("LeaderResponse(node_id=1, address='127.0.0.1:")
    assert printed.splitlines()[-1] == "[(1, 'one')]"
    assert len(LIVE) == 3
    for command in LIVE:
        check_command(command.replace(ADDRESS, real_node.address), tmp_path)  # type: ignore[attr-defined]


def test_exchange_with_the_server_that_the_readme_starts() -> None:
    assert CONSOLE.count(SERVE) == 1
    (code,) = (code for code in PYTHON if "DQLITE_ADDRESS" in code)
    assert '"127.0.0.1:9001"' in code  # where the command listens unless told otherwise
    command = [sys.executable, "-m", "dqlitewire.cli", *shlex.split(SERVE)[1:], "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().partition(" on ")[2].strip().removesuffix(", leader")
        printed = run(code, DQLITE_ADDRESS=address)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert printed.splitlines() == [
        f"LeaderResponse(node_id=1, address='{address}')",
        "ResultResponse(last_insert_id=1, rows_affected=1)",
        "[(1, 'one')]",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str) -> None:
    check_command(command, ROOT)


def check_command(command: str, folder: Path) -> None:
    words = shlex.split(command)
    assert words[0] == "dqlite-wire"
    done = subprocess.run(
        [sys.executable, "-m", "dqlitewire.cli", *words[1:]],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or (words[1] == "dump" and (folder / words[-1]).exists())


def anchor(heading: str) -> str:
    """What a heading is linked by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_links() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    linked = set()
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith("https:"):
                continue
            name, _, heading = link.partition("#")
            other = (page.parent / name).resolve() if name else page
            assert other.exists(), (page.name, link)
            if heading:
                headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
                assert heading in map(anchor, headings), (page.name, link)
            if other != page:
                linked.add(other)
    assert set(pages) - linked == {ROOT / "README.md"}  # every other page is found from some page


def test_there_is_something_to_run() -> None:
    assert len(PYTHON) >= 6
    assert len(COMMANDS) >= 4
