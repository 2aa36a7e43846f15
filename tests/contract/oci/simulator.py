"""A registry on loopback that can do everything a real one does wrong.

``manifests`` and ``blobs`` are its content; the switches below change how it
answers. Every request is in ``requests``. It speaks the OCI distribution-spec
and the distribution project's token authentication.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from rke2pack.digest import Digest
from rke2pack.oci import media
from tests.contract.loopback import listening
from tests.contract.oci.images import Made

_PATH = re.compile(
    r"/v2/(?P<repository>.+?)/(?P<kind>manifests|blobs|tags|uploads|referrers)/(?P<rest>.*)\Z"
)
_RANGE = re.compile(r"bytes=(\d+)-\Z")
_PIECE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived; ``status`` is the answer's, 0 for none."""

    method: str
    target: str
    headers: Mapping[str, str]
    status: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(kw_only=True)
class Simulator:
    """The registry's content and switches; tests change them while it runs."""

    host: str = ""
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[tuple[str, Digest], bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    auth: Literal["none", "basic", "bearer"] = "none"
    credentials: str = "user:pass"
    is_public: bool = True
    identity_token: str = ""
    expires_in: int | None = 300
    token_uses: int | None = None
    realm: str = ""
    tokens: dict[str, int | None] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)

    bodies: dict[Digest, bytes] = field(default_factory=dict)
    framing: Literal["length", "chunked", "close"] = "length"
    resets: dict[Digest, list[int]] = field(default_factory=dict)
    range_mode: Literal["honour", "ignore", "wrong", "refuse"] = "honour"
    redirect: str = ""
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    silence: dict[Digest, float] = field(default_factory=dict)
    has_digest_header: bool = True
    wrong_digest_header: str = ""
    page: int = 1000
    next_page: str = ""
    has_endless_pages: bool = False
    unknown_repositories: set[str] = field(default_factory=set)
    lost_answers: int = 0
    closing_silence: float = 0.0
    has_mount: bool = True
    upload_resets: list[int] = field(default_factory=list)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    opened: int = 0
    lost_uploads: int = 0
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    is_strict: bool = False
    has_referrers: bool = False
    deletes: Literal["tags", "manifests", "none"] = "tags"

    def push(self, repository: str, made: Made, *tags: str) -> None:
        """Publish an image under its digest and tags."""
        for each in made.documents:
            self.manifests[repository, str(each.digest)] = (each.media_type, each.raw)
            for digest, data in each.blobs.items():
                self.blobs[repository, digest] = data
        for tag in tags:
            self.manifests[repository, tag] = (made.media_type, made.raw)

    def asked(self, method: str, part: str = "") -> list[Request]:
        return [r for r in self.requests if r.method == method and part in r.target]


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    simulator: Simulator
    status = 0

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()

    def log_message(self, *_: object) -> None:
        """Say nothing; ``requests`` has it."""

    def log_error(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _answer(self) -> None:
        self.status = 0
        try:
            self._route()
        finally:
            if not self.status:
                self._log()

    def _log(self) -> None:
        headers = dict(self.headers)
        request = Request(
            method=self.command, target=self.path, headers=headers, status=self.status
        )
        with self.simulator.lock:
            self.simulator.requests.append(request)

    def _route(self) -> None:
        simulator = self.simulator
        parts = urlsplit(self.path)
        if parts.path == "/token":
            self._token(parse_qs(parts.query))
            return
        if parts.path.startswith("/storage/"):
            self._blob(simulator.blobs[_stored(parts.path)], _stored(parts.path)[1])
            return
        with simulator.lock:
            fault = simulator.statuses.pop(0) if simulator.statuses else None
        if fault is not None:
            self.send(fault[0], b"", fault[1])
            return
        if not self._is_allowed():
            return
        if self.command in simulator.refusals:
            self.drain()
            self.fail(*simulator.refusals[self.command])
        elif parts.path == "/v2/":
            self.send(200, b"{}")
        else:
            self._content(parts.path, parse_qs(parts.query))

    def _content(self, path: str, query: Mapping[str, list[str]]) -> None:
        match = _PATH.match(path)
        if match is None:
            self.fail(404, "NAME_UNKNOWN")
        elif match["kind"] == "manifests":
            self._manifest(match["repository"], match["rest"])
        elif match["kind"] == "referrers":
            self._referrers(match["repository"], match["rest"])
        elif match["kind"] == "tags":
            self._tags(match["repository"], query)
        elif match["rest"].startswith("uploads/"):
            self._upload(match["repository"], match["rest"][8:], query)
        else:
            self._stored_blob(match["repository"], Digest.parse(match["rest"]))

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str) -> None:
        document = {"errors": [{"code": code, "message": f"no luck with {code.lower()}"}]}
        self.send(status, json.dumps(document).encode())

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self._log()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _is_allowed(self) -> bool:
        simulator, given = self.simulator, self.headers.get("Authorization", "")
        if simulator.auth == "none":
            return True
        if simulator.auth == "basic":
            if given == f"Basic {base64.b64encode(simulator.credentials.encode()).decode()}":
                return True
            self.send(401, b"", {"WWW-Authenticate": 'Basic realm="it, and more"'})
            return False
        with simulator.lock:
            token = given.removeprefix("Bearer ")
            uses = simulator.tokens.get(token, 0)
            if uses is not None and uses > 0:
                simulator.tokens[token] = uses - 1
            if uses is None or uses > 0:
                return True
        match = _PATH.match(urlsplit(self.path).path)
        realm = simulator.realm or f"http://{simulator.host}/token"
        scope = f',scope="repository:{match["repository"]}:pull"' if match else ""
        if match and self.command not in {"GET", "HEAD"}:
            scope = ""
        asks = f'Bearer realm="{realm}",service="it"{scope},error="invalid_token"'
        self.drain()
        self.send(401, b"", {"WWW-Authenticate": asks})
        return False

    def drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _token(self, query: Mapping[str, list[str]]) -> None:
        simulator = self.simulator
        form = parse_qs(self.drain().decode())
        given = self.headers.get("Authorization", "")
        basic = f"Basic {base64.b64encode(simulator.credentials.encode()).decode()}"
        known = (
            form.get("refresh_token") == [simulator.identity_token]
            if self.command == "POST"
            else given == basic or (simulator.is_public and not given)
        )
        if not known:
            self.fail(401, "UNAUTHORIZED")
            return
        with simulator.lock:
            simulator.scopes += form.get("scope", []) + query.get("scope", [])
            token = f"token-{len(simulator.tokens)}"
            simulator.tokens[token] = simulator.token_uses
        name = "access_token" if self.command == "POST" else "token"
        answer: dict[str, Any] = {name: token}
        if simulator.expires_in is not None:
            answer["expires_in"] = simulator.expires_in
        self.send(200, json.dumps(answer).encode())

    def _manifest(self, repository: str, name: str) -> None:
        simulator = self.simulator
        if self.command == "PUT":
            body, kind = self.drain(), self.headers.get("Content-Type", "")
            digest = Digest.of(body)
            if simulator.is_strict and not self._is_complete(repository, json.loads(body)):
                self.fail(400, "MANIFEST_BLOB_UNKNOWN")
                return
            simulator.manifests[repository, str(digest)] = (kind, body)
            simulator.manifests[repository, name] = (kind, body)
            self.send(201, b"", {"Docker-Content-Digest": str(digest)})
            return
        found = simulator.manifests.get((repository, name))
        if found is None:
            self.fail(404, "MANIFEST_UNKNOWN")
            return
        if self.command == "DELETE":
            self._delete(repository, name)
            return
        kind, body = found
        headers = {"Content-Type": kind}
        if simulator.has_digest_header:
            headers["Docker-Content-Digest"] = simulator.wrong_digest_header or str(Digest.of(body))
        body = simulator.bodies.get(Digest.of(body), body)
        self.send(200, body, headers)

    def _is_complete(self, repository: str, document: Mapping[str, Any]) -> bool:
        """Whether the repository has all that a manifest or index names."""
        simulator = self.simulator
        named = [document["config"], *document["layers"]] if "layers" in document else []
        return all(
            (repository, Digest.parse(b["digest"])) in simulator.blobs for b in named
        ) and all(
            (repository, each["digest"]) in simulator.manifests
            for each in document.get("manifests", [])
        )

    def _delete(self, repository: str, name: str) -> None:
        simulator, is_tag = self.simulator, ":" not in name
        if simulator.deletes == "none" or (is_tag and simulator.deletes == "manifests"):
            self.fail(405, "UNSUPPORTED")
            return
        gone = simulator.manifests.pop((repository, name))
        if not is_tag:
            for key, value in list(simulator.manifests.items()):
                if key[0] == repository and value == gone:
                    del simulator.manifests[key]
        self.send(202, b"")

    def _referrers(self, repository: str, subject: str) -> None:
        if repository in self.simulator.unknown_repositories:
            self.fail(404, "NAME_UNKNOWN")
            return
        if not self.simulator.has_referrers:
            # As docker-registry does, which has no such address.
            self.send(404, b"404 page not found\n", {"Content-Type": "text/plain"})
            return
        found = {
            name: {"mediaType": kind, "digest": name, "size": len(body)}
            for (own, name), (kind, body) in self.simulator.manifests.items()
            if own == repository and ":" in name
            if (json.loads(body).get("subject") or {}).get("digest") == subject
        }
        listed = [found[name] for name in sorted(found)]
        document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": listed}
        headers = {"Content-Type": media.OCI_INDEX, **self._endless()}
        self.send(200, json.dumps(document).encode(), headers)

    def _endless(self) -> dict[str, str]:
        """Name a next page that is always another one."""
        if not self.simulator.has_endless_pages:
            return {}
        place = urlsplit(self.path).path
        return {"Link": f'<{place}?page={len(self.simulator.requests)}>; rel="next"'}

    def _tags(self, repository: str, query: Mapping[str, list[str]]) -> None:
        tags = [tag for name, tag in sorted(self.simulator.manifests) if name == repository]
        tags = [tag for tag in tags if ":" not in tag]
        last = query.get("last", [""])[0]
        rest = [tag for tag in tags if tag > last]
        page = rest[: self.simulator.page]
        if self.simulator.has_endless_pages:
            self.send(200, json.dumps({"name": repository, "tags": []}).encode(), self._endless())
            return
        headers = {}
        if self.simulator.next_page:
            headers["Link"] = f'<{self.simulator.next_page}>; rel="next"'
        elif len(rest) > len(page):
            link = f"/v2/{repository}/tags/list?last={page[-1]}&n={self.simulator.page}"
            headers["Link"] = f'<{link}>; rel="next"'
        self.send(200, json.dumps({"name": repository, "tags": page}).encode(), headers)

    def _stored_blob(self, repository: str, digest: Digest) -> None:
        data = self.simulator.blobs.get((repository, digest))
        if data is None:
            self.fail(404, "BLOB_UNKNOWN")
        elif self.simulator.redirect and self.command == "GET":
            place = f"{self.simulator.redirect}/storage/{repository}/{digest}?signature=secret"
            self.send(307, b"moved", {"Location": place})
        else:
            self._blob(data, digest)

    def _blob(self, data: bytes, digest: Digest) -> None:
        simulator = self.simulator
        body = simulator.bodies.get(digest, data)
        start, status, headers = 0, 200, {"Docker-Content-Digest": str(digest)}
        asked = _RANGE.match(self.headers.get("Range", ""))
        if asked and simulator.range_mode == "refuse":
            self.send(416, b"")
            return
        if asked and simulator.range_mode != "ignore":
            start, status = int(asked[1]), 206
            first = start if simulator.range_mode == "honour" else start - 1
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        body = body[start:]
        with simulator.lock:
            cuts = simulator.resets.get(digest, [])
            cut = cuts.pop(0) if cuts and self.command == "GET" else None
        self._send_body(status, body, headers, cut, simulator.silence.get(digest, 0.0))

    def _send_body(
        self, status: int, body: bytes, headers: dict[str, str], cut: int | None, silence: float
    ) -> None:
        framing = self.simulator.framing
        if framing == "length" or self.command == "HEAD":
            headers["Content-Length"] = str(len(body))
        elif framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Connection"] = "close"
        self._head(status, headers)
        if self.command == "HEAD":
            return
        if framing == "close":
            self.close_connection = True
        sent = body if cut is None else body[:cut]
        for begin in range(0, len(sent), _PIECE * 64) if not silence else (0,):
            piece = sent[begin : begin + _PIECE * 64]
            if silence:
                self.wfile.write(piece[: len(piece) // 2])
                self.simulator.stop.wait(silence)
                piece = piece[len(piece) // 2 :]
            framed = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
            self.wfile.write(framed if framing == "chunked" else piece)
        if cut is not None:
            self.reset()
        elif framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """End the connection as a crash does, with RST."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _upload(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        match self.command:
            case "POST":
                self._open_upload(repository, query)
            case "DELETE" if name in self.simulator.uploads:
                del self.simulator.uploads[name]
                self.send(204, b"")
            case "PATCH" | "PUT" if self.simulator.lost_uploads:
                self.simulator.lost_uploads -= 1
                self.simulator.uploads.pop(name, None)
                self.drain()
                self.fail(404, "BLOB_UPLOAD_UNKNOWN")
            case "GET" if name in self.simulator.uploads:
                self.send(204, b"", self._state(repository, name))
            case "PATCH" | "PUT" if name in self.simulator.uploads:
                self._take(repository, name, query)
            case _:
                self.drain()
                self.fail(404, "BLOB_UPLOAD_UNKNOWN")

    def _open_upload(self, repository: str, query: Mapping[str, list[str]]) -> None:
        simulator = self.simulator
        self.drain()
        if "mount" in query and simulator.has_mount:
            digest = Digest.parse(query["mount"][0])
            data = simulator.blobs.get((query["from"][0], digest))
            if data is not None:
                simulator.blobs[repository, digest] = data
                self.send(201, b"", {"Docker-Content-Digest": str(digest)})
                return
        with simulator.lock:
            name = f"upload-{simulator.opened}"
            simulator.opened += 1
        simulator.uploads[name] = bytearray()
        self.send(202, b"", self._state(repository, name))

    def _state(self, repository: str, name: str) -> dict[str, str]:
        has = len(self.simulator.uploads[name])
        return {
            "Location": f"/v2/{repository}/blobs/uploads/{name}?state={has}",
            "Range": f"0-{max(0, has - 1)}",
        }

    def _take(self, repository: str, name: str, query: Mapping[str, list[str]]) -> None:
        simulator, kept = self.simulator, self.simulator.uploads[name]
        length = int(self.headers.get("Content-Length") or 0)
        said = self.headers.get("Content-Range", f"{len(kept)}-").partition("-")[0]
        if length and int(said) != len(kept):
            self.drain()
            self.send(416, b"", self._state(repository, name))
            return
        if length and simulator.upload_resets:
            kept += self.rfile.read(min(simulator.upload_resets.pop(0), length))
            self.reset()
            return
        kept += self.rfile.read(length)
        if self.command == "PATCH":
            self.send(202, b"", self._state(repository, name))
            return
        digest = Digest.parse(query["digest"][0])
        if Digest.of(bytes(kept)) != digest:
            self.fail(400, "DIGEST_INVALID")
            return
        simulator.blobs[repository, digest] = bytes(simulator.uploads.pop(name))
        simulator.stop.wait(simulator.closing_silence)
        if simulator.lost_answers:
            simulator.lost_answers -= 1
            self.reset()
            return
        self.send(201, b"", {"Docker-Content-Digest": str(digest)})


def _stored(path: str) -> tuple[str, Digest]:
    repository, _, digest = path.removeprefix("/storage/").rpartition("/")
    return repository, Digest.parse(digest)


@contextlib.contextmanager
def serving(
    *, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Simulator]:
    """Run a registry for the length of a block."""
    simulator = Simulator()
    handler = type("Handler", (Exchange,), {"simulator": simulator})
    with listening(handler, simulator.stop, address=address, port=port, tls=context) as host:
        simulator.host = host
        yield simulator
