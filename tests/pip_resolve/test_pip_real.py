"""Real projects on the index that this machine is configured for. Resolving only, but for one small wheel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve
from packaging.utils import parse_wheel_filename

from coopery.definition import Pip
from coopery.target import Distribution
from pip_resolve.conftest import TARGET, Desk

pytestmark = [pytest.mark.needs("index"), pytest.mark.processes]


@pytest.fixture
def real(make_desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.delenv("NO_PROXY")
    return make_desk()


def test_science_beside_condas_numpy(real: Desk) -> None:
    content = Pip(("pandas<3", "scikit-learn", "jinja2[i18n]"))
    found = {one.name: one for one in real.resolve(*content.requirements, conda=[Distribution("numpy", "1.26.4")])}
    assert {"babel", "jinja2", "markupsafe", "pandas", "scikit-learn", "scipy"} <= found.keys()
    assert "numpy" not in found
    assert {one.source for one in found.values()} == {"pypi"}
    assert all(one.size > 1000 and len(one.sha256) == 64 for one in found.values())
    (kept,) = real.fetch(content, [found["markupsafe"]])
    assert kept.stat().st_size == found["markupsafe"].size


def test_an_old_glibc_gets_older_wheels(real: Desk) -> None:
    (old,) = real.resolve("numpy", target=evolve(TARGET, glibc="2.17"), python="3.11.2")
    (new,) = real.resolve("numpy", target=evolve(TARGET, glibc="2.36"), python="3.11.2")
    assert old.version < new.version or old.file_name == new.file_name
    assert any(tag.platform == "manylinux_2_17_x86_64" for tag in parse_wheel_filename(old.file_name)[3])


def test_the_cuda_build_on_a_machine_without_a_gpu(real: Desk) -> None:
    found = {one.name: one.version for one in real.resolve("torch==2.5.1", target=evolve(TARGET, cuda="12.4"))}
    assert found["torch"] == "2.5.1"
    assert {"nvidia-cublas-cu12", "nvidia-cudnn-cu12", "triton"} <= found.keys()
    assert found["nvidia-cuda-runtime-cu12"].startswith("12.4.")


def test_another_architecture(real: Desk) -> None:
    (found,) = real.resolve("numpy==2.2.6", target=evolve(TARGET, platform="linux/arm64", archspec="aarch64"))
    assert found.file_name.endswith("_aarch64.whl")
