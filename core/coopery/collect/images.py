"""Which images there are, by which names people know them, and which blobs each needs.

The layout's index says what is there; records say which key, name and lock it came from. What the index lists and we
did not make (another tool's entry) is an image like others, and always stays. Digests are taken from documents by
their form, so that what a later spec, or somebody else's artifact, refers to is kept as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from coopery import digest as _digest
from coopery import records
from coopery.collect.census import Census
from coopery.digest import Digest
from coopery.errors import CacheError, IntegrityError
from coopery.layout_index import REF_NAME
from coopery.oci import media

if TYPE_CHECKING:
    from coopery.cache import Cache
    from coopery.home import Home
    from coopery.records import Resolution

_DIGEST: Final = re.compile(rb"sha256:([0-9a-f]{64})")
_OUR_TAG: Final = re.compile(r"[0-9a-f]{20}(-g[0-9]+)?")
_LIMIT: Final = 4 << 20


@frozen
class Generation:
    """One recorded resolution that gave an image: its key, number, definition's name, base and lock."""

    key: str
    number: int
    name: str
    base: Digest
    lock: Digest | None
    artifacts: frozenset[str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.name or self.key[:16]}{f' generation {self.number}' if self.number > 1 else ''}"


@frozen
class ImageHere:
    """One image of the layout.

    Attributes:
        manifest: its manifest's digest.
        image: its config's digest; None where it is no image that we understand.
        tags: under which it is listed.
        made_as: the records that it came from, oldest first; empty where there are none.
        ours: whether Coopery made or pulled it.
        documents: hexadecimal digits of manifests and configs.
        layers: those of its layers, and of whatever else it refers to.
        diff_ids: those of its uncompressed layers.
        used: nanoseconds since 1970: when it was last built, hit or run.
    """

    manifest: Digest
    image: Digest | None
    tags: tuple[str, ...]
    made_as: tuple[Generation, ...]
    ours: bool
    documents: frozenset[str] = field(repr=False)
    layers: frozenset[str] = field(repr=False)
    diff_ids: frozenset[str] = field(repr=False)
    used: int

    @property
    def blobs(self) -> frozenset[str]:
        """All that it needs."""
        return self.documents | self.layers

    @property
    def names(self) -> tuple[str, ...]:
        """What people call it: names of definitions; keys of those without one; its tag where nothing is recorded."""
        found = dict.fromkeys(made.name or made.key[:16] for made in self.made_as)
        return tuple(found) or tuple(tag[:16] if _OUR_TAG.fullmatch(tag) else tag for tag in self.tags) or ("(no tag)",)

    @property
    def artifacts(self) -> frozenset[str]:
        """sha256 of the packages inside, where a record says which."""
        return frozenset().union(*(made.artifacts for made in self.made_as))


def read(home: Home, census: Census, cache: Cache) -> tuple[ImageHere, ...]:
    """The images of *home*, by when they were last used, longest ago first.

    Raises:
        IntegrityError: the index, or a document of an image that is listed, is damaged: nobody knows what is needed.
        CacheError: the records cannot be read, or the store cannot list them.
    """
    generations, placed = _generations(cache), _placed(cache)
    documents = _Documents(home, census)
    found = [
        _image(documents, manifest, tags, generations, placed)
        for manifest, tags in _entries(home).items()
        if _digest.hex_of(manifest) in census.blobs
    ]
    return tuple(sorted(found, key=lambda image: (image.used, image.manifest)))


def _entries(home: Home) -> dict[Digest, list[str]]:
    """Manifest → its tags, of everything that the index lists."""
    from coopery.oci.index_file import IndexFile

    path = home.images / "index.json"
    IndexFile(path, home.staging).entries()  # refuses a damaged one; says what to do
    try:
        listed = json.loads(path.read_bytes())["manifests"]
    except FileNotFoundError:
        return {}
    found: dict[Digest, list[str]] = {}
    for entry in listed:
        try:
            manifest = _digest.parse(entry["digest"])
        except (ValueError, LookupError, TypeError):  # not by sha256: no blob of it can be among those that we look at
            continue
        name = (entry.get("annotations") or {}).get(REF_NAME)
        found.setdefault(manifest, []).extend([name] if isinstance(name, str) else [])
    return found


def _image(
    documents: _Documents,
    manifest: Digest,
    tags: Iterable[str],
    generations: Mapping[Digest, list[Generation]],
    placed: frozenset[str],
) -> ImageHere:
    documents_of, others, image = documents.closure(manifest)
    made_as = tuple(sorted(generations.get(image, ()), key=str)) if image is not None else ()
    tags = tuple(sorted(tags))
    for base in {made.base for made in made_as}:  # kept as well, so that what is built upon it again asks nobody
        more, layers, _ = documents.closure(base)
        documents_of, others = documents_of | more, others | layers
    return ImageHere(
        manifest=manifest,
        image=image,
        tags=tags,
        made_as=made_as,
        ours=bool(made_as) or image in placed or any(_OUR_TAG.fullmatch(tag) for tag in tags),
        documents=documents_of,
        layers=others,
        diff_ids=documents.diff_ids(image),
        used=documents.used(manifest),
    )


class _Documents:
    """The JSON among the blobs, each read once and verified."""

    def __init__(self, home: Home, census: Census) -> None:
        self._home = home
        self._census = census
        self._read: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def closure(self, root: Digest) -> tuple[frozenset[str], frozenset[str], Digest | None]:
        """Documents and other blobs that the manifest *root* leads to, and the config of the image that it is."""
        documents: set[str] = set()
        others: set[str] = set()
        image: Digest | None = None
        todo = [_digest.hex_of(root)]
        while todo:
            name = todo.pop()
            if name in documents or name not in self._census.blobs:
                continue
            documents.add(name)
            data, document = self._document(name)
            others |= {found.decode() for found in _DIGEST.findall(data)}
            for entry in document.get("manifests") or ():
                todo.append(_hex(entry))
            config = _hex(document.get("config")) if _is_image(document) else ""
            if config in self._census.blobs and name == _digest.hex_of(root):
                image = Digest(f"sha256:{config}")
                documents.add(config)
        return frozenset(documents), frozenset(others - documents), image

    def diff_ids(self, image: Digest | None) -> frozenset[str]:
        """What the config says of the uncompressed layers."""
        if image is None:
            return frozenset()
        data, _ = self._document(_digest.hex_of(image))
        return frozenset(found.decode() for found in _DIGEST.findall(data))

    def used(self, manifest: Digest) -> int:
        item = self._census.blobs.get(_digest.hex_of(manifest))
        return item.used if item is not None else 0

    def _document(self, name: str) -> tuple[bytes, dict[str, Any]]:
        if name not in self._read:
            digest = Digest(f"sha256:{name}")
            path = self._home.blobs.path(digest)
            try:
                data = self._home.blobs.read(digest, _LIMIT)
                document = json.loads(data)
            except FileNotFoundError:  # taken away since we counted
                return b"", {}
            except IntegrityError as exc:
                remedy = f"remove {path}; its image is built again. Until then nothing is collected"
                raise IntegrityError(exc.message, remedy=remedy) from exc
            except (ValueError, RecursionError) as exc:
                raise IntegrityError(f"{path}: expected a manifest or config, found no JSON: {exc}") from exc
            self._read[name] = data, document if isinstance(document, dict) else {}
        return self._read[name]


def _is_image(document: dict[str, Any]) -> bool:
    """Whether a manifest is an image's; an artifact's config may be anything."""
    config = document.get("config")
    return isinstance(config, dict) and config.get("mediaType") in media.CONFIGS


def _hex(descriptor: Any) -> str:
    text = descriptor.get("digest") if isinstance(descriptor, dict) else None
    return text.removeprefix("sha256:") if isinstance(text, str) else ""


def _generations(cache: Cache) -> dict[Digest, list[Generation]]:
    """Image id → the recorded resolutions that gave it, those of earlier generations included."""
    if not cache.abilities.list:
        raise CacheError(
            "the cache store cannot list its records, so nobody knows what is needed", remedy="delete images by hand"
        )
    found: dict[Digest, list[Generation]] = {}
    for record in cache.list("resolution"):
        earlier = range(1, record.generation) if cache.abilities.history else ()
        for number in (*earlier, record.generation):
            known = records.resolution(
                record if number == record.generation else cache.get("resolution", record.name, number)
            )
            if known is not None:
                found.setdefault(known.image, []).append(generation(known))
    return found


def generation(known: Resolution) -> Generation:
    """What is said here of a resolution."""
    artifacts = known.lock.artifacts if known.lock else ()
    return Generation(
        known.key,
        known.generation,
        known.name,
        known.base,
        known.lock.digest if known.lock else None,
        frozenset(artifact.sha256 for artifact in artifacts),
    )


def _placed(cache: Cache) -> frozenset[str]:
    """Ids of images that were put somewhere, as pulled ones are, which no resolution names."""
    return frozenset(record.name.partition("@")[0] for record in cache.list("placement"))
