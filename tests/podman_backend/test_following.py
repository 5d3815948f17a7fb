"""Long processes: output as it comes, in any amount; ended after their time, and when we are."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coopery_podman.following import TookTooLong, WithoutEpilogue, follow

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

Fake = Callable[[str, str], Path]

EPILOGUES = [
    b"Error: while running runtime: exit status 3\n",
    b"subprocess exited with status 3\nsubprocess exited with status 3\nError: exit status 3\n",
    b"subprocess exited with status 255\nError: exit status 255",
]


def test_output_and_status(fake: Fake) -> None:
    program = fake("step", "print('out', flush=True)\nprint('err', file=sys.stderr)\nsys.exit(7)")
    heard = bytearray()
    assert follow((str(program),), "podman", heard.extend) == 7
    assert sorted(heard.splitlines()) == [b"err", b"out"]


def test_streams_are_told_apart_and_never_mixed_within_a_line(fake: Fake) -> None:
    body = (
        "for _ in range(3):\n    os.write(1, b'no '); time.sleep(0.05); os.write(2, b'err\\n'); os.write(1, b'mix\\n')"
    )
    program = fake("step", f"{body}\nos.write(1, b'end'); os.write(2, b'last')")
    both, out, err = bytearray(), bytearray(), bytearray()
    assert follow((str(program),), "podman", both.extend) == 0
    assert sorted(both.splitlines()) == [b"end", b"err", b"err", b"err", b"last", b"no mix", b"no mix", b"no mix"]
    assert follow((str(program),), "podman", out.extend, errors=err.extend) == 0
    assert (bytes(out), bytes(err)) == (b"no mix\n" * 3 + b"end\n", b"err\n" * 3 + b"last\n")


def test_a_line_that_does_not_end_is_not_kept(fake: Fake) -> None:
    program = fake("step", "sys.stdout.buffer.write(b'x' * 1_000_000)")
    pieces: list[bytes] = []
    assert follow((str(program),), "podman", pieces.append) == 0
    assert b"".join(pieces).rstrip(b"\n") == b"x" * 1_000_000
    assert max(map(len, pieces)) < 200_000


def test_a_hundred_megabytes(fake: Fake) -> None:
    program = fake("step", "block = b'\\xff\\xfe' * 500_000\nfor _ in range(100): sys.stdout.buffer.write(block)")
    count = 0

    def feed(data: bytes) -> None:
        nonlocal count
        count += len(data)

    assert follow((str(program),), "podman", feed) == 0
    assert count in (100_000_000, 100_000_001)  # a last newline, where a piece does not end with the output


def test_its_time_is_up(fake: Fake, tmp_path: Path) -> None:
    program = fake("step", f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
    with pytest.raises(TookTooLong):
        follow((str(program),), "podman", bytes, seconds=1.0)
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


def test_its_time_is_up_though_it_has_closed_its_output(fake: Fake) -> None:
    program = fake("step", "os.close(1)\nos.close(2)\ntime.sleep(60)")
    with pytest.raises(TookTooLong):
        follow((str(program),), "podman", bytes, seconds=1.0)


def test_one_that_ignores_being_asked_is_killed(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coopery_podman.following._GRACE", 0.2)
    program = fake("step", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)")
    with pytest.raises(TookTooLong):
        follow((str(program),), "podman", bytes, seconds=1.0)


def test_what_the_feed_raises_ends_it(fake: Fake, tmp_path: Path) -> None:
    program = fake(
        "step", f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nprint(1, flush=True)\ntime.sleep(60)"
    )

    def feed(data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow((str(program),), "podman", feed)
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()


def test_a_child_that_outlives_it_and_is_silent_holds_nobody_up(fake: Fake, tmp_path: Path) -> None:
    note = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    program = fake("step", f"print('done', flush=True)\nif os.fork() == 0:\n    os.setsid(); {note}; time.sleep(600)")
    heard = bytearray()
    assert follow((str(program),), "podman", heard.extend) == 0
    assert bytes(heard) == b"done\n"
    while not (pid := (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else ""):
        time.sleep(0.01)
    os.kill(int(pid), signal.SIGKILL)  # it is there still


@settings(max_examples=80)
@given(
    said=st.lists(st.sampled_from([b"one\n", b"Error: two\n", b"exit status 3\n", b"\n", b"\xff\n", b"E", b"sub"])),
    epilogue=st.sampled_from([b"", *EPILOGUES]),
    cuts=st.lists(st.integers(0, 200)),
)
def test_the_epilogue_goes_and_nothing_else(said: list[bytes], epilogue: bytes, cuts: list[int]) -> None:
    """However the output is cut into pieces."""
    whole = b"".join(said)
    if whole and not whole.endswith(b"\n"):
        whole += b"\n"
    heard = bytearray()
    filtered = WithoutEpilogue(heard.extend)
    data = whole + epilogue
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(places):
        filtered(data[start:end])
    filtered.close()
    assert bytes(heard) == whole


def test_lines_are_not_kept_back() -> None:
    heard = bytearray()
    filtered = WithoutEpilogue(heard.extend)
    filtered(b"50 %\rprompt: ")
    assert bytes(heard) == b"50 %\rprompt: "
