"""GitHub's releases API on loopback, with everything that goes wrong on the way to a release.

What is sent is kept; ``faults`` say what happens instead, each once unless it says
otherwise. Files are downloaded by a redirect to a second host, as GitHub does.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "token-of-a-tester"
REPOSITORY = "example/rke2-packaging"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TAG = "v1.32.4+rke2r1"


@dataclass(kw_only=True)
class Stored:
    """A file of a release."""

    id: int
    name: str
    data: bytes
    state: str = "uploaded"

    def to_json(self, *, has_digest: bool) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(self.data).hexdigest()}"
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "size": len(self.data),
            "digest": digest if has_digest and self.state == "uploaded" else None,
        }


@dataclass(kw_only=True)
class Release:
    """A release or a draft."""

    id: int
    tag: str
    is_draft: bool = True
    document: dict[str, Any] = field(default_factory=dict)
    assets: dict[str, Stored] = field(default_factory=dict)


@dataclass(kw_only=True)
class Simulator:
    """The repository's state; tests change it while it runs."""

    url: str = ""
    downloads: str = ""
    tags: dict[str, str] = field(default_factory=lambda: {TAG: COMMIT})
    releases: list[Release] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens_elsewhere: list[str] = field(default_factory=list)
    faults: dict[str, list[Callable[[Exchange], bool]]] = field(default_factory=dict)
    has_digest: bool = True
    may_write: bool = True
    clock: float = 0.0  # seconds ahead
    pulls: list[dict[str, str]] = field(default_factory=list)
    uploads: str = ""  # another place for files than this host
    _ids: int = 0

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    def draft(self, tag: str = TAG, *, is_draft: bool = True) -> Release:
        release = Release(id=self.next_id(), tag=tag, is_draft=is_draft)
        self.releases.append(release)
        return release

    def put(self, release: Release, name: str, data: bytes, state: str = "uploaded") -> None:
        release.assets[name] = Stored(id=self.next_id(), name=name, data=data, state=state)

    def fail(self, what: str, fault: Callable[[Exchange], bool], times: int = 1) -> None:
        """Let ``what`` (METHOD kind) fail; the fault tells whether it has answered."""
        self.faults.setdefault(what, []).extend([fault] * times)

    def sent(self, name: str) -> int:
        """How often a file was sent."""
        return sum(m == "POST" and f"name={name}" in unquote(p) for m, p in self.requests)

    def find(self, number: int) -> Release | None:
        return next((each for each in self.releases if each.id == number), None)

    def to_json(self, release: Release) -> dict[str, Any]:
        uploads = self.uploads or self.url
        root = f"{uploads}/uploads/repos/{REPOSITORY}/releases/{release.id}/assets"
        return {
            "id": release.id,
            "tag_name": release.tag,
            "draft": release.is_draft,
            "html_url": f"https://github.example.com/{REPOSITORY}/releases/{release.id}",
            "upload_url": f"{root}{{?name,label}}",
        }


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    wbufsize = 65536  # headers and body in one packet
    simulator: Simulator
    body: bytes = b""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        state = self.simulator
        state.requests.append((method, self.path))
        self.body = b""
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/elsewhere/"):
            self._download(path)
            return
        what = f"{method} {self._kind(path)}"
        waiting = state.faults.get(what)
        if waiting and waiting.pop(0)(self):
            return
        self.receive()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(401, {"message": "Bad credentials"})
        elif method != "GET" and not state.may_write:
            self.reply(403, {"message": "Resource not accessible by integration"})
        else:
            self._answer(method, path)

    def receive(self, most: int | None = None) -> bytes:
        """Read the body, or its beginning."""
        length = int(self.headers.get("Content-Length", 0))
        if not self.body and length:
            self.body = self.rfile.read(min(length, most) if most is not None else length)
        return self.body

    @staticmethod
    def _kind(path: str) -> str:
        root = f"/repos/{REPOSITORY}"
        rest = path.removeprefix("/uploads").removeprefix(root).strip("/").split("/")
        if rest[0] == "commits":
            return "commit"
        if rest[:2] == ["releases", "assets"]:
            return "asset"
        if len(rest) == 3 and rest[2] == "assets":
            return "upload" if path.startswith("/uploads") else "assets"
        return "release" if len(rest) == 2 else (rest[0] or "repository")

    def _answer(self, method: str, path: str) -> None:  # noqa: C901 - a table of addresses
        state = self.simulator
        rest = path.removeprefix("/uploads").removeprefix(f"/repos/{REPOSITORY}").strip("/")
        parts = rest.split("/")
        match method, self._kind(path):
            case "GET", "repository":
                self.reply(200, {"full_name": REPOSITORY})
            case "GET", "commit":
                self._commit(rest.removeprefix("commits/refs/tags/"))
            case "GET", "releases":
                self.page([state.to_json(each) for each in state.releases])
            case "POST", "releases":
                document = json.loads(self.body)
                release = state.draft(document["tag_name"], is_draft=document["draft"])
                release.document = document
                self.reply(201, state.to_json(release))
            case "PATCH", "release":
                self._patch(int(parts[1]))
            case "GET", "assets":
                found = state.find(int(parts[1]))
                listed = found.assets.values() if found else ()
                self.page([each.to_json(has_digest=state.has_digest) for each in listed])
            case "GET", "pulls":
                self._pulls()
            case "POST", "pulls":
                self._open_pull()
            case "POST", "upload":
                self._upload(int(parts[1]))
            case (("GET" | "DELETE"), "asset"):
                self._asset(method, int(parts[2]))
            case _:
                self.reply(404, {"message": "Not Found"})

    def _pulls(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        found = [
            each
            for each in self.simulator.pulls
            if (each["head"], each["base"]) == (query["head"], query["base"])
        ]
        self.reply(200, found)

    def _open_pull(self) -> None:
        pull = json.loads(self.body)
        number = len(self.simulator.pulls) + 1
        pull["html_url"] = f"https://github.example.com/{REPOSITORY}/pull/{number}"
        self.simulator.pulls.append(pull)
        self.reply(201, pull)

    def _commit(self, tag: str) -> None:
        commit = self.simulator.tags.get(tag)
        if commit is None:
            self.reply(422, {"message": f"No commit found for SHA: {tag}"})
        else:
            self.send(200, commit.encode(), "application/vnd.github.sha")

    def _patch(self, number: int) -> None:
        release = self.simulator.find(number)
        assert release is not None
        release.document |= json.loads(self.body)
        release.is_draft = release.document["draft"]
        self.reply(200, self.simulator.to_json(release))

    def _upload(self, number: int) -> None:
        release = self.simulator.find(number)
        assert release is not None
        name = parse_qs(urlsplit(self.path).query)["name"][0]
        if name in release.assets:
            codes = [{"resource": "ReleaseAsset", "code": "already_exists"}]
            self.reply(422, {"message": "Validation Failed", "errors": codes})
            return
        self.simulator.put(release, name, self.body)
        self.reply(201, release.assets[name].to_json(has_digest=self.simulator.has_digest))

    def _asset(self, method: str, number: int) -> None:
        for release in self.simulator.releases:
            for asset in release.assets.values():
                if asset.id == number and method == "DELETE":
                    del release.assets[asset.name]
                    self.send(204, b"")
                    return
                if asset.id == number:
                    where = f"{self.simulator.downloads}/elsewhere/{number}"
                    self.send(302, b"", headers={"Location": where})
                    return
        self.reply(404, {"message": "Not Found"})

    def _download(self, path: str) -> None:
        """Answer as the host that keeps the files: it must never see the token."""
        if "Authorization" in self.headers:
            self.simulator.tokens_elsewhere.append(self.headers["Authorization"])
        waiting = self.simulator.faults.get("GET download")
        if waiting and waiting.pop(0)(self):
            return
        number = int(path.rpartition("/")[2])
        for release in self.simulator.releases:
            for asset in release.assets.values():
                if asset.id == number:
                    self.send(200, asset.data, "application/octet-stream")
                    return
        self.send(404, b"")

    def page(self, entries: list[dict[str, Any]]) -> None:
        query = parse_qs(urlsplit(self.path).query)
        size, number = int(query["per_page"][0]), int(query["page"][0])
        self.reply(200, entries[(number - 1) * size : number * size])

    def reply(self, status: int, document: object) -> None:
        self.send(status, json.dumps(document).encode(), "application/json")

    def send(
        self,
        status: int,
        body: bytes,
        kind: str = "text/plain",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.simulator.clock, usegmt=True))
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: cut connections are what the tests ask for."""


@contextlib.contextmanager
def simulated() -> Iterator[Simulator]:
    """Run the API, and a second host for downloads, on loopback."""
    state = Simulator()
    handler = type("Handler", (Exchange,), {"simulator": state})
    servers = [_Server(("127.0.0.1", 0), handler) for _ in range(2)]
    threads = [threading.Thread(target=each.serve_forever, args=(0.02,)) for each in servers]
    for thread in threads:
        thread.start()
    state.url, state.downloads = (f"http://127.0.0.1:{each.server_port}" for each in servers)
    try:
        yield state
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def cut_upload(keep: int) -> Callable[[Exchange], bool]:
    """Take ``keep`` bytes of a file, leave a starter behind, and hang up."""

    def fault(exchange: Exchange) -> bool:
        data = exchange.receive(keep)
        release = exchange.simulator.find(int(urlsplit(exchange.path).path.split("/")[-2]))
        name = parse_qs(urlsplit(exchange.path).query)["name"][0]
        assert release is not None
        exchange.simulator.put(release, name, data, state="starter")
        exchange.cut()
        return True

    return fault


def lost_answer(exchange: Exchange) -> bool:
    """Do what is asked, then hang up instead of answering."""
    exchange.receive()
    answer = exchange.wfile

    class Nowhere:
        def write(self, data: bytes) -> int:
            return len(data)

        def flush(self) -> None:
            pass

        closed = False

        def close(self) -> None:
            pass

    exchange.wfile = Nowhere()  # type: ignore[assignment]
    exchange._answer(exchange.command, unquote(urlsplit(exchange.path).path))
    exchange.wfile = answer
    exchange.cut()
    return True


def status(code: int, message: str = "", **headers: str) -> Callable[[Exchange], bool]:
    """Answer with a status."""

    def fault(exchange: Exchange) -> bool:
        exchange.receive()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        exchange.send(code, json.dumps({"message": message}).encode(), headers=named)
        return True

    return fault
