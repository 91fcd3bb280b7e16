"""What people paste is understood, whatever tool printed it."""

from __future__ import annotations

import base64
import textwrap

import pytest

from dqlitewire.traffic.errors import SourceError
from dqlitewire.traffic.sources.pasted import parse

DATA = b"\x04\x00\x00\x00\x03\x00\x00\x00test.db\x00" + bytes(64) + b"volatile\xff"


def xxd(data: bytes, columns: int = 16) -> str:
    lines = []
    for at in range(0, len(data), columns):
        row = data[at : at + columns]
        pairs = " ".join(row[n : n + 2].hex() for n in range(0, len(row), 2))
        lines.append(f"{at:08x}: {pairs:39}  " + "".join(chr(b) if 32 <= b < 127 else "." for b in row))
    return "\n".join(lines)


def hexdump(data: bytes, offset: int = 0) -> str:
    """As `hexdump -C`, which folds repeated rows into one `*`."""
    lines, before = [], b""
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        if row == before:
            if lines[-1] != "*":
                lines.append("*")
            continue
        before = row
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(f"{at + offset:08x}  {left:23}  {right:23}  |{text}|")
    return "\n".join([*lines, f"{len(data) + offset:08x}"])


def words(data: bytes) -> str:
    """As the protocol's documentation prints frames."""
    rows = [data[at : at + 8] for at in range(0, len(data), 8)]
    return "\n".join(
        f"{8 * n:04x}  {row.hex(' ')}  " + "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        for n, row in enumerate(rows)
    )


def wireshark(data: bytes) -> str:
    rows = [data[at : at + 16] for at in range(0, len(data), 16)]
    return "\n".join(f"{16 * n:04x}   {row.hex(' ')}   {'a' * len(row)}" for n, row in enumerate(rows))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("hex", DATA.hex()),
        ("hex", DATA.hex(" ").upper()),
        ("hex", DATA.hex(":")),
        ("hex", " ".join(f"0x{byte:02x}" for byte in DATA)),
        ("python", ", ".join(f"0x{byte:02x}" for byte in DATA)),
        ("hex", "".join(f"\\x{byte:02x}" for byte in DATA)),
        ("hex", "\n".join(textwrap.wrap(DATA.hex(), 60))),
        ("hex", DATA.hex(" ", 4)),
        ("hex", "0x" + DATA.hex()),
        ("xxd", xxd(DATA)),
        ("xxd", xxd(DATA[:24])),
        ("xxd", hexdump(DATA)),
        ("xxd", hexdump(DATA, 0x120)),
        ("xxd", words(DATA)),
        ("xxd", wireshark(DATA)),
        ("python", repr(DATA)),
        ("python", f"  {DATA[:20]!r}\n  {DATA[20:]!r}"),
        ("python", f"bytearray({DATA!r})"),
        ("python", f"bytes.fromhex({DATA.hex()!r})"),
        ("python", str(list(DATA))),
        ("python", f"[{DATA[:8]!r}, {DATA[8:]!r}]"),
        ("base64", base64.b64encode(DATA).decode()),
        ("base64", base64.urlsafe_b64encode(DATA).decode().rstrip("=")),
        ("base64", base64.encodebytes(DATA).decode()),
    ],
)
def test_forms(form: str, text: str) -> None:
    if form == "xxd":
        text, data = text, DATA[:24] if text == xxd(DATA[:24]) else DATA
    else:
        data = DATA
    assert parse(text) == (form, data)
    assert parse(text, form) == (form, data)
    assert parse("\n" + text + "\n\n") == (form, data)


@pytest.mark.parametrize("text", ["hello, world", "b'abc", "__import__('os')", "0x", "", "12345", "{'a': 1}"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse(text)


def test_insisting_on_a_form() -> None:
    with pytest.raises(SourceError, match="no xxd in"):
        parse(DATA.hex(), "xxd")


def test_printed_packets_are_recognised() -> None:
    printed = "12:00:00.1 IP 10.0.0.1.40001 > 10.0.0.2.9001: Flags [P.]\n\t0x0000:  4500 003c"
    with pytest.raises(SourceError, match="tcpdump -w FILE"):
        parse(printed)
