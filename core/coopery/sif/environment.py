"""What a SIF's own scripts set, read without running anything: ``/.singularity.d/env/*.sh``.

Only what is plain counts: ``export NAME=WORD`` and ``NAME=WORD`` in the quotes of a shell, where a word may name what
was set before, as in ``/opt/bin:$PATH`` and ``${LANG:-C.UTF-8}``. The rest is told, not guessed. Source: POSIX.1-2017,
Shell Command Language, 2.2 "Quoting" and 2.6.2 "Parameter Expansion"; Apptainer user guide 1.4, "Environment and
Metadata".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

OWN: Final = frozenset({"01-base.sh", "94-appsbase.sh", "95-apps.sh", "99-base.sh", "99-runtimevars.sh"})
"""Scripts that Apptainer puts into every image, and we into ours: they say nothing of this one."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What PATH is before the first script, as Apptainer has it."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_COMMAND: Final = re.compile(r"(export|unset)(?=[ \t])")
_BETWEEN: Final = re.compile(r"(?:[ \t]|\\\n)+")
_COMMENT: Final = re.compile(r"#[^\n]*")
_NOTHING: Final = re.compile(r"(?:[ \t\n;]|\\\n|#[^\n]*)*")
_EXPANSION: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(\})|(:?-)))")
_SPECIAL: Final = frozenset("|&<>()*?[]~{}!`\r")
_OPENS: Final = re.compile(r"(?:^|[\s;])(?:if|case|for|while|until|select|function|exit|return|set)\b|<<|[&|\\]\s*$")
"""In a line that is not plain: what follows may depend on it, or be no statement of its own."""

_NOT_TAKEN: Final = "HOME"
"""Apptainer sets it itself: whose home it is depends on who runs the image."""

_SHOWN: Final = 60


class _Unplain(Exception):  # noqa: N818 - ends the reading of a statement, and goes no further
    """The statement is none that can be read."""


def read(env: Iterable[str], scripts: Sequence[tuple[str, bytes]]) -> tuple[list[str], list[str]]:
    """The variables after *scripts*.

    Args:
        env: ``NAME=value``, as they are before.
        scripts: names and contents, in the order in which a shell would read them.

    Returns:
        ``NAME=value``, those of *env* first; and what was not read, in words, one for each place.
    """
    found = dict(entry.partition("=")[::2] for entry in env)
    notes: list[str] = []
    for name, content in scripts:
        try:
            text = content.decode()
            if "\0" in text:
                raise ValueError(text)
        except ValueError:
            notes.append(f"{name}: no text")
            continue
        reader = _Script(text, found)
        notes += [f"{name}, {note}" for note in reader.run()]
        found = reader.exported
    return [f"{name}={value}" for name, value in found.items()], notes


class _Script:
    """One script, statement by statement; ``exported`` is what programs see after it."""

    def __init__(self, text: str, exported: dict[str, str]) -> None:
        self._text = text
        self._at = 0
        self.exported = dict(exported)
        self._all = dict(exported)
        self._assigning = ""

    def run(self) -> Iterable[str]:
        """Read it all; gives the places that are not plain."""
        while True:
            self._skip(_NOTHING)
            start = self._at
            if start == len(self._text):
                return
            try:
                self._statement()
            except _Unplain:
                line = self._text[start:].partition("\n")[0]
                number = self._text.count("\n", 0, start) + 1
                ends = _goes_on(line)
                yield f"line {number}{' to the end' if ends else ''}: {line[:_SHOWN]!r}"
                if ends:
                    return
                self._at = start + len(line)

    def _statement(self) -> None:
        """One ``export``, ``unset``, or assignments; nothing is changed where it is none of them."""
        command = _COMMAND.match(self._text, self._at)
        word = command[1] if command else ""
        self._at = command.end() if command else self._at
        values: dict[str, str] = {}
        names: list[str] = []
        while not self._ended():
            self._skip(_BETWEEN)
            self._skip(_COMMENT)
            if self._ended():
                break
            if (assigned := _ASSIGNED.match(self._text, self._at)) and word != "unset":
                self._at, self._assigning = assigned.end(), assigned[1]
                values[assigned[1]] = self._word("", quoted=False)
                names.append(assigned[1])
            elif word and (name := _NAME.match(self._text, self._at)):
                self._at = name.end()
                names.append(name[0])
            else:
                raise _Unplain
        self._apply(word, names, values)

    def _apply(self, word: str, names: Sequence[str], values: dict[str, str]) -> None:
        self._all |= values
        for name in (name for name in names if name != _NOT_TAKEN):
            if word == "unset":
                self._all.pop(name, None)
                self.exported.pop(name, None)
            elif name in self._all and (word == "export" or name in self.exported):
                self.exported[name] = self._all[name]

    def _ended(self) -> bool:
        return self._at == len(self._text) or self._text[self._at] in "\n;"

    def _skip(self, what: re.Pattern[str]) -> None:
        matched = what.match(self._text, self._at)
        self._at = matched.end() if matched else self._at

    def _word(self, end: str, *, quoted: bool) -> str:
        """Up to *end*, which is passed, or up to where a word ends by itself."""
        pieces: list[str] = []
        while True:
            char = self._text[self._at : self._at + 1]
            if not end and char in ("", " ", "\t", "\n", ";"):
                return "".join(pieces)
            if not char:
                raise _Unplain
            if char == "$":
                pieces.append(self._expansion(quoted=quoted))
                continue
            self._at += 1
            if char == end:
                return "".join(pieces)
            pieces.append(self._piece(char, quoted=quoted))

    def _piece(self, char: str, *, quoted: bool) -> str:
        """What *char*, which was passed, and what belongs to it stand for."""
        if char == "\\":
            following = self._text[self._at : self._at + 1]
            self._at += 1
            if not following:
                raise _Unplain
            kept = "\\" if quoted and following not in '"\\$`}\n' else ""
            return "" if following == "\n" else kept + following
        if char == '"':
            return self._word('"', quoted=True)
        if char == "'" and not quoted:
            close = self._text.find("'", self._at)
            if close < 0:
                raise _Unplain
            text, self._at = self._text[self._at : close], close + 1
            return text
        if char == "`" or (not quoted and (char in _SPECIAL or char.isspace())):
            raise _Unplain
        return char

    def _expansion(self, *, quoted: bool) -> str:
        found = _EXPANSION.match(self._text, self._at)
        if found is None:
            raise _Unplain
        self._at = found.end()
        name = found[1] or found[2]
        value = self._all.get(name, _PATH if name == "PATH" else None)
        if found[4]:
            other = self._word("}", quoted=quoted)
            value = other if value is None or (value == "" and found[4] == ":-") else value
        elif value is None and name == self._assigning:
            value = ""
        if value is None or (not quoted and re.search(r"[\s*?\[]", value)):  # a shell would take it apart
            raise _Unplain
        return value


def _goes_on(line: str) -> bool:
    """Whether what *line* begins may not end with it."""
    odd = any(line.count(quote) % 2 for quote in "'\"`")
    return odd or any(line.count(a) != line.count(b) for a, b in ("()", "{}")) or _OPENS.search(line) is not None
