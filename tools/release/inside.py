"""What must and what must not be in the files of a release.

Each function returns complaints, a line each; none if all is well. What a wheel holds follows from the sdist:
the package without its C source, with the native module where the tag says so, and the metadata.
"""

from __future__ import annotations

import base64
import csv
import fnmatch
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path

from tools.release.making import ROOT, Made
from tools.release.normal import contents

__all__ = ["MODULE", "complaints", "linked", "look", "places", "sdist", "wheel"]

MODULE = "dqlitewire/_speedups.abi3.so"
# a name or a part of a path that shows a file to be left behind by some tool, or of no use to anybody else
LITTER = [
    "__pycache__",
    *("*.py[cod]", "*.so", "*.dll", "*.dylib", "*.o", "*.a"),
    *(".git", ".hg", ".venv*", "pyvenv.cfg", ".env", ".tox", ".nox", ".idea", ".vscode", "node_modules"),
    *(".*_cache", ".hypothesis", ".coverage*", "htmlcov", "build", "dist", "*.egg", "*.whl", "*.log"),
    *("*~", "*.orig", "*.rej", "*.bak", "*.sw[op]", ".DS_Store", "Thumbs.db"),
    *(".netrc", ".pypirc", "pip.conf", "id_rsa*", "id_ed25519*"),
]
METADATA = {
    "Name": "dqlite-wire",
    "License-Expression": "MIT",
    "License-File": "LICENSE",
    "Requires-Python": ">=3.11",
    "Description-Content-Type": "text/markdown",
}
EXTRAS = {"cli", "testing"}
SCRIPTS = {"dqlite-wire = dqlitewire.cli:main", "dqlite = dqlitewire.testing.pytest_plugin"}
Files = dict[str, tuple[int, bytes]]


def look(made: Made, expected: Iterable[str]) -> list[str]:
    """Return what is wrong with the files of a release.

    Args:
        made: the files.
        expected: the files of the tree.
    """
    held = contents(made.sdist)
    package = {
        name.removeprefix("src/"): file for name, file in held.items() if name.startswith("src/dqlitewire/")
    }
    package.pop("dqlitewire/_speedups.c", None)
    found = [(made.sdist, one) for one in sdist(held, set(expected))]
    found += [(made.pure, one) for one in wheel(made.pure.name, contents(made.pure), package, False)]
    found += [(made.native, one) for one in wheel(made.native.name, contents(made.native), package, True)]
    return [f"{path.name}: {one}" for path, one in found]


def complaints(files: Files, allowed: Iterable[str] = ()) -> list[str]:
    """Return what is litter among files, but for those allowed, and which name places of this machine."""
    found: list[str] = []
    allowed = set(allowed)
    for name, (mode, data) in files.items():
        parts = name.split("/")
        if name not in allowed and any(fnmatch.fnmatch(part, kind) for part in parts for kind in LITTER):
            found.append(f"{name}: does not belong into a release")
        if ".." in parts or name.startswith("/"):
            found.append(f"{name}: leaves the folder that it is unpacked into")
        if mode not in (0o644, 0o755):
            found.append(f"{name}: mode {mode:o}")
        found += [f"{name}: names {place.decode()}" for place in places() if place in data]
    return found


def places() -> list[bytes]:
    """Return the folders of this machine that a release must not name: checkout, home, environments."""
    folders: list[Path | str] = [
        ROOT,
        Path.home(),
        Path(tempfile.gettempdir(), "build-env-"),
        sys.base_prefix,
        sys.prefix,
    ]
    texts = {os.path.realpath(folder) for folder in folders} | {str(folder) for folder in folders}
    # a name of one part, such as /root or /usr, is in many texts
    return sorted(text.encode() for text in texts if text.count("/") > 1)


def sdist(files: Files, expected: set[str]) -> list[str]:
    """Return what is wrong with the files of an sdist."""
    by_build = {name for name in files if name.startswith("src/dqlite_wire.egg-info/")}
    found = complaints(files)
    found += [f"{name}: missing" for name in sorted((expected | {"PKG-INFO", "LICENSE"}) - files.keys())]
    added = files.keys() - expected - by_build - {"PKG-INFO", "setup.cfg"}
    found += [f"{name}: not of the tree" for name in sorted(added)]
    return found + metadata(files.get("PKG-INFO", (0, b""))[1])


def wheel(title: str, files: Files, package: Files, native: bool) -> list[str]:
    """Return what is wrong with the files of a wheel.

    Args:
        title: the name of the wheel.
        files: what is in it.
        package: what it must have of the package, with the native module besides if it is native.
        native: whether it is the wheel with the module.
    """
    folder = re.sub(r"-(py3|cp311)-.*", "", title) + ".dist-info/"
    own = {name: data for name, (_, data) in files.items() if not name.startswith(folder)}
    wanted = {name: data for name, (_, data) in package.items()}
    found = complaints(files, [MODULE] if native else [])
    if native:
        found += [] if MODULE in own else [f"{MODULE}: missing"]
        found += [f"{MODULE}: names {path}" for path in linked(own.pop(MODULE, b""))]
    found += [f"{name}: missing" for name in sorted(wanted.keys() - own.keys())]
    found += [f"{name}: not of the package" for name in sorted(own.keys() - wanted.keys())]
    found += [
        f"{name}: is not that of the sdist"
        for name in wanted.keys() & own.keys()
        if own[name] != wanted[name]
    ]
    about = {name.removeprefix(folder): data for name, (_, data) in files.items() if name.startswith(folder)}
    missing = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"} - about.keys()
    if missing:
        return [*found, *(f"{folder}{name}: missing" for name in sorted(missing))]
    lines = set(about["entry_points.txt"].decode().splitlines())
    found += [f"entry_points.txt: no {script!r}" for script in sorted(SCRIPTS - lines)]
    return [
        *found,
        *metadata(about["METADATA"]),
        *tagged(title, about["WHEEL"].decode(), native),
        *recorded({name: data for name, (_, data) in files.items()}, f"{folder}RECORD"),
    ]


def metadata(text: bytes) -> list[str]:
    """Return what is wrong with what an index shows of a file."""
    has = HeaderParser().parsestr(text.decode())
    found = [
        f"metadata: {key} is {has.get(key)!r}, not {value!r}"
        for key, value in METADATA.items()
        if has.get(key) != value
    ]
    found += [
        f"metadata: no extra {extra}" for extra in sorted(EXTRAS - set(has.get_all("Provides-Extra", [])))
    ]
    links = re.findall(
        r"""\]\((?!https?:|mailto:|#)([^)]*)|\bsrc="(?!https?:)([^"]*)""", text_of(str(has.get_payload()))
    )
    found += [f"metadata: the text leads to {''.join(link)}, which an index has not got" for link in links]
    for requirement in has.get_all("Requires-Dist", []):
        if "extra ==" not in requirement:
            found.append(f"metadata: {requirement} is required without any extra")
    return found


def text_of(markdown: str) -> str:
    """Return a Markdown text without its code."""
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", markdown, flags=re.MULTILINE | re.DOTALL)


def tagged(title: str, text: str, native: bool) -> list[str]:
    """Return where the tags of a wheel say something else than what is inside, or than its name."""
    tags = re.findall(r"^Tag: (.*)$", text, re.MULTILINE)
    is_pure = re.findall(r"^Root-Is-Purelib: (.*)$", text, re.MULTILINE)
    found = [] if is_pure == [str(not native).lower()] else [f"WHEEL: Root-Is-Purelib is {is_pure}"]
    interpreter, abi, platforms = title.removesuffix(".whl").split("-")[-3:]
    named = {f"{interpreter}-{abi}-{platform}" for platform in platforms.split(".")}
    found += [] if named == set(tags) else [f"WHEEL: tags {tags} of a file named {title}"]
    right = (
        all(re.fullmatch(r"cp311-abi3-manylinux_?\d\w+", tag) for tag in tags)
        if native
        else tags == ["py3-none-any"]
    )
    return found if right else [*found, f"WHEEL: tags {tags}"]


def recorded(files: dict[str, bytes], name: str) -> list[str]:
    """Return where RECORD says something else than what is there."""
    rows = {path: (digest, size) for path, digest, size in csv.reader(files[name].decode().splitlines())}
    found = [f"RECORD: {path} differs in presence" for path in sorted(rows.keys() ^ files.keys())]
    for path in rows.keys() & files.keys() - {name}:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=").decode()
        if rows[path] != (f"sha256={digest}", str(len(files[path]))):
            found.append(f"RECORD: another sum for {path}")
    return found


def linked(binary: bytes) -> list[str]:
    """Return what a binary says of the machine that it was built on: absolute paths."""
    texts = [text.decode() for text in re.findall(rb"[\x20-\x7e]{4,}", binary)]
    return [text for text in texts if re.search(r"(^|[\s:=])/\w+/", text)]
