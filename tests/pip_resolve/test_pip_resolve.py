"""Resolving against an index of wheels made on the spot: uv in its child process, our choice of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from coopery.definition import Pip
from coopery.errors import NetworkError, ResolveError
from coopery.target import Distribution, Provided
from pip_resolve.conftest import PYTHON, TARGET, Desk
from pip_resolve.shelf import Shelf, make_source

pytestmark = pytest.mark.processes  # uv is started


def versions(desk: Desk, *requirements: str, **more: object) -> dict[str, str]:
    return {artifact.name: artifact.version for artifact in desk.resolve(*requirements, **more)}  # type: ignore[arg-type]


def test_a_package_with_what_it_needs(desk: Desk, shelf: Shelf) -> None:
    wheel = shelf.wheel("Top.Level", "1.5", requires=("base>=1", "other; sys_platform == 'win32'"))
    shelf.wheel("base", "1.0")
    shelf.wheel("base", "2.0")
    artifacts = desk.resolve("top-level")
    assert [(a.kind, a.name, a.version, a.source) for a in artifacts] == [
        ("pip", "base", "2.0", "pypi"),
        ("pip", "top-level", "1.5", "pypi"),
    ]
    assert artifacts[1].file_name == wheel.file_name
    assert (artifacts[1].sha256, artifacts[1].size) == (wheel.sha256, len(wheel.data))
    assert not desk.leftovers()


def test_one_answer_whatever_is_cached(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0", requires=("b",))
    shelf.wheel("b", "1.0")
    first = desk.resolve("a")
    desk.fetch(Pip(("a",)), first)
    assert desk.again().resolve("a") == first


def test_html_pages_without_sizes_and_hashes(desk: Desk, shelf: Shelf) -> None:
    shelf.form, shelf.hashes, shelf.sizes = "html", False, False
    wheel = shelf.wheel("a", "1.0")
    (artifact,) = desk.resolve("a")
    assert (artifact.sha256, artifact.size) == (wheel.sha256, len(wheel.data))


def test_size_by_a_head_request(desk: Desk, shelf: Shelf) -> None:
    shelf.form = "html"
    wheel = shelf.wheel("a", "1.0")
    assert desk.resolve("a")[0].size == len(wheel.data)
    assert f"HEAD /files/{wheel.file_name}" in shelf.asked
    assert not desk.kept(wheel.sha256).exists()


@pytest.mark.parametrize(
    ("glibc", "expected"),
    [
        ("2.17", "2_17"),
        ("2.27", "2_17"),
        ("2.28", "2_28"),
        ("2.31", "2_28"),
        ("2.34", "2_28"),
        ("2.35", "2_35"),
        ("2.41", "2_35"),
    ],
)
def test_glibc_is_a_ceiling(desk: Desk, shelf: Shelf, glibc: str, expected: str) -> None:
    for minor in (17, 28, 35):
        shelf.wheel("native", "1.0", tag=f"cp312-cp312-manylinux_2_{minor}_x86_64")
    (artifact,) = desk.resolve("native", target=evolve(TARGET, glibc=glibc))
    assert f"manylinux_{expected}_x86_64" in artifact.file_name


def test_an_older_version_where_the_newest_needs_a_newer_glibc(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("native", "2.0", tag="cp312-cp312-manylinux_2_35_x86_64")
    shelf.wheel("native", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    assert versions(desk, "native", target=evolve(TARGET, glibc="2.31")) == {"native": "1.0"}


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        ({"platform": "linux/arm64", "archspec": "aarch64"}, "cp312-cp312-manylinux_2_17_aarch64"),
        (
            {"glibc": None, "facts": evolve(TARGET.facts, loader="/lib/ld-musl-x86_64.so.1")},
            "cp312-cp312-musllinux_1_2_x86_64",
        ),
        ({}, "cp312-cp312-manylinux_2_17_x86_64"),
    ],
)
def test_the_target_decides_not_this_machine(desk: Desk, shelf: Shelf, change: dict[str, object], tag: str) -> None:
    for one in ("manylinux_2_17_aarch64", "musllinux_1_2_x86_64", "manylinux_2_17_x86_64", "macosx_11_0_arm64"):
        for python in ("cp311", "cp312", "cp313"):
            shelf.wheel("native", "1.0", tag=f"{python}-{python}-{one}")
    (artifact,) = desk.resolve("native", target=evolve(TARGET, **change))
    assert artifact.file_name == f"native-1.0-{tag}.whl"


def test_markers_see_the_target(desk: Desk, shelf: Shelf) -> None:
    here = subprocess.run(["uname", "-r"], capture_output=True, text=True, check=True).stdout.strip()
    asked = {
        "never-release": f"platform_release == '{here}'",
        "never-version": f"python_full_version == '{sys.version.split()[0]}'",
        "full": f"python_full_version == '{PYTHON}'",
        "linux": "sys_platform == 'linux' and os_name == 'posix' and platform_system == 'Linux'",
        "machine": "platform_machine == 'aarch64'",
        "cpython": "implementation_name == 'cpython' and platform_python_implementation == 'CPython'",
    }
    for name in asked:
        shelf.wheel(name, "1.0")
    shelf.wheel("top", "1.0", requires=tuple(f"{name}; {marker}" for name, marker in asked.items()))
    target = evolve(TARGET, platform="linux/arm64", archspec="aarch64")
    expected = {"cpython", "full", "linux", "machine"}
    assert set(versions(desk, *(f"{n}; {m}" for n, m in asked.items()), target=target)) == expected
    assert set(versions(desk, "top", target=target)) == expected | {"top"}


def test_extras(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0", extras=("fast",), requires=("speed; extra == 'fast'",))
    shelf.wheel("speed", "3.0")
    assert versions(desk, "a") == {"a": "1.0"}
    assert versions(desk, "a[fast]") == {"a": "1.0", "speed": "3.0"}


def test_constraints_bind_only_what_is_needed(desk: Desk, shelf: Shelf) -> None:
    for version in ("1.0", "2.0"):
        shelf.wheel("a", version)
        shelf.wheel("unused", version)
    assert versions(desk, "a", constraints=("a<2", "unused==1.0")) == {"a": "1.0"}


def test_pre_releases_only_where_asked(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0")
    shelf.wheel("a", "2.0rc1")
    assert versions(desk, "a") == {"a": "1.0"}
    assert versions(desk, "a", pre=True) == {"a": "2.0rc1"}


def test_the_old_lock_is_kept_to(desk: Desk, shelf: Shelf) -> None:
    for name in ("a", "b"):
        shelf.wheel(name, "1.0")
    before = desk.resolve("a", "b")
    for name in ("a", "b"):
        shelf.wheel(name, "2.0")
    assert [str(one) for one in desk.again().resolve("a>1", "b", prefer=before)] == ["a 2.0", "b 1.0"]


def test_a_kept_version_keeps_its_file(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0")
    before = desk.resolve("a")
    shelf.wheel("a", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    assert desk.again().resolve("a", prefer=before) == before
    assert desk.again().resolve("a") != before


# --- conda ------------------------------------------------------------------------------------------


def test_what_conda_brings_is_not_brought_again(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("top", "1.0", requires=("numpy>=1",))
    shelf.wheel("numpy", "1.26.4", requires=("never",))
    shelf.wheel("numpy", "2.0")
    assert versions(desk, "top", "numpy", conda=[Distribution("NumPy", "1.26.4")]) == {"top": "1.0"}


def test_extras_of_what_conda_brings(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("speed", "3.0")
    conda = [Distribution("a", "1.0", ("fast",), ("speed>=2 ; extra == 'fast'",))]
    assert versions(desk, "a[fast]", conda=conda) == {"speed": "3.0"}


def test_a_version_that_no_index_has(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("top", "1.0", requires=("torch",))
    assert versions(desk, "top", conda=[Distribution("torch", "2.5.1.post3")]) == {"top": "1.0"}


def test_conda_and_pip_contradict_each_other(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("numpy", "2.0")
    with pytest.raises(ResolveError) as caught:
        desk.resolve("numpy >= 2", "a", conda=[Distribution("numpy", "1.26.4")])
    assert "conda brings numpy 1.26.4, and pip asks for numpy>=2" in str(caught.value)
    assert caught.value.requirements == ("numpy >= 2",)
    assert not shelf.asked


def test_a_dependency_contradicts_conda(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("top", "1.0", requires=("numpy>=2",))
    shelf.wheel("numpy", "2.0")
    with pytest.raises(ResolveError) as caught:
        desk.resolve("top", conda=[Distribution("numpy", "1.26.4")])
    assert "conda brings numpy 1.26.4, which pip leaves as it is" in caught.value.explanation
    assert "top" in caught.value.explanation


# --- no code of packages --------------------------------------------------------------------------


def test_source_archives_are_never_built(desk: Desk, shelf: Shelf, tmp_path: Path) -> None:
    sentinel = tmp_path / "it ran"
    setup = f"open({str(sentinel)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='2.0')\n"
    shelf.add(make_source("evil", "2.0", setup))
    with pytest.raises(ResolveError) as caught:
        desk.resolve("evil")
    assert "only source code" in caught.value.message
    shelf.wheel("evil", "1.0")
    shelf.wheel("top", "1.0", requires=("evil",))
    assert versions(desk.again(), "top") == {"evil": "1.0", "top": "1.0"}
    assert not sentinel.exists()


def test_the_sentinel_can_be_seen(shelf: Shelf, tmp_path: Path) -> None:
    """Uv as people run it does execute it: without this, the test above could not fail."""
    import uv

    sentinel = tmp_path / "it ran"
    shelf.add(make_source("evil", "2.0", f"open({str(sentinel)!r}, 'w').close()\nraise SystemExit(1)\n"))
    (tmp_path / "in").write_text("evil\n")
    argv = [
        uv.find_uv_bin(),
        "pip",
        "compile",
        "--no-config",
        f"--cache-dir={tmp_path / 'cache'}",
        "-q",
        "--no-build-isolation",
    ]
    subprocess.run(
        [*argv, f"--python={sys.executable}", f"--default-index={shelf.url}", tmp_path / "in"],
        capture_output=True,
        check=False,
    )
    assert sentinel.exists()


@pytest.mark.parametrize(
    "requirement",
    ["git+https://example.org/a/b@0123456789", "a @ https://example.org/a-1.0.tar.gz", "https://example.org/a.zip"],
)
def test_code_is_refused_by_name(desk: Desk, requirement: str) -> None:
    with pytest.raises(ResolveError, match="must be built from source, and nothing can be built here") as caught:
        desk.resolve("fine", requirement)
    assert caught.value.requirements == (requirement,)


# --- failures -------------------------------------------------------------------------------------


def test_no_such_version(desk: Desk, shelf: Shelf) -> None:
    for version in ("1.0", "2.0", "3.0rc1"):
        shelf.wheel("a", version)
    with pytest.raises(ResolveError) as caught:
        desk.resolve("a>5", "a")
    assert "no version of a matches" in caught.value.message
    assert caught.value.requirements == ("a>5",)
    assert caught.value.available == ("2.0", "1.0")
    assert str(desk.root) not in str(caught.value)


def test_no_such_package(desk: Desk) -> None:
    with pytest.raises(ResolveError, match="no package nosuch in pypi"):
        desk.resolve("nosuch")


def test_no_wheel_for_the_target(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("native", "1.0", tag="cp312-cp312-manylinux_2_35_x86_64")
    with pytest.raises(ResolveError, match=r"none that runs on Python 3\.12\.4, x86_64, glibc 2\.31: native-1\.0"):
        desk.resolve("native", target=evolve(TARGET, glibc="2.31"))


def test_requirements_that_exclude_each_other(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0", requires=("c<2",))
    shelf.wheel("b", "1.0", requires=("c>=2",))
    shelf.wheel("c", "1.0")
    shelf.wheel("c", "2.0")
    with pytest.raises(ResolveError) as caught:
        desk.resolve("a", "b")
    assert not caught.value.requirements
    assert "c<2" in caught.value.explanation
    assert "c>=2" in caught.value.explanation


@pytest.mark.slow
def test_an_index_that_does_not_answer(make_desk: type[Desk]) -> None:
    with pytest.raises(NetworkError, match=r"127\.0\.0\.1:9"):
        make_desk(index_url="http://127.0.0.1:9/simple").resolve("a")


def test_an_index_that_wants_a_login(desk: Desk, shelf: Shelf, tmp_path: Path) -> None:
    shelf.user = "me:secret word"
    wheel = shelf.wheel("a", "1.0")
    with pytest.raises(NetworkError) as caught:
        desk.resolve("a")
    assert caught.value.status == 401
    (tmp_path / "netrc").write_text('machine 127.0.0.1 login me password "secret word"\n')
    (artifact,) = desk.again().resolve("a")
    assert artifact.source == "pypi"
    desk.again().fetch(Pip(("a",)), [artifact])
    assert desk.kept(wheel.sha256).read_bytes() == wheel.data


def test_credentials_in_the_url_of_settings(desk: Desk, shelf: Shelf) -> None:
    shelf.user = "me:secret"
    shelf.wheel("a", "1.0")
    (artifact,) = desk.again(index_url=shelf.url.replace("//", "//me:secret@")).resolve("a")
    assert "secret" not in repr(artifact)


def test_find_links_behind_a_login(desk: Desk, shelf: Shelf, other_shelf: Shelf, tmp_path: Path) -> None:
    other_shelf.user = "me:se,cret"
    wheel = other_shelf.wheel("a", "1.0")
    other_shelf.pages["/links"] = f'<a href="files/{wheel.file_name}">x</a>'.encode()
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password se,cret\n")
    page = f"http://{other_shelf.host}/links"
    assert [(a.source, a.sha256) for a in desk.resolve("a", find_links=(page,))] == [(page, wheel.sha256)]


def test_credentials_stay_with_their_host(desk: Desk, shelf: Shelf, other_shelf: Shelf, tmp_path: Path) -> None:
    shelf.user = "me:secret"
    wheel = other_shelf.wheel("a", "1.0")
    shelf.pages["/simple/a/"] = (
        f'<a href="http://{other_shelf.host}/files/{wheel.file_name}#sha256={wheel.sha256}">a</a>'.encode()
    )
    found = desk.again(index_url=shelf.url.replace("//", "//me:secret@")).resolve("a")
    desk.again(index_url=shelf.url.replace("//", "//me:secret@")).fetch(Pip(("a",)), found)
    assert other_shelf.asked
    assert set(other_shelf.authorizations) == {None}


def test_no_python(desk: Desk) -> None:
    with pytest.raises(ResolveError, match="no Python in the base"):
        desk.resolution(Pip(("a",)), TARGET, Provided())


def test_cuda_newer_than_the_target(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("nvidia-cublas-cu13", "13.1")
    desk.resolve("nvidia-cublas-cu13", target=evolve(TARGET, cuda="12.4"))
    assert any("CUDA 13" in getattr(event, "message", "") for event in desk.events)
    desk.events.clear()
    desk.resolve("nvidia-cublas-cu13", target=evolve(TARGET, cuda="13.0"))
    assert not any("CUDA" in getattr(event, "message", "") for event in desk.events)
