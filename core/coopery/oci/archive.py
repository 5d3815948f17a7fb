"""Images in OCI form, as a layout's folder or its tar. Docker's tars are read through the same door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from coopery import digest as _digest
from coopery.blobs import BlobStore
from coopery.digest import Digest
from coopery.errors import BaseError
from coopery.image import Assembled
from coopery.oci import media
from coopery.oci.archive_files import ArchiveFiles, opened_archive
from coopery.oci.compression import Readable
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.docker_archive import read_docker
from coopery.oci.intake import take
from coopery.oci.limits import DEFAULT, Limits
from coopery.oci.load import ambiguous, choose, load, platforms, wrong_platform
from coopery.oci.manifest import make_entry, make_index, make_manifest, parse_index
from coopery.oci.marker import MARKER, check_marker
from coopery.oci.reference import check_ref_name, familiar
from coopery.oci.source import FolderSource, Source, open_regular, read_small
from coopery.oci.tar_file import Content, write_tar
from coopery.oci.validate import validate
from coopery.platform import DEFAULT as DEFAULT_PLATFORM


def read_layout(path: Path, tag: str, platform: str, blobs: BlobStore) -> tuple[Digest, Assembled]:
    """Bring the image *tag* for *platform* of the layout at *path* into *blobs*, everything verified.

    Args:
        path: a folder with ``oci-layout``, ``index.json`` and ``blobs``.
        tag: its ref name; empty where the layout has one image for the platform.
        platform: ``linux/amd64``.
        blobs: on return, each layer is in it.

    Returns:
        Digest of the manifest, and the image.

    Raises:
        BaseError: no layout, no such tag or platform, or a blob is absent.
        IntegrityError: damaged, ambiguous or hostile.
    """
    files = {}
    for name in ("oci-layout", "index.json"):
        with open_regular(path / name) as file:
            files[name] = read_small(file, f"{path}/{name}")
    return _read(FolderSource(path), files["oci-layout"], files["index.json"], tag, platform, blobs)


def leads_to(path: Path, named: Digest, platform: str, manifest: Digest) -> bool:
    """Whether *named*, an index that the layout at *path* lists, has *manifest* for *platform*.

    Builders list such an index where an image is for several platforms, or has attestations beside it.

    Raises:
        BaseError, IntegrityError: as `read_layout`.
    """
    with open_regular(path / "index.json") as file:
        entries = parse_index(read_small(file, f"{path}/index.json"), media.INDEX, f"{path}/index.json")
    chosen = choose([entry for entry in entries if entry.digest == named], platform, FolderSource(path))
    return chosen is not None and chosen.digest == manifest


def look_into_layout(path: Path, tag: str, platform: str = "") -> Assembled:
    """As `read_layout`, but no layer is read or copied: documents only. *platform* may be left out where it has one.

    Raises:
        BaseError, IntegrityError: as `read_layout`.
    """
    with open_regular(path / "oci-layout") as file:
        check_marker(read_small(file, f"{path}/oci-layout"), str(path))
    with open_regular(path / "index.json") as file:
        entries = parse_index(read_small(file, f"{path}/index.json"), media.INDEX, f"{path}/index.json")
    source = FolderSource(path)
    there = platforms(entries, source)
    wanted = platform or (there[0] if len(there) == 1 else DEFAULT_PLATFORM)
    return load(source, _pick(entries, tag, wanted, source))


def read_archive(
    path: Path, tag: str, platform: str, blobs: BlobStore, *, limits: Limits = DEFAULT
) -> tuple[Digest, Assembled]:
    """Bring an image out of an OCI archive or a ``docker save`` tar, plain, gzip or zstd, into *blobs*.

    An archive that is both, as Docker 25 and later write, is read as OCI.

    Returns:
        Digest of the manifest, of the config where the archive has no manifest (Docker's older form), and the image.

    Raises:
        BaseError, IntegrityError: as `read_layout`.
    """
    with opened_archive(path, blobs, limits) as files:
        if "oci-layout" in files and "index.json" in files:
            marker, index = files.small("oci-layout"), files.small("index.json")
            return _read(ArchiveSource(files), marker, index, tag, platform, blobs)
        if "manifest.json" in files:
            return read_docker(files, tag, platform, blobs)
    if "repositories" in files:
        raise BaseError(f"{path}: saved by a Docker older than 1.10", remedy="load it and save it with a newer one")
    raise BaseError(
        f"{path}: neither an OCI archive nor a Docker archive: it has no index.json and no manifest.json",
        remedy="if it is the tar of a root file system, write base: {rootfs: …}",
    )


def write_oci_archive(image: Assembled, blobs: BlobStore, file: Path, tag: str) -> Digest:
    """Write *image* as an OCI layout in one tar. Returns the manifest's digest.

    Raises:
        UsageError: *tag* is no tag of a layout.
        IntegrityError: *image* or a blob is not what it should be.
        StoreFull, CacheError: the disk refused.
    """
    check_ref_name(tag)
    validate(image)
    manifest = make_manifest(image)
    entry = make_entry(manifest, platform_of(image.document), tag)
    members: dict[str, Content] = {
        "oci-layout": MARKER,
        "index.json": make_index([entry.to_json()]),
        _path(entry.digest): manifest,
        _path(image.image_id): image.config,
    }
    for layer in image.layers:
        members[_path(layer.digest)] = (blobs.path(layer.digest), layer.digest)
    write_tar(file, members, folders=("blobs", "blobs/sha256"))
    return entry.digest


def _read(
    source: Source, marker: bytes, index: bytes, tag: str, platform: str, blobs: BlobStore
) -> tuple[Digest, Assembled]:
    check_marker(marker, source.name)
    entries = parse_index(index, media.INDEX, f"{source.name}/index.json")
    descriptor = _pick(entries, tag, platform, source)
    image = load(source, descriptor)
    for layer in image.layers:
        take(source, layer, blobs)
    return descriptor.digest, image


def _pick(entries: Sequence[Descriptor], tag: str, platform: str, source: Source) -> Descriptor:
    named = [entry for entry in entries if not tag or familiar(tag) in map(familiar, _names_of(entry))]
    if not named:
        raise _no_tag(source.name, tag, (name for entry in entries for name in _names_of(entry)))
    found = {chosen.digest: chosen for entry in named if (chosen := choose([entry], platform, source))}
    if not found:
        raise wrong_platform(source.name, platform, platforms(named, source))
    if len(found) > 1:
        raise ambiguous(source.name, (name for entry in named for name in _names_of(entry)))
    return next(iter(found.values()))


def _names_of(entry: Descriptor) -> tuple[str, ...]:
    """What an index entry is called: its ref name, and the whole reference in archives of Docker and containerd."""
    names = (entry.annotation(media.REF_NAME), entry.annotation(media.CONTAINERD_NAME))
    return tuple(name for name in names if name)


def _no_tag(where: str, tag: str, names: Iterable[str]) -> BaseError:
    there = ", ".join(sorted(set(names)))
    remedy = f"there is {there}" if there else "its images have no tags; leave the tag out"
    return BaseError(f"{where}: no image with the tag {tag!r}" if tag else f"{where}: no image in it", remedy=remedy)


class ArchiveSource:
    """The blobs of an OCI archive."""

    def __init__(self, files: ArchiveFiles) -> None:
        self._files = files
        self.name = files.name

    @contextmanager
    def open(self, digest: Digest) -> Iterator[Readable]:
        """As `coopery.oci.source.Source.open`."""
        yield self._files.open(_path(digest))


def _path(digest: Digest) -> str:
    return f"blobs/sha256/{_digest.hex_of(digest)}"
