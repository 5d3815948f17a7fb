"""Blobs on their way to us: asked for again from where they broke off. Spec: "Pulling blobs".

Nothing is verified here: `coopery.oci.intake` and `coopery.oci.source.read_document` do that, whoever the giver is.
For that reason a blob may come in pieces from several givers, a mirror and the registry itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from coopery.digest import Digest
from coopery.errors import BaseError, NetworkError
from coopery.registry.endpoint import Endpoint
from coopery.wire.answer import Answer
from coopery.wire.tries import Tries

_MISSING: Final = 404
_PARTIAL: Final = 206
_PROGRESS: Final = 1 << 20
"""A blob that breaks off every megabyte still arrives; one that breaks off more often is given up after five times."""

_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")
_LONGEST: Final = 1 << 18


class Download:
    """One blob, read from the front.

    Args:
        endpoints: who may have it, the first to be asked first.
        path: below the repository: ``blobs/sha256:…``.
        tell: called with what the user should know when a giver is passed over.
    """

    def __init__(self, endpoints: Sequence[Endpoint], path: str, tell: Callable[[str], None]) -> None:
        self._givers = list(endpoints)
        self._path = path
        self._tell = tell
        self._stack = ExitStack()
        self._answer: Answer | None = None
        self._at = 0
        self._safe = 0
        self._tries = self._new_tries()

    def begin(self) -> None:
        """Ask for it, so that what is not there is known before anything is read.

        Raises:
            NetworkError: nobody who could be reached has it.
        """
        while self._answer is None:
            self._attempt(self._open)

    def read(self, size: int, /) -> bytes:
        """Some bytes, at most *size*; ``b""`` at the end only.

        Raises:
            NetworkError: it broke off, and could not be taken up again.
        """
        while True:
            self.begin()
            data = self._attempt(lambda: self._answer.read(min(size, _LONGEST)) if self._answer else None)
            if data is not None:
                self._at += len(data)
                if self._at - self._safe >= _PROGRESS:
                    self._safe = self._at
                    self._tries.progressed()
                return data

    def close(self) -> None:
        """Done with it, read to the end or not."""
        self._answer = None
        self._stack.close()

    def _attempt(self, act: Callable[[], bytes | None]) -> bytes | None:
        try:
            return act()
        except NetworkError as exc:
            self.close()
            if self._at > self._safe:
                self._tries.moved()
            try:
                self._tries.failed(exc)
            except NetworkError as last:
                self._pass_over(last)
            return None

    def _open(self) -> None:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        opened = self._givers[0].open("GET", self._path, headers=headers, accept=(200, _PARTIAL), retry=False)
        answer = self._stack.enter_context(opened)
        self._skip(answer)
        self._answer = answer

    def _skip(self, answer: Answer) -> None:
        """Come to where we are in an answer that begins elsewhere: not every server knows ranges."""
        begins = 0
        if answer.status == _PARTIAL:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
            begins = int(match[1]) if match else -1
        if not 0 <= begins <= self._at:
            raise NetworkError(answer.address.shown, "it sends another part of the blob than was asked for")
        left = self._at - begins
        while left:
            data = answer.read(min(left, _LONGEST))
            if not data:
                raise NetworkError(answer.address.shown, "the blob is shorter than what came of it before")
            left -= len(data)

    def _pass_over(self, error: NetworkError) -> None:
        """Go on with the next giver, where there is one."""
        if len(self._givers) == 1:
            raise error
        passed = self._givers.pop(0)
        self._tell(f"{passed.name}: {error.reason}; going on with {self._givers[0].name}")
        self._tries = self._new_tries()

    def _new_tries(self) -> Tries:
        return self._givers[0].http.tries()


@contextmanager
def download(
    endpoints: Sequence[Endpoint], digest: Digest, tell: Callable[[str], None], folder: str = "blobs"
) -> Iterator[Download]:
    """The bytes of the blob *digest*, as far as anybody knows.

    Raises:
        BaseError: nobody has it.
        NetworkError: nobody could be asked.
    """
    opened = Download(endpoints, f"{folder}/{digest}", tell)
    try:
        try:
            opened.begin()
        except NetworkError as exc:
            if exc.status != _MISSING:
                raise
            raise BaseError(f"{endpoints[-1].name}: has no {folder[:-1]} {digest}") from exc
        yield opened
    finally:
        opened.close()
