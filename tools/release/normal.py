"""Pack an archive anew, so that its bytes follow from names, contents and executability of its files alone.

Order, times, owners, modes, the header of gzip and the system that zip names are the same everywhere.
Contents stay as they are, so the sums in the RECORD of a wheel hold.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import time
import zipfile
from pathlib import Path

__all__ = ["contents", "differences", "pack_sdist", "pack_wheel"]

FIRST_OF_ZIP = 315532800  # 1980, before which zip has no times


def mode_of(mode: int) -> int:
    return 0o755 if mode & 0o100 else 0o644


def pack_sdist(path: Path, epoch: int) -> None:
    """Pack an sdist anew, in its place."""
    with tarfile.open(path) as old:
        members = sorted((one for one in old if one.isfile()), key=lambda one: one.name)
        others = [one.name for one in old if not one.isfile() and not one.isdir()]
        assert not others, f"{path.name} has what is no file: {others}"
        read = [(one, old.extractfile(one)) for one in members]
        files = [(one, file.read()) for one, file in read if file is not None]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for one, data in files:
            fresh = tarfile.TarInfo(one.name)
            fresh.size, fresh.mtime, fresh.mode = len(data), epoch, mode_of(one.mode)
            new.addfile(fresh, io.BytesIO(data))
    with path.open("wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=epoch) as zipped:
        zipped.write(packed.getvalue())


def pack_wheel(path: Path, epoch: int) -> None:
    """Pack a wheel anew, in its place; its metadata stands last, as installers like it, RECORD behind all."""
    with zipfile.ZipFile(path) as old:
        files = [(one, old.read(one)) for one in old.infolist() if not one.is_dir()]
    files.sort(
        key=lambda file: (
            ".dist-info/" in file[0].filename,
            file[0].filename.endswith(".dist-info/RECORD"),
            file[0].filename,
        )
    )
    with zipfile.ZipFile(path, "w") as new:
        for one, data in files:
            fresh = zipfile.ZipInfo(one.filename, time.gmtime(max(epoch, FIRST_OF_ZIP))[:6])
            fresh.create_system = 3  # Unix, whose modes the next line has
            fresh.external_attr = (stat.S_IFREG | mode_of(one.external_attr >> 16)) << 16
            new.writestr(fresh, data, zipfile.ZIP_DEFLATED, 9)


def contents(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of each file of a wheel or an sdist, the latter without its topmost folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {
                one.filename: (one.external_attr >> 16 & 0o777, wheel.read(one))
                for one in wheel.infolist()
                if not one.is_dir()
            }
    with tarfile.open(path) as sdist:
        found = [(one, sdist.extractfile(one)) for one in sdist if one.isfile()]
        return {
            one.name.partition("/")[2]: (one.mode, file.read()) for one, file in found if file is not None
        }


def differences(one: Path, other: Path) -> list[str]:
    """Return in what two archives differ, a line for each file, else one for their packing."""
    if one.read_bytes() == other.read_bytes():
        return []
    has, wants = contents(one), contents(other)
    found = [f"{name}: only in {path}" for path, name in only(one, has, other, wants)]
    for name in sorted(has.keys() & wants.keys()):
        if has[name][0] != wants[name][0]:
            found.append(f"{name}: mode {has[name][0]:o} and {wants[name][0]:o}")
        if has[name][1] != wants[name][1]:
            found.append(f"{name}: bytes differ {first_of(has[name][1], wants[name][1])}")
    return found or ["the files are the same, their packing is not: order, times or compression"]


def only(
    one: Path, has: dict[str, tuple[int, bytes]], other: Path, wants: dict[str, tuple[int, bytes]]
) -> list[tuple[Path, str]]:
    return [
        *((one, name) for name in sorted(has.keys() - wants.keys())),
        *((other, name) for name in sorted(wants.keys() - has.keys())),
    ]


def first_of(one: bytes, other: bytes) -> str:
    lengths = min(len(one), len(other))
    at = next((i for i in range(lengths) if one[i] != other[i]), lengths)
    return f"from byte {at} on: {one[at : at + 24]!r}, {other[at : at + 24]!r}"
