"""Folders of wheels that `pip.find_links` names count by the names and bytes of the wheels in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from coopery import Environment, encoding, key
from coopery.errors import DefinitionError, IntegrityError
from coopery.seal import recheck, seal


def define(root: Path, *links: str) -> Environment:
    return Environment.from_dict({"base": "debian:12", "pip": {"requirements": ["a"], "find_links": list(links)}}, root)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "a-1.0-py3-none-any.whl").write_bytes(b"one")
    (folder / "b-1.0-py3-none-any.whl").write_bytes(b"two")
    return folder


def keyed(root: Path, *links: str) -> str:
    return key.compute(seal(define(root, *links)))


def test_the_digest_is_the_specified_one(tmp_path: Path, wheels: Path) -> None:
    (sealed,) = seal(define(tmp_path, "wheels")).links
    rows = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in sorted(wheels.iterdir())]
    assert sealed.content == "sha256:" + encoding.digest("coopery.wheels.v1", *rows)
    assert sealed.path == wheels
    assert sealed.field_path == "$.pip.find_links[0]"


def test_what_counts(tmp_path: Path, wheels: Path) -> None:
    before = keyed(tmp_path, "wheels")
    (wheels / "README").write_text("not a wheel")
    (wheels / "old").mkdir()
    (wheels / "old" / "a-0.9-py3-none-any.whl").write_bytes(b"zero")
    (wheels / "a-1.0-py3-none-any.whl").touch()
    assert keyed(tmp_path, "wheels") == before
    (wheels / "a-1.0-py3-none-any.whl").write_bytes(b"ONE")
    changed = keyed(tmp_path, "wheels")
    (wheels / "a-1.0-py3-none-any.whl").rename(wheels / "a-1.1-py3-none-any.whl")
    assert len({before, changed, keyed(tmp_path, "wheels")}) == 3


def test_file_urls_and_pages(tmp_path: Path, wheels: Path) -> None:
    sealed = seal(define(tmp_path, "https://example.org/wheels", wheels.as_uri(), str(wheels)))
    assert [one.field_path for one in sealed.links] == ["$.pip.find_links[1]", "$.pip.find_links[2]"]
    assert len({one.content for one in sealed.links}) == 1
    assert "wheels" not in key.identity(seal(define(tmp_path, "https://example.org/wheels")))["pip"]


def test_all_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DefinitionError) as caught:
        seal(define(tmp_path, "nowhere", "file"))
    assert [problem.path for problem in caught.value.problems] == ["$.pip.find_links[0]", "$.pip.find_links[1]"]


def test_a_wheel_that_is_a_link_counts_as_what_it_leads_to(tmp_path: Path, wheels: Path) -> None:
    before = keyed(tmp_path, "wheels")
    (wheels / "a-1.0-py3-none-any.whl").rename(tmp_path / "elsewhere")
    (wheels / "a-1.0-py3-none-any.whl").symlink_to(tmp_path / "elsewhere")
    assert keyed(tmp_path, "wheels") == before


def test_a_change_after_the_key_is_noticed(tmp_path: Path, wheels: Path) -> None:
    (sealed,) = seal(define(tmp_path, "wheels")).links
    assert recheck(sealed) == ()
    (wheels / "c-1.0-py3-none-any.whl").write_bytes(b"new")
    with pytest.raises(IntegrityError, match=r"\$\.pip\.find_links\[0\]"):
        recheck(sealed)
