"""The native module built with AddressSanitizer and UndefinedBehaviorSanitizer, and the fuzzer that uses it.

A copy of the package gets the module, so that the one in the tree stays what it is. A process that loads it
has libasan before all else, and takes each object of Python's from malloc, with a border around it
(PYTHONMALLOC). Leaks are not looked for, since CPython leaves much behind at its end: `tests.native.growth`
does. `tests.fuzz.fenced` is what runs there.

`SEEDED` are bugs that are put into a copy of the C file, to show that each would be found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "dqlitewire"
REPORTED = 86  # exit code of a process that a sanitizer has ended
WARN = ["-std=c11", "-Wall", "-Wextra"]
WATCH = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


class Seeded(NamedTuple):
    """A bug: the text of the C file that is replaced, what comes in its place, and what is reported."""

    text: str
    instead: str
    reported: str


SEEDED = {
    "one byte past the frame": Seeded(
        "    uint64_t marker = word_at(reader->last);\n",
        "    uint64_t marker = word_at(reader->last);\n"
        "    (void)*(volatile const unsigned char *)(reader->last + 8);\n",
        "AddressSanitizer: use-after-poison",
    ),
    "a text that ends behind the frame": Seeded(
        "memchr(start, 0, left(reader));", "memchr(start, 0, left(reader) + 9);", "AddressSanitizer: "
    ),
    "a blob that is longer than the frame": Seeded(
        """    if (size > left(reader) - 8)
        return NULL;
    size_t padded = ((size_t)size + 7) & ~(size_t)7;
    if (padded > left(reader) - 8)
""",
        """    if (size > left(reader) + 64)
        return NULL;
    size_t padded = ((size_t)size + 7) & ~(size_t)7;
    if (padded > left(reader) + 64)
""",
        "AddressSanitizer: ",
    ),
    "types that are given away twice": Seeded(
        "    drop_reference(first);\n    Py_DECREF(types);\n",
        "    drop_reference(first);\n    Py_DECREF(types);\n    Py_DECREF(types);\n",
        "AddressSanitizer: ",
    ),
    "a shift by more than a word has": Seeded(
        ".used = count % 16 ? ((uint64_t)1 << count % 16 * 4) - 1 : ~(uint64_t)0,",
        ".used = ((uint64_t)1 << count * 4) - 1,",
        "runtime error: shift exponent",
    ),
}


def missing(*wanted: str) -> str:
    """Say what of "Python.h" and "libasan" is missing, or "gcc", "" if nothing is; both by default."""
    if shutil.which("gcc") is None:
        return "gcc"
    here = {
        "Python.h": Path(sysconfig.get_path("include"), "Python.h").exists(),
        "libasan": _library().is_absolute(),
    }
    return next((what for what in wanted or here if not here[what]), "")


def _library() -> Path:
    """Return where libasan is; a bare name if it is nowhere."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def compiled(source: Path, module: Path, *flags: str) -> None:
    """Compile a C file into a module for this Python."""
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["gcc", *WARN, *flags, "-fPIC", "-shared", include, source, "-o", module], check=True)


def build(folder: Path, replaced: tuple[str, str] = ("", ""), flags: Sequence[str] = WATCH) -> Path:
    """Make a copy of the package with the module in it; return what to import from.

    Args:
        folder: where it is made.
        replaced: a text that the C file has once, and what comes in its place.
        flags: of the compiler.
    """
    copied = folder / "src" / "dqlitewire"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    source = copied / "_speedups.c"
    old, new = replaced
    if old:
        text = source.read_text()
        assert text.count(old) == 1, f"{source.name} has {text.count(old)} times {old!r}"
        source.write_text(text.replace(old, new))
    compiled(source, source.with_suffix(".abi3.so"), *flags)
    return copied.parent


def run(source: Path, *arguments: str, captured: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer on what `build` made; what it says may be captured, as `stdout`."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{source}{os.pathsep}{ROOT}",
        "PYTHONMALLOC": "malloc",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_PRELOAD": str(_library()),
        "ASAN_OPTIONS": f"detect_leaks=0:exitcode={REPORTED}:allocator_may_return_null=1",
        "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={REPORTED}",
    }
    environment.pop("DQLITEWIRE_PURE", None)
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.fenced", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE if captured else None,
        stderr=subprocess.STDOUT if captured else None,
        text=True,
        check=False,
    )
