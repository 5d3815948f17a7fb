"""What every engine does alike around a ``run:`` step."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from coopery import digest as _digest
from coopery.backend import Snapshot, Workshop
from coopery.definition import CopyStep, RunStep
from coopery.errors import UsageError
from coopery.events import Event, Output
from coopery.image import DEFAULT_PATH, Assembled
from coopery.layer import Layer
from coopery.oci.validate import validate
from coopery.sealed import SealedStep
from coopery.snapshots import config, running
from coopery.snapshots import transcript as transcript_module

SECRET = "squeamish ossifrage"  # noqa: S105 - a value for tests


def snapshot(**settings: Any) -> Snapshot:
    data = config.changed(config.empty("linux/amd64"), "base", **settings)
    return Snapshot("test", _digest.of_bytes(data), _digest.of_bytes(data), data)


def sealed(run: str | tuple[str, ...] = "true", **fields: Any) -> SealedStep:
    return SealedStep(RunStep(run, **fields), field_path="$.steps[0]")


def ready(workshop: Workshop, base: Snapshot, step: SealedStep) -> running.Running:
    with running.prepared(workshop, base, step) as found:
        return found


def test_a_script_goes_to_the_shell_and_a_list_stays(workshop: Workshop) -> None:
    assert ready(workshop, snapshot(), sealed("a\nb")).argv == ("/bin/sh", "-e", "-c", "a\nb")
    assert ready(workshop, snapshot(), sealed(("-x", "a b", "$HOME"))).argv == ("-x", "a b", "$HOME")


def test_everything_else_is_as_the_image_says(workshop: Workshop) -> None:
    base = snapshot(Env=["PATH=/own", "A=b=c", "no value"], WorkingDir="/job", User="app")
    found = ready(evolve(workshop, step_seconds=7.5), base, sealed(network=False))
    assert (found.workdir, found.user, found.network, found.seconds) == ("/job", "app", False, 7.5)
    assert found.env["PATH"] == "/own"
    assert found.env["A"] == "b=c"
    assert found.field_path == "$.steps[0]"


def test_where_the_image_says_nothing(workshop: Workshop) -> None:
    found = ready(workshop, snapshot(), sealed())
    assert (found.workdir, found.user, found.network, found.seconds, found.mounts) == ("/", "", True, 0.0, ())
    assert found.env["PATH"] == DEFAULT_PATH


def test_secrets_are_files_that_nobody_else_reaches_and_are_gone_afterwards(workshop: Workshop) -> None:
    lent = evolve(workshop, secrets={"a": b"one\0", "b": b"two"})
    with running.prepared(lent, snapshot(), sealed(secrets=("a",))) as found:
        ((folder, inside),) = found.mounts
        assert inside == "/run/secrets"
        assert [path.name for path in folder.iterdir()] == ["a"]
        assert (folder / "a").read_bytes() == b"one\0"
        assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o444
        assert stat.S_IMODE(folder.parent.stat().st_mode) & 0o066 == 0
        assert "one" not in repr(found)
    assert not folder.parent.exists()


def test_they_are_gone_after_an_error_too(workshop: Workshop) -> None:
    lent = evolve(workshop, secrets={"a": b"one"})
    kept: list[Path] = []

    def fail() -> None:
        with running.prepared(lent, snapshot(), sealed(secrets=("a",))) as found:
            kept.append(found.mounts[0][0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not kept[0].parent.exists()


def test_what_a_killed_process_left_is_removed_and_what_is_held_stays(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    left, young = tmp_path / "coopery-step-left", tmp_path / "coopery-step-young"
    for folder in (left, young):
        folder.mkdir()
        (folder / "secret").touch()
    os.utime(left, (0, 0))
    with running.prepared(workshop, snapshot(), sealed()):
        (held,) = set(tmp_path.glob("coopery-step-*")) - {young}
        os.utime(held, (0, 0))
        with running.prepared(workshop, snapshot(), sealed()):
            assert held.is_dir()
    assert set(tmp_path.glob("coopery-step-*")) == {young}


def test_a_secret_that_was_not_given_is_named(workshop: Workshop) -> None:
    words = r"no value was given for build secrets: \$\.steps\[0\]\.secrets: b; .*: c"
    with pytest.raises(UsageError, match=words) as caught:
        ready(evolve(workshop, secrets={"a": b""}), snapshot(), sealed(secrets=("a", "b", "c")))
    assert "--secret id=b" in caught.value.remedy


def test_certificates_are_copied_and_named(workshop: Workshop, tmp_path: Path) -> None:
    bundle = tmp_path / "own.crt"
    bundle.write_text("certificates")
    lent = evolve(workshop, settings=evolve(workshop.settings, ca_bundle=str(bundle)))
    with running.prepared(lent, snapshot(), sealed()) as found:
        ((folder, inside),) = found.mounts
        named = Path(found.env["SSL_CERT_FILE"])
        assert named.parent == Path(inside)
        assert (folder / named.name).read_text() == "certificates"
        assert found.env["PIP_CERT"] == found.env["GIT_SSL_CAINFO"] == str(named)


def test_a_bundle_that_cannot_be_read_is_an_error(workshop: Workshop, tmp_path: Path) -> None:
    lent = evolve(workshop, settings=evolve(workshop.settings, ca_bundle=str(tmp_path / "none.crt")))
    with pytest.raises(UsageError, match=r"ca_bundle: .*none\.crt cannot be read"):
        ready(lent, snapshot(), sealed())


def test_proxies_are_there_and_nothing_else_of_ours(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no business of a step")
    found = ready(workshop, snapshot(), sealed())
    assert found.env["https_proxy"] == "http://proxy.example"
    assert found.env.keys() - {"PATH"} <= set(running._PROXIES)


@pytest.mark.parametrize(
    "other",
    [sealed("false"), sealed(("true",)), sealed(network=False), sealed(secrets=("a",)), sealed(secrets=("b",))],
)
def test_identities_differ_where_results_may(other: SealedStep) -> None:
    assert running.identity(other) != running.identity(sealed())


def test_a_script_and_a_list_of_one_word_are_two_steps() -> None:
    assert running.identity(sealed("true")) != running.identity(sealed(("true",)))


def test_only_run_steps_are_run(workshop: Workshop) -> None:
    with pytest.raises(TypeError, match=r"\$\.steps\[1\]: expected a run step, got CopyStep"):
        running.identity(SealedStep(CopyStep("a", "/b"), field_path="$.steps[1]"))


# --- what it prints -------------------------------------------------------------------------------


def printed(events: list[Event]) -> list[str]:
    return [event.line for event in events if isinstance(event, Output)]


def test_lines_are_lines_however_they_come(workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(workshop)
    for data in (b"on", b"e\ntwo\r\nthr", b"", b"ee\n\n10%\r50%\r100%\nend"):
        transcript.feed(data)
    transcript.close()
    transcript.close()
    assert printed(events) == ["one", "two", "three", "", "100%", "end"]
    assert transcript.tail == "one\ntwo\nthree\n\n100%\nend"


@given(
    data=st.lists(st.sampled_from([b"\n", b"\r", b"x", b"\xff", b"word" * 5]), max_size=80).map(b"".join),
    cuts=st.lists(st.integers(0, 400), max_size=6),
)
def test_where_it_is_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    """With lines that are cut early, so that some of them are."""

    def lines(pieces: list[bytes]) -> list[str]:
        events: list[Event] = []
        shop: Any = type("Shop", (), {"emit": staticmethod(events.append), "secrets": {}})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transcript_module, "_LONGEST_LINE", 16)
            transcript = running.Transcript(shop)
            for piece in pieces:
                transcript.feed(piece)
            transcript.close()
        return printed(events)

    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    assert lines([data[a:b] for a, b in pairwise(places)]) == lines([data])


def test_a_line_without_an_end_is_handed_on_in_pieces(workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(workshop)
    for _ in range(100):
        transcript.feed(b"x" * 10_000)
    transcript.close()
    assert max(map(len, printed(events))) <= 8192
    assert sum(map(len, printed(events))) == 1_000_000
    assert len(transcript.tail) == 16384 + 2


def test_secrets_are_masked_in_lines_and_tail(workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(evolve(workshop, secrets={"a": SECRET.encode()}))
    transcript.feed(f"the secret is {SECRET[:5]}".encode())
    transcript.feed(f"{SECRET[5:]}!\nfine\n".encode())
    transcript.close()
    assert SECRET not in "".join(printed(events))
    assert printed(events)[1] == "fine"
    error = running.failed("test", ready(workshop, snapshot(), sealed("x")), 3, transcript)
    assert SECRET not in str(error)
    assert (error.backend, error.step, error.status) == ("test", "$.steps[0]", 3)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("form", ["plain", "hex", "base64", "twice", "two"])
def test_a_secret_across_the_cut_of_a_long_line_is_masked(form: str, ended: bool) -> None:
    """At every place where the cut may fall, however the output comes."""
    other = "squeamish"
    words = {
        "plain": SECRET,
        "hex": SECRET.encode().hex(),
        "base64": base64.b64encode(f"user:{SECRET}".encode()).decode(),
        "twice": SECRET * 2,
        "two": f"{other}{SECRET}",
    }[form]
    secrets = {"a": SECRET.encode(), "b": other.encode()}
    pieces = {SECRET, SECRET.encode().hex()} | {base64.b64encode(f"user:{SECRET}".encode()).decode()[10:30]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcript_module, "_LONGEST_LINE", 64)
        for before in range(70):
            data = b"x" * before + words.encode() + b"y" * 200 + (b"\nend\n" if ended else b"")
            ways = []
            for size in (1, 7, len(data)):
                events: list[Event] = []
                transcript = running.Transcript(cast(Workshop, SimpleNamespace(emit=events.append, secrets=secrets)))
                for start in range(0, len(data), size):
                    transcript.feed(data[start : start + size])
                transcript.close()
                ways.append(printed(events))
            assert ways[0] == ways[1] == ways[2]
            joined = "".join(ways[0])
            assert not [piece for piece in pieces if piece in joined]
            left = re.sub(r"x+|y+|\*+|end", "", joined)
            assert len(left) < 12, (before, left)  # of base64: what the neighbours share


@pytest.mark.parametrize("value", ["aaaa", "abab" * 30, "z" * 5000])
def test_a_secret_that_repeats_itself_holds_nothing_up(value: str, workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(evolve(workshop, secrets={"a": value.encode()}))
    for _ in range(40):
        transcript.feed(value.encode() * (20_000 // len(value)))
    transcript.close()
    assert set("".join(printed(events))) <= {"*", *value}
    assert not [line for line in printed(events) if value in line]
    assert max(map(len, printed(events))) <= 8192


def test_of_a_gigabyte_the_beginning_and_the_end_are_kept(workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(evolve(workshop, secrets={"a": SECRET.encode()}))
    piece = b"0123456789abcde\n" * 4096
    for _ in range(1 << 14):
        transcript.feed(piece)
    transcript.feed(b"the last words")
    transcript.close()
    transcript.close()
    lines = printed(events)
    assert len(lines) < 120_000
    assert lines[0] == "0123456789abcde"
    assert lines[-1] == "the last words"
    assert transcript.tail.endswith("0123456789abcde\nthe last words")
    words = [line for line in lines if line.startswith("(")]
    assert len(words) == 2
    assert 1 << 29 < int(words[1].split()[2]) < 1 << 30


@pytest.mark.parametrize("between", ["", "\n"])
def test_a_secret_where_the_end_begins_is_masked(between: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcript_module, "_MOST_TEXT", 10)
        patch.setattr(transcript_module, "_KEPT", 100)
        for shift in range(len(SECRET) + 2):
            events: list[Event] = []
            shop: Any = SimpleNamespace(emit=events.append, secrets={"a": SECRET.encode()})
            transcript = running.Transcript(shop)
            transcript.feed(b"first line\n")
            transcript.feed((SECRET + between).encode() * 40 + b"x" * shift)
            transcript.close()
            said = "".join(printed(events))
            assert "x" * shift in said
            assert not [part for part in range(len(SECRET) - 3) if SECRET[part : part + 4] in said]


@pytest.mark.parametrize("more", [0, 10_000])
def test_a_secret_across_the_bound_is_masked(more: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcript_module, "_MOST_TEXT", 10)
        patch.setattr(transcript_module, "_KEPT", 100)
        for cut in range(1, len(SECRET)):
            events: list[Event] = []
            shop: Any = SimpleNamespace(emit=events.append, secrets={"a": SECRET.encode()})
            transcript = running.Transcript(shop)
            transcript.feed(f"first line\nand {SECRET[:cut]}".encode())
            transcript.feed(f"{SECRET[cut:]} more{'x' * more}\nlast\n".encode())
            transcript.close()
            said = printed(events)
            assert (said[0], said[-1]) == ("first line", "last")
            assert ("and *** more" in said) is (more == 0)
            assert not [part for part in range(len(SECRET) - 3) if SECRET[part : part + 4] in "".join(said)]


def test_the_tail_is_the_last_lines(workshop: Workshop) -> None:
    transcript = running.Transcript(workshop)
    transcript.feed(b"".join(b"%d\n" % number for number in range(1000)))
    assert transcript.tail.split("\n") == [str(number) for number in range(960, 1000)]


# --- what becomes of it ---------------------------------------------------------------------------


def test_afterwards_there_is_one_layer_more_and_nothing_else(workshop: Workshop) -> None:
    base = snapshot(Env=["A=1"], User="app")
    upper = workshop.staging / "upper"
    upper.mkdir()
    (upper / "made").write_text("x")
    layer = running.take(workshop, upper)
    found = running.after(base, sealed(("echo", "a b")), layer)
    document = json.loads(found.config)
    assert document["config"] == {"Env": ["A=1"], "User": "app"}
    assert document["history"][-1]["created_by"] == 'coopery: run ["echo", "a b"]'
    assert document["rootfs"]["diff_ids"] == [layer.diff_id]
    assert found.digest == found.id == _digest.of_bytes(found.config)
    validate(Assembled(found.config, found.layers))


def test_an_empty_change_is_a_layer_too(workshop: Workshop) -> None:
    upper = workshop.staging / "upper"
    upper.mkdir()
    layer = running.take(workshop, upper)
    assert isinstance(layer, Layer)
    validate(Assembled(running.after(snapshot(), sealed(), layer).config, (layer,)))


@pytest.mark.parametrize("path", [".dockerenv", "etc/hosts", "etc/resolv.conf", "run/secrets", "run/coopery", "proc"])
def test_strays(path: str) -> None:
    assert running.stray(path)
    assert not running.stray(f"{path}-kept")
    assert not running.stray(f"srv/{path}")


def test_the_folder_for_secrets_is_in_memory_where_there_is_one(workshop: Workshop) -> None:
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("this machine has no folder in memory")
    lent = evolve(workshop, secrets={"a": b"one"})
    with running.prepared(lent, snapshot(), sealed(secrets=("a",))) as found:
        assert not found.mounts[0][0].is_relative_to(workshop.home)


def test_streams_do_not_cut_each_others_lines(workshop: Workshop, events: list[Event]) -> None:
    transcript = running.Transcript(workshop)
    transcript.feed(b"no new", 1)
    transcript.feed(b"to err\nand", 2)
    transcript.feed(b"line", 1)
    transcript.close()
    assert printed(events) == ["to err", "no newline", "and"]
