"""``run:`` steps: what they change becomes a layer, nothing else does; and nothing of them is left behind."""

# ruff: noqa: S101 - asserts are what a kit is made of

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from coopery.cancel import Cancel, Cancelled
from coopery.definition import EnvStep, RunStep, UserStep, WorkdirStep
from coopery.errors import BackendError, StepFailed, UnsupportedError, UsageError
from coopery.image import Assembled
from coopery.oci.layers_view import LayersFiles
from coopery.oci.validate import validate
from coopery.testing.backend.desk import Desk, awaited, paths, processes, settings
from coopery.testing.backend.ground import Ground

_STRAYS = (".dockerenv", "run/.containerenv", "run/secrets", "run/coopery", "etc/hosts", "etc/resolv.conf", "etc/mtab")
_IDLE = frozenset({"lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"})
"""Interfaces that Linux puts into every new network namespace, none of which leads anywhere."""

_SECRET = "squeamish ossifrage"  # noqa: S105 - a value for tests


class RunChecks(Ground):
    """All that is asked of a backend that declares ``run``."""

    @pytest.fixture(autouse=True)
    def _declared(self, desk: Desk, request: pytest.FixtureRequest) -> None:
        if request.function.__qualname__.startswith("RunChecks.") and not desk.backend.abilities.run:
            pytest.skip("it does not declare that it runs steps")

    @pytest.fixture
    def nap(self) -> Iterator[str]:
        """Seconds to sleep, by which a process is known from all others; none may be left after the test."""
        number = f"98{os.getpid()}.{time.monotonic_ns()}"
        yield number
        assert awaited(lambda: not processes(number), self.patience), f"still running: {processes(number)}"

    def test_what_a_step_changes_is_one_layer(self, desk: Desk) -> None:
        """All of it and nothing else; the image is valid, and its history tells the step."""
        base = desk.base()
        after = desk.run("echo made > /srv/made; echo more >> /srv/kept; mkdir -p /opt/new", base)
        assert (after.backend, len(after.layers)) == (desk.backend.name, len(base.layers) + 1)
        changed = desk.changed(base, after)
        assert {path for path, kind in changed.items() if kind == "file"} == {"srv/made", "srv/kept"}
        there = paths(LayersFiles(base.layers, desk.workshop.blobs))
        assert changed.keys() - there.keys() == {"opt", "opt/new", "srv/made"}
        assert desk.text(after, "/srv/made") == "made\n"
        assert desk.text(after, "/srv/kept") == "from the base\nmore\n"
        validate(Assembled(after.config, after.layers))
        assert "echo made" in Assembled(after.config, ()).document["history"][-1]["created_by"]

    def test_nothing_of_the_engine_is_in_the_layer(self, desk: Desk) -> None:
        """A step that changes nothing changes nothing: no mount point, no name resolution, no file of the engine's."""
        base = desk.base()
        changed = desk.changed(base, desk.run("exit 0", base))
        assert {path for path, kind in changed.items() if kind != "directory"} == set()
        assert not [path for path in changed if path in _STRAYS]

    def test_what_a_step_deletes_is_gone(self, desk: Desk) -> None:
        """From its own snapshot; the one below still has it. A folder that is made anew holds only what is new."""
        base = desk.base()
        after = desk.run("rm /srv/doomed; rm -r /home/app; mkdir /home/app; echo new > /home/app/new", base)
        files = desk.backend.files(after)
        assert files.lstat("/srv/doomed") is None
        assert files.listdir("/home/app") == ("new",)
        assert desk.text(base, "/srv/doomed") == "for a step to delete\n"

    def test_owners_modes_and_links(self, desk: Desk) -> None:
        """As the step left them, by the image's own numbers."""
        script = "cd /srv; echo x > a; chmod 640 a; chown 1000:1001 a; ln -s kept b; mkdir -m 750 d"
        files = desk.backend.files(desk.run(script))
        found = files.lstat("/srv/a")
        assert found is not None
        assert (found.kind, found.mode, found.uid, found.gid) == ("file", 0o640, 1000, 1001)
        folder = files.lstat("/srv/d")
        assert folder is not None
        assert (folder.kind, folder.mode) == ("directory", 0o750)
        link = files.lstat("/srv/b")
        assert link is not None
        assert (link.kind, link.target) == ("symlink", "kept")

    def test_a_step_sees_what_the_one_before_did(self, desk: Desk) -> None:
        """Steps go on top of each other, in either kind."""
        first = desk.run("echo one > /srv/one; rm /srv/doomed")
        second = desk.step(EnvStep({"WHAT": "two"}), first)
        third = desk.run('cat /srv/one > /srv/both; echo "$WHAT" >> /srv/both; test ! -e /srv/doomed', second)
        assert desk.text(third, "/srv/both") == "one\ntwo\n"
        assert len(third.layers) == 3

    def test_the_same_run_twice(self, desk: Desk) -> None:
        """Both work; the newer is kept under the name; identical input is found again by another object."""
        base, step = desk.base(), desk.seal(RunStep("echo made > /srv/made")).steps[0]
        assert desk.backend.find_snapshot(desk.name(base, step)) is None
        desk.step(step, base)
        second = desk.step(step, base)
        assert desk.backend.find_snapshot(desk.name(base, step)) == second
        assert desk.text(second, "/srv/made") == "made\n"

    def test_it_runs_as_the_image_says(self, desk: Desk) -> None:
        """Variables, working directory, user and their home are those that steps have set."""
        snapshot = desk.step(EnvStep({"GREETING": "a  b"}))
        snapshot = desk.step(UserStep("app"), desk.step(WorkdirStep("/home/app"), snapshot))
        after = desk.run('echo "$GREETING|$(pwd)|$(id -u):$(id -g)|$HOME" > said', snapshot)
        assert desk.text(after, "/home/app/said") == "a  b|/home/app|1000:1001|/home/app\n"
        found = desk.backend.files(after).lstat("/home/app/said")
        assert found is not None
        assert (found.uid, found.gid) == (1000, 1001)
        assert settings(after) == settings(snapshot)

    def test_a_user_that_is_not_in_the_image(self, desk: Desk) -> None:
        """By number it runs all the same; that is what numbers are for."""
        after = desk.run('echo "$(id -u):$(id -g)" > /tmp/who', desk.step(UserStep("4321:77")))
        assert desk.text(after, "/tmp/who") == "4321:77\n"  # noqa: S108 - in the image

    def test_arguments_arrive_as_they_stand(self, desk: Desk) -> None:
        """The exec form: no shell looks at them, no program takes them for its own options, no line ends early."""
        odd = ("--help", "-v", "a\nUSER root", "$HOME", "a  b", "*", "'\"\\", "ü🙂", "")
        script = 'for text in "$@"; do echo "[$text]"; done > /srv/said'
        after = desk.run(("sh", "-c", script, "sh", *odd))
        assert desk.text(after, "/srv/said") == "".join(f"[{text}]\n" for text in odd)
        assert not settings(after).get("User")

    def test_the_shell_form_is_one_script(self, desk: Desk) -> None:
        """Several lines, quotes and variables; it stops at the first line that fails."""
        after = desk.run("A='x y'\necho \"$A\" > /srv/said\necho '$A' >> /srv/said\n")
        assert desk.text(after, "/srv/said") == "x y\n$A\n"
        with pytest.raises(StepFailed):
            desk.run("false_is_not_there\necho too late\n")

    def test_a_failed_step_says_all(self, desk: Desk) -> None:
        """Who, which step, what ran, how it ended and the last that it said; nothing is kept; the next one works."""
        base, step = (
            desk.base(),
            desk.seal(RunStep("exit 0"), RunStep("echo it broke >&2; touch /srv/x; exit 7")).steps[1],
        )
        with pytest.raises(StepFailed) as caught:
            desk.step(step, base)
        error = caught.value
        assert (error.backend, error.step, error.status) == (desk.backend.name, "$.steps[1]", 7)
        assert error.argv == ("/bin/sh", "-e", "-c", "echo it broke >&2; touch /srv/x; exit 7")
        assert "it broke" in error.stderr_tail
        assert desk.backend.name in error.message
        assert desk.backend.find_snapshot(desk.name(base, step)) is None
        assert "srv/x" not in desk.changed(base, desk.run("echo fine > /srv/fine", base))

    def test_a_program_that_is_not_there(self, desk: Desk) -> None:
        """It is the backend's error, and names the program."""
        with pytest.raises(BackendError) as caught:
            desk.run(("no-such-program", "-x"))
        assert caught.value.backend == desk.backend.name
        assert "no-such-program" in str(caught.value)

    def test_a_step_that_is_ended_by_a_signal(self, desk: Desk) -> None:
        """It has failed, and not with 0."""
        with pytest.raises(StepFailed) as caught:
            desk.run("sh -c 'kill -9 $$'")
        assert caught.value.status not in (0, None)

    def test_output_is_reported_as_it_comes(self, desk: Desk) -> None:
        """Both streams, whatever bytes they are, the last line too where nothing ends it."""
        desk.run("echo to out; echo to err >&2; printf 'not \\377 UTF-8\\n'; printf 'no newline'")
        for line in ("to out", "to err", "not \N{REPLACEMENT CHARACTER} UTF-8", "no newline"):
            assert line in desk.printed.split("\n")

    def test_much_output(self, desk: Desk) -> None:
        """Some megabytes without a newline, then lines: the step ends, no event is large, the last line arrives."""
        after = desk.run("head -c 5000000 /dev/zero; yes | head -n 20000; echo the end; echo x > /srv/x")
        assert "the end" in desk.printed
        assert max(len(line) for line in desk.printed.split("\n")) <= 10_000
        assert desk.text(after, "/srv/x") == "x\n"

    def test_it_has_no_input(self, desk: Desk) -> None:
        """A step that asks gets the end of the file, and does not wait for somebody at the terminal."""
        assert desk.text(desk.run("cat > /srv/input; echo done >> /srv/input"), "/srv/input") == "done\n"

    def test_what_it_leaves_running_ends_with_it(self, desk: Desk, nap: str) -> None:
        """The step is over when its program is; nothing of it runs on."""
        started = time.monotonic()
        desk.run(f"sleep {nap} & echo started > /srv/x")
        assert time.monotonic() - started < self.patience

    def test_time_is_up(self, desk: Desk, nap: str) -> None:
        """After the time that a step has it is ended, with an error that names it; nothing is kept."""
        base, step = desk.base(), desk.seal(RunStep(f"sleep {nap}; echo late > /srv/x")).steps[0]
        started = time.monotonic()
        with pytest.raises(BackendError, match=r"\$\.steps\[0\]") as caught:
            desk.lent(step_seconds=1.0).step(step, base)
        assert time.monotonic() - started < self.patience
        assert caught.value.backend == desk.backend.name
        assert desk.backend.find_snapshot(desk.name(base, step)) is None

    def test_an_interrupt_ends_it(self, desk: Desk, nap: str) -> None:
        """Ctrl-C in the midst of a step: it reaches the caller, nothing is kept, nothing runs on."""
        base, step = desk.base(), desk.seal(RunStep(f"sleep {nap}; echo late > /srv/x")).steps[0]
        seconds = self.patience

        def interrupt() -> None:
            awaited(lambda: bool(processes(f"sleep {nap}")), seconds)
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                desk.step(step, base)
        finally:
            thread.join()
        assert desk.backend.find_snapshot(desk.name(base, step)) is None

    def test_a_cancelled_build_ends_it(self, desk: Desk, nap: str) -> None:
        """Nobody waits any more: a step that prints nothing ends too, in a thread, and nothing is kept."""
        cancel, ended = Cancel(), list[str]()
        lent = desk.lent(cancel=cancel)
        base, step = desk.base(), desk.seal(RunStep(f"sleep {nap}; echo late > /srv/x")).steps[0]
        seconds = self.patience

        def give_up() -> None:
            awaited(lambda: bool(processes(f"sleep {nap}")), seconds)
            cancel.set()
            if not awaited(lambda: not processes(f"sleep {nap}"), seconds):
                ended.append("not by itself")
                for pid in processes(f"sleep {nap}"):
                    os.kill(int(pid.partition(":")[0]), signal.SIGKILL)

        thread = threading.Thread(target=give_up)
        thread.start()
        try:
            with pytest.raises((Cancelled, StepFailed)):
                lent.step(step, base)
        finally:
            thread.join()
        assert ended == [], "it ran on after the build was cancelled, and had to be killed"
        assert desk.backend.find_snapshot(desk.name(base, step)) is None

    def test_secrets_are_files_during_the_step_only(self, desk: Desk) -> None:
        """Readable by the step's user, none but those it names; in no layer, config or event."""
        self._needs(desk, "secrets")
        given = desk.lent(secrets={"token": _SECRET.encode(), "other": b"never mounted"})
        base = desk.step(UserStep("app"))
        script = "cd /run/secrets; ls > /tmp/names; head -c 9 token > /tmp/half; cat token; echo"
        after = given.run(script, base, secrets=("token",))
        assert desk.text(after, "/tmp/names") == "token\n"  # noqa: S108 - in the image
        assert desk.text(after, "/tmp/half") == _SECRET[:9]  # noqa: S108 - as above
        assert not [path for path in desk.changed(base, after) if path.startswith("run/secrets")]
        assert _SECRET not in desk.printed
        assert _SECRET.encode() not in after.config
        for layer in after.layers[len(base.layers) :]:
            assert _SECRET.encode() not in desk.workshop.blobs.path(layer.digest).read_bytes()

    def test_a_secret_is_in_no_argument_vector(self, desk: Desk) -> None:
        """Anybody on this machine can read those."""
        self._needs(desk, "secrets")
        seen: list[str] = []
        given = desk.lent(secrets={"token": _SECRET.encode()})
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                seen.extend(processes(_SECRET))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            given.run("sleep 0.3", secrets=("token",))
        finally:
            over.set()
            thread.join()
        assert seen == []

    def test_a_failed_step_keeps_the_secret(self, desk: Desk) -> None:
        """The tail in the error is masked too."""
        self._needs(desk, "secrets")
        given = desk.lent(secrets={"token": _SECRET.encode()})
        with pytest.raises(StepFailed) as caught:
            given.run("cat /run/secrets/token; echo; echo told; exit 3", secrets=("token",))
        assert "told" in caught.value.stderr_tail
        assert _SECRET not in str(caught.value)

    def test_a_secret_that_was_not_given(self, desk: Desk) -> None:
        """It is an error that names it, before anything runs."""
        self._needs(desk, "secrets")
        with pytest.raises(UsageError, match="token"):
            desk.run("echo ran", secrets=("token",))
        assert "ran" not in desk.printed

    @pytest.mark.parametrize(
        ("ability", "step"),
        [("secrets", RunStep("exit 0", secrets=("a",))), ("network", RunStep("exit 0", network=False))],
        ids=["secrets", "network"],
    )
    def test_what_a_run_step_asks_beyond_the_abilities(self, desk: Desk, ability: str, step: RunStep) -> None:
        """It is refused by name, never left out in silence."""
        if getattr(desk.backend.abilities, ability):
            pytest.skip(f"it declares {ability}")
        with pytest.raises(UnsupportedError) as caught:
            desk.lent(secrets={"a": b"value"}).step(step)
        assert (caught.value.backend, caught.value.ability) == (desk.backend.name, ability)

    def test_without_a_network_there_is_none(self, desk: Desk) -> None:
        """Nothing but the loopback interface."""
        self._needs(desk, "network")
        after = desk.run("cat /proc/net/dev > /srv/interfaces", network=False)
        lines = desk.text(after, "/srv/interfaces").splitlines()[2:]
        assert {line.split(":")[0].strip() for line in lines} - _IDLE == set()

    def test_proxies_are_there_during_the_step_only(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """A step that fetches gets out; the image says nothing of it."""
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
        base = desk.base()
        after = desk.run('echo "$HTTPS_PROXY" > /srv/proxy', base)
        assert desk.text(after, "/srv/proxy") == "http://proxy.example:3128\n"
        assert settings(after) == settings(base)

    def test_certificates_are_there_during_the_step_only(self, desk: Desk, tmp_path: Path) -> None:
        """The bundle of the settings can be read, by the variables that programs look for; no layer has it."""
        bundle = tmp_path / "bundle.crt"
        bundle.write_text("certificates of a company\n")
        world = evolve(desk.workshop.settings, ca_bundle=str(bundle))
        base = desk.step(UserStep("app"))
        after = desk.lent(settings=world).run('cat "$SSL_CERT_FILE" "$PIP_CERT" > /tmp/seen', base)
        assert desk.text(after, "/tmp/seen") == "certificates of a company\n" * 2  # noqa: S108 - in the image
        assert settings(after) == settings(base)
        assert {path for path, kind in desk.changed(base, after).items() if kind == "file"} == {"tmp/seen"}

    def test_the_engine_is_told_nothing_by_names(self, desk: Desk) -> None:
        """Files with every odd sign in their names come into the layer as they are."""
        names = ("-rf", "--", "a\nb", "$(id)", "a b", "ü🙂", "'\"\\")
        script = 'cd /tmp; for name in "$@"; do echo x > "./$name"; done'
        base = desk.base()
        after = desk.run(("sh", "-c", script, "sh", *names), base)
        layer = LayersFiles(after.layers[len(base.layers) :], desk.workshop.blobs)
        assert layer.listdir("/tmp") == tuple(sorted(names))  # noqa: S108 - in the image

    def _needs(self, desk: Desk, ability: str) -> None:
        if not getattr(desk.backend.abilities, ability):
            pytest.skip(f"it does not declare {ability}")
