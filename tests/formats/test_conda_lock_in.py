from __future__ import annotations

from collections.abc import Callable

from coopery.formats import Imported
from formats.samples import MD5, SIX, ZLIB, A, C

Reading = Callable[..., Imported]
Problems = Callable[..., list[str]]

TEXT = f"""\
version: 1
metadata:
  content_hash:
    linux-64: {A}
  channels:
  - url: conda-forge
    used_env_vars: []
  platforms: [linux-64, osx-64]
  sources: [environment.yml]
package:
- name: zlib
  version: '1.3.1'
  manager: conda
  platform: linux-64
  dependencies:
    libgcc: '>=13'
    libzlib: 1.3.1
  url: {ZLIB}
  hash:
    md5: {MD5}
    sha256: {A}
  category: main
  optional: false
- name: zlib
  version: 1.3.1
  manager: conda
  platform: osx-64
  dependencies: {{}}
  url: {ZLIB.replace("linux-64", "osx-64")}
  hash:
    md5: {MD5}
  category: main
  optional: false
- name: six
  version: 1.17.0
  manager: pip
  platform: linux-64
  dependencies: {{}}
  url: {SIX}
  hash:
    sha256: {C}
  category: dev
  optional: true
"""


def test_main_is_taken_and_a_category_where_it_is_asked_for(reading: Reading) -> None:
    found = reading("conda-lock.yml", TEXT)
    assert (found.form, [one.name for one in found.packages]) == ("conda-lock", ["zlib"])
    zlib = found.packages[0]
    assert (zlib.version, zlib.build, zlib.source) == ("1.3.1", "hb9d3cd8_2", "https://conda.anaconda.org/conda-forge")
    assert (zlib.files[0].sha256, zlib.files[0].md5, zlib.files[0].size) == (A, MD5, None)
    assert zlib.place == "conda-lock.yml:11:3"
    with_dev = reading("conda-lock.yml", TEXT, environment="dev")
    assert [(one.kind, one.name) for one in with_dev.packages] == [("conda", "zlib"), ("pip", "six")]
    assert reading("conda-lock.yml", TEXT, environment="dev", without=frozenset({"SIX"})).left_out == ("six",)


def test_what_is_missing_is_said(problems: Problems) -> None:
    assert (
        "expected packages for linux-aarch64, found linux-64, osx-64"
        in problems("conda-lock.yml", TEXT, platform="linux/arm64")[0]
    )
    assert (
        "expected a category 'test', found none (name one with --environment: dev, main)"
        in problems("conda-lock.yml", TEXT, environment="test")[0]
    )
    assert problems("conda-lock.yml", "version: 2\npackage: []\n") == [
        "conda-lock.yml:1:10: $.version: expected version 1, found '2' (update Coopery)"
    ]


def test_an_md5_alone_is_kept_as_what_it_is(reading: Reading) -> None:
    found = reading("conda-lock.yml", TEXT.replace(f"    sha256: {A}\n", "", 1))
    assert (found.packages[0].files[0].sha256, found.packages[0].files[0].md5) == ("", MD5)


def test_sources_and_strange_managers_are_refused(problems: Problems) -> None:
    text = TEXT.replace(SIX, "https://files.example.org/six-1.17.0.tar.gz").replace("category: dev", "category: main")
    assert "expected a wheel, found 'six-1.17.0.tar.gz'" in problems("conda-lock.yml", text)[0]
    assert (
        "expected conda or pip, found 'npm'"
        in problems("conda-lock.yml", TEXT.replace("manager: conda", "manager: npm"))[0]
    )


def test_dependencies_that_go_over_several_lines_are_skipped_whole(reading: Reading) -> None:
    wrapped = TEXT.replace("    libgcc: '>=13'\n", "    libgcc: '>=1.6.2,<1.7 || >1.7\n      || >1.8'\n")
    assert [one.name for one in reading("conda-lock.yml", wrapped).packages] == ["zlib"]
