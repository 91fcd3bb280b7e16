"""`explain`: codes, names, bytes and what is none of them, from the command line, a pipe or a file."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import RequestType, ResponseType
from dqlitewire.messages import FailureResponse, LeaderRequest
from dqlitewire.servers.codes import NAMES
from dqlitewire.traffic.views.lookup import explain_word, nearest
from tests.traffic.command import COMMAND, on_terminal, run

FRAME = FailureResponse(5, "database is locked").encode()
WORDS = sorted({*NAMES.values(), *(kind.name for kinds in (RequestType, ResponseType) for kind in kinds)})


# ---------------------------------------------------------------- a mistake in a name


def mistakes(name: str) -> list[str]:
    """A letter left out, doubled, changed, and two that changed places, somewhere in the middle."""
    at = len(name) // 2
    return [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + "Z" + name[at + 1 :],
        name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :],
    ]


@pytest.mark.parametrize("name", [name for name in WORDS if len(name) >= 5])
def test_a_mistake_in_any_name_is_no_base64_and_the_name_is_suggested(name: str) -> None:
    for word in mistakes(name):
        if not explain_word(word):
            result = run("explain", word)
            assert (result.code, result.out) == (3, ""), word
            assert result.err.startswith(f"dqlite-wire: {word!r} is no code, no message type, "), word
            assert name in result.err.partition("; did you mean ")[2], word


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("SQLITE_BUZY", "SQLITE_BUSY"),
        ("sqlite-buzy", "SQLITE_BUSY"),
        ("QUERY_SLQ", "QUERY_SQL"),
        ("query-slq", "QUERY_SQL"),
        ("not_leadr", "SQLITE_IOERR_NOT_LEADER"),
        ("constraint_uniqe", "SQLITE_CONSTRAINT_UNIQUE"),
        ("28a", "0x28a"),
    ],
)
def test_what_was_meant(word: str, meant: str) -> None:
    assert meant in nearest(word)
    for result in (run("explain", word), run("explain", "-", stdin=word.encode()), run("explain", "5", word)):
        assert result.code == 3
        assert meant in result.err


@pytest.mark.parametrize("word", ["hello", "helloworld12", "zz", "no-such-thing", "/no/such/file"])
def test_what_is_like_nothing_gets_no_suggestion(word: str) -> None:
    result = run("explain", word)
    said = f"dqlite-wire: {word!r} is no code, no message type, no bytes and no file\n"
    assert result == (3, "", said)


@given(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=24))
def test_no_word_without_a_frame_in_it_is_taken_for_one(word: str) -> None:
    """Letters alone are never shown as bytes, whatever base64 makes of them."""
    if word.isalpha() and not set(word.lower()) <= set("abcdef") and not os.path.exists(word):
        assert run("explain", word).code in ((0,) if explain_word(word) else (3,))


def test_base64_is_still_read() -> None:
    for data in (FRAME, LeaderRequest().encode(), bytes.fromhex("e53f4360d74d1086")):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(data).decode()
            assert run("explain", text).code == 0, text
            assert run("explain", text.rstrip("=")).code == 0, text
    assert run("explain", "--format", "base64", "SQLITE_BUZY").code == 1  # as somebody wants it


# ---------------------------------------------------------------- several, mixed


def test_several_codes_are_several_codes() -> None:
    result = run("explain", "5", "SQLITE_FULL", "0x28a", "QUERY_SQL")
    assert (result.code, result.err) == (0, "")
    blocks = [block.splitlines()[0] for block in result.out.split("\n\n")]
    assert blocks == [
        "failure code 5 (0x5): SQLITE_BUSY",
        "request 5: EXEC",
        "response 5: STMT",
        "failure code 13 (0xd): SQLITE_FULL",
        "failure code 650 (0x28a)",
        "request 9: QUERY_SQL",
    ]
    for other in (
        ["5 SQLITE_FULL 0x28a QUERY_SQL"],
        ["5,", "SQLITE_FULL,0x28a", " QUERY_SQL "],
        ["5,SQLITE_FULL\n0x28a\tQUERY_SQL"],
    ):
        assert run("explain", *other) == result


def test_what_is_the_same_is_said_once() -> None:
    assert run("explain", "SQLITE_BUSY", "busy", "SQLITE_BUSY") == run("explain", "SQLITE_BUSY")


def test_one_that_is_unknown_keeps_none_of_the_others() -> None:
    result = run("explain", "SQLITE_BUSY", "nonsense", "SQLITE_FUL")
    assert result.code == 3
    assert result.out == run("explain", "SQLITE_BUSY").out
    said = "'nonsense', 'SQLITE_FUL': no codes and no message types; did you mean SQLITE_FULL?"
    assert result.err == f"dqlite-wire: {said}\n"
    many = run("explain", "5", "uuuuu", "vvvvv", "wwwww", "xxxxx")
    assert many.err == "dqlite-wire: 'uuuuu', 'vvvvv', 'wwwww' and 1 more: no codes and no message types\n"


@pytest.mark.parametrize(
    "text",
    [
        FRAME.hex(" "),
        FRAME.hex(" ", 4),
        " ".join(f"0x{byte:02x}" for byte in FRAME),
        ", ".join(f"0x{byte:02X}" for byte in FRAME),
        ":".join(f"{byte:02x}" for byte in FRAME),
    ],
)
def test_words_of_hex_are_a_frame(text: str) -> None:
    expected = run("explain", FRAME.hex())
    assert expected.out.startswith("FAILURE response")
    assert (
        run("explain", *text.split())
        == run("explain", text)
        == run("explain", stdin=text.encode())
        == expected
    )


@pytest.mark.parametrize(
    ("word", "code"), [("0x280A", 10250), ("0X280a", 10250), ("280a", 10250), ("280A", 10250)]
)
def test_hex_codes(word: str, code: int) -> None:
    assert run("explain", word).out.startswith(f"failure code {code} (0x280a): SQLITE_IOERR_NOT_LEADER\n")


# ---------------------------------------------------------------- codes that nobody has


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("0x28a", ["failure code 650 (0x28a)", "  a code that neither SQLite nor dqlite has"]),
        ("99999", ["failure code 99999 (0x1869f)", "  a code that neither SQLite nor dqlite has"]),
        (
            "10250",
            ["failure code 10250 (0x280a): SQLITE_IOERR_NOT_LEADER", "  extends SQLITE_IOERR: 10 + 40 * 256"],
        ),
        (
            "0x1805",
            [
                "failure code 6149 (0x1805)",
                "  extends SQLITE_BUSY, by a number that SQLite does not use: 5 + 24 * 256",
            ],
        ),
    ],
)
def test_extended_codes(code: str, lines: list[str]) -> None:
    shown = run("explain", code).out.splitlines()
    assert set(lines) <= set(shown)
    assert ("extends" in " ".join(shown)) == ("extends" in " ".join(lines))


def test_every_code_with_a_name_extends_one_with_a_name() -> None:
    for code in range(1, 1 << 14):
        for lines in explain_word(str(code))[:1]:
            assert all("extends SQLITE_" in line for line in lines if "extends" in line)
            assert "code 138" not in "\n".join(lines[1:])


# ---------------------------------------------------------------- where it comes from


INPUTS = [
    b"SQLITE_BUSY\n",
    b"5 SQLITE_BUSY 0x28a\n",
    b"SQLITE_BUZY\n",
    b" 261 ",
    FRAME,
    FRAME.hex().encode(),
    b"no such thing",
]


@pytest.mark.parametrize("data", INPUTS)
def test_a_pipe_a_dash_a_file_and_a_fifo_are_alike(data: bytes, tmp_path: Path) -> None:
    expected = run("explain", stdin=data)
    assert expected.code in (0, 3)
    assert run("explain", "-", stdin=data) == expected
    path = tmp_path / "input"
    path.write_bytes(data)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    results = run("explain", path), run("explain", fifo)
    writer.join(60)
    for name, result in zip((path, fifo), results, strict=True):
        assert result._replace(err=result.err.replace(str(name), "stdin")) == expected
    if data.isascii() and b"\0" not in data:
        assert run("explain", data.decode()) == expected


def test_a_real_pipe() -> None:
    for arguments in ([], ["-"]):
        done = subprocess.run(
            [*COMMAND, "explain", *arguments], input=b"SQLITE_BUZY", capture_output=True, check=False
        )
        assert done.returncode == 3
        assert b"did you mean SQLITE_BUSY?" in done.stderr


def test_more_than_words_are_read_from_a_pipe() -> None:
    data = FRAME * 1000
    assert run("explain", stdin=data) == run("explain", "-", stdin=data)
    assert run("explain", stdin=data).out.count("FAILURE response") == 1000


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_nothing(text: str) -> None:
    said = (3, "", "dqlite-wire: nothing to explain but blanks\n")
    assert run("explain", text) == said
    assert run("explain", stdin=text.encode()) == (said if text else (3, "", "dqlite-wire: stdin: empty\n"))


def test_a_terminal_and_no_argument() -> None:
    assert "nothing to explain: name a code" in on_terminal("explain")
