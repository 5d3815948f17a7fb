"""Match specs: all that people write is taken, and nothing that rattler would refuse.

rattler is asked in a child process, which ends without its clean-up: py-rattler may abort an interpreter at exit.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Sequence

import pytest

from coopery.read.match_spec import match_spec
from coopery.read.reading import Mistake

_ASK = """
import json, os, sys
from rattler import MatchSpec
def takes(spec):
    try:
        MatchSpec(spec, strict=False)
    except Exception:
        return False
    return True
json.dump([takes(spec) for spec in json.load(sys.stdin)], sys.stdout)
sys.stdout.flush()
os._exit(0)
"""


def rattler_takes(specs: Sequence[str]) -> list[bool]:
    done = subprocess.run(
        [sys.executable, "-c", _ASK], input=json.dumps(specs), capture_output=True, text=True, check=True, timeout=120
    )
    answer: list[bool] = json.loads(done.stdout)
    return answer


def takes(spec: str) -> bool:
    try:
        match_spec(spec)
    except Mistake:
        return False
    return True


NAMES = ("numpy", "R-base", "_libgcc_mutex", "zlib1g.dev", "7zip")
CHANNELS = ("", "conda-forge::", "bioconda/linux-64::", "conda-forge/label/rc::", "conda-forge :: ",
            "https://conda.anaconda.org/conda-forge::", "pkgs/main::", "defaults::", "./channel::")  # fmt: skip
VERSIONS = (
    "", "=1.2", "==1.2", " =1.2", " = 1.2", " == 1.2", ">=1.2", " >=1.2", " >= 1.2,<2", ">=1.2, <2", ">=1,<2|>=3",
    " 1.2",
    " 1.2.*", "=1.2.*", "==1.2.*", "=1.2*", " 1.2|1.3", "~=1.2", "!=1.2", "!=1.2.*", "<2.0a0", "=1!2.0", "=2.0+cu118",
    "=2024a", "=1.2.0.post1", "=1_2", "=*", "==*", " *", " (>=1,<2)|3.*", ">=1.2.*", "=9e", "=1.2.dev0", "=1.2rc1",
)  # fmt: skip
BUILDS = ("", "=py38h5_0", "=*cuda*", "=*", "=0", " py38_0", "=^py3.*$", "=h6de172a_18")
ENDINGS = ("", "[build_number='>=3']", "[subdir=linux-64]", "[channel=conda-forge]", " # comment", " ")
SPECS = [
    f"{channel}{name}{version}{build if version else ''}{ending}"
    for name, channel, version, build, ending in itertools.product(NAMES, CHANNELS, VERSIONS, BUILDS, ENDINGS)
]


@pytest.mark.processes
def test_what_people_write_is_taken():
    """Every combination of the spellings above; rattler takes them too, so that the corpus itself is right."""
    chosen = random.Random(1).sample(SPECS, 4000)
    assert [spec for spec in chosen if not takes(spec)] == []
    assert [spec for spec, taken in zip(chosen, rattler_takes(chosen), strict=True) if not taken] == []


@pytest.mark.processes
def test_nothing_is_taken_that_rattler_refuses():
    tokens = [
        "numpy", "x", "1", "1.2", "1.2.3", "a", "rc1", "=", "==", ">=", "<", "<=", ">", "!=", "~=", ".*", "*", ",", "|",
        " ", "(", ")", "py38_0", "_", "-", ".", "+", "!", "[", "]", "build", "version", "channel", "conda-forge", "::",
        "linux-64", "/", "'", '"', "#", "0", "^", "$", "build_number", "subdir", "md5", "sha256", "a" * 64, "0" * 32,
        "noarch", "https://a.b/c", "pkgs/main", "defaults", "license", "fn", "99999999999999999", "post1", "dev0",
    ]  # fmt: skip
    source = random.Random(20)
    made = {
        source.choice(("numpy", "x", "conda-forge::numpy", "A"))
        + "".join(source.choices(tokens, k=source.randint(0, 6)))
        for _ in range(40_000)
    }
    taken = sorted(spec for spec in made if takes(spec))
    assert len(taken) > 4_000
    assert [spec for spec, also in zip(taken, rattler_takes(taken), strict=True) if not also] == []


@pytest.mark.parametrize(
    ("spec", "kept"),
    [
        ("  numpy  >=1.2 , <2  ", "numpy  >=1.2 , <2"),
        ("numpy=1.2 # pinned", "numpy=1.2"),
        ("bioconda::bamtools=2.5.2", "bioconda::bamtools=2.5.2"),
        ("conda-forge :: numpy", "conda-forge::numpy"),
        ("defaults::numpy", "https://repo.anaconda.com/pkgs/main::numpy"),
        ("pkgs/r/linux-64::r-base", "https://repo.anaconda.com/pkgs/r/linux-64::r-base"),
        ("numpy[version='>=1,<2', build=\"py*\"]", "numpy[version='>=1,<2', build=\"py*\"]"),
        ("numpy[]", "numpy[]"),
        ("numpy=1.2=", "numpy=1.2="),
    ],
)
def test_kept_as_written_but_trimmed(spec, kept):
    assert match_spec(spec) == kept


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("numpy=>1", "write >= where => stands"),
        ("numpy=<1", "write <= where =< stands"),
        ("numpy===1", "write == where === stands"),
        ("numpy^1.2", "write >= where ^ stands"),
        ("numpy >=1.2 <2", "join versions by a comma"),
        ("numpy=1==py38", "one = before the build"),
        ("numpy=1.2-py38_0", "name=version=build"),
        ("numpy scipy", "an item of its own"),
        ("numpy=3.10.", "cannot read on"),
        ("conda-forge:numpy", "channel::name"),
        ("a::b::c", "expected one channel"),
        ("::numpy", "channel before ::"),
        ("nodefaults::numpy", "leave it away"),
        ("numpy*", "without stars"),
        ("numpy>=*=*=*", "build string"),
        ("uvicorn[standard]", "under pip:"),
        ("uvicorn[standard]>=1", "at the end"),
        ("x @ https://host/x.whl", "under pip:"),
        ("git+https://host/x.git@abc", "under pip:"),
        ("x; python_version < '3'", "under pip:"),
        ("-c conda-forge", "options are not packages"),
        ("https://host/c/linux-64/x-1-0.conda", "channel::name"),
        ("./x-1-0.tar.bz2", "channel::name=version=build"),
        ("x[url=https://host/x.conda]", "in brackets"),
        ("x[name=y]", "in brackets"),
        ("x[version=1,version=2]", "version once"),
        ("x=1[version=2]", "version once"),
        ("x[md5=abc]", "in brackets"),
        ("x[subdir=linux]", "in brackets"),
        ("x=1=^(a$", "regular expression"),
        ("x={{ version }}", "render it first"),
        ("x=${VERSION}", "render it first"),
        ("x>", "a version"),
        ('python="3.8"', "leave the quotes inside it away"),
        ("x ((((((((((1))))))))))", "parentheses"),
        ("x" * 2000, "1024 characters"),
        ("#", "1 to 1024"),
        ("é", "package name"),
    ],
)
def test_refused_with_the_way_out(spec, words):
    with pytest.raises(Mistake) as caught:
        match_spec(spec)
    assert words in f"{caught.value.message} ({caught.value.remedy})"
