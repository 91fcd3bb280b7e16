"""docs/howto/driver.md: each step runs with the file as far as it is built, and prints what is shown."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from types import ModuleType

import pytest

from dqlitewire.testing import DqliteServer
from tests.docs.blocks import ROOT, blocks
from tests.docs.running import as_compared, run_python
from tests.docs.shown import shown
from tools.drawn.pieces import pieces

PAGE = "docs/howto/driver.md"
FILES = ("blocking_client.py", "asyncio_client.py")


def stages(name: str) -> list[str]:
    """The text of a file after each piece of it that the page adds."""
    parts = pieces((ROOT / PAGE).read_text(encoding="utf-8"), name)
    return ["".join(parts[: number + 1]) for number in range(len(parts))]


def test_the_pieces_are_the_files() -> None:
    """That each piece is as in the file, `test_redrawn` says."""
    for name in FILES:
        assert stages(name)[-1] == (ROOT / "examples" / name).read_text(encoding="utf-8")
        assert len(stages(name)) == sum(block.info == name for block in blocks(PAGE, "python"))


def module_of(name: str, text: str) -> ModuleType:
    module = ModuleType(name.removesuffix(".py"))
    exec(compile(text, name, "exec", dont_inherit=True), module.__dict__)
    return module


def test_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {name: iter(stages(name)) for name in FILES}
    for block, output in shown(PAGE):
        if block.info:
            module = module_of(block.info, next(left[block.info]))
            monkeypatch.setitem(sys.modules, module.__name__, module)
            continue
        assert output is not None, block.place
        assert as_compared(run_python([block])) == as_compared(output.text), block.place
    assert [name for name in FILES if next(left[name], None)] == []


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks(PAGE, "console")
    ((command, output),) = block.steps()
    with DqliteServer() as server:
        words = shlex.split(command.replace("127.0.0.1:9001", server.address))
        assert words[0] == "python"
        assert printed(words[1:], monkeypatch) == output


def printed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", words)
    text = (ROOT / "examples" / words[0]).read_text(encoding="utf-8")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, words[0], "exec"), {"__name__": "__main__"})
    return out.getvalue()
