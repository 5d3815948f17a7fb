"""Bundles that somebody has damaged, or made to do harm: nothing of them is taken."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from coopery import Environment
from coopery.digest import hex_of, of_bytes
from coopery.errors import CooperyError, IntegrityError, StoreFull, UsageError
from coopery.image import encode
from moving.conftest import Machine

pytestmark = pytest.mark.slow

Members = list[tuple[tarfile.TarInfo, bytes]]


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(data), kind, link
    return made, data


class Bundle:
    """A bundle taken apart."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as tar:
            self.members: Members = [(one, tar.extractfile(one).read()) for one in tar.getmembers()]  # type: ignore[union-attr]  # files all

    def names(self, prefix: str) -> list[int]:
        return [n for n, (one, _) in enumerate(self.members) if one.name.startswith(prefix)]

    def put(self, number: int, name: str, data: bytes) -> None:
        self.members[number] = member(name, data)

    @property
    def listed(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.members[2][1])
        return found

    def list(self, **changes: Any) -> None:
        self.put(2, "coopery/bundle.json", encode({**self.listed, **changes}))

    def rename(self, number: int, name: str, data: bytes) -> None:
        """Another part in place of one, listed as it should be."""
        parts = self.listed["parts"]
        del parts[self.members[number][0].name]
        parts[name] = [of_bytes(data), len(data)]
        self.put(number, name, data)
        self.list(parts=parts)
        first, *rest = self.members[:3], *sorted(self.members[3:], key=lambda one: one[0].name)
        self.members = [*first, *rest]

    def record(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the first record, consistently."""
        number = self.names("coopery/records/")[0]
        document = json.loads(self.members[number][1])
        change(document)
        data = encode(document)
        self.rename(number, f"coopery/records/{hex_of(of_bytes(data))}.json", data)

    def write(self, path: Path) -> Path:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for one, data in self.members:
                tar.addfile(one, io.BytesIO(data))
        path.write_bytes(stream.getvalue())
        return path


@pytest.fixture
def made(here: Machine, hello: Environment) -> Path:
    here.build(hello)
    here.copy("home:", here.folder / "good.tar")
    return here.folder / "good.tar"


def flip(bundle: Bundle, prefix: str) -> None:
    number = bundle.names(prefix)[0]
    one, data = bundle.members[number]
    bundle.members[number] = one, data[:-1] + bytes([data[-1] ^ 1])


def sub(document: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for name in above:
        document = document[name]
    document[last] = value


ATTACKS: dict[str, Callable[[Bundle], object]] = {
    "blob-bit": lambda b: flip(b, "blobs/"),
    "record-bit": lambda b: flip(b, "coopery/records/"),
    "list-bit": lambda b: flip(b, "coopery/bundle.json"),
    "index-of-others": lambda b: b.put(1, "index.json", b'{"schemaVersion":2,"manifests":[]}'),
    "marker": lambda b: b.put(0, "oci-layout", b'{"imageLayoutVersion":"9"}'),
    "version": lambda b: b.list(version=2),
    "extra-file": lambda b: b.members.append(member("blobs/sha256/" + "0" * 64, b"x")),
    "extra-outside": lambda b: b.members.append(member("evil", b"x")),
    "dot-dot": lambda b: b.members.append(member("../../evil", b"x")),
    "absolute": lambda b: b.members.append(member("/tmp-evil", b"x")),
    "symlink": lambda b: b.members.append(member("blobs/sha256/link", kind=tarfile.SYMTYPE, link="/etc/passwd")),
    "hardlink": lambda b: b.members.append(member("coopery/l", kind=tarfile.LNKTYPE, link="oci-layout")),
    "device": lambda b: b.members.append(member("coopery/dev", kind=tarfile.CHRTYPE)),
    "fifo": lambda b: b.members.append(member("coopery/fifo", kind=tarfile.FIFOTYPE)),
    "link-for-blob": lambda b: b.members.__setitem__(
        b.names("blobs/")[0], member(b.members[b.names("blobs/")[0]][0].name, kind=tarfile.SYMTYPE, link="x")
    ),
    "twice": lambda b: b.members.append(b.members[-1]),
    "missing-blob": lambda b: b.members.pop(b.names("blobs/")[0]),
    "missing-record": lambda b: b.members.pop(b.names("coopery/records/")[0]),
    "unlisted-blob-of-image": lambda b: (
        b.list(parts={k: v for k, v in b.listed["parts"].items() if k != b.members[b.names("blobs/")[0]][0].name}),
        b.members.pop(b.names("blobs/")[0]),
    ),
    "stranger-blob": lambda b: (
        b.list(parts={**b.listed["parts"], f"blobs/sha256/{hex_of(of_bytes(b'x'))}": [of_bytes(b"x"), 1]}),
        b.members.append(member(f"blobs/sha256/{hex_of(of_bytes(b'x'))}", b"x")),
    ),
    "misnamed-blob": lambda b: b.rename(b.names("blobs/")[0], "blobs/sha256/" + "0" * 64, b"other"),
    "part-outside": lambda b: b.rename(b.names("coopery/records/")[0], "coopery/files/../../../evil", b"x"),
    "part-anywhere": lambda b: b.rename(b.names("coopery/records/")[0], "etc/passwd", b"x"),
    "package-of-other-bytes": lambda b: b.rename(
        b.names("coopery/records/")[0], f"coopery/files/packages/pip/{'0' * 64}.whl", b"x"
    ),
    "size-negative": lambda b: b.list(
        parts={**b.listed["parts"], "blobs/sha256/" + "0" * 64: ["sha256:" + "0" * 64, -1]}
    ),
    "record-of-another-key": lambda b: b.record(lambda d: sub(d, "name", "0" * 64)),
    "record-of-other-inputs": lambda b: b.record(lambda d: sub(d, "body.identity", {"base": {"scratch": True}})),
    "record-of-no-image": lambda b: b.record(lambda d: sub(d, "body.image", "sha256:short")),
    "record-of-another-image": lambda b: b.record(lambda d: sub(d, "body.image", "sha256:" + "0" * 64)),
    "record-kind": lambda b: b.record(lambda d: sub(d, "kind", "lease")),
    "record-time": lambda b: b.record(lambda d: sub(d, "written", "now")),
    "record-generation": lambda b: b.record(lambda d: sub(d, "generation", 0)),
    "record-layers": lambda b: b.record(lambda d: sub(d, "body.layers", [{"digest": 1}])),
    "record-body": lambda b: b.record(lambda d: sub(d, "body", [])),
    "tag": lambda b: b.list(images=[{**b.listed["images"][0], "tags": ["../../x"]}]),
    "platform": lambda b: b.list(images=[{**b.listed["images"][0], "platform": "plan9/pdp11"}]),
    "manifest-of-another": lambda b: b.list(images=[{**b.listed["images"][0], "image": "sha256:" + "0" * 64}]),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_it_is_taken(name: str, made: Path, there: Machine, tmp_path: Path) -> None:
    bundle = Bundle(made)
    ATTACKS[name](bundle)
    refused(bundle.write(tmp_path / "bad.tar"), there)


@pytest.mark.parametrize("suffix", ["", ".zst", ".gz"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_what_was_cut_short_is_not_taken(part: float, suffix: str, here: Machine, there: Machine, made: Path) -> None:
    whole = made.with_name(f"whole.tar{suffix}")
    here.copy("home:", whole)
    data = whole.read_bytes()
    bad = made.with_name(f"cut.tar{suffix}")
    bad.write_bytes(data[: int(len(data) * part)])
    refused(bad, there)


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst"])
def test_a_flipped_bit_is_noticed_or_changes_nothing(here: Machine, there: Machine, made: Path, suffix: str) -> None:
    """In a tar the padding is free and an owner's name, in zstd the window; whatever is taken is what was packed."""
    whole = made.with_name(f"whole{suffix}")
    here.copy("home:", whole)
    data = whole.read_bytes()
    bad, refusals = made.with_name(f"flipped{suffix}"), 0
    with here.builder() as builder:
        right = [(one.key, one.image.id) for one in builder.list()]
    places = range(0, len(data), 211 if suffix == ".tar" else 31)
    for place in places:
        bad.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        with suppress(UsageError, IntegrityError):
            there.copy(bad, "home:")
            with there.builder() as builder:
                assert [(one.key, one.image.id) for one in builder.list()] == right
            shutil.rmtree(there.home)
            continue
        refusals += 1
        assert not (there.home / "images").exists()
    assert refusals >= len(places) // 4


def test_a_package_that_is_called_by_another_hash_is_not_taken(made: Path, there: Machine, tmp_path: Path) -> None:
    bundle = Bundle(made)
    parts = bundle.listed["parts"]
    name = f"coopery/files/packages/pip/{'0' * 64}.whl"
    bundle.list(parts={**parts, name: [of_bytes(b"x"), 1]})
    bundle.members.append(member(name, b"x"))
    refused(bundle.write(tmp_path / "bad.tar"), there)


def test_a_package_of_other_content_is_seen_by_the_digest_that_was_told(
    here: Machine, there: Machine, packaged: Callable[..., Environment], tmp_path: Path
) -> None:
    """A tree has no hash that locks know: consistent, and forged, it is told by the bundle's own digest alone."""
    here.build(packaged("tool"))
    made = here.copy("home:", tmp_path / "good.tar", packages=True)
    bundle = Bundle(tmp_path / "good.tar")
    number = bundle.names("coopery/trees/")[0]
    forged = io.BytesIO()
    with tarfile.open(fileobj=forged, mode="w") as tar:
        one, data = member("bin/tool", b"other")
        tar.addfile(one, io.BytesIO(data))
    bundle.rename(number, bundle.members[number][0].name, forged.getvalue())
    refused(bundle.write(tmp_path / "bad.tar"), there, digest=made.bundle)
    with pytest.raises(IntegrityError, match=f"{made.bundle} was expected"):
        there.copy(tmp_path / "bad.tar", "sqlite:", digest=made.bundle)
    assert there.copy(tmp_path / "good.tar", "home:", digest=hex_of(made.bundle)).bundle == made.bundle


@pytest.mark.parametrize("suffix", [".tar", ".tar.zst", ".tar.gz"])
def test_the_digest_is_of_all_bytes_of_the_file(
    here: Machine, there: Machine, hello: Environment, tmp_path: Path, suffix: str
) -> None:
    here.build(hello)
    file = tmp_path / f"made{suffix}"
    made = here.copy("home:", file)
    assert made.bundle == of_bytes(file.read_bytes())
    file.write_bytes(file.read_bytes() + bytes(3 << 20))  # as tapes pad; the tar in it is the same
    with pytest.raises(IntegrityError):
        there.copy(file, "home:", digest=made.bundle)
    with pytest.raises(UsageError, match="no digest"):
        there.copy(file, "home:", digest="sha256:12")
    with pytest.raises(UsageError, match="that of a bundle"):
        here.copy("home:", tmp_path / "x.tar", digest=made.bundle)


def test_a_package_that_would_leave_its_folder_is_not_taken(made: Path, there: Machine, tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        one = tarfile.TarInfo("../../../evil")
        one.size = 1
        tar.addfile(one, io.BytesIO(b"x"))
    bundle = Bundle(made)
    name = f"coopery/trees/packages/{'a' * 64}.tar"
    bundle.list(parts={**bundle.listed["parts"], name: [of_bytes(inner.getvalue()), len(inner.getvalue())]})
    bundle.members.append(member(name, inner.getvalue()))
    refused(bundle.write(tmp_path / "bad.tar"), there)
    assert not list(tmp_path.rglob("evil"))


def test_more_than_the_disk_has_is_refused_before_anything_is_written(
    made: Path, there: Machine, tmp_path: Path
) -> None:
    bundle = Bundle(made)
    parts = bundle.listed["parts"]
    name = next(name for name in parts if name.startswith("blobs/"))
    bundle.list(parts={**parts, name: [parts[name][0], 1 << 60]})
    with pytest.raises(StoreFull, match="are to come"):
        there.copy(bundle.write(tmp_path / "bad.tar"), "home:")


@pytest.mark.parametrize("kind", ["empty", "text", "docker", "oci", "folder"])
def test_what_is_no_bundle_is_refused_with_words(
    kind: str, here: Machine, there: Machine, hello: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "no.tar"
    if kind in ("docker", "oci"):
        with here.builder() as builder:
            builder.export(builder.build(hello), f"{kind}-archive:{file}" + (":a:b" if kind == "docker" else ""))
    elif kind == "folder":
        with tarfile.open(file, "w") as tar:
            tar.add(Path(__file__).parent, "folder")
    else:
        file.write_bytes(b"" if kind == "empty" else b"hello\n" * 1000)
    with pytest.raises((UsageError, IntegrityError)) as caught:
        there.copy(file, "home:")
    assert str(file) in str(caught.value)


def refused(file: Path, there: Machine, **options: object) -> None:
    """Taking *file* fails, and leaves a cache folder with nothing in it."""
    with pytest.raises(CooperyError) as caught:
        there.copy(file, "home:", **options)
    assert caught.value.exit_code in (2, 5), caught.value
    kept = [path for path in there.home.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]
    assert kept == []
    with there.builder() as builder:
        assert builder.list() == ()
