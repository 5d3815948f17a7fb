"""Steps that execute nothing: what they put into layers and config, byte for byte the same everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coopery.definition import CopyStep, Environment, EnvStep, RunStep, ScratchBase, UserStep, WorkdirStep
from coopery.errors import IntegrityError, StepError, UnsupportedError
from coopery.image import Assembled
from coopery.layer import Entry
from coopery.oci.layers_view import LayersFiles
from coopery.oci.validate import validate
from coopery.seal import seal
from coopery_oci.backend import OciBackend


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A definition's folder."""
    (tmp_path / "app" / "sub").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("print('hello')\n")
    (tmp_path / "app" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "app" / "run").chmod(0o744)
    (tmp_path / "app" / "sub" / "data").write_bytes(b"\0" * 1000)
    (tmp_path / "app" / "link").symlink_to("sub/data")
    (tmp_path / "app" / "empty").mkdir()
    return tmp_path


@pytest.fixture
def after(workshop, make, source):
    """Run steps on a base with *entries*; returns the last snapshot and its files."""
    backend = OciBackend(workshop)

    def run(*steps, entries=(), settings=None):
        layers = [make.layer(workshop, entries)] if entries else []
        snapshot = make.snapshot(make.image(layers, settings))
        for number, step in enumerate(seal(Environment(ScratchBase(), steps, root=source)).steps):
            snapshot = backend.run_step(snapshot, step, f"{number:064x}")
            if snapshot.layers:
                validate(Assembled(snapshot.config, snapshot.layers))
        return snapshot, LayersFiles(snapshot.layers, workshop.blobs)

    return run


def paths(files: LayersFiles, top: str = "/") -> dict[str, tuple[str, int, int, int]]:
    """Everything below *top*: kind, mode, owner and group."""
    found = {}
    for name in files.listdir(top):
        path = f"{top.rstrip('/')}/{name}"
        stat = files.lstat(path)
        found[path] = (stat.kind, stat.mode, stat.uid, stat.gid)
        found |= paths(files, path) if stat.kind == "directory" else {}
    return found


def settings_of(snapshot) -> dict:
    return json.loads(snapshot.config)["config"]


class TestCopy:
    def test_a_folders_content_goes_below(self, after):
        _, files = after(CopyStep("app", "/srv/app"))
        assert paths(files) == {
            "/srv": ("directory", 0o755, 0, 0),
            "/srv/app": ("directory", 0o755, 0, 0),
            "/srv/app/empty": ("directory", 0o755, 0, 0),
            "/srv/app/link": ("symlink", 0o777, 0, 0),
            "/srv/app/main.py": ("file", 0o644, 0, 0),
            "/srv/app/run": ("file", 0o755, 0, 0),
            "/srv/app/sub": ("directory", 0o755, 0, 0),
            "/srv/app/sub/data": ("file", 0o644, 0, 0),
        }
        assert files.read("/srv/app/main.py", 99) == b"print('hello')\n"
        assert files.lstat("/srv/app/link").target == "sub/data"

    @pytest.mark.parametrize("to", ["/srv/app/", "/srv/app"])
    def test_a_slash_changes_nothing_for_a_folder(self, after, to):
        assert "/srv/app/main.py" in paths(after(CopyStep("app", to))[1])

    def test_to_the_root(self, after):
        assert "/main.py" in paths(after(CopyStep("app", "/"))[1])

    def test_a_file_becomes_its_target(self, after):
        _, files = after(CopyStep("app/main.py", "/srv/start.py"))
        assert list(paths(files)) == ["/srv", "/srv/start.py"]

    def test_a_file_goes_below_a_target_with_a_slash(self, after):
        _, files = after(CopyStep("app/main.py", "/srv/"))
        assert list(paths(files)) == ["/srv", "/srv/main.py"]

    def test_mode_is_for_files_and_owner_for_all_that_is_new(self, after, make):
        step = CopyStep("app", "/srv/app", mode=0o600, owner="app")
        entries = [make.text("etc/passwd", b"app:x:7:8::/:\n")]
        found = paths(after(step, entries=entries)[1], "/srv")
        assert found.pop("/srv/app/link") == ("symlink", 0o777, 7, 8)
        assert {value for value in found.values() if value[0] == "file"} == {("file", 0o600, 7, 8)}
        assert {value for value in found.values() if value[0] == "directory"} == {("directory", 0o755, 7, 8)}

    @pytest.mark.parametrize(("owner", "ids"), [("5", (5, 5)), ("5:6", (5, 6)), ("0:wheel", (0, 10))])
    def test_owners(self, after, make, owner, ids):
        entries = [make.text("etc/group", b"wheel:x:10:\n")]
        _, files = after(CopyStep("app/main.py", "/x", owner=owner), entries=entries)
        assert paths(files)["/x"] == ("file", 0o644, *ids)

    def test_an_unknown_owner(self, after):
        with pytest.raises(StepError, match=r"\$\.steps\[0\]\.owner: the image has no user 'stranger'"):
            after(CopyStep("app", "/x", owner="stranger"))

    def test_folders_of_the_base_keep_mode_and_owner(self, after):
        entries = [Entry("srv", "directory", 0o2770, uid=3, gid=4), Entry("srv/app", "directory", 0o700, uid=5)]
        _, files = after(CopyStep("app", "/srv/app/deep", owner="9:9"), entries=entries)
        found = paths(files)
        assert found["/srv"] == ("directory", 0o2770, 3, 4)
        assert found["/srv/app"] == ("directory", 0o700, 5, 0)
        assert found["/srv/app/deep"] == ("directory", 0o755, 9, 9)

    def test_symlinks_of_the_base_are_followed_not_replaced(self, after):
        entries = [
            Entry("usr/lib", "directory", 0o711),
            Entry("lib", "symlink", 0o777, "usr/lib"),
            Entry("app/sub", "symlink", 0o777, "/var/data"),
            Entry("var/data", "directory", 0o750),
        ]
        snapshot, files = after(CopyStep("app", "/lib/new"), CopyStep("app", "/app"), entries=entries)
        assert files.lstat("/lib").kind == "symlink"
        assert files.lstat("/app/sub").kind == "symlink"
        found = paths(files)
        assert found["/usr/lib"] == ("directory", 0o711, 0, 0)
        assert found["/usr/lib/new/main.py"][0] == "file"
        assert found["/var/data"] == ("directory", 0o750, 0, 0)
        assert found["/var/data/data"][0] == "file"
        assert len(snapshot.layers) == 3

    def test_a_symlink_in_the_place_of_a_file_is_replaced(self, after):
        entries = [Entry("app/main.py", "symlink", 0o777, "/etc/passwd")]
        assert after(CopyStep("app", "/app"), entries=entries)[1].lstat("/app/main.py").kind == "file"

    @pytest.mark.parametrize(
        ("entries", "step", "said"),
        [
            ([Entry("srv")], CopyStep("app", "/srv"), "/srv is a file, and a folder is needed"),
            ([Entry("srv")], CopyStep("app", "/srv/x"), "/srv: a folder is needed here, and it is a file"),
            ([Entry("srv", "symlink", target="gone")], CopyStep("app", "/srv"), "/srv names /gone, which is missing"),
            ([Entry("srv", "symlink", target="srv")], CopyStep("app", "/srv"), "loop"),
            ([Entry("srv/x", "directory", 0o755)], CopyStep("app/main.py", "/srv"), "end `to` with a '/'"),
            ([Entry("srv/main.py/x")], CopyStep("app", "/srv"), "/srv/main.py is a folder, and a file would replace"),
        ],
    )
    def test_what_is_in_the_way(self, after, entries, step, said):
        with pytest.raises(StepError) as caught:
            after(step, entries=entries)
        assert said in caught.value.message
        assert caught.value.message.startswith("$.steps[0]")

    def test_names_that_engines_take_for_whiteouts(self, after, source):
        (source / "app" / ".wh.x").touch()
        with pytest.raises(StepError, match="whiteout"):
            after(CopyStep("app", "/x"))

    def test_what_changed_since_the_key_is_not_copied(self, workshop, make, source):
        (step,) = seal(Environment(ScratchBase(), (CopyStep("app", "/x"),), root=source)).steps
        (source / "app" / "main.py").write_text("print('other')\n")
        backend = OciBackend(workshop)
        with pytest.raises(IntegrityError, match="changed since the key was made"):
            backend.run_step(make.snapshot(make.image([])), step, "a" * 64)
        assert backend.find_snapshot("a" * 64) is None


class TestEnv:
    def test_old_names_keep_their_place(self, after):
        step = EnvStep({"B": "new", "A": "1"})
        snapshot, _ = after(step, settings={"Env": ["PATH=/bin", "B=old", "C=3"]})
        assert settings_of(snapshot)["Env"] == ["PATH=/bin", "B=new", "C=3", "A=1"]
        assert json.loads(snapshot.config)["history"][-1]["empty_layer"] is True

    @pytest.mark.parametrize(
        ("written", "value"),
        [
            ("/new:$PATH", "/new:/bin"),
            ("${PATH}:/new", "/bin:/new"),
            ("$PATHS|${GONE}", "|"),
            (r"\$PATH", "$PATH"),
            ("$5 $ ${ $$PATH", "$5 $ ${ $/bin"),
            ("$B", "old"),
        ],
    )
    def test_variables_in_values(self, after, written, value):
        snapshot, _ = after(EnvStep({"A": written, "B": "new"}), settings={"Env": ["PATH=/bin", "B=old"]})
        assert f"A={value}" in settings_of(snapshot)["Env"]

    def test_nothing_else_changes(self, after):
        before = {"Entrypoint": ["x"], "Labels": {"a": "b"}, "Unknown": {"kept": [1]}}
        snapshot, _ = after(EnvStep({"A": "1"}), settings=before)
        assert settings_of(snapshot) == {**before, "Env": ["A=1"]}


class TestWorkdir:
    def test_it_is_made(self, after):
        snapshot, files = after(WorkdirStep("/job/deep"))
        assert settings_of(snapshot)["WorkingDir"] == "/job/deep"
        assert paths(files)["/job/deep"] == ("directory", 0o755, 0, 0)

    def test_it_is_left_alone(self, after):
        entries = [Entry("srv", "directory", 0o700, uid=4), Entry("link", "symlink", 0o777, "srv")]
        snapshot, files = after(WorkdirStep("/link"), entries=entries)
        assert settings_of(snapshot)["WorkingDir"] == "/link"
        assert len(snapshot.layers) == 1
        assert paths(files)["/srv"] == ("directory", 0o700, 4, 0)

    def test_below_a_symlink(self, after):
        entries = [Entry("real", "directory", 0o755), Entry("link", "symlink", 0o777, "real")]
        _, files = after(WorkdirStep("/link/new"), entries=entries)
        assert files.lstat("/link").kind == "symlink"
        assert files.lstat("/real/new").kind == "directory"

    @pytest.mark.parametrize("entry", [Entry("work"), Entry("work", "symlink", target="gone")])
    def test_what_is_in_the_way(self, after, entry):
        with pytest.raises(StepError, match=r"\$\.steps\[0\]\.workdir: /work"):
            after(WorkdirStep("/work"), entries=[entry])


class TestUser:
    @pytest.mark.parametrize("user", ["app", "app:apps", "1000", "4242:1", "1000:apps"])
    def test_it_is_set(self, after, make, user):
        entries = [make.text("etc/passwd", b"app:x:1000:1::/:\n"), make.text("etc/group", b"apps:x:1001:\n")]
        assert settings_of(after(UserStep(user), entries=entries)[0])["User"] == user

    @pytest.mark.parametrize("user", ["stranger", "0:strangers", "99999999999"])
    def test_a_name_must_exist(self, after, user):
        with pytest.raises(StepError, match=r"\$\.steps\[0\]\.user: "):
            after(UserStep(user))


def test_a_run_step_is_refused_by_name(workshop, make):
    (step,) = seal(Environment(ScratchBase(), (RunStep("true"),))).steps
    backend = OciBackend(workshop)
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[0\]\.run: backend 'oci' lacks the ability 'run'"):
        backend.identity(step)
    with pytest.raises(UnsupportedError, match=r"\$\.steps\[0\]\.run"):
        backend.run_step(make.snapshot(make.image([])), step, "a" * 64)


def test_identities_differ_where_results_may(workshop, source):
    steps = (
        CopyStep("app", "/x"),
        CopyStep("app", "/y"),
        CopyStep("app", "/x/"),
        CopyStep("app", "/x", mode=0o600),
        CopyStep("app", "/x", owner="1:1"),
        CopyStep("app/sub", "/x"),
        EnvStep({"A": "/x"}),
        WorkdirStep("/x"),
        UserStep("x"),
    )
    backend = OciBackend(workshop)
    sealed = seal(Environment(ScratchBase(), steps, root=source)).steps
    found = [json.dumps(backend.identity(step), sort_keys=True) for step in sealed]
    assert len(set(found)) == len(steps)
    assert str(source) not in "".join(found)


def test_a_base_whose_history_does_not_account_for_its_layers(after, workshop, make):
    layer = make.layer(workshop, [Entry("a")])
    document = {**make.image([layer]).document, "history": [{"created_by": "one"}, {"created_by": "two"}]}
    snapshot = make.snapshot(Assembled(json.dumps(document).encode(), (layer,)))
    (step,) = seal(Environment(ScratchBase(), (WorkdirStep("/w"),))).steps
    after_step = OciBackend(workshop).run_step(snapshot, step, "a" * 64)
    validate(Assembled(after_step.config, after_step.layers))
    assert [entry["created_by"] for entry in json.loads(after_step.config)["history"]] == [
        "base",
        "coopery: workdir /w",
    ]


SCRIPT = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[3], 8))
from coopery.backend import Workshop
from coopery.definition import CopyStep, EnvStep, Environment, ScratchBase, UserStep, WorkdirStep
from coopery.home import Home
from coopery.seal import seal
from coopery.settings import Settings
from coopery_oci.backend import OciBackend
home = Home(Path(sys.argv[1]))
shop = Workshop(home.root, home.staging, home.blobs, Settings(home=home.root), None, print)
steps = (CopyStep("app", "/srv/app"), EnvStep({"B": "2", "A": "1"}), WorkdirStep("/w/x"), UserStep("5:6"))
sealed = seal(Environment(ScratchBase(), steps, root=Path(sys.argv[2])))
backend = OciBackend(shop)
snapshot = backend.fetch_base(sealed.base, "linux/amd64")
for number, step in enumerate(sealed.steps):
    snapshot = backend.run_step(snapshot, step, f"{number:064x}")
print(snapshot.digest)
"""


def test_equal_inputs_give_equal_bytes(tmp_path, source):
    found = set()
    for number, (mask, zone, seed) in enumerate([("022", "UTC", "0"), ("077", "Asia/Tokyo", "7")]):
        for path in source.rglob("*"):
            os.utime(path, (number, number), follow_symlinks=False)
        environ = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C", "PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / f"home{number}"), str(source), mask]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, cwd="/")
        found.add(done.stdout.strip())
    assert len(found) == 1
