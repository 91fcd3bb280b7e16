"""What of a server's text is shown to people: control, direction and invisible characters become `?`."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqlitewire import sanitize_for_log, sanitize_server_text
from dqlitewire.messages import responses

REPLACED = [
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0x061C, 0x061C),
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x2028, 0x2029),
    (0x202A, 0x202E),
    (0x202F, 0x202F),
    (0x2060, 0x2060),
    (0x2066, 0x2069),
    (0xFEFF, 0xFEFF),
]


def characters(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


def test_every_character_of_unicode_is_kept_or_replaced_by_the_table() -> None:
    wanted, after = "", 0
    for low, high in REPLACED:
        wanted += characters(after, low - 1) + "?" * (high + 1 - low)
        after = high + 1
    wanted += characters(after, sys.maxunicode)
    found = sanitize_server_text(characters(0, sys.maxunicode))
    on_one_line = sanitize_for_log(characters(0, sys.maxunicode))
    # a bool: pytest would look for the difference of a million characters
    assert (found == wanted) is True
    assert (on_one_line == wanted.replace("\n", r"\n").replace("\t", r"\t")) is True


@pytest.mark.parametrize(
    ("text", "server", "log"),
    [
        ("", "", ""),
        ("plain", "plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab", r"two\nlines\tand a tab"),
        ("\x1b[31mred", "?[31mred", "?[31mred"),
        ("a\r\nb", "a?\nb", r"a?\nb"),
        ("\u202egnp.exe", "?gnp.exe", "?gnp.exe"),
        ("zero\u200bwidth", "zero?width", "zero?width"),
        ("ünï 𝄞", "ünï 𝄞", "ünï 𝄞"),
        ("\ud800", "\ud800", "\ud800"),
    ],
)
def test_examples(text: str, server: str, log: str) -> None:
    assert sanitize_server_text(text) == server
    assert sanitize_for_log(text) == log


@given(st.text())
def test_sanitising_keeps_length_and_is_idempotent(text: str) -> None:
    once = sanitize_server_text(text)
    assert len(once) == len(text)
    assert sanitize_server_text(once) == once


@given(st.text())
def test_a_log_line_is_one_line_without_controls(text: str) -> None:
    line = sanitize_for_log(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(char) == "Cc" for char in line)


def test_they_live_beside_the_responses() -> None:
    assert responses.sanitize_server_text is sanitize_server_text
    assert responses.sanitize_for_log is sanitize_for_log
