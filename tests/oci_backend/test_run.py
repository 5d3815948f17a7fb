"""Running: what a program sees and leaves, by each way that this machine allows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coopery import platform
from coopery.errors import BackendError, NotFound, UnsupportedError, UsageError
from coopery.events import Output, Warned
from coopery.layer import Entry
from coopery_oci import rootfs, run

NAMESPACE = ("namespace", True)
CHROOT_APART = ("chroot", True)
CHROOT = ("chroot", False)
LOADER = ("loader", False)

root = [
    pytest.mark.slow,
    pytest.mark.needs("chroot"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot"),
]
WAYS = [
    pytest.param([NAMESPACE], marks=pytest.mark.needs("namespaces"), id="namespace"),
    pytest.param([CHROOT_APART], marks=root, id="chroot-apart"),
    pytest.param([CHROOT], marks=root, id="chroot"),
    pytest.param([LOADER], id="loader"),
]
ROOTED = WAYS[:3]
APART = WAYS[:2]


@pytest.mark.parametrize("ways", WAYS)
def test_output_and_status_come_through(go, ways):
    done = go("sh", "-c", "echo said; echo also >&2; exit 7", ways=ways)
    assert (done.status, done.out, done.err) == (7, "said\n", "also\n")


@pytest.mark.parametrize("ways", WAYS)
def test_the_way_is_said(go, ways):
    words = {"namespace": "user namespace and chroot", "chroot": "chroot as root", "loader": "the image's own loader"}
    (said,) = go("sh", "-c", ":", ways=ways).events
    assert isinstance(said, Output)
    assert said.line.startswith(f"run: {words[ways[0][0]]}")


@pytest.mark.parametrize("ways", ROOTED)
def test_the_environment_is_the_images(go, ways, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("HOST_ONLY", "1")
    done = go("env", ways=ways, env={"EXTRA": "1", "COLOR": "red"})
    assert dict(line.split("=", 1) for line in done.out.splitlines()) == {
        "PATH": "/usr/bin:/bin",
        "COLOR": "red",
        "EXTRA": "1",
        "HOME": "/root",
        "TERM": "dumb",
    }


@pytest.mark.parametrize("ways", ROOTED)
def test_the_root_is_the_images_and_the_working_directory_is_made(go, ways):
    here = str(Path(__file__).parent)
    done = go("sh", "-c", 'pwd; cat /etc/passwd; ls -d "$1" /root', "sh", here, ways=ways)
    assert f"'{here}'" in done.err
    assert done.out.startswith("/work\nroot:x:0:0")
    assert done.out.endswith("/root\n")


def test_without_a_command_the_images_own_is_run(go):
    assert go().out == "own\n"


@pytest.mark.parametrize("ways", WAYS)
def test_what_a_program_writes_is_gone_with_it(go, running_shop, ways):
    done = go("sh", "-c", "echo x > new; rm -f ../etc/passwd; mkdir -p a/b; cat new", ways=ways)
    assert (done.status, done.out) == (0, "x\n")
    for unpacked in (running_shop.home / "rootfs").iterdir():
        assert not (unpacked / "root" / "work").exists()
        assert (unpacked / "root" / "etc" / "passwd").is_file()


@pytest.mark.parametrize("ways", APART)
def test_mounts_are_the_hosts(go, ways, tmp_path):
    folder = tmp_path / "with: comma, colon"
    folder.mkdir()
    (folder / "in").write_text("from the host")
    (tmp_path / "file").write_text("; one file")
    mounts = [(folder, "/data/deep"), (tmp_path / "file", "/etc/one")]
    done = go("sh", "-c", "cat /data/deep/in /etc/one; echo out > /data/deep/out", ways=ways, mounts=mounts)
    assert done.out == "from the host; one file"
    assert (folder / "out").read_text() == "out\n"


@pytest.mark.parametrize("ways", APART)
def test_a_mount_that_is_not_to_be_written_is_not(go, ways, tmp_path):
    (tmp_path / "in").write_text("from the host")
    mounts = [(tmp_path, "/data/deep")]
    done = go(
        "sh", "-c", "cat /data/deep/in; echo out > /data/deep/out", ways=ways, mounts=mounts, read_only=["/data/deep"]
    )
    assert done.out == "from the host"
    assert "ead-only file system" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ways", WAYS[2:])
def test_where_nothing_can_be_mounted_it_is_said(go, ways, tmp_path):
    with pytest.raises(BackendError, match=f"it cannot mount {tmp_path}"):
        go("sh", ways=ways, mounts=[(tmp_path, "/data")])


@pytest.mark.parametrize("ways", APART)
def test_devices_and_processes_are_its_own(go, ways):
    done = go("sh", "-c", "echo x > /dev/null && ls /dev && echo x > /dev/shm/x && ls /proc", ways=ways)
    assert done.status == 0
    assert {"null", "zero", "urandom", "tty", "shm", "pts", "stdin"} <= set(done.out.split())
    assert len([name for name in done.out.split() if name.isdigit()]) <= 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could change the machine")
@pytest.mark.parametrize("ways", APART)
def test_the_machine_is_protected_from_its_root(go, ways):
    script = "for file in /proc/sys/kernel/panic /sys/kernel/new; do (: >> $file) 2>&1; done"
    assert go("sh", "-c", script, ways=ways).out.count("Read-only file system") == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root has every user")
@pytest.mark.parametrize("ways", ROOTED)
def test_users_are_the_images(go, ways):
    done = go("sh", "-c", "id; echo $HOME; : > /home/app/x && ls -ln /home/app/x; : > /new", ways=ways, user="app")
    who, home, file = done.out.splitlines()
    assert who.startswith("uid=1000(app) gid=1001(apps)")
    assert "44(video)" in who
    assert home == "/home/app"
    assert file.split()[2:4] == ["1000", "1001"]
    assert "cannot create /new" in done.err


@pytest.mark.parametrize("ways", [WAYS[0], WAYS[-1]])
@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("nothing", 127, "'nothing' is not in the image; looked in /usr/bin:/bin"),
        ("/no/thing", 127, "'/no/thing' is not in the image"),
        ("/etc/passwd", 126, "/etc/passwd cannot be executed: it is a file with mode 0644"),
        ("/etc", 126, "/etc cannot be executed: it is a directory"),
    ],
)
def test_what_cannot_be_started_is_explained(go, ways, program, status, said):
    done = go(program, ways=ways)
    assert done.status == status
    (warned,) = [event for event in done.events if isinstance(event, Warned)]
    assert said in warned.message


def test_a_missing_interpreter_is_named(go, running_shop, make):
    script = make.text("usr/bin/tool", b"#!/usr/bin/perl\n", 0o755)
    image = make.image([make.layer(running_shop, [script])], {"Env": ["PATH=/usr/bin"]})
    done = go("tool", image=image)
    assert done.status == 127
    assert "/usr/bin/tool cannot be started: it needs /usr/bin/perl" in done.events[-1].message


def test_a_file_that_is_no_program(go, running_shop, make):
    image = make.image([make.layer(running_shop, [make.text("tool", b"\x7fELF but no", 0o755)])])
    done = go("/tool", image=image)
    assert done.status == 126
    assert "/tool is no program of this platform" in done.events[-1].message


@pytest.mark.parametrize("ways", WAYS)
def test_a_signal_that_ends_the_program_is_its_status(go, ways):
    assert go("sh", "-c", "kill -KILL $$", ways=ways).status == 128 + signal.SIGKILL


@pytest.mark.parametrize("ways", WAYS[:1])
def test_activation_scripts_are_sourced_where_there_is_a_shell(go, running_shop, make, ways):
    folder = "opt/env/etc/conda/activate.d"
    scripts = [
        make.text(f"{folder}/b it's.sh", b"ORDER=$ORDER-b; export ORDER\n"),
        make.text(f"{folder}/a.sh", b"ORDER=a\n"),
        make.text(f"{folder}/c.fish", b"exit 1\n"),
    ]
    settings = {"Env": ["PATH=/usr/bin", "CONDA_PREFIX=/opt/env"]}
    layers = [make.layer(running_shop, make.tools()), make.layer(running_shop, scripts)]
    done = go("sh", "-c", 'echo "$ORDER" "$@"', "name", "two words", image=make.image(layers, settings), ways=ways)
    assert done.out == "a-b two words\n"


def test_the_loader_starts_scripts_too(go, running_shop, make):
    scripts = [
        make.text("usr/bin/direct", b"#!/usr/bin/sh\necho direct $1\n", 0o755),
        make.text("usr/bin/by-env", b"#!/usr/bin/env sh\necho by-env $1\n", 0o755),
        Entry("usr/bin/linked", "symlink", 0o777, "/usr/bin/by-env"),
    ]
    layers = [make.layer(running_shop, make.tools()), make.layer(running_shop, scripts)]
    image = make.image(layers, {"Env": ["PATH=/usr/bin"]})
    for name, said in (("direct", "direct"), ("by-env", "by-env"), ("linked", "by-env")):
        assert go(name, "x", image=image, ways=[LOADER]).out == f"{said} x\n"


def test_an_image_for_another_platform_is_refused(go, make):
    other = "linux/s390x" if platform.of_host() != "linux/s390x" else "linux/ppc64le"
    with pytest.raises(BackendError, match=rf"the image is for {other}.*no emulator \(qemu-") as caught:
        go("sh", image=make.image([], on=other))
    assert "qemu-user-static" in caught.value.remedy


@pytest.mark.parametrize("ways", ROOTED)
def test_an_image_cannot_reach_the_host_by_its_links(go, running_shop, make, tmp_path, ways):
    outside = tmp_path / "outside"
    outside.mkdir()
    names = ("dev", "proc", "sys", "etc", "job", "mnt")
    links = [Entry(name, "symlink", 0o777, f"/../../../../../..{outside}") for name in names]
    own = [entry for entry in make.tools() if not entry.path.startswith("etc/")]
    image = make.image([make.layer(running_shop, [*own, *links])], {"Env": ["PATH=/usr/bin"], "WorkingDir": "/job/x"})
    mounts = [(outside, "/mnt/deep")] if ways != [CHROOT] else []
    done = go("sh", "-c", "pwd; echo x > file; echo y > /etc/file; exit 3", image=image, ways=ways, mounts=mounts)
    assert (done.status, done.err) == (3, "")
    assert done.out == f"{outside}/x\n"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("ways", APART)
def test_files_in_the_place_of_the_systems_folders(go, running_shop, make, ways):
    files = [Entry(name) for name in ("dev", "proc", "sys")]
    image = make.image([make.layer(running_shop, [*make.tools(), *files])], {"Env": ["PATH=/usr/bin"]})
    assert go("sh", "-c", "echo x > /dev/null && cat /proc/1/status", image=image, ways=ways).status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.needs("namespaces")
def test_where_there_is_no_overlay_each_run_has_a_copy(small_image, running_shop, tmp_path):
    """The home lies on an overlay: the kernel stacks no other upon it."""
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    below = f"lowerdir={running_shop.home},upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    given = {
        "config": small_image.config.decode(),
        "layers": [[layer.diff_id, layer.digest, layer.size] for layer in small_image.layers],
        "argv": ["sh", "-c", "rm /etc/passwd; echo x > /new; cat /new; exit 6"],
        "env": {},
        "mounts": [],
        "ways": [NAMESPACE],
        "user": "",
    }
    rootfs.unpacked(running_shop, small_image)
    script = f'mount -t overlay none -o {below} {tmp_path}/merged && exec "$@"'
    python = [sys.executable, str(Path(__file__).with_name("runner.py")), f"{tmp_path}/merged", json.dumps(given)]
    command = ["unshare", "--mount", "sh", "-c", script, "sh", *python]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (6, "x\n"), done.stderr
    for unpacked in (running_shop.home / "rootfs").iterdir():
        assert not (unpacked / "root" / "new").exists()
    copied = [path for path in (tmp_path / "upper" / "rootfs").rglob("*") if not path.is_dir()]
    assert copied == [], "the folder is marked as used; nothing in it is touched"
    assert list((tmp_path / "upper" / "running").iterdir()) == []


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        ({"gpu": True}, UnsupportedError, "lacks the ability 'gpu'"),
        ({"user": "stranger"}, BackendError, "no user 'stranger'"),
        ({"workdir": "relative"}, UsageError, "not absolute"),
        ({"workdir": "/etc/passwd/x"}, BackendError, "/etc/passwd: a folder is needed"),
        ({"env": {"A": "b\0c"}}, UsageError, "NUL"),
        ({"mounts": [("/no/such/thing", "/x")]}, UsageError, "nothing is there"),
        ({"mounts": [("/etc", "/")]}, UsageError, "at /"),
        ({"mounts": [("/etc", "/etc/passwd")]}, UsageError, "a folder, at /etc/passwd, which is a file"),
        ({"mounts": [("/etc", "data")]}, UsageError, "'data' is not absolute"),
    ],
)
def test_requests_that_cannot_be(go, request_, error, said):
    with pytest.raises(error, match=said):
        go("sh", **request_)


def test_an_image_without_a_command(go, make):
    with pytest.raises(UsageError, match="no command of its own"):
        go(image=make.image([]))


def test_an_image_that_is_not_here(running_shop):
    with pytest.raises(NotFound):
        run.run(running_shop, "sha256:" + "0" * 64, None)
