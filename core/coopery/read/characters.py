"""Characters that a definition may hold. What could end a line, a string or a reader's trust is refused early."""

from __future__ import annotations

import re
from typing import Final

from coopery.read.pattern import Pattern
from coopery.read.reading import Mistake

# C0, DEL, C1, the two Unicode line ends, directional overrides ("Trojan Source", CVE-2021-42574), the byte order
# mark, noncharacters and lone surrogates.
_NEVER: Final = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff"
)
_IN_FILES: Final = Pattern(f"[{_NEVER}]")
_IN_SCRIPTS: Final = Pattern(f"[\r{_NEVER}]")
_IN_LINES: Final = Pattern(f"[\t\n\r{_NEVER}]")


def first_refused(text: str) -> re.Match[str] | None:
    """The first character of a file's text that may stand nowhere in it, comments included."""
    if _plain(text.replace("\r", "")):
        return None
    return _IN_FILES.search(text)


def check(text: str, *, lines: bool) -> None:
    """Check a value; *lines* says that it may have line ends and tabs, as a script may.

    Raises:
        Mistake: naming the character.
    """
    plain = _plain(text) if lines else text.isascii() and text.isprintable()
    refused = None if plain else (_IN_SCRIPTS if lines else _IN_LINES).search(text)
    if refused is None:
        return
    what = "no control characters but line ends (\\n) and tabs" if lines else "one line with no control characters"
    raise Mistake(f"expected {what}, found {name(refused[0])} as character {refused.start() + 1}")


def _plain(text: str) -> bool:
    """Whether *text* is printable ASCII, line ends and tabs: most is, and needs no regular expression compiled."""
    return text.isascii() and text.replace("\n", "").replace("\t", "").isprintable()


def name(character: str) -> str:
    """``U+2028``: how a character is called in messages."""
    return f"U+{ord(character):04X}"


def joined_surrogates(text: str) -> str:
    """*text* with pairs of surrogates, as JSON escapes write them, made into the characters they mean."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
