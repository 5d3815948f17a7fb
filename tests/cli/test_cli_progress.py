from __future__ import annotations

import io
import os
import pty
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from coopery import events as ev
from coopery.cli import words
from coopery.cli.plain import QUIET_SECONDS, Plain
from coopery.cli.progress import Progress, choose

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain(*events: ev.Event, seconds: float = 0.0) -> list[str]:
    stream, now = io.StringIO(), 0.0

    def clock() -> float:
        nonlocal now
        now += seconds
        return now

    view = Plain(stream, clock)
    for event in events:
        view.show(event)
    view.close()
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ev.BuildStarted(key="a" * 64, name="train"), "building train, key aaaaaaaaaaaa"),
        (ev.Waiting(key="a" * 64, holder="ada@host pid 7"), "waiting: ada@host pid 7 builds key aaaaaaaaaaaa"),
        (ev.StageStarted(stage="lock", detail="conda"), "solve: conda"),
        (ev.StageStarted(stage="image"), "image: started"),
        (ev.StageFinished(stage="lock", seconds=0.005, detail="55 packages"), "solve: done in 0.005 s, 55 packages"),
        (ev.LayerDone(name="six 1.16", size=52_000, made=True), "layers: made six 1.16, 52.0 kB"),
        (ev.Output(stage="steps", line="hello"), "steps| hello"),
        (ev.Output(stage="image", line="run: chroot"), "run: chroot"),
        (ev.Warned(message="careful"), "warning: careful"),
        (ev.Warned(message="a\x1b[2Jb\r"), "warning: a\\x1b[2Jb\\x0d"),
        (ev.PackagesMoved(), "packages: none moved"),
    ],
)
def test_one_line_for_each_event(event: ev.Event, line: str) -> None:
    assert plain(event) == [line]


@pytest.mark.parametrize(
    "event", [ev.LayerDone(made=False), ev.BuildFinished(), ev.BuildFailed(message="x"), ev.Hit(), ev.Event()]
)
def test_what_says_nothing_new_has_no_line(event: ev.Event) -> None:
    assert plain(event) == []


def test_moved_packages_are_listed() -> None:
    assert plain(ev.PackagesMoved(lines=("a", "b"))) == ["packages moved:", "  a", "  b"]


def test_long_stages_speak_up_now_and_then() -> None:
    steps = [ev.Progress(stage="layers", done=done, total=50, unit="layers", item="numpy") for done in range(50)]
    assert plain(*steps, seconds=0.01) == []
    told = plain(*steps, seconds=QUIET_SECONDS / 9.5)
    assert told == [f"layers: {done} of 50 layers, numpy" for done in (10, 20, 30, 40)]


def test_bytes_in_words() -> None:
    two = [ev.Progress(stage="layers", done=done, total=2_500_000, unit="bytes") for done in (0, 1_200_000)]
    assert plain(*two, seconds=99) == ["layers: 1.2 MB of 2.5 MB"]
    two = [ev.Progress(stage="base", done=done, unit="packages") for done in (0, 1)]
    assert plain(*two, seconds=99) == ["base: 1 package"]


@pytest.mark.parametrize(
    ("stream", "environ", "name"),
    [
        (io.StringIO(), {"TERM": "xterm"}, "Plain"),
        (Terminal(), {"TERM": "dumb"}, "Plain"),
        (Terminal(), {}, "Plain"),
        (Terminal(), {"TERM": "xterm"}, "Live"),
    ],
)
def test_choice(stream: io.StringIO, environ: Mapping[str, str], name: str) -> None:
    assert type(choose(stream, environ)).__name__ == name


def test_quiet_and_hits_show_nothing_but_are_kept() -> None:
    stream = io.StringIO()
    with Progress(quiet=True, stream=stream) as progress:
        progress(ev.Warned(message="w"))
        progress(ev.PackagesMoved(lines=("m",)))
    with Progress(stream=stream) as loud:
        loud(ev.Hit())
    assert stream.getvalue() == ""
    assert (progress.warnings, progress.moved) == (["w"], ["m"])


def test_events_from_many_threads_never_mix() -> None:
    stream = io.StringIO()
    with Progress(stream=stream) as progress:
        threads = [
            threading.Thread(target=lambda: [progress(ev.Warned(message="x" * 50)) for _ in range(200)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(stream.getvalue().splitlines()) == {"warning: " + "x" * 50}


def on_a_terminal(folder: Path, *args: str, columns: int = 80, **environ: str) -> tuple[str, str]:
    """What the program writes to a terminal of that width on stderr, and to a pipe on stdout."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    running = subprocess.Popen(
        [sys.executable, "-m", "coopery", *args],
        stderr=theirs,
        stdout=subprocess.PIPE,
        env={**base, "TERM": "xterm-256color", **environ},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side has closed
            break
        if not data:
            break
        shown += data
    out = running.communicate()[0].decode()
    os.close(ours)
    assert running.returncode == 0
    return shown.decode(), out


def test_live_display_ends_as_plain_lines_and_a_hit_shows_none(folder: Path) -> None:
    shown, out = on_a_terminal(folder, "build", "a.yaml")
    assert "\x1b[?25l" in shown  # the cursor was hidden
    assert "\x1b[?25h" in shown  # and is back
    after = shown.rpartition("\x1b[2K")[2]
    assert [line.split()[0] for line in after.splitlines() if line.strip()] == ["base", "steps", "image"]
    assert out.startswith("reference")
    assert on_a_terminal(folder, "build", "a.yaml")[0] == ""


def test_narrow_terminals_without_color(folder: Path) -> None:
    shown, _ = on_a_terminal(folder, "build", "a.yaml", columns=20, NO_COLOR="1")
    assert "\x1b[32m" not in shown
    assert "image" in shown


def test_all_kinds_of_rows() -> None:
    from rich.console import Console

    from coopery.cli.live import Live

    stream = io.StringIO()
    live = Live(stream, Console(file=stream, force_terminal=True, width=100, color_system=None))
    live.show(ev.BuildStarted(key="k"))
    live.show(ev.StageStarted(stage="base", detail="debian"))
    live.show(ev.StageStarted(stage="layers", detail="2 packages"))
    live.show(ev.Progress(stage="layers", done=1_000_000, total=2_000_000, unit="bytes", item="[bold]numpy\x1b[2J"))
    live.show(ev.Progress(stage="layers", done=1, total=2, unit="layers"))
    live.show(ev.Warned(message="[red]careful"))
    shown = Console(file=io.StringIO(), width=100, record=True)
    shown.print(live._draw())
    text = shown.export_text()
    assert "packages" in text
    assert "1.0 MB of 2.0 MB" in text
    assert "[bold]numpy\\x1b[2J" in text
    assert "1 of 2 layers" in text
    live.show(ev.StageFinished(stage="layers", seconds=1.5, detail="2 layers made, 0 reused"))
    live.show(ev.BuildFailed(message="no"))
    live.close()
    out = stream.getvalue()
    assert "warning: [red]careful" in out
    assert "layers      1.5 s  2 layers made, 0 reused" in out


# --- words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (450_200_000, "450.2 MB"),
        (10**9, "1.0 GB"),
        (10**13, "10.0 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0.0123, "0.012 s"), (1.0, "1.0 s"), (89.9, "89.9 s"), (125.4, "2 min 5 s")]
)
def test_seconds(amount: float, text: str) -> None:
    assert words.seconds(amount) == text


def test_counts() -> None:
    assert words.made_and_reused(1, 54) == "1 layer made, 54 reused"
    assert words.made_and_reused(2, 0) == "2 layers made, 0 reused"


def test_tables_are_aligned() -> None:
    assert words.table(("a", "b"), [("long", "x"), ("s", "yy")]) == "a     b\nlong  x\ns     yy"
    assert words.rows([("a", "1"), ("long", "2")]) == "a     1\nlong  2"


def test_moments_know_no_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert words.moment(0) == "1970-01-01 00:00Z"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
