"""A small registry in this process: the OCI distribution spec as far as we use it, and faults by plan."""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from attrs import define, evolve, frozen
from scripted_server import Reply, Request, reset, send

from coopery.digest import of_bytes

_ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs/uploads|blobs|tags|referrers)/(?P<rest>.*)")


@define
class Fault:
    """One plan.

    Attributes:
        where: regular expression, searched for in ``METHOD path``.
        reply: given instead of the right answer, which is not worked out.
        change: makes the answer from the right one, after the registry has done what it was asked.
        cut: bytes of the request's body that the registry takes in before it breaks the connection.
        lost: do what was asked, then break the connection instead of answering.
        after: passages that are left alone first.
        times: passages that are hit.
    """

    where: str
    reply: Reply | None = None
    change: Callable[[Reply], Reply] | None = None
    cut: int | None = None
    lost: bool = False
    after: int = 0
    times: int = 1

    def due(self, request: Request) -> bool:
        if not re.search(self.where, f"{request.method} {request.path}"):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return self.times >= 0


@frozen
class _Call:
    """One request, taken apart."""

    name: str
    rest: str
    request: Request
    query: Mapping[str, str]


class FakeRegistry:
    """Blobs and manifests in memory.

    Attributes:
        blobs, manifests: by repository and digest, or tag; a manifest with its media type.
        uploads: begun and not ended.
        tags_put: every tag that a PUT moved, in order.
        faults: plans, the first that is due strikes.
        login: name and password to ask for (Basic), or None.
        realm: URL of the token server to name (Bearer), or empty.
        tokens: those that are accepted, with the scopes that each is for.
        referrers_api: whether there is one.
        page: most tags on one page.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.tags_put: list[str] = []
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.login: tuple[str, str] | None = None
        self.realm = ""
        self.tokens: dict[str, set[str]] = {}
        self.referrers_api = False
        self.page = 1000
        self.ranges = True
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer((address, 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # broken connections are the point
        self.host = f"{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, where: str, **plan: Any) -> Fault:
        made = Fault(where, **plan)
        self.faults.append(made)
        return made

    def add_blob(self, data: bytes, name: str = "team/app") -> dict[str, Any]:
        """Keep a blob; its descriptor without a media type."""
        self.blobs[name, of_bytes(data)] = data
        return {"digest": of_bytes(data), "size": len(data)}

    def add_manifest(self, document: Any, media_type: str, tag: str = "", name: str = "team/app") -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        for ref in filter(None, (of_bytes(data), tag)):
            self.manifests[name, ref] = (media_type, data)
        return of_bytes(data)

    def asked(self, where: str) -> list[Request]:
        """Requests that match."""
        return [request for request in self.requests if re.search(where, f"{request.method} {request.path}")]

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        route = _ROUTE.fullmatch(parts.path)
        if route is None:
            return Reply(404)
        refused = self._refused(request, route["name"], query)
        if refused is not None:
            return refused
        with self.lock:
            verb = getattr(self, f"_{request.method.lower()}_{route['kind'].replace('blobs/uploads', 'upload')}", None)
            return verb(_Call(route["name"], route["rest"], request, query)) if verb else Reply(405)

    def _refused(self, request: Request, name: str, query: Mapping[str, str]) -> Reply | None:
        given = request.headers.get("authorization", "")
        if self.login is not None:
            wanted = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
            return None if given == wanted else _unauthorized('Basic realm="fake"')
        if self.realm:
            action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
            if "/uploads/" in request.path:
                action = "push"
            needed = {f"{name}:{action}", *({f"{query['from']}:pull"} if "from" in query else ())}
            if needed <= self.tokens.get(given.removeprefix("Bearer "), set()):
                return None
            scope = f"repository:{name}:{action}"
            return _unauthorized(f'Bearer realm="{self.realm}",service="fake registry, inc.",scope="{scope}"')
        return None

    def _get_manifests(self, call: _Call) -> Reply:
        found = self.manifests.get((call.name, call.rest))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        return Reply(200, found[1], {"Content-Type": found[0], "Docker-Content-Digest": of_bytes(found[1])})

    _head_manifests = _get_manifests

    def _put_manifests(self, call: _Call) -> Reply:
        digest = self.add_manifest(
            call.request.body,
            call.request.headers["content-type"],
            "" if call.rest.startswith("sha256:") else call.rest,
            call.name,
        )
        self.tags_put.append(call.rest)
        headers = {"Docker-Content-Digest": digest, "Location": f"/v2/{call.name}/manifests/{digest}"}
        if self.referrers_api and "subject" in json.loads(call.request.body):
            headers["OCI-Subject"] = json.loads(call.request.body)["subject"]["digest"]
        return Reply(201, headers=headers)

    def _delete_manifests(self, call: _Call) -> Reply:
        found = self.manifests.get((call.name, call.rest))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        for key in [key for key, value in self.manifests.items() if value == found and key[0] == call.name]:
            del self.manifests[key]
        return Reply(202)

    def _get_blobs(self, call: _Call) -> Reply:
        data = self.blobs.get((call.name, call.rest))
        if data is None:
            return _error(404, "BLOB_UNKNOWN")
        match = re.fullmatch(r"bytes=(\d+)-", call.request.headers.get("range", ""))
        if match is None or not self.ranges:
            return Reply(200, data)
        start = int(match[1])
        return Reply(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    _head_blobs = _get_blobs

    def _post_upload(self, call: _Call) -> Reply:
        source = (call.query.get("from", ""), call.query.get("mount", ""))
        if source in self.blobs:
            self.blobs[call.name, source[1]] = self.blobs[source]
            return Reply(201, headers={"Location": f"/v2/{call.name}/blobs/{source[1]}"})
        upload = uuid.uuid4().hex
        self.uploads[upload] = bytearray()
        return self._progress(call.name, upload, 202)

    def _patch_upload(self, call: _Call) -> Reply:
        upload = self.uploads.get(call.rest)
        if upload is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        if call.request.headers.get("content-range", "").partition("-")[0] != str(len(upload)):
            return _error(416, "RANGE_INVALID")
        upload += call.request.body
        return self._progress(call.name, call.rest, 202)

    def take_part(self, path: str, headers: Mapping[str, str], data: bytes) -> None:
        """What came of a body whose connection broke."""
        route = _ROUTE.fullmatch(urlsplit(path).path)
        with self.lock:
            if route is None or route["rest"] not in self.uploads:
                return
            upload = self.uploads[route["rest"]]
            if headers.get("content-range", "0-").partition("-")[0] == str(len(upload)):
                upload += data

    def _get_upload(self, call: _Call) -> Reply:
        return (
            self._progress(call.name, call.rest, 204)
            if call.rest in self.uploads
            else _error(404, "BLOB_UPLOAD_UNKNOWN")
        )

    def _put_upload(self, call: _Call) -> Reply:
        upload = self.uploads.pop(call.rest, None)
        if upload is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        data = bytes(upload + call.request.body)
        if of_bytes(data) != call.query.get("digest"):
            return _error(400, "DIGEST_INVALID")
        self.blobs[call.name, of_bytes(data)] = data
        return Reply(201, headers={"Location": f"/v2/{call.name}/blobs/{of_bytes(data)}"})

    def _delete_upload(self, call: _Call) -> Reply:
        return Reply(204) if self.uploads.pop(call.rest, None) is not None else Reply(404)

    def _get_tags(self, call: _Call) -> Reply:
        tags = sorted(ref for repository, ref in self.manifests if repository == call.name and ":" not in ref)
        if not tags:
            return _error(404, "NAME_UNKNOWN")
        left = [tag for tag in tags if tag > call.query.get("last", "")]
        page = left[: self.page]
        link = {"Link": f'</v2/{call.name}/tags/list?last={page[-1]}>; rel="next"'} if left[self.page :] else {}
        return Reply(
            200, json.dumps({"name": call.name, "tags": page}).encode(), {"Content-Type": "application/json", **link}
        )

    def _get_referrers(self, call: _Call) -> Reply:
        if not self.referrers_api:
            return Reply(404)
        entries = []
        for (repository, ref), (kind, data) in self.manifests.items():
            document = json.loads(data)
            if (
                repository == call.name
                and ref.startswith("sha256:")
                and document.get("subject", {}).get("digest") == call.rest
            ):
                entries.append(
                    {
                        "mediaType": kind,
                        "digest": ref,
                        "size": len(data),
                        "artifactType": document.get("artifactType", ""),
                    }
                )
        kind = "application/vnd.oci.image.index.v1+json"
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
        return Reply(200, body, {"Content-Type": kind})

    def _progress(self, name: str, upload: str, status: int) -> Reply:
        taken = len(self.uploads[upload])
        headers = {"Location": f"/v2/{name}/blobs/uploads/{upload}?_state=x", "Range": f"0-{max(taken - 1, 0)}"}
        return Reply(status, headers=headers)


def _unauthorized(challenge: str) -> Reply:
    refusal = _error(401, "UNAUTHORIZED")
    return evolve(refusal, headers={**refusal.headers, "WWW-Authenticate": challenge})


def _error(status: int, code: str) -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}).encode()
    return Reply(status, body, {"Content-Type": "application/json"})


def _handler(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
            """Silent."""

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers)
            with registry.lock:
                fault = next((fault for fault in registry.faults if fault.due(request)), None)
            length = int(headers.get("content-length", 0))
            if fault is not None and fault.cut is not None:
                registry.take_part(self.path, headers, self.rfile.read(min(fault.cut, length)))
                registry.requests.append(request)
                reset(self)
                return
            request = evolve(request, body=self.rfile.read(length))
            registry.requests.append(request)
            if fault is not None and fault.reply is not None:
                send(self, fault.reply)
                return
            reply = registry.answer(request)
            if fault is not None and fault.lost:
                reset(self)
                return
            send(self, fault.change(reply) if fault is not None and fault.change else reply)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    return Handler
