"""Hands out tokens for a real registry: each user may do what it may do in its own repositories, and nothing else."""

from __future__ import annotations

import base64
import datetime
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

Rights = Mapping[str, Mapping[str, set[str]]]
"""User → what a repository's name begins with → actions."""


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer:
    """A key, its certificate, and tokens in the form that distribution 2.8 reads (JWT, ES256, chain in ``x5c``)."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        day = datetime.timedelta(days=1)
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
        self.certificate = builder.add_extension(x509.BasicConstraints(True, None), True).sign(
            self._key, hashes.SHA256()
        )

    def token(self, user: str, access: list[dict[str, Any]]) -> str:
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        body = {"iss": "tests", "sub": user, "aud": "tests", "exp": now + 300, "nbf": now - 60, "iat": now}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, {**body, "jti": "1", "access": access}))
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@contextmanager
def token_server(folder: Path, rights: Rights) -> Iterator[tuple[str, Path]]:
    """Its URL, and the file of its certificate. A user's password is its name."""
    signer = Signer()
    path = folder / "token.pem"
    path.write_bytes(signer.certificate.public_bytes(serialization.Encoding.PEM))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that the base class gave it
            """Silent."""

        def do_GET(self) -> None:
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            user, _, password = given.partition(":")
            known = rights.get(user, {}) if user == password else {}
            access = []
            for scope in parse_qs(urlsplit(self.path).query).get("scope", []):
                _, name, actions = scope.split(":")
                granted = next((may for prefix, may in known.items() if name.startswith(prefix)), set())
                access.append(
                    {"type": "repository", "name": name, "actions": sorted(granted & set(actions.split(",")))}
                )
            body = json.dumps({"token": signer.token(user, access)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", path
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
