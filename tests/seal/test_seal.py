from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coopery import key
from coopery.definition import (
    ArchiveBase,
    Base,
    Conda,
    CopyStep,
    DockerfileBase,
    Environment,
    LayoutBase,
    RootfsBase,
    RunStep,
    ScratchBase,
    SifBase,
    Target,
)
from coopery.digest import of_bytes
from coopery.errors import DefinitionError, IntegrityError, UsageError
from coopery.seal import recheck, seal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A definition's folder with things to copy."""
    root = tmp_path / "project"
    (root / "src" / "pkg").mkdir(parents=True)
    (root / "src" / "pkg" / "main.py").write_text("x = 1\n")
    (root / "src" / "run.sh").write_text("#!/bin/sh\n")
    (root / "src" / "run.sh").chmod(0o755)
    (root / "src" / "latest").symlink_to("pkg")
    (root / "note.txt").write_text("note")
    return root


def copying(root: Path, source: str = "src", to: str = "/app") -> Environment:
    return Environment(ScratchBase(), (CopyStep(source, to),), root=root)


def key_of(root: Path, source: str = "src", to: str = "/app") -> str:
    return key.compute(seal(copying(root, source, to)))


# --- copies: what counts -----------------------------------------------------------------------------


def edit(root: Path) -> None:
    (root / "src/pkg/main.py").write_text("x = 2\n")


def rename(root: Path) -> None:
    (root / "src/run.sh").rename(root / "src/go.sh")


def make_executable(root: Path) -> None:
    (root / "src/pkg/main.py").chmod(0o744)


def add_empty_folder(root: Path) -> None:
    (root / "src/data").mkdir()


def relink(root: Path) -> None:
    (root / "src/latest").unlink()
    (root / "src/latest").symlink_to("pkg/main.py")


def link_to_file(root: Path) -> None:
    (root / "src/run.sh").unlink()
    (root / "src/run.sh").symlink_to("pkg/main.py")


@pytest.mark.parametrize("change", [edit, rename, make_executable, add_empty_folder, relink, link_to_file])
def test_counts(folder: Path, change: Callable[[Path], None]) -> None:
    before = key_of(folder)
    change(folder)
    assert key_of(folder) != before


def touch(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)


def other_mode_bits(root: Path) -> None:
    (root / "src/pkg/main.py").chmod(0o666)
    (root / "src/run.sh").chmod(0o700)
    (root / "src/pkg").chmod(0o700)


def neighbours(root: Path) -> None:
    (root / "note.txt").write_text("another")
    (root / ".dockerignore").write_text("**\n")


def ignore_file_inside_is_content_only(root: Path) -> None:
    (root / "src" / ".dockerignore").write_text("**\n")
    (root / "src" / ".dockerignore").unlink()


@pytest.mark.parametrize("change", [touch, other_mode_bits, neighbours, ignore_file_inside_is_content_only])
def test_does_not_count(folder: Path, change: Callable[[Path], None]) -> None:
    before = key_of(folder)
    change(folder)
    assert key_of(folder) == before


def test_place_does_not_count(folder: Path, tmp_path: Path) -> None:
    before = key_of(folder)
    shutil.copytree(folder, tmp_path / "elsewhere" / "deep", symlinks=True)
    assert key_of(tmp_path / "elsewhere" / "deep") == before
    (folder / "src").rename(folder / "renamed")
    assert key_of(folder, "renamed") == before
    (folder / "link").symlink_to("renamed")
    assert key_of(folder, "link") == before
    assert key_of(folder, "./renamed/.", "/app/") == before


def test_owner_does_not_count(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    before = key_of(folder)
    os.chown(folder / "src/run.sh", 12345, 12345)
    assert key_of(folder) == before


def test_order_on_disk_does_not_count(tmp_path: Path) -> None:
    names = [f"file{number}" for number in range(200)]
    for root, order in ((tmp_path / "a", names), (tmp_path / "b", names[::-1])):
        (root / "src").mkdir(parents=True)
        for name in order:
            (root / "src" / name).write_text(name)
    assert key_of(tmp_path / "a") == key_of(tmp_path / "b")


def test_a_files_name_counts_only_where_it_lands_in_the_image(folder: Path) -> None:
    shutil.copy(folder / "note.txt", folder / "other.txt")
    assert key_of(folder, "note.txt", "/etc/note") == key_of(folder, "other.txt", "/etc/note")
    assert key_of(folder, "note.txt", "/etc/") != key_of(folder, "other.txt", "/etc/")
    assert key_of(folder, "note.txt", "/etc/") != key_of(folder, "note.txt", "/etc")


def test_a_file_and_a_folder_with_that_file_never_meet(folder: Path) -> None:
    (folder / "one").mkdir()
    shutil.copy(folder / "note.txt", folder / "one" / "note.txt")
    assert key_of(folder, "note.txt", "/etc/") != key_of(folder, "one", "/etc/")


# --- copies: what is refused ---------------------------------------------------------------------------


def refused(environment: Environment) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        seal(environment)
    return [str(problem) for problem in caught.value.problems]


def test_all_mistakes_at_once(folder: Path) -> None:
    steps = (CopyStep("nowhere", "/a"), RunStep("true"), CopyStep("../outside", "/b"))
    problems = refused(Environment(RootfsBase("absent.tar"), steps, root=folder))
    assert [problem.split(":")[0] for problem in problems] == [
        "$.base.rootfs",
        "$.steps[0].copy",
        "$.steps[2].copy",
    ]
    assert "nothing is there" in problems[1]
    assert "inside the definition's folder" in problems[2]


@pytest.mark.parametrize("source", ["/etc/hostname", "../x", "src/../../x", "out", "src\0", "\ud800"])
def test_outside_or_odd(folder: Path, source: str) -> None:
    (folder / "out").symlink_to("/etc")
    assert refused(copying(folder, source))


@pytest.mark.parametrize("target", ["../note.txt", "pkg/../../note.txt", ".."])
def test_links_that_leave(folder: Path, target: str) -> None:
    (folder / "src" / "leak").symlink_to(target)
    (problem,) = refused(copying(folder))
    assert "'leak' leads out of the copied folder" in problem


@pytest.mark.parametrize("target", ["/etc/passwd", "pkg/../run.sh", "dangling", "./pkg//main.py"])
def test_links_that_stay_are_their_text(folder: Path, target: str) -> None:
    (folder / "src" / "link").symlink_to(target)
    (node,) = [node for node in recheck(seal(copying(folder)).steps[0]) if node.path == "link"]
    assert node.target == target


def test_pipes_are_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "src" / "pipe")
    (problem,) = refused(copying(folder))
    assert "a named pipe" in problem
    (problem,) = refused(copying(folder, "src/pipe"))
    assert "a named pipe" in problem
    (problem,) = refused(Environment(RootfsBase("src/pipe"), root=folder))
    assert "a named pipe" in problem


def test_names_outside_utf8(folder: Path) -> None:
    (Path(os.fsdecode(bytes(folder) + b"/src/\xff"))).write_text("")
    (problem,) = refused(copying(folder))
    assert "UTF-8" in problem
    assert problem.isprintable()


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Not root, for whom nothing is unreadable."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.mark.parametrize("closed", ["inner", "inner/secret"])
def test_unreadable(closed: str, ordinary_user: None) -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        root = Path(name)
        (root / "src" / "inner").mkdir(parents=True)
        (root / "src" / "inner" / "secret").write_text("")
        path = root / "src" / closed
        path.chmod(0)
        (problem,) = refused(copying(root))
        path.chmod(0o700)
    assert "cannot be read: Permission denied" in problem


def test_very_deep_folders(tmp_path: Path) -> None:
    deep = tmp_path / "src"
    for _ in range(400):
        deep /= "d"
    deep.mkdir(parents=True)
    assert len(recheck(seal(copying(tmp_path)).steps[0])) == 401


@pytest.mark.parametrize(("given", "way"), [("environment.yaml", "Environment.load"), ({}, "Environment.from_dict")])
def test_what_is_no_definition(given: object, way: str) -> None:
    with pytest.raises(UsageError, match="expected an Environment, found") as caught:
        seal(given)  # type: ignore[arg-type]  # what people try who check no types
    assert caught.value.remedy.startswith(way)


# --- checked again at use ---------------------------------------------------------------------------------


def test_recheck_gives_what_is_to_be_written(folder: Path) -> None:
    nodes = recheck(seal(copying(folder)).steps[0])
    assert [(node.path, node.kind, node.executable) for node in nodes] == [
        ("", "directory", False),
        ("latest", "symlink", False),
        ("pkg", "directory", False),
        ("pkg/main.py", "file", False),
        ("run.sh", "file", True),
    ]
    main = nodes[3]
    assert main.sha256 == of_bytes(Path(main.source).read_bytes()).removeprefix("sha256:")
    assert main.size == Path(main.source).stat().st_size


@pytest.mark.parametrize("change", [edit, rename, make_executable, lambda root: shutil.rmtree(root / "src")])
def test_what_changed_since_the_key_is_noticed(folder: Path, change: Callable[[Path], None]) -> None:
    sealed = seal(copying(folder))
    change(folder)
    with pytest.raises(IntegrityError, match=r"\$\.steps\[0\].*changed since the key was made"):
        recheck(sealed.steps[0])


def test_steps_and_bases_without_content_have_nothing_to_check(folder: Path) -> None:
    sealed = seal(Environment(ScratchBase(), (RunStep("true"),), root=folder))
    assert recheck(sealed.base) == recheck(sealed.steps[0]) == ()


# --- bases ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base", [RootfsBase("note.txt"), SifBase("note.txt"), ArchiveBase("note.txt"), DockerfileBase("note.txt")]
)
def test_files_are_keyed_by_content(folder: Path, base: Base) -> None:
    sealed = seal(Environment(base, root=folder)).base
    assert sealed.content == of_bytes(b"note")
    assert sealed.path == folder / "note.txt"
    recheck(sealed)
    (folder / "note.txt").write_text("gone")
    with pytest.raises(IntegrityError, match="changed since"):
        recheck(sealed)


def layout(folder: Path, *manifests: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    return folder


def entry(digest: str, tag: str = "", platform: str = "") -> dict[str, object]:
    found: dict[str, object] = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 2}
    if tag:
        found["annotations"] = {"org.opencontainers.image.ref.name": tag}
    if platform:
        found["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
    return found


A, B = of_bytes(b"a"), of_bytes(b"b")


@pytest.mark.parametrize(
    ("entries", "tag", "platform", "expected"),
    [
        ([entry(A)], "", "linux/amd64", A),
        ([entry(A, "v1"), entry(B, "v2")], "v2", "linux/amd64", B),
        ([entry(A, "v1", "linux/amd64"), entry(B, "v1", "linux/arm64")], "v1", "linux/arm64", B),
        ([entry(A, "", "linux/amd64"), entry(B, "", "linux/arm64")], "", "linux/amd64", A),
    ],
)
def test_layout_is_keyed_by_its_manifest(
    tmp_path: Path, entries: list[dict[str, object]], tag: str, platform: str, expected: str
) -> None:
    layout(tmp_path / "layout", *entries)
    environment = Environment(LayoutBase("layout", tag), target=Target(platform), root=tmp_path)
    assert seal(environment).base.content == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"manifests": [entry(A, "v1"), entry(B, "v2")]}), "none fit; there are: v1, v2"),
        (json.dumps({"manifests": []}), "there are: nothing"),
        (json.dumps({"manifests": [entry("sha256:AB", "v3")]}), "sha256"),
        (json.dumps({"manifests": [1]}), "list of descriptors"),
        ("[]", "no OCI index"),
        ("{", "no OCI index"),
        ("[" * 100_000, "no OCI index"),
        (" " * (4 << 20) + "{}", "at most"),
    ],
)
def test_layouts_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    layout(tmp_path / "layout")
    (tmp_path / "layout" / "index.json").write_text(text)
    (problem,) = refused(Environment(LayoutBase("layout", "v3"), root=tmp_path))
    assert problem.startswith("$.base.layout: 'layout': ")
    assert message in problem


def test_no_layout(tmp_path: Path) -> None:
    (problem,) = refused(Environment(LayoutBase("layout"), root=tmp_path))
    assert "expected an OCI layout" in problem


# --- cost --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_large_files_are_hashed_in_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    with (tmp_path / "large.tar").open("wb") as stream:
        stream.truncate(256 << 20)
    tracemalloc.start()
    seal(Environment(RootfsBase("large.tar"), root=tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_everything_after_sealing_sees_packages_in_one_order(tmp_path: Path) -> None:
    ways = [("numpy", " python=3.12", "numpy"), ("python=3.12 ", "numpy")]
    sealed = [seal(Environment(ScratchBase(), conda=Conda(("b", "a"), way), root=tmp_path)) for way in ways]
    assert sealed[0] == sealed[1]
    assert sealed[0].environment.conda == Conda(("b", "a"), ("numpy", "python=3.12"))
