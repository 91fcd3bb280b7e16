"""What `make dist` is made of: archives are packed anew, litter in them is found, differences are named."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.release import __main__ as command
from tools.release import inside, making, normal, trying

EPOCH = 1_700_000_000
ABOUT = """Metadata-Version: 2.4
Name: dqlite-wire
Version: 1
License-Expression: MIT
License-File: LICENSE
Requires-Python: >=3.11
Description-Content-Type: text/markdown
Provides-Extra: cli
Provides-Extra: testing
Requires-Dist: apsw; extra == "testing"

# Text

A [link](https://example.org/) that an index can follow.
"""
PACKAGE = {"dqlitewire/__init__.py": b"", "dqlitewire/py.typed": b"", "dqlitewire/runtime.lua": b"-- lua"}
TREE = {f"src/{name}": data for name, data in PACKAGE.items()} | {"LICENSE": b"MIT", "tools/venv": b"#!"}
PURE, NATIVE = "w-1-py3-none-any.whl", "w-1-cp311-abi3-manylinux_2_17_x86_64.whl"


def sdist(path: Path, files: dict[str, bytes], **odd: object) -> Path:
    """Write an sdist as some machine would."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"w-1/{name}")
            member.size, member.mode, member.mtime = len(data), 0o644, time.time()
            if name.startswith("tools/"):
                member.mode = 0o755
            for attribute, value in odd.items():
                setattr(member, attribute, value)
            archive.addfile(member, io.BytesIO(data))
    return path


def wheel_files(native: bool = False, **changed: bytes | None) -> dict[str, bytes]:
    tag = "cp311-abi3-manylinux_2_17_x86_64" if native else "py3-none-any"
    scripts = "[console_scripts]\n" + "\n".join(sorted(inside.SCRIPTS))
    about = {
        "METADATA": ABOUT.encode(),
        "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {str(not native).lower()}\nTag: {tag}\n".encode(),
        "entry_points.txt": scripts.encode(),
        "licenses/LICENSE": b"MIT",
    }
    files = dict(PACKAGE) | {f"w-1.dist-info/{name}": data for name, data in about.items()}
    if native:
        files[inside.MODULE] = b"\x7fELF"
    for name, data in changed.items():
        if data is None:
            del files[name]
        else:
            files[name] = data
    lines = [f"{name},sha256={digest(data)},{len(data)}" for name, data in files.items()]
    return files | {"w-1.dist-info/RECORD": "\n".join([*lines, "w-1.dist-info/RECORD,,"]).encode()}


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def wheel(path: Path, files: dict[str, bytes], mode: int = 0o644, when: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, time.gmtime(when or time.time())[:6])
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, data)
    return path


# ---------------------------------------------------------------- packed anew


@pytest.mark.parametrize("odd", [{"mtime": 5, "uid": 7, "uname": "somebody"}, {"mode": 0o600, "gid": 3}])
def test_an_sdist_does_not_tell_where_it_was_made(tmp_path: Path, odd: dict[str, object]) -> None:
    files = {name: data for name, data in TREE.items() if name != "tools/venv"}
    one = sdist(tmp_path / "one.tar.gz", files)
    other = sdist(tmp_path / "other.tar.gz", dict(reversed(files.items())), **odd)
    assert one.read_bytes() != other.read_bytes()
    normal.pack_sdist(one, EPOCH)
    normal.pack_sdist(other, EPOCH)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes()[:10] == b"\x1f\x8b\x08\x00" + EPOCH.to_bytes(4, "little") + b"\x02\xff"
    assert {name: data for name, (_, data) in normal.contents(one).items()} == files
    normal.pack_sdist(one, EPOCH + 1)
    assert normal.differences(one, other) == [
        "the files are the same, their packing is not: order, times or compression"
    ]


def test_members_of_an_sdist_are_anybodys(tmp_path: Path) -> None:
    path = sdist(tmp_path / "w.tar.gz", TREE, uid=7, uname="somebody", mtime=1.5)
    normal.pack_sdist(path, EPOCH)
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    assert [one.name for one in members] == sorted(f"w-1/{name}" for name in TREE)
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in members} == {(0, 0, "", "", EPOCH)}
    assert {one.name: one.mode for one in members}["w-1/tools/venv"] == 0o755
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("w-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(AssertionError, match="link"):
        normal.pack_sdist(path, EPOCH)


@pytest.mark.parametrize(
    ("mode", "becomes"), [(0o600, 0o644), (0o664, 0o644), (0o700, 0o755), (0o777, 0o755)]
)
def test_what_runs_stays_executable(tmp_path: Path, mode: int, becomes: int) -> None:
    path = sdist(tmp_path / "w.tar.gz", TREE, mode=mode)
    normal.pack_sdist(path, EPOCH)
    assert {mode for mode, _ in normal.contents(path).values()} == {becomes}
    path = wheel(tmp_path / PURE, wheel_files(), mode)
    normal.pack_wheel(path, EPOCH)
    assert {mode for mode, _ in normal.contents(path).values()} == {becomes}


def test_a_wheel_does_not_tell_where_it_was_made(tmp_path: Path) -> None:
    files = wheel_files()
    one = wheel(tmp_path / "one.whl", files)
    other = wheel(tmp_path / "other.whl", dict(reversed(files.items())), 0o600, EPOCH // 2)
    for path in (one, other):
        normal.pack_wheel(path, EPOCH)
    assert normal.differences(one, other) == []
    with zipfile.ZipFile(one) as archive:
        names = [info.filename for info in archive.infolist()]
        assert {info.date_time for info in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        assert archive.testzip() is None
    assert names[-1] == "w-1.dist-info/RECORD"
    assert names == sorted(names, key=lambda name: (".dist-info/" in name, name.endswith("RECORD"), name))
    normal.pack_wheel(one, 0)  # a commit from before zip's first year


# ---------------------------------------------------------------- differences


def test_differences_are_named(tmp_path: Path) -> None:
    one = sdist(tmp_path / "one.tar.gz", TREE)
    other = sdist(tmp_path / "other.tar.gz", TREE | {"LICENSE": b"MIt", "more": b""}, mode=0o600)
    found = normal.differences(one, other)
    assert f"more: only in {other}" in found
    assert "LICENSE: bytes differ from byte 2 on: b'T', b't'" in found
    assert "tools/venv: mode 755 and 600" in found
    assert normal.differences(one, one) == []


def test_a_difference_ends_the_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def make(folder: Path, surroundings: making.Surroundings, time: int) -> making.Made:
        folder.mkdir()
        paths = [wheel(folder / name, wheel_files()) for name in (PURE, NATIVE)]
        where = {"LICENSE": surroundings.folder.encode()}
        made = making.Made(sdist(folder / "w-1.tar.gz", TREE | where), *paths)
        for path in made.all():
            (normal.pack_wheel if path.suffix == ".whl" else normal.pack_sdist)(path, EPOCH)
        return made

    monkeypatch.setattr(command, "make", make)
    with pytest.raises(SystemExit, match=r"^w-1\.tar\.gz: LICENSE: bytes differ from byte 0 on"):
        command.compare(make(tmp_path / "once", making.ORDINARY, EPOCH), tmp_path, EPOCH)


def test_the_two_surroundings_have_nothing_in_common() -> None:
    one, other = making.ORDINARY, making.OTHER
    assert one.folder != other.folder
    assert one.umask != other.umask
    assert one.environment.keys() == other.environment.keys()
    assert not set(one.environment.values()) & set(other.environment.values())


def test_a_copy_of_the_tree_has_the_modes_of_its_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    (root / "tools").mkdir(parents=True)
    (root / "tools" / "run").touch(0o700)
    (root / "text").write_text("text")
    monkeypatch.setattr(making, "ROOT", root)
    monkeypatch.setattr(making, "files_of_the_tree", lambda: ["text", "tools/run"])
    copied = making.tree(tmp_path / "copy", making.OTHER)
    modes = {path.name: path.stat().st_mode & 0o777 for path in copied.rglob("*") if path.is_file()}
    assert modes == {"text": 0o600, "run": 0o700}
    assert copied.parts[-2:] == ("another place", "for the same trée")


def test_the_time_is_that_of_the_commit_or_of_the_sdist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    assert making.epoch() == 5
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setattr(making, "ROOT", tmp_path)
    (tmp_path / "PKG-INFO").touch()
    os.utime(tmp_path / "PKG-INFO", (7, 7))
    assert making.epoch() == 7


# ---------------------------------------------------------------- what is inside


def test_a_release_as_it_should_be_has_no_complaint(tmp_path: Path) -> None:
    source = sdist(tmp_path / "w-1.tar.gz", TREE | {"PKG-INFO": ABOUT.encode(), "setup.cfg": b""})
    made = making.Made(
        source, wheel(tmp_path / PURE, wheel_files()), wheel(tmp_path / NATIVE, wheel_files(native=True))
    )
    assert inside.look(made, TREE) == []
    made.pure.write_bytes(wheel(tmp_path / "other.whl", wheel_files() | {"tests/x.py": b""}).read_bytes())
    assert f"{PURE}: tests/x.py: not of the package" in inside.look(made, TREE)


LITTER = [
    *("src/dqlitewire/__pycache__/a.cpython-311.pyc", "a.pyc", "src/dqlitewire/_speedups.abi3.so", ".venv/x"),
    *(
        ".git/config",
        "build/lib/x.py",
        "dist/x.whl",
        ".pytest_cache/x",
        ".hypothesis/x",
        ".coverage",
        "x.orig",
    ),
    *(".DS_Store", "notes~", ".env", "id_ed25519", ".pypirc"),
]


@pytest.mark.parametrize("name", LITTER)
def test_litter_is_found(name: str) -> None:
    assert inside.complaints({name: (0o644, b"")}) == [f"{name}: does not belong into a release"]


@pytest.mark.parametrize("name", ["tools/venv", "src/dqlitewire/py.typed", "build.py", "tests/conftest.py"])
def test_what_belongs_there_is_none(name: str) -> None:
    assert inside.complaints({name: (0o755, b"")}) == []


def planted() -> Iterator[tuple[str, dict[str, bytes | None], bool]]:
    about = "w-1.dist-info/"
    yield "py.typed: missing", {"dqlitewire/py.typed": None}, False
    yield "runtime.lua: missing", {"dqlitewire/runtime.lua": None}, False
    yield "runtime.lua: is not that of the sdist", {"dqlitewire/runtime.lua": b"--"}, False
    yield "LICENSE: missing", {f"{about}licenses/LICENSE": None}, False
    yield "_speedups.abi3.so: missing", {inside.MODULE: None}, True
    yield "does not belong into a release", {inside.MODULE: b""}, False
    yield "_speedups.abi3.so: names /home/somebody/x.c", {inside.MODULE: b"\x7f\0/home/somebody/x.c\0"}, True
    yield f"names {making.ROOT}", {"dqlitewire/__init__.py": str(making.ROOT).encode()}, False
    yield "no 'dqlite-wire = ", {f"{about}entry_points.txt": b""}, False
    yield "metadata: Name is 'x'", {f"{about}METADATA": ABOUT.replace("dqlite-wire", "x").encode()}, False
    yield "metadata: no extra cli", {f"{about}METADATA": ABOUT.replace("cli", "clo").encode()}, False
    for link in ("[page](docs/page.md)", "![picture](docs/a.svg)", '<img alt="" src="docs/a.svg">'):
        yield "metadata: the text leads to docs/", {f"{about}METADATA": f"{ABOUT}{link}".encode()}, False
    required = ABOUT.replace('; extra == "testing"', "").encode()
    yield "metadata: apsw is required without any extra", {f"{about}METADATA": required}, False
    yield "WHEEL: tags", {f"{about}WHEEL": b"Root-Is-Purelib: true\nTag: cp311-cp311-linux\n"}, False
    yield "WHEEL: Root-Is-Purelib", {f"{about}WHEEL": b"Root-Is-Purelib: false\nTag: py3-none-any\n"}, False


PLANTED = list(planted())


@pytest.mark.parametrize(("said", "changed", "native"), PLANTED, ids=[said for said, *_ in PLANTED])
def test_what_is_wrong_in_a_wheel_is_found(said: str, changed: dict[str, bytes | None], native: bool) -> None:
    def complaints(files: dict[str, bytes]) -> list[str]:
        modes = {name: (0o644, data) for name, data in files.items()}
        package = {name: (0o644, data) for name, data in PACKAGE.items()}
        return inside.wheel(NATIVE if native else PURE, modes, package, native)

    assert complaints(wheel_files(native)) == []
    assert any(said in complaint for complaint in complaints(wheel_files(native, **changed)))


def test_a_sum_that_is_wrong_is_found() -> None:
    files = wheel_files()
    files["dqlitewire/py.typed"] = b"changed"
    assert inside.recorded(files, "w-1.dist-info/RECORD") == ["RECORD: another sum for dqlitewire/py.typed"]
    del files["dqlitewire/py.typed"]
    assert inside.recorded(files, "w-1.dist-info/RECORD") == [
        "RECORD: dqlitewire/py.typed differs in presence"
    ]


CHANGES: list[tuple[Callable[[dict[str, bytes]], object], str]] = [
    (lambda files: files.pop("LICENSE"), "LICENSE: missing"),
    (lambda files: files.pop("tools/venv"), "tools/venv: missing"),
    (lambda files: files.update({"notes.txt": b""}), "notes.txt: not of the tree"),
    (lambda files: files.update({"PKG-INFO": b""}), "metadata: Name is None, not 'dqlite-wire'"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[said for _, said in CHANGES])
def test_what_is_wrong_in_an_sdist_is_found(change: Callable[[dict[str, bytes]], object], said: str) -> None:
    files = TREE | {"PKG-INFO": ABOUT.encode()}
    change(files)
    assert said in inside.sdist({name: (0o644, data) for name, data in files.items()}, set(TREE))


# ---------------------------------------------------------------- trying


def test_what_reads_rows_is_known_before_it_is_tried() -> None:
    python = trying.Python.__new__(trying.Python)
    for python.builds, after in ((True, "native"), (False, "pure")):
        assert [python.rows(kind) for kind in ("native", "pure", "sdist")] == ["native", "pure", after]


def test_a_command_that_fails_ends_the_release_with_what_it_said() -> None:
    with pytest.raises(SystemExit, match=r"(?s)words.*failed \(3\): .*"):
        making.run("sh", "-c", "echo words; exit 3")
