"""What programs print of bytes is read right, or refused by name: never anything else.

The programs themselves print here: `od`, `hexdump`, `xxd`, `gdb`, `strace`, and Python; Go's and Wireshark's
forms are made as they make them.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.pasted import parse
from tests.real.fixtures import require
from tests.traffic.captured import named
from tests.wire_data import frames

CAPTURE = named("1.18.1-basics-0")


def texts() -> dict[str, bytes]:
    """Bytes of every kind and size; what they look like as text is made to mislead."""
    chance = random.Random(1)
    found = {
        f"random {size}": chance.randbytes(size) for size in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 259)
    }
    found |= {f"frame {n}": frame for n, frame in enumerate(frames(CAPTURE.c2s[8:])[:6])}
    found |= {
        "requests": CAPTURE.c2s[:2000],
        "answers": CAPTURE.s2c[:3000],
        "zeros": bytes(200),
        "one row and more": bytes(range(16)) * 4 + b"abc",
        "digits": b"deadbeef 0123 cafe  00 11 22 33 44 55 66 77 88 99",
        "more digits": b"0000000 01 02 03\n0000020 04 05 06\n" * 3,
        "blanks": b" " * 50 + b"\t\n\r\v\f" + b"  00  01 ",
        "quotes": b"\"'\\|*><{}[],;:%?!/" * 5,
        "high": bytes(range(128, 256)),
        "every": bytes(range(256)),
        "handshake": b"\1" + bytes(7),
        "a word of text": b"volatile",
        "text that ends in blanks": b"abc".ljust(16) + b"def".ljust(31),
        "stars": b"*" * 40,
    }
    return found


TEXTS = texts()

READ = [
    "od -tx1",
    "od -v -tx1",
    "od -Ax -tx1",
    "od -Ax -tx1z",
    "od -tx1z",
    "od -Ad -tx1",
    "od -tx1 -w8",
    "od -tx1 -w32",
    "od -c",
    "od -v -c",
    "od -Ax -c",
    "od -b",
    "od -Ax -b",
    "od -An -v -tx1",
    "hexdump -C",
    "hexdump -v -C",
    "hexdump -b",
    "hexdump -c",
    """hexdump -v -e '1/1 "%02x"'""",
    "xxd",
    "xxd -u",
    "xxd -a",
    "xxd -p",
    "xxd -p -c 31",
    "xxd -i",
    "xxd -g1",
    "xxd -g0",
    "xxd -c 8",
    "xxd -c 32 -g 1",
    "xxd -d",
    "xxd -b",
    "xxd -b -c 4",
    "base64",
    "base64 -w 0",
]
REFUSED = {
    "od": "`od`",
    "od -x": "`od -x`",
    "od -v -tx2": "`od -x`",
    "od -d": "`od -d`",
    "od -tx4": "`od -tx4`",
    "od -tx8": "`od -tx8`",
    "od -tu1": "`od -tu1",
    "od -td1": "`od -tu1",
    "od -a": "`od -a`",
    "od -An -x": "`od -An -x`|`od -x`|no hex|odd number|more bytes|among the hex digits",
    "hexdump": "`hexdump`",
    "hexdump -v": "`hexdump`",
    "hexdump -x": "`hexdump -x`",
    "hexdump -o": "`hexdump -o`",
    "hexdump -d": "`hexdump -d`",
    "xxd -e": "`xxd -e`",
    "xxd -e -g8": "`xxd -e`",
}


def printed(command: str, folder: Path) -> dict[str, str]:
    """What a program prints of each of the texts; one shell runs it for all."""
    program = command.split()[0]
    absent = "" if shutil.which(program) else f"{program} is not installed"
    if absent and program == "hexdump":  # tools/packages takes names of packages that are those of programs
        pytest.skip(absent)
    require(absent)
    for number, data in enumerate(TEXTS.values()):
        (folder / f"data{number}").write_bytes(data)
    subprocess.run(
        f'for file in data*; do {command} "$file" > "out.$file" || exit 1; done',
        shell=True,
        check=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
    )
    return {
        name: (folder / f"out.data{number}").read_bytes().decode("latin-1")
        for number, name in enumerate(TEXTS)
    }


def read(text: str) -> bytes | SourceError:
    try:
        return parse(text)[1]
    except SourceError as error:
        return error


@pytest.mark.parametrize("command", READ)
def test_what_can_be_read_is_read_right(command: str, tmp_path: Path) -> None:
    wrong = []
    texts = printed(command, tmp_path)
    for name, data in TEXTS.items():
        if command.startswith("base64") and len(data) < 8:
            continue  # as any word is
        text = texts[name]
        found = read(text)
        # of a few bytes, or with a `*` and no two lines in a row, two readings are as likely
        unsure = isinstance(found, SourceError) and (
            len(data) <= 8
            or ("\n*\n" in text and command.split()[-1] in ("-w8", "-c", "-b"))
            or (command[-1] in "cb" and 0 not in data)
        )
        if found != data and not unsure:
            wrong.append((name, found, text[:300]))
    assert wrong == []


@pytest.mark.parametrize("command", REFUSED)
def test_words_are_refused_by_name(command: str, tmp_path: Path) -> None:
    """What is refused names the format, what to print instead; what is read is right."""
    right = 0
    texts = printed(command, tmp_path)
    for name, data in TEXTS.items():
        text = texts[name]
        found = read(text)
        if isinstance(found, SourceError):
            known = re.search(REFUSED[command], str(found))
            right += known is not None
            assert (
                known or "cannot be told" in str(found) or "do not add up" in str(found) or len(data) < 8
            ), (name, found)
        else:
            assert found == data, (name, text[:300])
    assert right >= len(TEXTS) // 2


def go_q(data: bytes) -> str:
    """As Go's %q writes a string."""
    simple = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\", 34: '\\"'}
    out: list[str] = []
    for char in data.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif code in simple:
            out.append(simple[code])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        else:
            out.append(char if char.isprintable() else f"\\u{code:04x}")
    return '"' + "".join(out) + '"'


def c_string(data: bytes, all_hex: bool) -> str:
    """As strace writes a string with -xx, or without."""
    if all_hex:
        return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'
    simple = {9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    out = []
    for byte, following in zip(data, (data + bytes(1))[1:], strict=True):
        octal = f"\\{byte:03o}" if 48 <= following <= 57 else f"\\{byte:o}"
        out.append(simple.get(byte) or (chr(byte) if 32 <= byte < 127 else octal))
    return '"' + "".join(out) + '"'


def ascii_of(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def rows(data: bytes, shown: Callable[[int, bytes], str]) -> str:
    return "\n".join(shown(at, data[at : at + 16]) for at in range(0, len(data), 16)) + "\n"


WRITTEN: dict[str, Callable[[bytes], str]] = {
    "Go %x": lambda data: data.hex(),
    "Go % x": lambda data: data.hex(" "),
    "Go %X": lambda data: data.hex().upper(),
    "Go %#x": lambda data: "0x" + data.hex(),
    "Go % #x": lambda data: " ".join(f"0x{byte:02x}" for byte in data),
    "Go %v": lambda data: "[" + " ".join(map(str, data)) + "]",
    "Go %#v": lambda data: "[]byte{" + ", ".join(f"{byte:#x}" for byte in data) + "}",
    "Go %q": go_q,
    "Python bytes": repr,
    "Python bytearray": lambda data: repr(bytearray(data)),
    "Python list": lambda data: repr(list(data)),
    "Python list of bytes": lambda data: repr([data[:7], data[7:]]),
    "Python hex()": lambda data: data.hex(":"),
    "Wireshark hex dump": lambda data: rows(data, lambda at, row: f"{at:04x}   {row.hex(' ')}"),
    "Wireshark hex and text": lambda data: rows(
        data, lambda at, row: f"{at:04x}   {row.hex(' '):47}   {ascii_of(row)}"
    ),
    "Wireshark hex stream": lambda data: data.hex(),
    "Wireshark escaped": lambda data: " \\\n".join(
        '"' + "".join(f"\\x{b:02x}" for b in data[at : at + 16]) + '"' for at in range(0, len(data), 16)
    ),
    "Wireshark C array": lambda data: (
        "char peer0_0[] = { /* Packet 4 */\n" + ", ".join(f"0x{byte:02x}" for byte in data) + " };\n"
    ),
    "gdb x/xb": lambda data: "\n".join(
        f"0x{0x7FFE1230 + at:x}{f' <buffer+{at}>' if at else ' <buffer>'}:\t"
        + "\t".join(f"0x{b:02x}" for b in data[at : at + 8])
        for at in range(0, len(data), 8)
    ),
    "strace": lambda data: f"write(5, {c_string(data, False)}, {len(data)}) = {len(data)}\n",
    "strace -xx": lambda data: (
        f"sendto(5, {c_string(data, True)}, {len(data)}, MSG_NOSIGNAL, NULL, 0) = {len(data)}"
    ),
    "strace -f -tt -yy": lambda data: (
        f"[pid 77] 10:00:00.12 write(5<TCP:[10.0.0.1:1->10.0.0.2:9001]>, {c_string(data[:9], True)}, 9)"
        f" = {len(data[:9])}\n"
        f"[pid 77] 10:00:00.2 write(5<TCP:[a->b]>, {c_string(data[9:], True)}, 999) = {len(data[9:])}\n"
    ),
    "strace writev": lambda data: (
        f"writev(5, [{{iov_base={c_string(data[:5], False)}, iov_len=5}}, "
        f"{{iov_base={c_string(data[5:], False)}, iov_len=9}}], 2) = {len(data)}"
    ),
    "Node.js": lambda data: f"<Buffer {data.hex(' ')}>",
}


@pytest.mark.parametrize("form", WRITTEN)
def test_what_languages_and_tools_write(form: str) -> None:
    wrong = []
    for name, data in TEXTS.items():
        if form == "Go %q" and data.isascii() and data.decode().isprintable() and b'"' not in data:
            continue  # a text in quotes
        text = WRITTEN[form](data)
        if (found := read(text)) != data:
            wrong.append((name, found, text[:200]))
    # a single number, a string without any escape: these may be anything
    assert [
        entry for entry in wrong if not isinstance(entry[1], SourceError) or len(TEXTS[entry[0]]) > 60
    ] == []
    assert len(wrong) <= 6, wrong


CUT: dict[str, tuple[str, str]] = {
    "strace cut": (f"write(5, {c_string(CAPTURE.c2s[:32], True)}..., 64) = 64", "strace has cut off"),
    "strace both ways": (
        'write(5, "\\1\\0", 2) = 2\nread(5, "\\2\\0", 99) = 2',
        "two directions",
    ),
    "strace unfinished": ('write(5, "\\1\\0", 2) = 2\nread(5,  <unfinished ...>', "no whole read or write"),
    "gdb words": ("0x7ffe1230:\t0x00000001\t0x00000000", "x/64xb"),
    "gdb decimals": ("0x7ffe1230 <b>:\t1\t0\t3", "x/64xb"),
    "gdb characters": ("0x7ffe1230:\t1 '\\001'\t0 '\\000'", "x/64xb"),
    "C arrays both ways": ("char peer0_0[] = {0x01};\nchar peer1_0[] = {0x02};", "two directions"),
    "YAML": (
        "peers:\n  - peer: 0\npackets:\n  - data: !!binary |\n      AQAAAAAAAAA=",
        "save the stream as Raw",
    ),
    "Node.js": ("<Buffer 01 00 ... 50 more bytes>", "cut off"),
    "rows left out": ("0000000 01 02 03 04\n*\n", "cannot be told"),
    "rows left out, no offsets": (
        " 01 00 00 00 00 00 00 00\n 00 00 00 00 00 00 00 00\n*\n 02 00",
        "leaves lines out",
    ),
    "odd tokens": ("1 0 0 0 4 0", "no whole number of bytes"),
    "od -An -x": (" 0001 0000 0000 0000 0003 0000", "od -An -x"),
}


@pytest.mark.parametrize("form", CUT)
def test_what_is_cut_off_or_mixed_is_refused_by_name(form: str) -> None:
    text, message = CUT[form]
    with pytest.raises(SourceError, match=message):
        parse(text)


@pytest.mark.parametrize("size", [5, 40, 260])
def test_gdb_itself(size: int, tmp_path: Path) -> None:
    if shutil.which("gdb") is None:
        pytest.skip("gdb is not installed")
    program = shutil.which("true")
    command = ["gdb", "-batch", "-nx", "-ex", "starti", "-ex", f"dump memory {tmp_path}/m $sp $sp+{size}"]
    told = subprocess.run(
        [*command, "-ex", f"x/{size}xb $sp", str(program)], capture_output=True, text=True, timeout=300
    )
    if not (tmp_path / "m").exists():
        pytest.skip(f"gdb cannot run a program here: {told.stderr[-200:]}")
    lines = [line for line in told.stdout.splitlines() if re.match(r"0x[0-9a-f]+.*:\t", line)]
    assert read("\n".join(lines)) == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize("option", ["", "-x", "-xx"])
def test_strace_itself(option: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    (tmp_path / "data").write_bytes(TEXTS["requests"])
    command = f"strace {option} -s 100000 -e trace=write -o {tmp_path}/log cat {tmp_path}/data"
    told = subprocess.run(command, shell=True, capture_output=True, timeout=300)
    if told.returncode:
        pytest.skip(f"strace cannot run here: {told.stderr[-200:]!r}")
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("write(")]
    assert read("\n".join(lines)) == TEXTS["requests"]
