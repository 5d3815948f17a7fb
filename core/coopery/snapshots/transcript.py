"""What a step prints: cut into lines, secrets masked, passed on as events; so much of it, and then its end."""

from __future__ import annotations

import codecs
from collections import deque
from typing import TYPE_CHECKING, Final

from coopery.events import Output
from coopery.redact import Redactor

if TYPE_CHECKING:
    from coopery.backend import Workshop

_TAIL: Final = 40
_LONGEST_LINE: Final = 8192
_LONGEST_TAIL: Final = 16384

_MOST_LINES: Final = 100_000
_MOST_TEXT: Final = 16 << 20
"""Lines, and characters, that are passed on as they come. What follows is only counted, but for its end: a step that
prints gigabytes takes as long as it takes, not as long as we take to mask and write them, and fills no disk."""

_KEPT: Final = 1 << 16
"""Bytes of the end that are kept of each stream."""


class Transcript:
    """The output of one step. The last lines are for the error."""

    def __init__(self, workshop: Workshop) -> None:
        self._emit = workshop.emit
        self._redact = Redactor(value.decode("utf-8", "replace") for value in workshop.secrets.values())
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._rests: dict[int, str] = {}
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._lines = self._text = 0
        self._ends: dict[int, _End] | None = None

    def feed(self, data: bytes, stream: int = 0) -> None:
        """Some bytes more of one *stream*, of any encoding; lines may be of any length.

        What one stream has begun and the other interrupts stays one line: an engine that keeps them apart tells them
        apart here.
        """
        if self._ends is not None:
            self._end(self._ends, stream).add(data)
            return
        decoder = self._decoders.get(stream) or codecs.getincrementaldecoder("utf-8")("replace")
        self._decoders[stream] = decoder
        self._take(decoder.decode(data), stream)
        if self._lines >= _MOST_LINES or self._text >= _MOST_TEXT:
            self._ends = self._begun()
            self._pass_on(f"(this step has printed {self._lines} lines: of what follows only the end is kept)")

    def close(self) -> None:
        """The last line of each stream, where no newline ended it; the end of what was left out."""
        self._flush()
        ends, self._ends = self._ends or {}, None
        for end in ends.values():
            if not end.text:
                continue
            if end.lost:
                self._pass_on(f"(at least {end.lost} bytes are left out)")
            text = self._redact(end.text)  # whole secrets first: what begins the text may be a part of one
            text = text[self._redact.longest if end.lost else 0 :]
            for line in text.removesuffix("\n").split("\n"):
                self._whole(line)

    @property
    def tail(self) -> str:
        """The last lines; where they are very long, their end: an error is read by people, the log has it all."""
        text = "\n".join(self._tail)
        return text if len(text) <= _LONGEST_TAIL else f"… {text[-_LONGEST_TAIL:]}"

    def _begun(self) -> dict[int, _End]:
        """What each stream has begun and not ended is no line yet: a secret may go on in what follows."""
        ends: dict[int, _End] = {}
        for stream, decoder in self._decoders.items():
            self._end(ends, stream).add(self._rests.pop(stream, "").encode() + decoder.getstate()[0])
        self._decoders.clear()
        return ends

    def _end(self, ends: dict[int, _End], stream: int) -> _End:
        return ends.setdefault(stream, _End(4 * self._redact.longest))

    def _flush(self) -> None:
        for stream, decoder in self._decoders.items():
            self._take(decoder.decode(b"", final=True), stream)
        for rest in filter(None, self._rests.values()):
            self._whole(rest)
        self._rests.clear()
        self._decoders.clear()

    def _take(self, text: str, stream: int) -> None:
        *lines, rest = (self._rests.get(stream, "") + text).split("\n")
        for line in lines:
            self._whole(line)
        self._rests[stream] = self._long(rest, _LONGEST_LINE + 2 * self._redact.longest)

    def _whole(self, line: str) -> None:
        """A line to its end."""
        self._line(self._long(line, _LONGEST_LINE))

    def _long(self, line: str, most: int) -> str:
        """Hand on *line* in pieces, none of which ends within a secret; returns the rest, of at most *most*."""
        start = 0
        while len(line) - start > most:
            ahead = line[start : start + _LONGEST_LINE + 2 * self._redact.longest]
            end = self._redact.cut(ahead, _LONGEST_LINE)
            self._line(ahead[:end])
            start += end
        return line[start:]

    def _line(self, text: str) -> None:
        self._lines += 1
        self._text += len(text)
        self._pass_on(self._redact(text.rstrip("\r").rpartition("\r")[2]))

    def _pass_on(self, line: str) -> None:
        self._tail.append(line)
        self._emit(Output(stage="steps", line=line))


class _End:
    """The end of what one stream prints, and how much it was.

    Args:
        more: bytes that are kept besides, since a secret that is cut at the beginning of the end could not be masked.
    """

    def __init__(self, more: int) -> None:
        self._size = _KEPT + more
        self._kept = bytearray()
        self._seen = 0

    def add(self, data: bytes) -> None:
        """Some bytes more."""
        self._seen += len(data)
        self._kept += data[-self._size :]
        del self._kept[: -self._size]

    @property
    def lost(self) -> int:
        """Bytes that came and are not kept."""
        return self._seen - len(self._kept)

    @property
    def text(self) -> str:
        """What is kept."""
        return self._kept.decode("utf-8", "replace")
