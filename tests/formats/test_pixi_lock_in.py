from __future__ import annotations

from collections.abc import Callable

import pytest

from coopery.exchange import Listed, ListedFile
from coopery.formats import Imported
from formats.samples import MD5, SIX, TZDATA, ZLIB, A, B, C

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]

V6 = f"""\
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    indexes:
    - https://index.example.org/simple
    packages:
      linux-64:
      - conda: {ZLIB}
      - conda: {TZDATA}
      - pypi: {SIX}
      osx-arm64:
      - conda: https://conda.anaconda.org/conda-forge/osx-arm64/zlib-1.3.1-h8359307_2.conda
  empty:
    channels: []
    packages:
      linux-64: []
packages:
- conda: {ZLIB}
  sha256: {A}
  md5: {MD5}
  depends:
  - libgcc >=13
  - libzlib 1.3.1 hb9d3cd8_2
  license: Zlib
  size: 92286
- conda: {TZDATA}
  sha256: {B}
  size: 122968
- pypi: {SIX}
  name: six
  version: 1.17.0
  sha256: {C}
  requires_python: '>=2.7'
- conda: https://conda.anaconda.org/conda-forge/osx-arm64/zlib-1.3.1-h8359307_2.conda
  sha256: {C}
"""


def test_packages_of_the_platform_are_taken(reading: Reading) -> None:
    found = reading("pixi.lock", V6)
    channel = "https://conda.anaconda.org/conda-forge"
    assert (found.form, found.kinds) == ("pixi", ("conda", "pip"))
    assert [(one.kind, one.name, one.version, one.build, one.subdir) for one in found.packages] == [
        ("conda", "tzdata", "2025b", "h78e105d_0", "noarch"),
        ("conda", "zlib", "1.3.1", "hb9d3cd8_2", "linux-64"),
        ("pip", "six", "1.17.0", "", ""),
    ]
    zlib = found.packages[1]
    assert zlib.source == channel
    assert zlib.files == (ListedFile("zlib-1.3.1-hb9d3cd8_2.conda", ZLIB, A, MD5, 92286),)
    assert found.packages[2].files == (ListedFile("six-1.17.0-py2.py3-none-any.whl", SIX, C),)


def test_places_stay_true_though_lists_are_skipped(reading: Reading) -> None:
    found = reading("pixi.lock", V6)
    lines = V6.splitlines()
    assert [lines[int(one.place.split(":")[1]) - 1] for one in found.packages] == [
        f"- conda: {TZDATA}",
        f"- conda: {ZLIB}",
        f"- pypi: {SIX}",
    ]


def test_another_platform_and_another_environment(reading: Reading, problems: Problems) -> None:
    assert reading("pixi.lock", V6, environment="empty").packages == ()
    assert problems("pixi.lock", V6, environment="gpu") == [
        "pixi.lock:3:3: $.environments: expected an environment 'gpu', found none"
        " (name one with --environment: default, empty)"
    ]
    assert problems("pixi.lock", V6, platform="linux/arm64") == [
        "pixi.lock:9:7: $.environments.default.packages: expected one platform for linux-aarch64, found linux-64,"
        " osx-arm64 (lock it for that platform in pixi first)"
    ]


V7 = f"""\
version: 7
platforms:
- name: gpu
  subdir: linux-64
  virtual-packages:
  - __cuda=12.0
- name: old
  subdir: linux-64
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      gpu:
      - conda: {ZLIB}
      - pypi: https://download.example.org/whl/torch-2.5.0%2Bcu124-cp312-cp312-linux_x86_64.whl
      old:
      - conda: {TZDATA}
packages:
- conda: {ZLIB}
  sha256: {A}
  run_exports:
    weak:
    - zlib
  size: 1
- conda: {TZDATA}
  sha256: {B}
  size: 2
- pypi: https://download.example.org/whl/torch-2.5.0%2Bcu124-cp312-cp312-linux_x86_64.whl
  name: torch
  version: 2.5.0+cu124
  sha256: {C}
  index: https://download.example.org/whl
"""


def test_version_7_names_platforms_and_indexes(reading: Reading, problems: Problems) -> None:
    found = reading("pixi.lock", V7, environment="default:gpu")
    torch = found.of_kind("pip")[0]
    assert torch.files[0].name == "torch-2.5.0+cu124-cp312-cp312-linux_x86_64.whl"
    assert (torch.version, torch.source) == ("2.5.0+cu124", "https://download.example.org/whl")
    assert [one.name for one in reading("pixi.lock", V7, environment="default:old").packages] == ["tzdata"]
    assert "name one with --environment default:NAME" in problems("pixi.lock", V7)[0]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("- pypi: ./\n  name: mine\n  version: 0.1\n  editable: true\n", "found the project itself: './'"),
        ("- pypi: git+https://github.com/o/n#0123\n  name: mine\n  version: 0.1\n", "found a repository"),
        ("- pypi: https://files.example.org/mine-0.1.tar.gz\n  name: mine\n  version: 0.1\n", "expected a wheel"),
        ("- conda: ./recipe\n  name: mine\n  version: 0.1\n  build: x\n  subdir: noarch\n", "pixi builds itself"),
    ],
)
def test_what_must_be_built_is_refused_by_name_or_left_out(
    reading: Reading, problems: Problems, entry: str, words: str
) -> None:
    location = entry.splitlines()[0]
    text = (
        f"version: 6\nenvironments:\n  default:\n    packages:\n      linux-64:\n      {location}\npackages:\n{entry}"
    )
    found = problems("pixi.lock", text)
    assert len(found) == 1
    assert words in found[0]
    left = reading("pixi.lock", text, without=frozenset({"Mine"}))
    assert (left.packages, left.left_out) == ((), ("mine",))


def test_a_source_of_version_7_is_left_out_by_name(reading: Reading, problems: Problems) -> None:
    text = (
        "version: 7\nplatforms:\n- name: linux-64\nenvironments:\n  default:\n    packages:\n      linux-64:\n"
        "      - conda_source: mine[0a1b2c3d] @ .\npackages: []\n"
    )
    assert "found what pixi builds itself: 'mine[0a1b2c3d] @ .'" in problems("pixi.lock", text)[0]
    assert reading("pixi.lock", text, without=frozenset({"mine"})).left_out == ("mine",)


def test_old_versions_say_what_to_do(problems: Problems) -> None:
    assert problems("pixi.lock", "version: 4\nenvironments: {}\npackages: []\n") == [
        "pixi.lock:1:10: $.version: expected version 6 or 7, found '4' (let a current pixi write it again: pixi lock)"
    ]
    assert "update Coopery" in problems("pixi.lock", "version: 8\nenvironments: {}\npackages: []\n")[0]


def test_every_mistake_at_once(problems: Problems) -> None:
    broken = (
        V6.replace(f"sha256: {A}", "sha256: 12").replace("size: 122968", "size: -1").replace("name: six", "name: '-x'")
    )
    found = problems("pixi.lock", broken)
    lines = broken.splitlines()
    told = [lines[int(line.split(":")[1]) - 1].strip() for line in found]
    assert told == ["sha256: 12", "size: -1", "name: '-x'"]
    assert "64 hexadecimal digits, found '12'" in found[0]
    assert "expected a number of bytes, found the number -1" in found[1]
    assert "found '-x'" in found[2]


def test_a_selector_without_a_description(problems: Problems) -> None:
    text = V6.replace(f"- conda: {TZDATA}\n  sha256: {B}\n  size: 122968\n", "")
    assert "expected a package described under packages" in problems("pixi.lock", text)[0]


def test_a_package_of_another_subdir_is_refused(problems: Problems) -> None:
    assert "found one of osx-64" in problems("pixi.lock", V6.replace("/linux-64/zlib", "/osx-64/zlib"))[0]


def test_credentials_are_cut(reading: Reading) -> None:
    text = V6.replace("https://conda.anaconda.org/conda-forge", "https://me:pass@host.example/t/to-ken/forge")
    found = reading("pixi.lock", text).of_kind("conda")
    assert {one.source for one in found} == {"https://host.example/forge"}
    assert "pass" not in repr(found)
    assert "to-ken" not in repr(found)


def test_an_entry_is_a_value() -> None:
    assert Listed("pip", "six", "1") == Listed("pip", "six", "1")
