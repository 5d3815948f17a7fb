"""The smallest program, what is remembered, what is left out of layers, what is told of registries, tidying."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve

from coopery.backend import Workshop
from coopery.digest import Digest
from coopery.files import Stat
from coopery.place import Presence
from coopery.settings import Settings
from coopery_podman import memo, probe, registries, strays, tidy
from coopery_podman.place import PodmanPlace

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

Fake = Callable[[str, str], Path]
ID, OTHER, THIRD = (Digest("sha256:" + char * 64) for char in "abc")


def test_the_smallest_program_runs(tmp_path: Path) -> None:
    path = probe.write(tmp_path)
    assert path is not None
    assert subprocess.run([path], check=False).returncode == 0
    assert path.stat().st_size < 200


def test_the_smallest_program_for_another_machine_is_an_elf_file_of_its_kind() -> None:
    program = probe.program("aarch64")
    assert program is not None
    assert (program[:4], program[18:20]) == (b"\x7fELF", (183).to_bytes(2, "little"))
    assert probe.program("vax") is None


def test_what_was_found_is_remembered_until_something_changes(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        return {"answer": len(asked)}

    assert [memo.remembered(workshop, "x", ask)["answer"] for _ in range(3)] == [1, 1, 1]
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(workshop.home / "storage.conf"))
    assert memo.remembered(workshop, "x", ask)["answer"] == 2
    (workshop.home / "storage.conf").write_text("[storage]\n")
    assert [memo.remembered(workshop, "x", ask)["answer"] for _ in range(2)] == [3, 3]
    (workshop.home / "podman" / "x.json").write_text('{"conditions')
    assert memo.remembered(workshop, "x", ask)["answer"] == 4
    memo.forget(workshop, "x")
    assert memo.remembered(workshop, "x", ask)["answer"] == 5


class Before:
    """Files of an image, by path."""

    def __init__(self, **stats: Stat) -> None:
        self._stats = stats

    def lstat(self, path: str) -> Stat | None:
        return self._stats.get(path[1:])

    def listdir(self, path: str) -> tuple[str, ...]:
        raise AssertionError(path)

    def read(self, path: str, limit: int) -> bytes:
        raise AssertionError((path, limit))


def upper(folder: Path, *paths: str) -> Path:
    folder.mkdir()
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    for path in folder.iterdir():
        path.chmod(0o755)
    return folder


def test_folders_that_only_hold_mount_points_are_no_change(tmp_path: Path) -> None:
    changed = upper(tmp_path / "upper", "etc/hosts", "etc/resolv.conf", "run/secrets/id", "run/.containerenv", "a")
    assert strays.around(changed, Before()) == {"etc", "run"}
    assert strays.around(changed, Before(etc=Stat("directory", 0o755))) == {"etc", "run"}


def test_folders_that_a_step_changed_are_a_change(tmp_path: Path) -> None:
    changed = upper(tmp_path / "upper", "etc/hosts", "etc/mine", "run/.containerenv")
    assert strays.around(changed, Before()) == {"run"}
    (changed / "run").chmod(0o700)
    assert strays.around(changed, Before()) == set()
    assert strays.around(changed, Before(run=Stat("directory", 0o700))) == {"run"}
    assert strays.around(changed, Before(run=Stat("directory", 0o700, uid=5))) == set()


def test_registries_are_told_only_what_the_settings_say(tmp_path: Path) -> None:
    assert registries.variables(Settings(home=tmp_path), tmp_path) == {}
    settings = Settings(
        home=tmp_path, registries={"docker.io": 'http://u:p@mirror:5000/hub"'}, plain_http=("plain:5000",)
    )
    told = registries.variables(settings, tmp_path)
    text = Path(told["CONTAINERS_REGISTRIES_CONF"]).read_text()
    import tomllib

    document = tomllib.loads(text)
    assert document["unqualified-search-registries"] == ["docker.io"]
    assert document["registry"] == [
        {"prefix": "docker.io", "location": "docker.io", "mirror": [{"location": 'mirror:5000/hub"'}]},
        {"location": "plain:5000", "insecure": True},
    ]


def test_registries_on_loopback_are_found_in_what_a_dockerfile_says() -> None:
    lines = [
        "FROM 127.0.0.1:5000/a:v1 AS x",
        "COPY --from=localhost/b /x /y",
        "FROM --platform=$P [::1]:5001/c@sha256:0",
    ]
    lines += ["RUN curl http://127.0.0.1:80/x", "FROM notlocalhost:5000/a", "FROM 1127.0.0.1/a", "FROM x.localhost:1/a"]
    expected = ("127.0.0.1:5000", "127.0.0.1:80", "[::1]:5001", "localhost")
    assert registries.on_loopback(["\n".join(lines)]) == expected
    assert registries.on_loopback(["localhost/coopery:base"] * 2) == ("localhost",)
    assert registries.on_loopback([]) == ()


def test_registries_on_loopback_are_added_to_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tomllib

    own = tmp_path / "own.conf"
    own.write_text(
        'unqualified-search-registries = ["quay.io"]\n[[registry]]\nlocation = "127.0.0.1:1"\nblocked = true'
    )
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(own))

    def told(settings: Settings, *plain: str) -> dict[str, Any]:
        named = registries.variables(settings, tmp_path, plain)
        return tomllib.loads(Path(named["CONTAINERS_REGISTRIES_CONF"]).read_text()) if named else {}

    nothing = Settings(home=tmp_path)
    added = {"location": "127.0.0.1:2", "insecure": True}
    assert told(nothing, "127.0.0.1:1") == {}, "what somebody said of it counts"
    found = told(nothing, "127.0.0.1:1", "127.0.0.1:2")
    assert found["unqualified-search-registries"] == ["quay.io"]
    assert found["registry"] == [{"location": "127.0.0.1:1", "blocked": True}, added]
    assert told(Settings(home=tmp_path, plain_http=("127.0.0.1:2",)), "127.0.0.1:2")["registry"] == [added]
    own.unlink()
    assert told(nothing, "127.0.0.1:2") == {"registry": [added]}


def test_tidying_enters_folders_that_are_closed(tmp_path: Path) -> None:
    inner = tmp_path / "x" / "closed" / "deeper"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    inner.parent.chmod(0)
    assert tidy.remove(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert tidy.remove(tmp_path / "x")


def test_tidying_leaves_what_is_mounted_alone() -> None:
    assert tidy.has_mounts(Path("/proc"))
    assert tidy.has_mounts(Path("/"))
    assert not tidy.remove(Path("/proc"))
    assert not tidy.has_mounts(Path(__file__).parent)


@pytest.mark.parametrize(("status", "presence"), [(0, "yes"), (1, "no"), (125, "unknown")])
def test_where_the_files_say_no_podman_is_asked(workshop: Workshop, fake: Fake, status: int, presence: str) -> None:
    store = {
        "GraphRoot": str(workshop.home / "graph"),
        "RunRoot": str(workshop.home / "run"),
        "GraphDriverName": "overlay",
    }
    fake("buildah", f"print({json.dumps({'store': store})!r})")
    fake("podman", f"if sys.argv[2] == 'inspect': sys.exit(print({ID!r}))\nsys.exit({status})")
    assert PodmanPlace(workshop).exists(ID, ID) is Presence(presence)


def test_an_image_under_another_manifest_is_not_that_image(workshop: Workshop, fake: Fake) -> None:
    graph = workshop.home / "graph"
    store = {"GraphRoot": str(graph), "RunRoot": str(workshop.home / "run"), "GraphDriverName": "overlay"}
    fake("buildah", f"print({json.dumps({'store': store})!r})")
    fake("podman", f"if sys.argv[2] == 'inspect': print({ID!r})")
    assert PodmanPlace(workshop).exists(ID, OTHER) is Presence.NO
    (graph / "overlay-images").mkdir(parents=True)
    images = [{"id": "a" * 64, "digest": ID, "big-data-digests": {"manifest": THIRD}}]
    (graph / "overlay-images" / "images.json").write_text(json.dumps(images))
    found = [PodmanPlace(workshop).exists(ID, digest) for digest in (ID, THIRD, OTHER)]
    assert found == [Presence.YES, Presence.YES, Presence.NO]


def test_an_engine_that_is_absent_is_no_answer(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert PodmanPlace(workshop).exists(ID, ID) is Presence.UNKNOWN


def test_a_hit_starts_no_program_and_loads_no_module_that_does(
    workshop: Workshop, fake: Fake, make: SimpleNamespace
) -> None:
    """The memo is there, the image is in the files: nothing but reading."""
    graph = workshop.home / "graph"
    store = {"GraphRoot": str(graph), "RunRoot": str(workshop.home / "run"), "GraphDriverName": "overlay"}
    fake("buildah", f"print({json.dumps({'store': store})!r})")
    (graph / "overlay-images").mkdir(parents=True)
    (graph / "overlay-images" / "images.json").write_text(json.dumps([{"id": "a" * 64, "digest": ID}]))
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from coopery_podman.place import PodmanPlace\n"
        "home = Path(sys.argv[1])\n"
        "place = PodmanPlace(SimpleNamespace(home=home, staging=home / 'staging'))\n"
        "found = place.exists('sha256:' + 'a' * 64, 'sha256:' + 'a' * 64)\n"
        "print(found.value, *sorted({'subprocess', 'tempfile', 'coopery_podman.buildah'} & set(sys.modules)))\n"
    )
    said = [
        subprocess.check_output([sys.executable, "-c", script, workshop.home], text=True, env=os.environ).split()
        for _ in range(2)
    ]
    assert said[0][0] == "yes"  # the first time, buildah is asked where its storage is
    assert said[1] == ["yes"]


def test_the_backend_touches_nothing_when_it_is_made(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    from coopery_podman.backend import PodmanBackend

    monkeypatch.setenv("PATH", "")
    made = PodmanBackend(evolve(workshop, step_seconds=1.0))
    assert (made.name, made.place.name) == ("podman", "podman:")
    assert made.examine().found is False
