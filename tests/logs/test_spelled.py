"""What would steer a terminal is spelled out, character by character, whatever else is around it."""

from __future__ import annotations

import sys

import pytest

from coopery import spelled

ALL = "".join(map(chr, (*range(0x3100), *range(0xD7F0, 0xE010), 0xFEFF, 0xFFFF, 0x1F600, 0xE0001, sys.maxunicode)))


def by_hand(text: str, kept: str) -> str:
    return "".join(char if char.isprintable() or char in kept else f"\\x{ord(char):02x}" for char in text)


@pytest.mark.parametrize(
    "text", [ALL, ALL[::-1], "", "plain", "tab\tand\nline\n", "\x1b[31mred\x1b[0m\r\n", "\0" * 9000]
)
def test_every_character(text: str) -> None:
    for _ in range(2):  # the second time it is remembered
        assert spelled.line(text) == by_hand(text, "\t")
        assert spelled.lines(text) == by_hand(text, "\t\n")
