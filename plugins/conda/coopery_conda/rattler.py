"""The one file that knows py-rattler. Only `coopery_conda.worker` imports it, in a process of its own.

py-rattler 0.28 can abort the interpreter when it ends, after all work succeeded; so its process is one that nobody
minds. Everything here takes and gives plain JSON values.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from rattler import (
    Client,
    Gateway,
    GenericVirtualPackage,
    MatchSpec,
    PackageName,
    PackageRecord,
    RepoDataRecord,
    Version,
    solve,
)
from rattler.exceptions import GatewayError, InvalidMatchSpecError, SolverError
from rattler.networking import (
    AddHeadersMiddleware,
    AuthenticationMiddleware,
    GCSMiddleware,
    MirrorMiddleware,
    OciMiddleware,
    RetryMiddleware,
    S3Middleware,
)
from rattler.package.build_string import BuildString
from rattler.package_streaming import download_to_writer, extract

Report = Callable[[dict[str, Any]], None]

_DOWNLOADS: Final = 8
_ATTEMPTS: Final = 3
_SOLVE_SECONDS: Final = 600
_NEAR: Final = 5
_CHUNK: Final = 1 << 20


class Refused(Exception):  # noqa: N818 - an answer to the parent, not an accident
    """The request cannot be met; ``reply`` says why, in fields."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply.get("kind", ""))
        self.reply = reply


class Rattler:
    """One client, one gateway; proxies and certificates are taken from the environment, credentials from requests.

    Args:
        repodata: folder for channel indexes.
    """

    def __init__(self, repodata: Path) -> None:
        self._repodata = repodata
        self._access: list[dict[str, str]] = []
        self._tokens: dict[str, list[str]] = {}
        self._connect()

    def _connect(self) -> None:
        self._client = Client(
            [
                MirrorMiddleware(self._tokens),
                RetryMiddleware(_ATTEMPTS),
                AuthenticationMiddleware(),
                OciMiddleware(),
                GCSMiddleware(),
                S3Middleware(),
                AddHeadersMiddleware(self._headers),
            ]
        )
        self._gateway = Gateway(cache_dir=self._repodata, client=self._client)

    def _let_in(self, access: list[dict[str, str]]) -> None:
        """Use *access* for what follows. A token is put into a URL at the last moment: no file sees it."""
        self._access = access
        tokens = {one["url"]: [one["real"]] for one in access if one["url"] != one["real"]}
        if any(self._tokens.get(url) != real for url, real in tokens.items()):
            self._tokens |= tokens
            self._connect()

    async def solve(self, request: dict[str, Any], _report: Report) -> list[dict[str, Any]]:
        """Choose packages. See `coopery_conda.solve` for the fields."""
        self._let_in(request["access"])
        specs = [self._spec(text) for text in request["specs"]]
        sources, platforms = request["channels"], request["subdirs"]
        try:
            locked = await self._locked(request)
            records = await solve(
                sources,
                specs,
                gateway=self._gateway,
                platforms=platforms,
                locked_packages=locked,
                virtual_packages=[_virtual(*one) for one in request["virtual"]],
                timeout=timedelta(seconds=_SOLVE_SECONDS),
                channel_relations="disabled",  # exactly the channels that the definition names
            )
        except GatewayError as exc:
            raise Refused(await self._channel_trouble(sources, platforms, str(exc))) from exc
        except SolverError as exc:
            reply: dict[str, Any] = {"kind": "unsolvable", "explanation": str(exc).strip(), "unmet": []}
            with suppress(GatewayError):  # the index is damaged in what the solver did not read: less to tell
                reply["unmet"] = await self._unmet(request)
            raise Refused(reply) from exc
        return [_plain(record) for record in records]

    async def match(self, request: dict[str, Any], _report: Report) -> list[int]:
        """Numbers of the pairs whose package is not what their spec asks for. See `coopery_conda.unmet`."""
        return [n for n, pair in enumerate(request["pairs"]) if not self._spec(pair["spec"]).matches(_record(pair))]

    async def fetch(self, request: dict[str, Any], report: Report) -> list[str]:
        """Fetch packages, verify and extract them. See `coopery_conda.fetch` for the fields."""
        self._let_in(request["access"])
        slots = asyncio.Semaphore(_DOWNLOADS)
        unpacking = asyncio.Semaphore(os.cpu_count() or 1)

        async def one(package: dict[str, Any]) -> str:
            async with slots:
                archive = await self._download(package, report)
            async with unpacking:
                return await asyncio.to_thread(_unpack, package, archive, report)

        # All of them end, well or not: what is sound is kept, and nobody writes after the answer.
        done = await asyncio.gather(*(one(package) for package in request["packages"]), return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return [str(result) for result in done]

    async def look(self, request: dict[str, Any], _report: Report) -> list[dict[str, Any] | None]:
        """What channels say of single files; None for what they do not list. See `coopery_conda.exchange`."""
        self._let_in(request["access"])
        groups: dict[tuple[str, Any], set[str]] = {}
        for one in request["packages"]:
            groups.setdefault((one["channel"], one["subdir"]), set()).add(one["name"])
        found: dict[tuple[str, Any, str], dict[str, Any]] = {}
        for (channel, subdir), names in groups.items():
            try:
                answer = await self._gateway.query([channel], [subdir], sorted(names), recursive=False)
            except GatewayError as exc:
                raise Refused(await self._channel_trouble([channel], [subdir], str(exc))) from exc
            found |= {(channel, subdir, r.file_name): _told(r) for records in answer for r in records}
        return [found.get((one["channel"], one["subdir"], one["file_name"])) for one in request["packages"]]

    def _headers(self, host: str, path: str) -> dict[str, str] | None:
        """Users' names and passwords, for requests below the channels that the parent gave them for."""
        for one in self._access:
            if one["authorization"] and one["host"] == host and path.startswith(f"{one['path']}/"):
                return {"Authorization": one["authorization"]}
        return None

    def _spec(self, text: str) -> MatchSpec:
        try:
            return MatchSpec(text)
        except InvalidMatchSpecError as exc:
            raise Refused({"kind": "spec", "spec": text, "message": str(exc)}) from exc

    async def _locked(self, request: dict[str, Any]) -> list[RepoDataRecord]:
        """Records of the packages to stay with, where the channels still have them."""
        wanted: set[str] = set(request["prefer"])
        if not wanted:
            return []
        names = request["prefer_names"]
        found = await self._gateway.query(request["channels"], request["subdirs"], names, recursive=False)
        return [record for records in found for record in records if record.sha256 and record.sha256.hex() in wanted]

    async def _channel_trouble(self, sources: Sequence[str], platforms: Sequence[Any], message: str) -> dict[str, Any]:
        for url in sources:
            try:
                await self._gateway.names([url], platforms)
            except GatewayError as exc:
                return {"kind": "channel", "url": url, "message": str(exc)}
        return {"kind": "channel", "url": sources[0] if len(sources) == 1 else "", "message": message}

    async def _unmet(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """For each spec that no package fits, what there is instead."""
        unmet: list[dict[str, Any]] = []
        names: list[str] = []
        for number, text in enumerate(request["specs"]):
            spec = MatchSpec(text)
            name = spec.name.normalized
            if name.startswith("__"):
                continue
            found = await self._gateway.query(request["channels"], request["subdirs"], [name], recursive=False)
            records = [record for records in found for record in records]
            if any(spec.matches(record) for record in records):
                continue
            if not records and not names:
                known = await self._gateway.names(request["channels"], request["subdirs"])
                names = sorted(one.normalized for one in known)
            near = [] if records else get_close_matches(name, names, n=_NEAR)
            unmet.append({"number": number, "available": _versions(records), "near": near})
        return unmet

    async def _download(self, package: dict[str, Any], report: Report) -> Path:
        parts = urlsplit(package["url"])
        if parts.scheme == "file":
            archive = Path(unquote(parts.path))
            await asyncio.to_thread(_check_local, package, archive, report)
            return archive
        archive = Path(package["folder"], "archive", package["file_name"])
        archive.parent.mkdir(exist_ok=True)
        for attempt in range(1, _ATTEMPTS + 1):
            trouble = await self._attempt(package, archive, report)
            if not trouble:
                return archive
            package = {**package, "url": await self._indexed_url(package)}
            await asyncio.sleep(attempt)
        raise _refused(package, f"cannot be fetched: {trouble}")

    async def _indexed_url(self, package: dict[str, Any]) -> str:
        """Where the channel's index says that the package is: it may be elsewhere. Source: CEP 15, ``base_url``."""
        url = str(package["url"])
        where = ([package["channel"]], [package["subdir"]], [package["name"]])
        with suppress(GatewayError):  # then the trouble with the package itself is what is told
            for records in await self._gateway.query(*where, recursive=False):
                url = next((r.url for r in records if r.sha256 and r.sha256.hex() == package["sha256"]), url)
        return url

    async def _attempt(self, package: dict[str, Any], archive: Path, report: Report) -> str:
        """Download once; what went wrong on the way, or an empty string. Wrong content is final and raises."""
        with archive.open("wb", buffering=0) as stream:
            sink = _Sink(stream, package, report)
            try:
                await download_to_writer(self._client, package["url"], sink)
            except (RuntimeError, OSError) as exc:  # py-rattler has no class of its own for a failed download
                if sink.refusal is not None:
                    raise sink.refusal from exc
                return str(exc)
            sink.finish()
        return ""


class _Sink:
    """What a download is written to: a file, its hash, and a limit."""

    def __init__(self, stream: IO[bytes], package: dict[str, Any], report: Report) -> None:
        self._stream, self._package, self._report = stream, package, report
        self._hash = hashlib.sha256()
        self._size = 0
        self.refusal: Refused | None = None

    def write(self, data: bytes) -> int:
        self._size += len(data)
        if self._package["size"] and self._size > self._package["size"]:
            self.refusal = _refused(self._package, f"is longer than the {self._package['size']} bytes of the lock")
            raise self.refusal
        self._hash.update(data)
        try:
            self._stream.write(data)
        except OSError as exc:
            self.refusal = _disk(exc)
            raise self.refusal from exc
        self._report({"bytes": len(data), "item": self._package["file_name"]})
        return len(data)

    def finish(self) -> None:
        _check(self._package, self._hash.hexdigest())


def _record(pair: dict[str, Any]) -> PackageRecord:
    """As much of a record as a lock has."""
    return PackageRecord(
        name=pair["name"],
        version=pair["version"],
        build=BuildString(pair["build"]),
        build_number=0,
        subdir=pair["subdir"],
        sha256=bytes.fromhex(pair["sha256"]),
    )


def _check_local(package: dict[str, Any], archive: Path, report: Report) -> None:
    digest = hashlib.sha256()
    try:
        with archive.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                report({"bytes": len(chunk), "item": package["file_name"]})
    except OSError as exc:
        raise _refused(package, f"cannot be fetched: {exc.strerror}: {archive}") from exc
    _check(package, digest.hexdigest())


def _check(package: dict[str, Any], found: str) -> None:
    if found != package["sha256"]:
        raise _refused(package, f"expected sha256 {package['sha256']}, got {found}")


def _unpack(package: dict[str, Any], archive: Path, report: Report) -> str:
    """Extract a verified archive. Entries that point outside are left out by py-rattler, or refused by it."""
    target = Path(package["folder"]) / "half"
    try:
        report({"unpacks": archive.stat().st_size, "item": package["file_name"]})
        sha256, _ = extract(archive, target)
    except (OSError, RuntimeError) as exc:
        _check_disk(target.parent)
        shutil.rmtree(target, ignore_errors=True)
        raise _refused(package, f"cannot be unpacked: {exc}") from exc
    _check(package, sha256.hex())  # a file of a local channel may have been changed in between
    os.rename(target, target.with_name(package["content"]))
    return str(package["file_name"])


def _check_disk(folder: Path) -> None:
    """Whether the disk takes what is written: py-rattler's errors do not say in fields that it is full."""
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(_CHUNK))
        probe.unlink()
    except OSError as exc:
        raise _disk(exc) from exc


def _disk(exc: OSError) -> Refused:
    return Refused({"kind": "disk", "errno": exc.errno or 0, "message": exc.strerror or str(exc)})


def _refused(package: dict[str, Any], message: str) -> Refused:
    return Refused({"kind": "package", "file_name": package["file_name"], "message": message})


def _virtual(name: str, version: str, build: str) -> GenericVirtualPackage:
    return GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))


def _plain(record: RepoDataRecord) -> dict[str, Any]:
    return {
        "name": record.name.normalized,
        "version": str(record.version),
        "build": str(record.build),
        "subdir": record.subdir,
        "file_name": record.file_name,
        "channel": record.channel,
        "sha256": record.sha256.hex() if record.sha256 else "",
        "size": record.size or 0,
    }


def _told(record: RepoDataRecord) -> dict[str, Any]:
    return {
        **_plain(record),
        "md5": record.md5.hex() if record.md5 else "",
        "depends": list(record.depends),
        "constrains": list(record.constrains),
    }


def _versions(records: Iterable[RepoDataRecord]) -> list[str]:
    """Distinct versions, newest first."""
    return [str(version) for version in sorted({record.version for record in records}, reverse=True)]
