"""One cache folder of two users of a group: what one has made the other has; a third has nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from coopery import sharing
from coopery.home import MEMBERS
from sharing.conftest import GID, GROUP, UIDS, Team
from soak import rounds

pytestmark = [
    pytest.mark.needs("users", "mounts"),
    pytest.mark.processes,
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def closed(team: Team) -> list[str]:
    """What below the group's folder is not the group's; members' own aside, and the modes of packages' files."""
    found = []
    for path in team.home.rglob("*"):
        status, name = path.lstat(), str(path.relative_to(team.home))
        packaged = name.startswith("packages/") and name.count("/") > 1
        if name.startswith(f"{MEMBERS}/") or stat.S_ISLNK(status.st_mode):
            continue
        if name == "name":  # only ever read
            continue
        right = sharing.is_shared(status) if path.is_dir() else packaged or mode(path) & 0o667 == 0o660
        if not right or status.st_gid != GID:
            found.append(f"{name} {mode(path):04o} {status.st_gid}")
    return found


def test_what_one_has_built_the_other_has(team: Team) -> None:
    first = team.build("ada", "first", umask=0o077)
    found = team.build("bob", "first")
    assert (found["hit"], found["id"], found["reference"]) == (True, first["id"], first["reference"])
    assert closed(team) == []


def test_layers_and_packages_are_shared(team: Team) -> None:
    team.build("ada", "first", umask=0o077)
    before = {path.name: path.stat().st_ino for path in (team.home / "packages").iterdir() if path.is_dir()}
    made = team.build("bob", "second", umask=0o027)
    assert made["made"]["layers_reused"] >= 2
    after = {path.name: path.stat().st_ino for path in (team.home / "packages").iterdir() if path.is_dir()}
    assert before.items() < after.items()
    assert team.build("ada", "second")["hit"]
    assert closed(team) == []


def test_it_is_the_image_that_a_private_folder_gives(team: Team, world: Team) -> None:
    alone = Team(world.caller, world.folder, world.folder / "bob" / f"own-{team.home.parent.name}")
    team.build("ada", "first", umask=0o077)
    assert alone.build("bob", "second", umask=0o077)["id"] == team.build("bob", "second")["id"]


def test_a_rebuild_of_one_is_the_other_s_generation(team: Team) -> None:
    team.build("ada", "first")
    assert team.build("bob", "first", "--rebuild")["generation"] == 2
    found = team.build("ada", "first")
    assert (found["hit"], found["generation"]) == (True, 2)
    told = team.coopery("ada", "details", team.file("first")).stdout
    assert "bob@" in told


def test_a_third_has_nothing(team: Team) -> None:
    team.build("ada", "first")
    for words in (("build", team.file("first")), ("list",), ("gc",), ("cache", "copy", "home:", "/dev/null.tar")):
        done = team.coopery("eve", *words)
        assert (done.returncode, done.stdout) == (6, ""), done.stdout
        assert GROUP in done.stderr
        assert "which you are not in" in done.stderr
        assert "Traceback" not in done.stderr
    looked = team.does("eve", "find", team.home, "-mindepth", "1")
    assert looked.stdout == ""


def test_what_one_runs_the_other_has_no_hand_in(team: Team) -> None:
    team.build("ada", "first")
    for name in ("ada", "bob"):
        done = team.coopery(name, "run", team.file("first"), "--", "/opt/env/bin/answer")
        assert done.returncode == 7, done.stderr
        own = team.home / MEMBERS / str(UIDS[name])
        assert (own.stat().st_uid, mode(own) & 0o777) == (UIDS[name], 0o700)
        assert list((own / "rootfs").iterdir())
    assert not (team.home / "rootfs").exists()
    looked = team.does("bob", "ls", team.home / MEMBERS / str(UIDS["ada"]))
    assert looked.returncode != 0


def test_both_may_build_at_once(team: Team) -> None:
    command = [team.caller.python, "-m", "coopery", "build", team.file("second"), "--quiet"]
    environ = {**team.caller.environ, "COOPERY_HOME": str(team.home)}
    running = [
        subprocess.Popen(
            team.start(name, *command), env=environ, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in ("ada", "bob") * 2
    ]
    told = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 4, told
    logs = list((team.home / "logs").rglob("*.log"))
    assert len(logs) == 1, "one of them has built"


def test_a_member_takes_away_what_nobody_needs(team: Team) -> None:
    team.build("ada", "first", umask=0o077)
    kept = team.build("bob", "third")
    team.coopery("ada", "run", team.file("first"), "--", "/opt/env/bin/answer")
    done = team.coopery("bob", "pin", team.file("third"), "--name", "kept")
    assert done.returncode == 0, done.stderr
    done = team.coopery("bob", "gc", "--unused-for", "0s", "--grace", "0s", "--output", "json")
    assert done.returncode == 0, done.stderr
    listed = team.coopery("ada", "list").stdout
    assert team.build("ada", "third")["hit"]
    assert kept["key"][:12] in listed
    assert not team.build("ada", "first")["hit"]
    assert (team.home / MEMBERS / str(UIDS["ada"])).is_dir(), "what is a member's own is his to take away"
    assert closed(team) == []


def test_a_layer_that_a_member_has_damaged_is_noticed_and_made_again(team: Team) -> None:
    image = team.build("ada", "first")
    blobs = team.home / "images" / "blobs" / "sha256"
    victim = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    right = victim.read_bytes()
    script = f"printf x | dd of={victim} bs=1 seek=600 conv=notrunc"
    assert team.does("bob", "sh", "-c", script).returncode == 0
    assert victim.read_bytes() != right
    again = team.build("ada", "first")
    assert (again["hit"], again["id"]) == (False, image["id"])
    assert victim.read_bytes() == right
    assert team.build("bob", "first")["hit"]


# --- folders that are none of a group's -----------------------------------------------------------------


@pytest.mark.parametrize("bits", [0o3770, 0o2775])
def test_a_folder_with_other_bits_is_refused_with_the_remedy(team: Team, bits: int) -> None:
    team.build("ada", "third")
    team.home.chmod(bits)
    for name in ("ada", "bob"):
        done = team.coopery(name, "build", team.file("third"))
        assert (done.returncode, done.stdout) == (6, ""), done.stderr
        assert f"{bits:04o}" in done.stderr
        assert "chmod 2770" in done.stderr
    done = team.coopery("ada", "cache", "init", "--group", GROUP, team.home)
    assert done.returncode == 0, done.stderr
    assert team.build("bob", "third")["hit"]


def test_a_folder_where_anybody_may_have_made_it_is_refused(team: Team) -> None:
    team.home.parent.chmod(0o1777)
    done = team.coopery("bob", "build", team.file("third"))
    assert (done.returncode, "anybody may have made it" in done.stderr) == (6, True)


def test_somebody_else_s_folder_that_is_no_group_s_is_refused(team: Team) -> None:
    (team.home / ".coopery-group").unlink()
    team.home.chmod(0o2750)
    done = team.coopery("bob", "build", team.file("third"))
    assert (done.returncode, "belongs to user" in done.stderr) == (6, True)


@pytest.mark.parametrize("name", ["snapshots", "staging"])
def test_a_symlink_in_it_is_refused(team: Team, name: str) -> None:
    team.build("ada", "third")
    elsewhere = team.folder / "bob" / f"elsewhere-{name}-{team.home.parent.name}"
    elsewhere.mkdir()
    script = f"mv {team.home / name} {team.home / name}.was && ln -s {elsewhere} {team.home / name}"
    assert team.does("bob", "sh", "-c", script).returncode == 0
    done = team.coopery("ada", "build", team.file("first"))
    assert (done.returncode, "symlink" in done.stderr) == (6, True), done.stderr
    assert list(elsewhere.iterdir()) == []


def test_what_root_has_closed_is_told_and_can_be_put_right(team: Team) -> None:
    team.build("ada", "first")
    records = team.home / "records.sqlite"
    os.chown(records, 0, 0)
    records.chmod(0o600)
    done = team.coopery("bob", "build", team.file("first"))
    assert done.returncode == 6
    assert f"coopery cache init --group {GROUP} {team.home}" in done.stderr
    made = team.home / "wheels"
    made.chmod(0o755)
    os.chown(made, 0, 0)
    done = team.coopery("ada", "build", team.file("second"))
    assert done.returncode == 6
    assert "cache init" in done.stderr
    done = team.coopery("root", "cache", "init", "--group", GROUP, team.home)
    assert done.returncode == 0, done.stderr
    assert "records.sqlite" in done.stdout
    assert team.build("bob", "first")["hit"]
    team.build("ada", "second")
    assert closed(team) == []


def test_what_root_builds_in_it_is_the_group_s(team: Team) -> None:
    team.build("root", "second", umask=0o077)
    assert team.build("bob", "second")["hit"]
    assert closed(team) == []


def test_swapping_links_opens_nobody_s_files(team: Team) -> None:
    """Bob swaps whatever ada makes for links to a file of hers, while she builds; it stays as it was."""
    victim = team.folder / "ada" / "secret"
    victim.write_bytes(b"hers")
    os.chown(victim, UIDS["ada"], UIDS["ada"])
    victim.chmod(0o600)
    attack = (
        "import os, sys\n"
        "home, victim = sys.argv[1:]\n"
        "swapped = 0\n"
        "print('ready', flush=True)\n"
        "while os.path.isdir(home + '/staging/go-on'):\n"
        "    for below in ('staging', 'images/blobs/sha256', 'snapshots', 'layers/cut', 'packages'):\n"
        "        for name in os.listdir(os.path.join(home, below)):\n"
        "            path = os.path.join(home, below, name)\n"
        "            if name == 'go-on' or name.endswith('.was') or (below != 'staging' and swapped % 3): continue\n"
        "            try:\n"
        "                os.rename(path, path + '.was'); os.symlink(victim, path); swapped += 1\n"
        "            except OSError: pass\n"
        "print(swapped)\n"
    )
    going = team.home / "staging" / "go-on"
    going.mkdir()
    environ = {**team.caller.environ, "COOPERY_HOME": str(team.home)}
    command = team.start("bob", team.caller.python, "-c", attack, team.home, victim)
    attacker = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    assert attacker.stdout is not None
    assert attacker.stdout.readline() == "ready\n"
    told = []
    try:
        for number in range(rounds(3, 40)):
            file = team.file(("second", "first", "third")[number % 3])
            done = team.coopery("ada", "build", file, "--rebuild")
            if done.returncode not in (0, 4, 5, 6) or "Traceback" in done.stderr:
                told.append(done.stderr)
    finally:
        going.rmdir()
        out, _ = attacker.communicate()
    assert told == []
    assert int(out) > 0
    assert (victim.read_bytes(), mode(victim), victim.stat().st_gid) == (b"hers", 0o600, UIDS["ada"])


def test_a_folder_of_other_things_is_not_made_a_group_s(team: Team) -> None:
    other = team.folder / "ada" / f"other-{team.home.parent.name}"
    other.mkdir()
    (other / "thesis").write_text("")
    os.chown(other, UIDS["ada"], UIDS["ada"])
    done = team.coopery("ada", "cache", "init", "--group", GROUP, other)
    assert (done.returncode, "other things" in done.stderr) == (2, True)
    for group, words in (("nobodys", "no such group"), ("root", "not in this group")):
        done = team.coopery("ada", "cache", "init", "--group", group, team.folder / "ada" / "new")
        assert (done.returncode, words in done.stderr) == (2, True)


@pytest.mark.needs("mksquashfs")
def test_sif_files_are_shared(team: Team) -> None:
    made = team.build("ada", "third", "--backend", "singularity", umask=0o077)
    found = team.build("bob", "third", "--backend", "singularity")
    assert (found["hit"], found["digest"]) == (True, made["digest"])
    assert closed(team) == []
