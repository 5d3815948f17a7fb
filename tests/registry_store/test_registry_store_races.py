"""Writers at once, in every order that chance finds: paused anywhere, killed anywhere, all readers see one record.

The registry here is a dictionary that lets one request of one writer through at a time, in an order that the test
chooses: no real one can be told to do that. The real one's turn is in ``test_registry_many.py``.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Collection

import pytest

from coopery.cache import Record
from coopery.digest import of_bytes
from coopery.oci import media
from coopery.oci.descriptor import Descriptor
from coopery.stores.registry.artifact import Artifact
from coopery.stores.registry.records import Records
from soak import rounds

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

NAME = "ab" * 32


class Killed(BaseException):
    pass


class Turns:
    """Who may go: each request of a writer waits until the test lets it through."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._changed = threading.Condition()
        self._waiting: dict[int, threading.Event] = {}
        self._running = 0
        self.doomed: set[int] = set()

    def begin(self) -> None:
        with self._changed:
            self._running += 1

    def end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify()

    def wait(self, who: int) -> None:
        go = threading.Event()
        with self._changed:
            self._waiting[who] = go
            self._running -= 1
            self._changed.notify()
        go.wait()
        if who in self.doomed:
            raise Killed

    def run(self, kills: int) -> None:
        """Let requests through until everybody is done; *kills* times somebody dies instead."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running == 0)
                if not self._waiting:
                    return
                who = self._chance.choice(sorted(self._waiting))
                if kills and self._chance.random() < 0.1:
                    kills -= 1
                    self.doomed.add(who)
                self._running += 1
                self._waiting.pop(who).set()


class Dictionary:
    """A repository, as `Records` asks it."""

    name = "test/dictionary"

    def __init__(
        self, tags: dict[str, bytes], turns: Turns | None = None, who: int = 0, looks: list[int] | None = None
    ) -> None:
        self.kept = tags
        self._turns, self._who = turns, who
        self._looks = looks if looks is not None else []

    def _turn(self) -> None:
        if self._turns is not None:
            self._turns.wait(self._who)

    def manifest(self, version: str) -> tuple[Descriptor, bytes] | None:
        self._turn()
        if version == NAME:
            self._looks.append(self._who)
        data = self.kept.get(version)
        return None if data is None else (Descriptor(media.MANIFEST, of_bytes(data), len(data)), data)

    def tags(self, beginnings: Collection[str]) -> set[str]:
        self._turn()
        self._looks.append(self._who)
        return {tag for tag in self.kept if tag.startswith(tuple(beginnings))}

    def put(self, artifact: Artifact, tag: str) -> None:
        self.point(tag, artifact.manifest)

    def point(self, tag: str, manifest: bytes) -> None:
        self._turn()
        self.kept[tag] = manifest


def record(writer: int, generation: int, written: float) -> Record:
    return Record("resolution", NAME, generation, {"by": writer}, f"writer {writer}", written)


def play(seed: int, writers: int, kills: int) -> tuple[dict[str, bytes], list[Record]]:
    """What is kept in the end, and what those writers got who were not killed, in the order of their last looks.

    A writer decides by what it lists. It then reads a claim, which never changes, and may so come back with it after
    somebody who has looked later: who looked last counts, not who came back last.
    """
    chance = random.Random(seed)
    kept: dict[str, bytes] = {}
    turns = Turns(chance)
    got: dict[int, Record] = {}
    looks: list[int] = []
    failed: list[Exception] = []

    def write(who: int, written: float) -> None:
        store = Records(Dictionary(kept, turns, who, looks), lambda _: None)  # type: ignore[arg-type]  # what it asks of one
        try:
            got[who] = store.put(record(who, 1, written), 0)
        except Killed:
            pass
        except Exception as exc:
            failed.append(exc)
        finally:
            turns.end()

    threads = [threading.Thread(target=write, args=(who, chance.uniform(1, 2))) for who in range(writers)]
    for thread in threads:
        turns.begin()
        thread.start()
    turns.run(kills)
    for thread in threads:
        thread.join()
    assert failed == []
    order = list(dict.fromkeys(reversed(looks)))[::-1]
    return kept, [got[who] for who in order if who in got]


def test_all_readers_see_one_record():
    """Of four writers, with nobody killed; the last to have looked got what readers see."""
    several = 0
    for seed in range(rounds(80, 5_000)):
        kept, got = play(seed, 4, 0)
        store = Records(Dictionary(kept), print)  # type: ignore[arg-type]  # as above
        read = store.get("resolution", NAME)
        assert read is not None
        assert len(got) == 4
        assert got[-1] == read
        claims = sorted(tag for tag in kept if tag.startswith("h"))
        assert kept[NAME] == kept[claims[0]], "what holds is a function of the claims"
        several += len(claims) > 1
        assert store.put(record(9, 1, 0.5), 0) == read, "who comes later gets it"
    assert several > 10, "the test let writers race"


def test_whoever_is_killed():
    """Two of four die somewhere; the next writer finds what they left, and everybody sees one record afterwards."""
    for seed in range(rounds(80, 5_000)):
        kept, _ = play(seed, 4, 2)
        store = Records(Dictionary(kept), print)  # type: ignore[arg-type]  # as above
        settled = store.put(record(9, 1, 3.0), 0)
        assert store.get("resolution", NAME) == settled
        assert Records(Dictionary(kept), print).put(record(10, 1, 0.5), 0) == settled  # type: ignore[arg-type]  # as above
