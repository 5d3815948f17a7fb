"""Our own OCI image layout: the place where the engine-free backend keeps images, and the cache's blobs folder.

Adding an image writes its config and manifest and one line of the index: its layers are blobs here already.
Source: OCI image spec v1.1, image-layout.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coopery import sharing
from coopery.blobs import BlobStore, disk_error
from coopery.digest import Digest
from coopery.errors import IntegrityError, NotFound, UsageError
from coopery.image import Assembled
from coopery.oci import media
from coopery.oci.complete import complete
from coopery.oci.config import platform_of
from coopery.oci.descriptor import Descriptor
from coopery.oci.index_file import IndexFile, write_index
from coopery.oci.load import choose, load
from coopery.oci.manifest import make_entry, make_manifest
from coopery.oci.marker import MARKER
from coopery.oci.reference import check_ref_name
from coopery.oci.source import StoreSource


class Layout:
    """A folder of images, safe for many processes.

    Args:
        root: holds ``oci-layout``, ``index.json`` and ``blobs``; need not exist before `init` or `add`.
        staging: a folder on the same file system, for half-made things.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._index = IndexFile(root / "index.json", staging)
        self._blobs = BlobStore(root / "blobs", staging)

    @property
    def root(self) -> Path:
        """The layout's folder."""
        return self._root

    @property
    def blobs(self) -> BlobStore:
        """The layout's blobs."""
        return self._blobs

    def init(self) -> None:
        """Make the folder a layout; one that is stays as it is.

        Raises:
            StoreFull, CacheError: the disk refused.
        """
        try:
            sharing.make_folders(self._root / "blobs" / "sha256")
        except OSError as exc:
            raise disk_error(exc) from exc
        if not (self._root / "oci-layout").exists():
            write_index(self._root / "oci-layout", MARKER, self._staging)
        if not (self._root / "index.json").exists():  # last: a layout with an index is a whole one
            self._index.create()

    def add(self, image: Assembled, tag: str) -> Descriptor:
        """List *image* under *tag*; another image that had the tag loses it. The index is written last.

        Raises:
            UsageError: no tag of a layout.
            IntegrityError: *image* breaks a rule of the spec, a layer's blob is missing or has another size, or the
                index is damaged.
            StoreFull, CacheError: the disk refused; nothing was listed.
        """
        from coopery.oci.validate import validate

        check_ref_name(tag)
        validate(image)
        for layer in image.layers:
            if (size := self._blobs.size(layer.digest)) != layer.size:
                raise IntegrityError(f"layer {layer.digest}: {size} bytes in {self._root}, expected {layer.size}")
        self.init()
        manifest = make_manifest(image)
        self._blobs.put(image.config)
        self._blobs.put(manifest)
        entry = make_entry(manifest, platform_of(image.document), tag)
        with self._index.changed() as entries:
            entries[:] = [other for other in entries if _ref_name(other) != tag] + [entry.to_json()]
        return entry

    def find(self, tag: str, platform: str) -> Descriptor | None:
        """The manifest listed under *tag* for *platform*, or None.

        Raises:
            IntegrityError: the index is damaged.
        """
        named = [entry for entry in self._index.entries() if entry.annotation(media.REF_NAME) == tag]
        return choose(named, platform, self._source)

    def open(self, name: str, platform: str) -> tuple[Digest, Assembled]:
        """The image with manifest digest or tag *name*. JSON is verified, blobs by size; content when it is read.

        Raises:
            NotFound: no such image here for *platform*.
            IntegrityError: damaged.
            BaseError: a document is missing.
        """
        entry = next((entry for entry in self._index.entries() if entry.digest == name), None)
        entry = entry or self.find(name, platform)
        image = load(self._source, entry) if entry is not None else None
        if entry is None or image is None or platform_of(image.document) != platform:
            raise NotFound(f"{self._root}: no image {name!r} for {platform}")
        for layer in image.layers:
            if (size := self._blobs.size(layer.digest)) != layer.size:
                raise IntegrityError(f"layer {layer.digest}: {size} bytes in {self._root}, expected {layer.size}")
        return entry.digest, image

    def complete(self, image: Digest, manifest: Digest) -> bool:
        """Whether the image with config digest *image* is here, whole and listed, as *manifest*. Microseconds.

        Manifest and config are hashed, layers looked at by size. Any damage is a False.

        Raises:
            OSError: the disk could not be asked.
        """
        return complete(self._root, image, manifest)

    def remove(self, digest: Digest) -> bool:
        """Take the image with manifest *digest* out of the index; False when it was not in it.

        Blobs stay: other images share them, and so do builds that run at this moment. gc takes what nothing names.
        """
        with self._index.changed() as entries:
            kept = [entry for entry in entries if entry["digest"] != digest]
            removed = len(kept) != len(entries)
            entries[:] = kept
        return removed

    def tags(self) -> tuple[str, ...]:
        """All tags, sorted."""
        return tuple(sorted(filter(None, (entry.annotation(media.REF_NAME) for entry in self._index.entries()))))

    def entries(self) -> tuple[Descriptor, ...]:
        """All that is listed, in the order of the index."""
        return self._index.entries()

    @property
    def _source(self) -> StoreSource:
        return StoreSource(self._blobs, str(self._root))


def write_layout(image: Assembled, blobs: BlobStore, path: Path, tag: str) -> Descriptor:
    """Add *image* to the layout at *path*, which is made where there is none.

    Raises:
        UsageError: *path* is something else, or *tag* no tag of a layout.
        IntegrityError: *image* or a blob is not what it should be.
        StoreFull, CacheError: the disk refused.
    """
    import shutil

    from coopery.oci.validate import validate
    from coopery.oci.verified import copy

    check_ref_name(tag)
    validate(image)
    if path.exists() and not (path / "oci-layout").is_file() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path}: neither an image layout nor an empty folder")
    staging = path / ".staging"
    layout = Layout(path, staging)
    try:
        for layer in image.layers:
            if layout.blobs.size(layer.digest) != layer.size:
                with layout.blobs.create(layer.digest) as writer:
                    copy(blobs.path(layer.digest), layer.digest, writer.write)
        return layout.add(image, tag)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _ref_name(entry: dict[str, Any]) -> str:
    name: str = (entry.get("annotations") or {}).get(media.REF_NAME, "")
    return name
