"""Generated code is code like any other: tracebacks, `inspect`, `pdb` and coverage find its source."""

from __future__ import annotations

import bdb
import gc
import inspect
import io
import json
import linecache
import os
import pdb  # noqa: T100
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dqlitewire import EncodeError, Limits, encode_message, generated
from dqlitewire.declare.declared import REGISTRY, ensure_frame, ensure_init, reader_of
from dqlitewire.generated import define, source_of, source_of_file
from dqlitewire.messages import ResultResponse

ROOT = Path(__file__).parent.parent
LINES = [
    "def half(number):",
    "    if number % 2:",
    "        raise ValueError(number)",
    "    return number // 2",
]
SOURCE = "\n".join(LINES) + "\n"


def half(title: str = "half", lines: list[str] = LINES, **names: Any) -> Callable[..., Any]:
    return define(title, "half", lines, names)


def file_of(made: Any) -> str:
    file: str = made.__code__.co_filename
    return file


def run(code: str, *options: str) -> str:
    """Run code in a fresh interpreter, where nothing is imported that it does not import."""
    path = str(Path(generated.__file__).parent.parent)
    command = [
        sys.executable,
        "-I",
        "-S",
        *options,
        "-c",
        f"import sys; sys.path.insert(0, {path!r}); {code}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------- what finds the source


def test_a_traceback_shows_the_line() -> None:
    made = half()
    try:
        made(3)
    except ValueError:
        text = traceback.format_exc()
    assert f'File "{file_of(made)}", line 3, in half\n    raise ValueError(number)' in text


def test_a_traceback_of_a_message_shows_the_line() -> None:
    message = ResultResponse(1, 5)
    with pytest.raises(EncodeError) as caught:
        encode_message(message, limits=Limits(max_rows_affected=4))
    text = "".join(traceback.format_exception(caught.value))
    assert "ResultResponse.encode.py" in text
    assert "raise g_over(g_value_rows_affected" in text


def test_the_interpreter_itself_shows_the_line_of_an_error_that_nobody_catches() -> None:
    code = (
        "from dqlitewire.generated import define\n"
        f"made = define('half', 'half', {LINES!r}, {{}})\n"
        "import threading\n"
        "threading.excepthook = sys.excepthook = sys.__excepthook__\n"
        "try: made(3)\n"
        "except ValueError as error:\n"
        "    import traceback\n"
        "    print(traceback.extract_tb(error.__traceback__)[-1].line)"
    )
    assert run(f"exec({code!r})").strip() == "raise ValueError(number)"


def test_inspect_finds_source_and_file() -> None:
    made = half()
    assert inspect.getsource(made) == SOURCE
    assert inspect.getsourcelines(made) == (SOURCE.splitlines(keepends=True), 1)
    assert inspect.getsourcefile(made) == inspect.getfile(made) == file_of(made)
    assert inspect.getmodule(made) is generated


def test_inspect_finds_the_code_of_every_message() -> None:
    found = 0
    for cls in REGISTRY.values():
        ensure_init(cls)
        ensure_frame(cls)
        for made in (cls.__init__, cls._frame, *(reader_of(cls, schema) for schema in cls.SCHEMAS)):
            try:
                source = source_of(made)
            except TypeError:  # by hand
                continue
            assert inspect.getsource(made) == source
            found += 1
    assert found > 80


def test_inspect_still_finds_the_module() -> None:
    half()
    assert "def define(" in inspect.getsource(generated)
    assert "def define(" in inspect.getsource(generated.define)
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        generated.other  # noqa: B018


def test_linecache_keeps_the_source_over_a_check() -> None:
    made = half()
    assert inspect.getsource(made) == SOURCE
    linecache.checkcache()
    assert linecache.getline(file_of(made), 3) == LINES[2] + "\n"
    linecache.clearcache()
    assert linecache.getline(file_of(made), 3, made.__globals__) == LINES[2] + "\n"
    assert inspect.getsource(made) == SOURCE


def debugged(commands: str, call: Callable[[], object]) -> str:
    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO(commands), stdout=out, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    try:
        debugger.runcall(call)
    except bdb.BdbQuit:
        pass
    return out.getvalue()


def test_pdb_lists_and_steps() -> None:
    made = half()
    text = debugged("step\nstep\nlist\nargs\nnext\nnext\nquit\n", lambda: made(4))
    assert f"> {file_of(made)}(1)half()" in text or f"> {file_of(made)}(2)half()" in text
    assert "  3  \t        raise ValueError(number)" in text
    assert "number = 4" in text
    assert "-> return number // 2" in text


def test_pdb_breaks_at_a_line() -> None:
    made = half()
    text = debugged("step\nstep\nbreak 4\ncontinue\nwhere\nquit\n", lambda: made(4))
    assert f"Breakpoint 1 at {file_of(made)}:4" in text
    assert f"> {file_of(made)}(4)half()\n-> return number // 2" in text


# ---------------------------------------------------------------- names of files


def test_file_names_have_no_angle_brackets_and_no_folders() -> None:
    made = half("a <b>/c")
    assert Path(file_of(made)).name == "a (b)_c.py"
    assert Path(file_of(made)).parent == Path(generated.__file__).with_suffix("")
    assert not Path(file_of(made)).parent.exists()
    assert inspect.getsource(made) == SOURCE


def test_inner_functions_are_in_the_same_file() -> None:
    made = half(lines=["def half(number):", "    return [n for n in (lambda: [number])()]"])
    assert made(3) == [3]
    codes = [code for code in made.__code__.co_consts if hasattr(code, "co_filename")]
    assert {code.co_filename for code in codes} <= {file_of(made)}
    assert codes


def test_different_sources_with_one_title_have_files_of_their_own() -> None:
    made = [half(lines=["def half(number):", f"    return number - {n}"]) for n in range(4)]
    assert len({file_of(one) for one in made}) == 4
    for n, one in enumerate(made):
        assert inspect.getsource(one).endswith(f"number - {n}\n")
        assert source_of_file(file_of(one)) == source_of(one)


def test_equal_sources_with_one_title_share_a_file() -> None:
    made = [half("same"), half("same")]
    assert len({file_of(one) for one in made}) == 1
    file = file_of(made.pop(0))
    gc.collect()
    assert source_of_file(file) == SOURCE
    assert inspect.getsource(made[0]) == SOURCE


def test_what_was_not_made_here_has_no_source() -> None:
    for other in (half, len, ResultResponse, None):
        with pytest.raises(TypeError, match="is not a generated function"):
            source_of(other)  # type: ignore[arg-type]
    assert source_of_file(__file__) is None


# ---------------------------------------------------------------- life


def test_sources_go_with_their_functions() -> None:
    gc.collect()
    before = len(generated._loaders)
    made = [half(lines=["def half(number):", f"    return number + {n}"]) for n in range(100)]
    files = [file_of(one) for one in made]
    assert inspect.getsource(made[7])
    assert len(generated._loaders) == before + 100
    assert set(files) <= set(linecache.cache)
    del made
    gc.collect()
    assert len(generated._loaders) == before
    assert not set(files) & set(linecache.cache)


def test_a_function_in_use_keeps_its_source() -> None:
    def fail() -> None:
        half(lines=[*LINES[:3], "    return 1"])(3)

    try:
        fail()
    except ValueError as error:
        gc.collect()
        text = "".join(traceback.format_exception(error))
    assert "    raise ValueError(number)\n" in text


def test_threads_make_and_look_at_the_same_time() -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(60):
                lines = ["def half(number):", f"    return number + {n}"]
                made = half(f"thread {number}", lines)
                assert inspect.getsource(made) == "\n".join(lines) + "\n"
                assert made(1) == n + 1
        except BaseException as error:
            failed.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not failed


def test_nothing_is_imported_until_somebody_looks() -> None:
    code = (
        "from dqlitewire.messages import ResultResponse as R; "
        "before = set(sys.modules); R.decode_body(R(1, 2).encode()[8:]); "
        "added = {n for n in set(sys.modules) - before if not n.startswith('dqlitewire.')}; "
        "assert not added, added; cache = getattr(sys.modules.get('linecache'), 'cache', {}); "
        "assert not [name for name in cache if 'generated' in name]; "
        "from dqlitewire import generated; assert generated.__loader__; "
        "print('ResultResponse.encode.py' in str(sys.modules['linecache'].cache))"
    )
    assert run(code).strip() == "True"


# ---------------------------------------------------------------- coverage

PROGRAM = """
from dqlitewire.messages import ResultResponse, RowsResponse
message = ResultResponse(1, 2)
assert ResultResponse.decode_body(message.encode()[8:]) == message
"""


def test_coverage_sees_generated_code(tmp_path: Path) -> None:
    pytest.importorskip("coverage")
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "rc").write_text(
        # plugins need the tracer in C; from 3.14 on coverage prefers another
        "[run]\nbranch = true\ncore = ctrace\nsource_pkgs = dqlitewire\nplugins = tests.coverage_plugin\n"
        f"data_file = {tmp_path / 'data'}\n"
        f"[tests.coverage_plugin]\nfolder = {tmp_path / 'generated'}\n"
    )
    path = os.pathsep.join([str(Path(generated.__file__).parent.parent), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    # the measurement of these tests, where they are measured, must not begin in the program too
    environment = {
        key: value for key, value in environment.items() if not key.startswith(("COV", "COVERAGE"))
    }
    for command in (["run", "program.py"], ["json", "-o", "found.json"]):
        subprocess.run(
            [sys.executable, "-m", "coverage", command[0], f"--rcfile={tmp_path / 'rc'}", *command[1:]],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            timeout=300,
        )
    found = {
        Path(name).name: file
        for name, file in json.loads((tmp_path / "found.json").read_text())["files"].items()
    }
    encode, decode = found["ResultResponse.encode.py"], found["ResultResponse.decode_0.py"]
    lines = (tmp_path / "generated" / "ResultResponse.encode.py").read_text().splitlines()
    assert [lines[number - 1].split()[0] for number in encode["missing_lines"]] == ["raise"]
    assert encode["summary"]["missing_branches"] == 1
    assert decode["executed_lines"]
    assert "ResultResponse.__init__.py" in found
