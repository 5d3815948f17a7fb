"""Images in the backend's place: there when they are put, gone when they are removed, and run as they say."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from coopery import digest as _digest
from coopery.backend import Placed
from coopery.definition import EnvStep, UserStep, WorkdirStep
from coopery.digest import Digest
from coopery.errors import CooperyError, UnsupportedError
from coopery.place import Presence, RunRequest
from coopery.testing.backend.desk import Desk
from coopery.testing.backend.ground import Ground, Put

_UNKNOWN = _digest.of_bytes(b"no such image")
_TAGS = ("-rf", "--all", "a\nb", "../../up", "a b", "ü", "", "x" * 300, "UPPER", "a:b@c")


@frozen
class _Tried:
    """One image in its place, and a folder that runs in it may write to at ``/out``."""

    desk: Desk
    placed: Placed
    out: Path

    def run(self, *argv: str, **request: Any) -> int:
        """Run *argv* in the image; returns its exit status."""
        mounts = ((self.out, "/out"),)
        return self.desk.backend.place.run(self.placed.digest, RunRequest(argv=argv, mounts=mounts, **request))

    def text(self, name: str) -> str:
        """What a run wrote to ``/out/NAME``."""
        return (self.out / name).read_text()


class ImageChecks(Ground):
    """The place, and running what is in it."""

    @pytest.fixture
    def tried(self, desk: Desk, put: Put, tmp_path: Path) -> _Tried:
        """An image with a variable, a working directory and a user of its own, in the place."""
        if not self.runs_images:
            pytest.skip("the author says that this place runs nothing here")
        snapshot = desk.step(EnvStep({"GREETING": "a b"}))
        snapshot = desk.step(UserStep("app"), desk.step(WorkdirStep("/tmp"), snapshot))  # noqa: S108 - in the image
        out = tmp_path / "out"
        out.mkdir()
        out.chmod(0o777)
        return _Tried(desk, put(*desk.image(snapshot)), out)

    def test_an_image_is_put_into_the_place(self, desk: Desk, put: Put) -> None:
        """Afterwards it is there, by id and digest; what is said of it is complete."""
        image, new = desk.image(desk.base())
        placed = put(image, new)
        assert placed.place == desk.backend.place.name
        assert _digest.parse(placed.digest)
        assert placed.size > 0
        assert placed.reference
        assert "\n" not in placed.reference
        assert desk.backend.place.exists(image.image_id, placed.digest) is Presence.YES

    def test_putting_it_twice_is_as_good(self, desk: Desk, put: Put) -> None:
        """The same answer, and it is there."""
        image, new = desk.image(desk.base())
        first, second = put(image, new), put(image, new)
        assert (first.digest, first.reference) == (second.digest, second.reference)
        assert desk.backend.place.exists(image.image_id, second.digest) is Presence.YES

    def test_what_was_never_put_is_not_there(self, desk: Desk) -> None:
        """No, and not unknown; nor can it be removed."""
        place = desk.backend.place
        assert place.exists(_UNKNOWN, _UNKNOWN) is Presence.NO
        assert place.remove(_UNKNOWN, _UNKNOWN) is False

    def test_what_was_removed_is_gone(self, desk: Desk, put: Put) -> None:
        """Once; another image with the same layers below stays."""
        (image, new), (other, more) = desk.image(desk.base()), desk.image(desk.base(), "another")
        placed, kept = put(image, new, "coopery-kit-one"), put(other, more, "coopery-kit-two")
        place = desk.backend.place
        assert place.remove(image.image_id, placed.digest) is True
        assert place.exists(image.image_id, placed.digest) is Presence.NO
        assert place.remove(image.image_id, placed.digest) is False
        assert place.exists(other.image_id, kept.digest) is Presence.YES

    def test_what_was_removed_can_be_put_again(self, desk: Desk, put: Put) -> None:
        """It comes from the blobs, whatever the engine believes to have."""
        image, new = desk.image(desk.base())
        placed = put(image, new)
        desk.backend.place.remove(image.image_id, placed.digest)
        again = put(image, new)
        assert desk.backend.place.exists(image.image_id, again.digest) is Presence.YES

    def test_a_tag_goes_to_the_image_that_has_it_last(self, desk: Desk, put: Put) -> None:
        """What was put last is there, and is what the reference names; the tag is no reason to take the older one."""
        pairs = [desk.image(desk.base(), content) for content in ("first", "second")]
        placed = [put(image, new, "coopery-kit-moves") for image, new in pairs]
        assert desk.backend.place.exists(pairs[1][0].image_id, placed[1].digest) is Presence.YES
        assert placed[0].digest != placed[1].digest

    @pytest.mark.parametrize("tag", _TAGS, ids=lambda tag: ascii(tag)[:12])
    def test_a_tag_is_taken_or_refused(self, desk: Desk, put: Put, tag: str, tmp_path: Path) -> None:
        """An odd one is an error of ours, or it works; it is never an option to a program, nor a path."""
        image, new = desk.image(desk.base())
        before = set(tmp_path.iterdir())
        try:
            placed = put(image, new, tag)
        except CooperyError:
            return
        finally:
            assert set(tmp_path.iterdir()) == before
        assert desk.backend.place.exists(image.image_id, placed.digest) is Presence.YES

    def test_an_image_whose_layer_is_missing(self, desk: Desk) -> None:
        """It is an error of ours, and nothing says afterwards that the image is there."""
        image, new = desk.image(desk.base(), "a layer that no engine has")
        desk.workshop.blobs.path(new[0].digest).unlink()
        with pytest.raises(CooperyError):
            desk.put(image, new, "coopery-kit")
        for digest in (image.image_id, _UNKNOWN):
            assert desk.backend.place.exists(image.image_id, Digest(digest)) is not Presence.YES

    def test_a_run_ends_with_the_programs_status(self, tried: _Tried) -> None:
        """0, another one, and the shell's own for a program that is not there."""
        assert tried.run("sh", "-c", "exit 0") == 0
        assert tried.run("sh", "-c", "exit 37") == 37
        assert tried.run("no-such-program") != 0

    def test_a_run_is_as_the_image_says(self, tried: _Tried) -> None:
        """Variables, working directory and files are the image's; what the request says comes over it."""
        script = 'echo "$GREETING|$OWN|$(pwd)" > /out/said; cat /srv/kept /opt/kit/note >> /out/said'
        assert tried.run("sh", "-c", script, env={"OWN": "line\nline"}) == 0
        assert tried.text("said") == "a b|line\nline|/tmp\nfrom the base\nof the kit"
        assert tried.run("sh", "-c", script, env={"GREETING": "-e"}, workdir="/srv") == 0
        assert tried.text("said").startswith("-e||/srv\n")

    def test_a_run_is_the_user_that_is_asked_for(self, tried: _Tried) -> None:
        """The image's, or the request's by number or name."""
        if not self.runs_as_users:
            pytest.skip("the author says that this engine runs everything as whoever calls it")
        for user, uid in (("", "1000"), ("0", "0"), ("app", "1000")):
            assert tried.run("sh", "-c", "rm -f /out/who; id -u > /out/who", user=user) == 0
            assert tried.text("who") == f"{uid}\n"

    def test_another_user_is_refused_where_there_is_none(self, tried: _Tried) -> None:
        """Said by name, and not left out in silence."""
        if self.runs_as_users:
            pytest.skip("this engine can be any user")
        with pytest.raises(CooperyError, match="4321"):
            tried.run("sh", "-c", "exit 0", user="4321")

    def test_arguments_of_a_run_arrive_as_they_stand(self, tried: _Tried) -> None:
        """No shell looks at them, no program takes them for its own options."""
        odd = ("--help", "-v", "a\nb", "$HOME", "a  b", "*", "'\"\\", "ü🙂", "")
        script = 'for text in "$@"; do echo "[$text]"; done > /out/said'
        assert tried.run("sh", "-c", script, "sh", *odd) == 0
        assert tried.text("said") == "".join(f"[{text}]\n" for text in odd)

    def test_a_run_changes_no_image(self, tried: _Tried) -> None:
        """What a program writes outside mounts is gone with it, whoever it is."""
        script = "echo changed > /srv/kept; echo more > /srv/more; echo more > /home/app/more"
        tried.run("sh", "-c", script, user="0" if self.runs_as_users else "")
        assert tried.run("sh", "-c", "cat /srv/kept > /out/said; ls /srv /home/app >> /out/said") == 0
        assert tried.text("said").startswith("from the base\n")
        assert "more" not in tried.text("said")

    def test_gpus_are_refused_where_they_are_not_declared(self, tried: _Tried) -> None:
        """By name, before anything is started."""
        if tried.desk.backend.abilities.gpu:
            pytest.skip("it declares that it passes GPUs")
        with pytest.raises(UnsupportedError) as caught:
            tried.run("sh", "-c", "exit 0", gpu=True)
        assert (caught.value.backend, caught.value.ability) == (tried.desk.backend.name, "gpu")

    def test_running_what_is_not_there(self, desk: Desk) -> None:
        """It is an error of ours."""
        with pytest.raises(CooperyError):
            desk.backend.place.run(_UNKNOWN, RunRequest(argv=("true",)))

    def test_a_snapshot_can_be_looked_at(self, desk: Desk, tmp_path: Path) -> None:
        """As after a step that failed: a process runs on it, and nothing of that is kept."""
        if not self.runs_images:
            pytest.skip("the author says that this place runs nothing here")
        out = tmp_path / "out"
        out.mkdir()
        out.chmod(0o777)
        snapshot = desk.step(EnvStep({"GREETING": "hello"}))
        argv = ("sh", "-c", 'echo "$GREETING" > /out/said; exit 3')
        assert desk.backend.run_snapshot(snapshot, RunRequest(argv=argv, mounts=((out, "/out"),))) == 3
        assert (out / "said").read_text() == "hello\n"
