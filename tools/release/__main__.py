"""Make what is released into dist/: `python -m tools.release wheels|dist|types`.

`wheels` makes sdist and wheels once, looks into them, and tries each wheel on every CPython. `dist` is for a
release: everything is made twice, in surroundings that have nothing in common, and must be the same bytes;
a wheel made from the tree must be the one that was made from the sdist; twine looks at what an index would
show; mypy and pyright check a user's program; and each file is tried with and without extras. An extension
that cannot be built is no error of setuptools', so what is inside is looked at. The interpreter needs the
extra `release`; those that the files are tried on need nothing. `types`, for `make check`, has the user's
program checked with a wheel of the tree, and makes nothing.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools.release import inside, trying
from tools.release.making import (
    ORDINARY,
    OTHER,
    ROOT,
    Made,
    epoch,
    files_of_the_tree,
    make,
    quick_wheel,
    run,
    tree,
    wheel,
)
from tools.release.normal import differences

DIST = ROOT / "dist"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("wheels", "dist", "types"))
    what = parser.parse_args().what
    if what == "types":
        with tempfile.TemporaryDirectory() as folder:
            python = trying.Python(platform.python_version(), Path(sys.executable))
            trying.check_types(python, quick_wheel(Path(folder)), extras="")
        return 0
    time, expected = epoch(), files_of_the_tree()
    with tempfile.TemporaryDirectory() as folder:
        say("making sdist and wheels")
        made = make(Path(folder, "once"), ORDINARY, time)
        end_with(inside.look(made, expected))
        if what == "dist":
            compare(made, Path(folder), time)
        made = kept(made)
    found = trying.pythons()
    if what == "wheels":
        trying.try_wheels(found, made)
    else:
        say("what an index would show")
        run(sys.executable, "-m", "twine", "check", "--strict", *made.all())
        for python in (found[0], found[-1]):
            trying.check_types(python, made.pure)
        trying.try_all(found, made)
    for path in made.all():
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KiB")
    uncommitted()
    return 0


def compare(made: Made, folder: Path, time: int) -> None:
    """Make everything once more elsewhere, and a wheel from the tree; end if a byte differs."""
    say("the same again: other folder, umask, locale, time zone and hash seed")
    again = make(folder / "twice", OTHER, time)
    for one, other in zip(made.all(), again.all(), strict=True):
        end_with(f"{one.name}: {difference}" for difference in differences(one, other))
    say("a wheel from the tree, not from the sdist")
    direct = wheel(folder / "direct", tree(folder / "tree", OTHER), ORDINARY, time)
    end_with(f"{direct.name}, from sdist and tree: {one}" for one in differences(made.pure, direct))


def kept(made: Made) -> Made:
    """Put the files into dist/, where nothing else is then."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    return Made(*(Path(shutil.copy(path, DIST)) for path in made.all()))


def uncommitted() -> None:
    """Say where the tree is not what its commit has, whose time the files carry."""
    changed = run("git", "status", "--porcelain").splitlines() if (ROOT / ".git").exists() else []
    if changed:
        print(f"not for a release: {len(changed)} files differ from the last commit", file=sys.stderr)


def end_with(complaints: Iterable[str]) -> None:
    found = list(complaints)
    if found:
        sys.exit("\n".join(found))


def say(what: str) -> None:
    print(f"== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
