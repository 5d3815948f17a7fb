"""``run:`` steps by a real buildah: what is in the layer, what is told, and what is left behind, which is nothing."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery import processes
from coopery.backend import Snapshot, Workshop
from coopery.errors import StepError, StepFailed, UsageError
from coopery.events import Event, Output
from coopery.image import Assembled
from coopery.place import Presence
from coopery.sealed import SealedStep
from coopery_podman.backend import PodmanBackend
from coopery_podman.buildah import Buildah
from coopery_podman.containers import STEP_IMAGE, _step_images, container, drop_step_images, loaded, sweep
from coopery_podman.storage import locate

pytestmark = [pytest.mark.needs("buildah"), pytest.mark.processes]

KEY = "a" * 64


def layer_of(backend: PodmanBackend, snapshot: Snapshot) -> dict[str, tarfile.TarInfo]:
    """The top layer's members by name."""
    data = backend._workshop.blobs.read(snapshot.layers[-1].digest)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def lines(events: list[Event]) -> list[str]:
    return [event.line for event in events if isinstance(event, Output)]


def leftovers(workshop: Workshop) -> dict[str, Any]:
    """Containers, processes, mounts and files that a step may leave; all empty where it left none."""
    located = locate(workshop)
    pattern = ["pgrep", "-f", "coopery-[0-9a-f]{8}-"]
    processes = subprocess.run(pattern, capture_output=True, text=True, check=False).stdout.split()
    states = subprocess.run(["runc", "list", "--quiet"], capture_output=True, text=True, check=False).stdout
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "containers": [record["names"] for record in located.containers()],
        "processes": [pid for pid in processes if int(pid) != os.getpid() and _has_our_storage(pid)],
        "mounts": [line for line in mounts if str(located.graph_root) in line and "/merged" in line],
        "files": sorted(path.name for path in workshop.staging.iterdir()),
        "states": [name for name in states.split() if str(workshop.staging) in name],
    }


def _has_our_storage(pid: str) -> bool:
    """Other tests build at the same time, with another storage."""
    try:
        return os.environ["CONTAINERS_STORAGE_CONF"].encode() in Path("/proc", pid, "environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return False


NOTHING = {"containers": [], "processes": [], "mounts": [], "files": [], "states": []}


@pytest.fixture
def base(make: SimpleNamespace, small: Assembled) -> Snapshot:
    return make.snapshot(small)  # type: ignore[no-any-return]


def test_its_changes_are_a_layer_and_nothing_else_is(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, events: list[Event], session_shop: Workshop
) -> None:
    script = "mkdir -p /made/in; echo content > /made/file; ln -s file /made/link; ln /made/file /made/hard\n"
    script += "chown 1000:1001 /made/in; chmod 2750 /made/in; rm -r /home/app; echo said; echo wrong >&2"
    after = backend.run_step(base, make.step(script), KEY)
    members = layer_of(backend, after)
    assert sorted(members) == ["home", "home/.wh.app", "made", "made/file", "made/hard", "made/in", "made/link"]
    inside = members["made/in"]
    assert (inside.mode, inside.uid, inside.gid) == (0o2750, 1000, 1001)
    assert members["made/hard"].islnk()
    assert members["made/link"].linkname == "file"
    assert sorted(lines(events)) == ["said", "wrong"]
    assert after.layers[:-1] == base.layers
    assert backend.find_snapshot(KEY) == after
    assert leftovers(session_shop) == NOTHING


def test_a_user_that_the_image_lacks_is_named_as_on_every_engine(
    backend: PodmanBackend, make: SimpleNamespace, small: Assembled, session_shop: Workshop
) -> None:
    base = make.snapshot(make.image(small.layers, Env=["PATH=/usr/bin:/bin"], User="ghost"))
    with pytest.raises(StepError, match=r"^\$\.steps\[0\]: cannot run as 'ghost': the image has no user 'ghost'"):
        backend.run_step(base, make.step("true"), KEY)
    assert leftovers(session_shop) == NOTHING


def test_step_images_go_by_one_program_and_what_is_in_use_stays(
    session_shop: Workshop, make: SimpleNamespace, small: Assembled, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, calls = Buildah(), []

    def counted(self: Buildah, words: Any, **options: Any) -> str:
        calls.append(words[0])
        return called(self, words, **options)

    called = Buildah.call
    monkeypatch.setattr(Buildah, "call", counted)
    snapshots = [make.snapshot(make.image(small.layers, Env=[f"STEP={number}"])) for number in range(3)]
    with container(session_shop, tool, snapshots[0]):
        held = _step_images(session_shop, tool)
        names = {loaded(session_shop, tool, snapshot) for snapshot in snapshots}
        drop_step_images(session_shop, tool)
        assert set(_step_images(session_shop, tool)) == set(held)
        assert not names & set(held)
    calls.clear()
    for snapshot in snapshots:
        loaded(session_shop, tool, snapshot)
    drop_step_images(session_shop, tool)
    assert _step_images(session_shop, tool) == ()
    assert calls == ["pull", "pull", "pull", "rmi"]


def test_what_a_step_gets(
    backend: PodmanBackend,
    base: Snapshot,
    make: SimpleNamespace,
    small: Assembled,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:canary@proxy:1")
    settings = {"Env": ["PATH=/usr/bin", "A=1 2"], "WorkingDir": "/home/app", "User": "app", "Volumes": {"/tmp": {}}}
    image = make.image(small.layers, **settings)
    script = 'id -u; id -g; stat -c %n .; echo $PWD $HOME; echo "$A"; echo $https_proxy; echo kept > /tmp/volume'
    after = backend.run_step(make.snapshot(image), make.step(script), KEY)
    assert lines(events) == ["1000", "1001", ".", "/home/app /home/app", "1 2", "http://user:canary@proxy:1"]
    assert "tmp/volume" in layer_of(backend, after)  # a base's VOLUME loses nothing
    assert b"canary" not in after.config


def test_secrets_are_there_and_nowhere_else(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, session_shop: Workshop, events: list[Event]
) -> None:
    backend = PodmanBackend(evolve(session_shop, emit=events.append, secrets={"token": b"canary-secret"}))
    script = "cat /run/secrets/token; stat -c %a /run/secrets/token; cat /proc/1/cmdline /proc/self/environ > /seen"
    after = backend.run_step(base, make.step(script, secrets=("token",)), KEY)
    assert lines(events) == ["***444"]
    blob = session_shop.blobs.read(after.layers[-1].digest)
    assert b"canary" not in blob + after.config
    assert sorted(layer_of(backend, after)) == ["seen"]


def test_a_secret_that_was_not_given_is_refused_before_anything_runs(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace
) -> None:
    with pytest.raises(UsageError, match="token"):
        backend.run_step(base, make.step("true", secrets=("token",)), KEY)


def test_no_network(backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, events: list[Event]) -> None:
    backend.run_step(base, make.step("while read a b; do echo $a; done < /proc/net/dev", network=False), KEY)
    assert [line for line in lines(events) if line.endswith(":")] == ["lo:"]


def test_the_exec_form_is_no_shell(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, events: list[Event]
) -> None:
    backend.run_step(base, make.step(("cat", "--", "/etc/passwd")), KEY)
    assert lines(events)[0] == "root:x:0:0:root:/root:/bin/sh"
    with pytest.raises(StepFailed) as caught:
        backend.run_step(base, make.step(("--privileged", "$HOME")), KEY)
    assert "--privileged" in caught.value.stderr_tail


def test_a_step_that_fails_says_how(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, session_shop: Workshop
) -> None:
    with pytest.raises(StepFailed) as caught:
        backend.run_step(base, make.step("echo before; echo oops >&2; exit 3"), KEY)
    error = caught.value
    assert (error.backend, error.step, error.status) == ("podman", "$.steps[0]", 3)
    assert sorted(error.stderr_tail.splitlines()) == ["before", "oops"]  # of two pipes, either may be read first
    assert leftovers(session_shop) == NOTHING


def test_a_step_on_a_step_and_the_images_that_they_ran_on_go(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, session_shop: Workshop
) -> None:
    first = backend.run_step(base, make.step("echo 1 > /one"), KEY)
    second = backend.run_step(first, make.step("cat /one; rm /one; echo 2 > /two"), "b" * 64)
    assert sorted(layer_of(backend, second)) == [".wh.one", "two"]
    image = Assembled(second.config, second.layers)
    placed = backend.materialize(second, image, (), "steps")
    assert backend.place.exists(image.image_id, placed.digest) is Presence.YES
    every = [[*record.get("names", ()), *record.get("names-history", ())] for record in locate(session_shop).images()]
    assert not [names for names in every if names and all(STEP_IMAGE in name for name in names)]


def test_bytes_of_any_encoding_and_amount(
    backend: PodmanBackend, base: Snapshot, make: SimpleNamespace, session_shop: Workshop
) -> None:
    said: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, Output):
            said.append(event.line)

    backend = PodmanBackend(evolve(session_shop, emit=note))
    much = "yes 0123456789012345678901234567890123456789012345678 | head -c 20000000"
    step = make.step(f"echo '\\377\\376'; {much}; echo end")
    backend.run_step(base, step, KEY)
    assert said[-1] == "end"
    left_out = next(int(line.split()[2]) for line in said if line.endswith("are left out)"))
    assert 100_000 < len(said) < 110_000
    assert sum(len(line) + 1 for line in said) + left_out > 20_000_000


def test_a_step_that_hangs_is_ended_whole(base: Snapshot, make: SimpleNamespace, session_shop: Workshop) -> None:
    backend = PodmanBackend(evolve(session_shop, step_seconds=2.0))
    with pytest.raises(StepFailed) as caught:
        backend.run_step(base, make.step("echo started; sleep 4242 & sleep 4243"), KEY)
    assert caught.value.status == 124
    assert caught.value.stderr_tail.startswith("started\n(ended: it took longer than 2 s)")
    assert subprocess.run(["pgrep", "-f", "sleep 424[23]"], capture_output=True, check=False).stdout == b""
    assert leftovers(session_shop) == NOTHING


CHILD = """
import pickle, sys
from coopery_podman.backend import PodmanBackend
from coopery.backend import Workshop
from coopery.home import Home
from coopery.settings import Settings
from pathlib import Path
home, (base, step) = Path(sys.argv[1]), pickle.load(sys.stdin.buffer)
kept = Home(home)
emit = lambda event: print(event.line, flush=True)
shop = Workshop(home, kept.staging, kept.blobs, Settings(home=home), None, emit)
PodmanBackend(shop).run_step(base, step, "c" * 64)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_we_are_interrupted_or_killed(
    base: Snapshot, make: SimpleNamespace, session_shop: Workshop, number: signal.Signals
) -> None:
    import pickle

    step: SealedStep = make.step("echo started; sleep 4244 & sleep 4245")
    argv = [sys.executable, "-c", CHILD, str(session_shop.home)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(pickle.dumps((base, step)))
        child.stdin.close()
        assert child.stdout.readline() == b"started\n"
        child.send_signal(number)
        child.wait(30)
    for _ in range(50):  # the kernel ends the namespace by itself
        if subprocess.run(["pgrep", "-f", "sleep 424[45]"], capture_output=True, check=False).returncode:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the step still runs")
    left = sweep(session_shop, Buildah())
    assert len(left) == (1 if number is signal.SIGKILL else 0)
    found = leftovers(session_shop)
    assert {**found, "files": [name for name in found["files"] if not name.startswith("podman-")]} == NOTHING
    assert sweep(session_shop, Buildah()) == ()


def test_a_container_of_somebody_who_lives_is_left_alone(session_shop: Workshop) -> None:
    tool = Buildah()
    from coopery_podman import buildah, containers

    name = f"coopery-{containers._where()}-{os.getpid()}-{processes.began(os.getpid())}-{'0' * 8}"
    tool.call(buildah.from_("scratch", name=name))
    try:
        assert sweep(session_shop, tool) == ()
    finally:
        tool.call(buildah.rm(name))
