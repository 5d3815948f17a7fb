"""Which index, folder or URL a wheel comes from, and what the lock calls it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from attrs import evolve

from coopery.definition import Pip
from coopery.errors import PackageError, ResolveError
from pip_resolve.conftest import Desk
from pip_resolve.shelf import Shelf

pytestmark = pytest.mark.processes  # uv is started


def versions(desk: Desk, *requirements: str, **more: object) -> dict[str, str]:
    return {artifact.name: artifact.version for artifact in desk.resolve(*requirements, **more)}  # type: ignore[arg-type]


def test_several_sources_each_by_its_name(desk: Desk, shelf: Shelf, other_shelf: Shelf, tmp_path: Path) -> None:
    shelf.wheel("a", "1.0")
    other_shelf.wheel("b", "1.0")
    local = Shelf()
    local.wheel("c", "1.0")
    local.fill(tmp_path / "wheels")
    found = desk.resolve("a", "b", "c", extra_index_urls=(f"{other_shelf.url}/",), find_links=("wheels",))
    assert {a.name: a.source for a in found} == {"a": "pypi", "b": other_shelf.url, "c": "wheels"}
    content = Pip(("a",), extra_index_urls=(f"{other_shelf.url}/",), find_links=("wheels",))
    assert all(path.is_file() for path in desk.again().fetch(content, found))


def test_the_best_version_of_all_indexes_wins(desk: Desk, shelf: Shelf, other_shelf: Shelf) -> None:
    shelf.wheel("torch", "2.0")
    other_shelf.wheel("torch", "2.0+cu124")
    shelf.wheel("jinja2", "3.1")
    other_shelf.wheel("jinja2", "3.0")
    found = desk.resolve("torch", "jinja2", extra_index_urls=(other_shelf.url,))
    assert {a.name: (a.version, a.source) for a in found} == {
        "torch": ("2.0+cu124", other_shelf.url),
        "jinja2": ("3.1", "pypi"),
    }


def test_a_mirror_has_another_url_and_the_same_name(desk: Desk, shelf: Shelf, other_shelf: Shelf) -> None:
    other_shelf.wheel("a", "1.0")
    mapped = desk.again(indexes={"https://index.example.org/simple": other_shelf.url})
    (artifact,) = mapped.resolve("a", index_url="https://index.example.org/simple/")
    assert artifact.source == "https://index.example.org/simple"
    assert not shelf.asked
    assert mapped.again().fetch(Pip(("a",), index_url="https://index.example.org/simple/"), [artifact])[0].is_file()


@pytest.mark.parametrize("fragment", [True, False])
def test_a_direct_url(desk: Desk, shelf: Shelf, other_shelf: Shelf, fragment: bool) -> None:
    wheel = other_shelf.wheel("a", "1.0+local", requires=("b",))
    shelf.wheel("a", "2.0")
    shelf.wheel("b", "1.0")
    url = f"http://{other_shelf.host}/files/{wheel.file_name.replace('+', '%2B')}"
    other_shelf.add(evolve(wheel, file_name=wheel.file_name.replace("+", "%2B")))
    asked = f"a @ {url}{f'#sha256={wheel.sha256}' if fragment else ''}"
    found = desk.resolve(asked)
    assert [(a.name, a.version, a.source, a.sha256) for a in found] == [
        ("a", "1.0+local", url, wheel.sha256),
        ("b", "1.0", "pypi", found[1].sha256),
    ]
    assert found[0].file_name == wheel.file_name


def test_a_direct_url_with_another_hash(desk: Desk, other_shelf: Shelf) -> None:
    wheel = other_shelf.wheel("a", "1.0")
    with pytest.raises(PackageError, match="none of the hashes"):
        desk.resolve(f"a @ http://{other_shelf.host}/files/{wheel.file_name}#sha256={'0' * 64}")
    assert not desk.leftovers()
    assert not desk.kept(wheel.sha256).exists()


def test_a_direct_url_for_another_machine(desk: Desk) -> None:
    with pytest.raises(ResolveError, match="does not run on"):
        desk.resolve("a @ http://127.0.0.1:9/a-1.0-cp312-cp312-win_amd64.whl")


def test_hashes_choose_the_file(desk: Desk, shelf: Shelf) -> None:
    native = shelf.wheel("a", "1.0", tag="cp312-cp312-manylinux_2_17_x86_64")
    plain = shelf.wheel("a", "1.0")
    (artifact,) = desk.resolve(f"a==1.0 --hash=sha256:{plain.sha256}")
    assert artifact.sha256 == plain.sha256
    (artifact,) = desk.resolve(f"a==1.0 --hash=sha512:{hashlib.sha512(native.data).hexdigest()}")
    assert "manylinux" in artifact.file_name


def test_a_hash_that_nothing_has(desk: Desk, shelf: Shelf) -> None:
    shelf.wheel("a", "1.0")
    with pytest.raises(ResolveError, match="one of the hashes"):
        desk.resolve(f"a==1.0 --hash=sha256:{'0' * 64}")
