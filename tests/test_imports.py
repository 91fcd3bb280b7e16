"""What importing the package costs and leaves behind, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dqlitewire

SOURCE = str(Path(dqlitewire.__file__).parent.parent)
SLOW = {
    *(
        "typing",
        "dataclasses",
        "inspect",
        "re",
        "logging",
        "abc",
        "contextlib",
        "functools",
        "ast",
        "tokenize",
    ),
    *("asyncio", "socket", "select", "selectors", "ssl", "sqlite3", "subprocess", "threading", "tempfile"),
    *("datetime", "decimal", "json", "copy", "pickle", "traceback", "warnings", "importlib.metadata", "apsw"),
}
ALLOWED = SLOW - {"abc", "functools"}  # `enum` and `collections` need these on some Pythons


MODULES = [
    *("buffer", "codec", "constants", "exceptions", "limits", "truncate", "tuples", "types"),
    *("messages", "messages.base", "messages.requests", "messages.responses", "explain"),
]


def run(code: str, *options: str) -> str:
    """Run code where nothing but the package can be imported besides the standard library."""
    command = [
        sys.executable,
        "-I",
        "-S",
        *options,
        "-c",
        f"import sys; sys.path.insert(0, {SOURCE!r}); {code}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def loaded_by(code: str) -> set[str]:
    added = run(f"before = set(sys.modules); {code}; print(*(set(sys.modules) - before))")
    return set(added.split())


def test_importing_loads_nothing_slow() -> None:
    assert not loaded_by("import dqlitewire") & ALLOWED


def test_importing_loads_only_the_core() -> None:
    tools = {"conversation", "traffic", "testing", "cli", "explain"}
    ours = {name for name in loaded_by("import dqlitewire") if name.startswith("dqlitewire.")}
    assert not {name.split(".")[1] for name in ours} & tools


@pytest.mark.parametrize("module", MODULES)
def test_each_module_can_be_imported_first(module: str) -> None:
    run(f"import dqlitewire.{module}")


USE = """
from dqlitewire import MessageDecoder, decode_message, encode_message
from dqlitewire.messages import ExecSqlRequest, RowsResponse
request = ExecSqlRequest(0, 'SELECT ?', [1, 'x', None, 1.5, b'y', True])
assert decode_message(encode_message(request), is_request=True) == request
rows = RowsResponse(['a'], [], [], [[1]] * 50, True)
decoder = MessageDecoder()
decoder.feed(rows.encode())
assert decoder.decode().rows == rows.rows
"""


@pytest.mark.parametrize("options", [[], ["-O"], ["-OO"], ["-X", "dev"], ["-W", "error"]], ids=str)
def test_it_works_under_every_option(options: list[str]) -> None:
    run(f"exec({USE!r})", *options)


def test_using_it_loads_nothing_slow_either() -> None:
    assert not loaded_by(f"exec({USE!r})") & ALLOWED


HAS_HANDLER = "print([type(h).__name__ for h in sys.modules['logging'].getLogger('dqlitewire').handlers])"
WARN = "from dqlitewire.messages import WelcomeResponse; WelcomeResponse.decode_body(bytes(8))"


def test_the_null_handler_is_there_when_logging_was() -> None:
    assert run(f"import logging; import dqlitewire; {HAS_HANDLER}").strip() == "['NullHandler']"


def test_the_null_handler_comes_with_the_first_record_otherwise() -> None:
    assert run(f"import dqlitewire; assert 'logging' not in sys.modules; {WARN}; {HAS_HANDLER}").strip() == (
        "['NullHandler']"
    )


def test_nothing_is_ever_written_to_stderr_by_us() -> None:
    assert run(f"import dqlitewire; {WARN}") == ""  # `run` looks at stderr
    assert run(f"import dqlitewire; import logging; {WARN}") == ""


def test_records_reach_whoever_asks_for_them() -> None:
    ask = "import logging; logging.basicConfig(stream=sys.stdout, format='%(name)s %(levelname)s')"
    for code in (f"{ask}; import dqlitewire; {WARN}", f"import dqlitewire; {ask}; {WARN}"):
        assert run(code).strip() == "dqlitewire.messages.responses WARNING"
