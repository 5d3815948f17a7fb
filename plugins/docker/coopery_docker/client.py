"""The daemon, as the rest of this backend sees it: typed, and every failure one of our errors. docker-py enters here.

A daemon that fails while it answers says so inside the answer, behind a status of 200: every line is read for that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final

import docker  # type: ignore[import-untyped]  # docker-py has no types
import requests
import urllib3

from coopery_docker.answers import Refused, Unreachable, files_of, refused, said, unreachable
from coopery_docker.connecting import connected
from coopery_docker.endpoint import NAME, Endpoint

_SECONDS: Final = 120.0
_OLDEST: Final = "1.24"
"""The version of the API that a daemon is asked for its own in: every one that docker-py drives has it."""

_FRAME: Final = struct.Struct(">BxxxL")
"""Before each piece of output: its stream and its length. Source: Docker Engine API 1.41, ContainerAttach."""


class Daemon:
    """One daemon. Connects when first asked. Every method raises Unreachable and Refused."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._diff_ids: dict[str, tuple[str, ...]] = {}

    @cached_property
    def _api(self) -> Any:
        with self._translated("connecting"):
            first = connected(self.endpoint, _OLDEST, _SECONDS)
            try:
                told = first.version(api_version=False)
                return connected(self.endpoint, str(told["ApiVersion"]), _SECONDS)
            except LookupError as exc:
                words = f"connecting: {self.endpoint.host} does not say which API it has"
                raise Refused(NAME, words, remedy="is it a Docker daemon?") from exc
            finally:
                first.close()

    @cached_property
    def _patient(self) -> Any:
        """For what may be silent for long: the daemon unpacks a large layer without a word."""
        version = self._api.api_version
        with self._translated("connecting"):
            return connected(self.endpoint, version, None)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """What the daemon says of itself."""
        with self._translated("asking the daemon about itself"):
            found: Mapping[str, Any] = self._api.info()
            return found

    @property
    def version(self) -> str:
        """As the daemon states it: ``20.10.24+dfsg1``."""
        return str(self.info.get("ServerVersion") or "")

    @property
    def by_manifest(self) -> bool:
        """Whether it keeps images in containerd's store, where an image's id is the digest of its manifest."""
        return any("io.containerd.snapshotter" in str(value) for _, value in self.info.get("DriverStatus") or ())

    @property
    def architecture(self) -> str:
        """Of the machine that runs it, as images name it."""
        told = str(self.info.get("Architecture") or "")
        return {"x86_64": "amd64", "aarch64": "arm64"}.get(told, told)

    def close(self) -> None:
        """Close the connections, if there are any."""
        for name in ("_api", "_patient"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    # --- images -------------------------------------------------------------------------------------

    def images(self, reference: str = "") -> list[dict[str, Any]]:
        """What is here, as the API lists it; only *reference*, which may have a ``*``, where given."""
        with self._translated("listing images"):
            filters = {"reference": reference} if reference else None
            return list(self._api.images(all=not reference, filters=filters))

    def image(self, name: str) -> dict[str, Any] | None:
        """The image called *name* or with that id, as the API shows it; None where it is not here."""
        with self._translated(f"looking at image {name}"):
            try:
                found: dict[str, Any] = self._api.inspect_image(name)
            except docker.errors.NotFound:
                return None
            return found

    def diff_ids(self, image: str) -> tuple[str, ...]:
        """The layers of the image with the id *image*, from the bottom up; none where it is not here.

        An id in the classic store is the digest of what says so: it is asked for once, however many steps there are.
        """
        if image not in self._diff_ids:
            found = self.image(image)
            if found is None:
                return ()
            self._diff_ids[image] = tuple(map(str, (found.get("RootFS") or {}).get("Layers") or ()))
        return self._diff_ids[image]

    def load(self, archive: Iterable[bytes]) -> None:
        """Give the daemon an archive of images, which is made while it is sent.

        Raises:
            Refused: it did not take it; the reason stood in its answer.
        """
        with self._translated("loading an image"):
            for _ in said(self._patient.load_image(iter(archive)), "loading an image"):
                pass

    def save(self, name: str) -> Iterator[bytes]:
        """The archive of the image called *name*."""
        with self._translated(f"saving image {name}"):
            yield from self._patient.get_image(name, chunk_size=1 << 20)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Call *image* by one name more; another that had it loses it."""
        with self._translated(f"tagging {image}"):
            self._api.tag(image, repository, tag, force=True)

    def remove_image(self, name: str, *, force: bool = False) -> bool:
        """Take the name away, and with the last one the image; False where it was not here."""
        with self._translated(f"removing image {name}"):
            try:
                self._api.remove_image(name, force=force)
            except docker.errors.NotFound:
                return False
            return True

    def build(
        self, context: Any, dockerfile: str, tag: str, arguments: Mapping[str, str], platform: str, network: str
    ) -> Iterator[bytes]:
        """Build with the classic builder; gives what it prints.

        Args:
            context: the context's tar, as a file.
            dockerfile: path in it.
            tag: ``repository:tag`` for the result.
            arguments: build arguments.
            platform: of the image.
            network: for its instructions: ``bridge``, ``host`` or ``none``.

        Raises:
            Refused: an instruction failed.
        """
        with self._translated("building the Dockerfile"):
            answer = self._patient.build(
                fileobj=context,
                custom_context=True,
                dockerfile=dockerfile,
                tag=tag,
                buildargs=dict(arguments),
                platform=platform,
                network_mode=network,
                rm=True,
                forcerm=True,
                decode=True,
            )
            yield from said(answer, "building the Dockerfile")

    # --- containers ---------------------------------------------------------------------------------

    def containers(self, label: str) -> list[dict[str, Any]]:
        """Those that have *label*, running or not, as the API lists them."""
        with self._translated("listing containers"):
            return list(self._api.containers(all=True, filters={"label": label}))

    def create(self, name: str, config: Mapping[str, Any]) -> None:
        """Make a container called *name*; *config* is the body of the API's request."""
        with self._translated(f"creating container {name}"):
            self._api.create_container_from_config(dict(config), name)

    def container(self, name: str) -> dict[str, Any]:
        """The container, as the API shows it."""
        with self._translated(f"looking at container {name}"):
            found: dict[str, Any] = self._api.inspect_container(name)
            return found

    def put(self, name: str, archive: bytes) -> None:
        """Unpack a tar into the container's file system."""
        with self._translated(f"writing into container {name}"):
            self._api.put_archive(name, "/", archive)

    def has(self, name: str, path: str) -> bool:
        """Whether anything is at *path* in the container."""
        with self._translated(f"looking into container {name}"), self._archive("HEAD", name, path) as answer:
            return bool(answer.status_code == 200)

    def listing(self, name: str, path: str) -> tuple[str, ...]:
        """Names of the files directly in the folder *path* of the container, sorted; none where there is no folder.

        Their contents come with them, so it is for small folders: what is beyond 16 MiB is not looked at.
        """
        with self._translated(f"looking into container {name}"), self._archive("GET", name, path) as answer:
            if answer.status_code != 200:
                return ()
            data = answer.raw.read(1 << 24, decode_content=True)
        return files_of(data)

    def _archive(self, method: str, name: str, path: str) -> requests.Response:
        """Source: Docker Engine API 1.41, ContainerArchive and ContainerArchiveInfo; docker-py has only the first."""
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{name}/archive"
        answer: requests.Response = self._api.request(method, url, params={"path": path}, stream=True, timeout=_SECONDS)
        if answer.status_code not in (200, 404):
            with answer:
                raise Refused(NAME, f"looking at {path} in container {name}: {answer.text[:200]}")
        return answer

    @contextmanager
    def attached(self, name: str) -> Iterator[Iterator[tuple[int, bytes]]]:
        """What the container prints from now on: stream (1 or 2) and bytes. Enter before it is started."""
        with self._translated(f"attaching to container {name}"):
            link = self._patient.attach_socket(name, {"stdout": 1, "stderr": 1, "stream": 1})
        try:
            yield self._frames(link, name)
        finally:
            link._response.close()  # docker-py keeps it there, and closes neither
            link.close()

    def _frames(self, link: Any, name: str) -> Iterator[tuple[int, bytes]]:
        with self._translated(f"reading from container {name}"):
            while head := _exactly(link, _FRAME.size):
                stream, size = _FRAME.unpack(head)
                yield stream, _exactly(link, size)

    def start(self, name: str) -> None:
        """Start it."""
        with self._translated(f"starting container {name}"):
            self._api.start(name)

    def wait(self, name: str) -> int:
        """Its exit status, once it has ended."""
        with self._translated(f"waiting for container {name}"):
            return int(self._patient.wait(name)["StatusCode"])

    def kill(self, name: str) -> None:
        """End it now; no error where it has ended."""
        with self._translated(f"ending container {name}"):
            try:
                self._api.kill(name)
            except docker.errors.APIError as exc:
                if exc.status_code not in (404, 409):
                    raise

    def remove(self, name: str) -> bool:
        """End it and take it away; False where it was not here."""
        with self._translated(f"removing container {name}"):
            try:
                self._api.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return False
            return True

    def changes(self, name: str) -> list[dict[str, Any]]:
        """Which paths the container changed: Path, and Kind 0 (changed), 1 (added) or 2 (deleted)."""
        with self._translated(f"asking what container {name} changed"):
            return list(self._patient.diff(name) or ())

    def export(self, name: str) -> Iterator[bytes]:
        """The tar of its whole file system."""
        with self._translated(f"exporting container {name}"):
            yield from self._patient.export(name, chunk_size=1 << 20)

    def has_network(self, name: str) -> bool:
        """Whether the daemon has a network called *name*."""
        with self._translated("listing networks"):
            return any(network.get("Name") == name for network in self._api.networks(names=[name]))

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except docker.errors.APIError as exc:
            raise refused(f"{doing}: {exc.explanation or exc}") from exc
        except docker.errors.InvalidVersion as exc:
            raise Unreachable(NAME, f"{doing}: {exc}", remedy="update the daemon: 20.10 is the oldest known") from exc
        except (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise unreachable(self.endpoint, doing, exc) from exc


def _exactly(link: Any, size: int) -> bytes:
    """*size* bytes of a container's output; fewer where it ends before.

    docker-py's own reader waits for the socket first, and so forever for what TLS has decrypted already.
    """
    take = getattr(link, "recv", None) or link.read
    pieces = []
    while size and (piece := take(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
