"""What is written is read back the same, whatever names, versions and places there are; damage never passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coopery.errors import LockFileError
from coopery.exchange import Located
from coopery.formats import FORMS, Outline, Wanted, read, write
from coopery.formats.reading import FORMATS
from coopery.lock import Artifact
from formats.samples import SIX, ZLIB, A
from soak import rounds

pytestmark = pytest.mark.slow  # left out of make check: much of it waits, or goes through many cases

NAMES = st.from_regex(r"[a-z_][a-z0-9._-]{0,12}[a-z0-9]", fullmatch=True)
WHEEL_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}([a-z]{1,3}[0-9])?(\+[a-z0-9.]{1,4}[0-9])?", fullmatch=True)
PEP440 = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc|\.post|\.dev)[0-9])?(\+[a-z0-9]{1,3}(\.[a-z0-9]{1,2})?)?", fullmatch=True
)
BUILDS = st.from_regex(r"[a-z0-9_]{1,10}", fullmatch=True)
HASHES = st.integers(0, 16**64 - 1).map(lambda number: f"{number:064x}")
SPECS = st.lists(
    st.from_regex(r"[a-z]{1,8}( [<>=!]{1,2}[0-9.]{1,6}([,|][<>=]{1,2}[0-9.]{1,4})?)?", fullmatch=True), max_size=3
)
CHANNEL = "https://conda.anaconda.org/conda-forge"
INDEX = "https://index.example.org/simple"


@st.composite
def conda(draw: Any) -> Located:
    name, version, build = draw(NAMES), draw(VERSIONS), draw(BUILDS)
    subdir, ending = draw(st.sampled_from(["linux-64", "noarch"])), draw(st.sampled_from(["conda", "tar.bz2"]))
    file_name = f"{name}-{version}-{build}.{ending}"
    artifact = Artifact(
        "conda", name, version, build, subdir, file_name, CHANNEL, draw(HASHES), draw(st.integers(0, 2**40))
    )
    md5 = draw(HASHES)[:32] if draw(st.booleans()) else ""
    return Located(
        artifact, f"{CHANNEL}/{subdir}/{file_name}", md5=md5, depends=tuple(draw(SPECS)), constrains=tuple(draw(SPECS))
    )


@st.composite
def wheel(draw: Any) -> Located:
    name, version = draw(WHEEL_NAMES), draw(PEP440)
    tags = draw(st.sampled_from(["py3-none-any", "1-cp312-cp312-linux_x86_64"]))
    file_name = f"{name.replace('-', '_')}-{version}-{tags}.whl"
    index = INDEX if draw(st.booleans()) else ""
    artifact = Artifact("pip", name, version, "", "", file_name, "pypi", draw(HASHES), draw(st.integers(0, 2**40)))
    url = f"https://files.example/{draw(HASHES)[:4]}/{file_name.replace('+', '%2B')}"
    return Located(artifact, url, index=index, requires_python=draw(st.sampled_from(["", ">=3.8,!=3.9.*"])))


PACKAGES = st.builds(
    lambda first, second: (*first, *second),
    st.lists(conda(), max_size=6, unique_by=lambda one: one.artifact.name),
    st.lists(wheel(), max_size=6, unique_by=lambda one: one.artifact.name),
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=rounds(8, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packages=PACKAGES)
def test_written_and_read(tmp_path: Path, form: str, packages: tuple[Located, ...]) -> None:
    mine = tuple(one for one in packages if one.artifact.kind in FORMS[form])
    outline = Outline("linux/amd64", mine, (CHANNEL,), (INDEX,), "3.12.4")
    data = write(form, outline)
    assert data == write(form, Outline("linux/amd64", mine[::-1], (CHANNEL,), (INDEX,), "3.12.4"))
    path = tmp_path / "file"
    path.write_bytes(data)
    found = {(one.kind, one.name): one for one in read(path, Wanted("linux/amd64"), form).packages}
    assert found.keys() == {(one.artifact.kind, one.artifact.name) for one in mine}
    for one in mine:
        artifact, listed = one.artifact, found[one.artifact.kind, one.artifact.name]
        assert (listed.version, listed.build, listed.subdir) == (artifact.version, artifact.build, artifact.subdir)
        assert {*listed.hashes, *(file.sha256 for file in listed.files)} == {artifact.sha256}
        if listed.files:
            assert listed.files[0].name == artifact.file_name
        if artifact.kind == "conda":
            assert listed.source == CHANNEL
        if (artifact.kind == "conda" and form == "pixi") or form == "pylock":
            assert listed.files[0].size == artifact.size


SAMPLES = {
    "pixi": f"version: 6\nenvironments:\n  default:\n    packages:\n      linux-64:\n      - conda: {ZLIB}\n"
    f"packages:\n- conda: {ZLIB}\n  sha256: {A}\n  depends:\n  - x\n  size: 1\n",
    "conda-lock": f"version: 1\npackage:\n- name: zlib\n  version: '1'\n  manager: conda\n  platform: linux-64\n"
    f"  dependencies:\n    x: '1'\n  url: {ZLIB}\n  hash:\n    sha256: {A}\n  category: main\n",
    "explicit": f"# platform: linux-64\n@EXPLICIT\n{ZLIB}#sha256:{A}\n",
    "pylock": f'lock-version = "1.0"\n[[packages]]\nname = "six"\nversion = "1"\nwheels = [{{ url = "{SIX}", hashes = '
    f'{{ sha256 = "{A}" }} }}]\n',
    "requirements": f"six==1.17.0 \\\n    --hash=sha256:{A}\n",
}


@pytest.mark.parametrize("form", FORMATS)
def test_samples_are_sound(tmp_path: Path, form: str) -> None:
    (tmp_path / "file").write_text(SAMPLES[form])
    assert len(read(tmp_path / "file", Wanted("linux/amd64")).packages) == 1


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=rounds(10, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), length=st.integers(0, 20), new=st.text(st.characters(codec="utf-8"), max_size=8))
def test_damage_is_told_or_harmless(tmp_path: Path, form: str, at: float, length: int, new: str) -> None:
    """Whatever is put anywhere: a mistake with a place, or packages whose every field is in its grammar."""
    text = SAMPLES[form]
    start = int(at * len(text))
    (tmp_path / "file").write_bytes(f"{text[:start]}{new}{text[start + length :]}".encode("utf-8", "surrogatepass"))
    try:
        found = read(tmp_path / "file", Wanted("linux/amd64"), form)
    except LockFileError as exc:
        if not all(problem.file for problem in exc.problems):
            raise
        return
    for one in found.packages:
        words = (one.name, one.version, one.build, one.subdir, *(file.name for file in one.files))
        assert not any(set(word) & set("/\\ \n\0") or word.startswith(("-", ".")) for word in words)
        assert all(len(file.sha256) in (0, 64) and "@" not in file.url for file in one.files)
