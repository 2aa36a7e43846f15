"""A chart repository on loopback that can do everything a real one does wrong.

``Simulator.files`` maps a path (``/index.yaml``) to bytes; ``faults`` maps a
path to what happens instead. Every request is in ``requests``.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import itertools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rke2pack.digest import Digest
from tests.contract.loopback import listening

Fault = Callable[["Exchange", bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived; ``status`` is the answer's, 0 for none."""

    target: str
    headers: Mapping[str, str]
    status: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass(kw_only=True)
class Simulator:
    """The repository's state; tests change it while it runs."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    credentials: str | None = None
    has_etag: bool = True
    last_modified: str | None = None
    is_compressed: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def publish(self, entries: Mapping[str, list[dict[str, Any]]]) -> None:
        """Set the index; JSON is YAML."""
        index = {"apiVersion": "v1", "entries": entries}
        self.files["/index.yaml"] = json.dumps(index).encode()

    def add(
        self, name: str, version: str, archive: bytes, *, url: str | None = None, **changes: object
    ) -> None:
        """Publish one more archive; ``changes`` replace fields of its index entry (None: drop)."""
        path = f"assets/{name}-{version}.tgz"
        self.files.setdefault(f"/{path}", archive)
        index = json.loads(self.files.get("/index.yaml", b'{"entries": {}}'))
        entry: dict[str, Any] = {"version": version, "digest": Digest.of(archive).hex}
        entry |= {"urls": [url or path], **changes}
        entry = {k: v for k, v in entry.items() if v is not None}
        index["entries"].setdefault(name, []).append(entry)
        self.publish(index["entries"])


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"
    timeout = 5
    simulator: Simulator

    def do_GET(self) -> None:
        state, path = self.simulator, urlsplit(self.path).path
        self.is_recorded = False
        content = state.files.get(path, b"")
        if not self._is_allowed():
            self.reply(401, {"WWW-Authenticate": 'Basic realm="charts"'})
        elif path in state.faults:
            state.faults[path](self, content)
        elif path not in state.files:
            self.reply(404, body=b"no such file")
        elif self._is_known(content):
            self.reply(304, self._validators(content))
        else:
            self._reply_file(path, content)
        if not self.is_recorded:
            self._record(0)

    def _record(self, status: int) -> None:
        """Note the request before the client can know that it was answered."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.simulator.requests.append(Request(target=self.path, headers=headers, status=status))
        self.is_recorded = True

    def reply(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Send a whole answer; a Content-Length among ``headers`` counts more than the body's."""
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        if status != 304:
            self.wfile.write(body)

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        self._record(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _reply_file(self, path: str, content: bytes) -> None:
        headers = self._validators(content)
        if self.simulator.is_compressed and "gzip" in self.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            content = gzip.compress(content)
        elif self.simulator.is_compressed and path.endswith(".tgz"):
            headers["Content-Encoding"] = "gzip"  # what some servers say of every .tgz
        self.reply(200, headers, content)

    def _is_allowed(self) -> bool:
        wanted = self.simulator.credentials
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return wanted is None or given == base64.b64encode(wanted.encode()).decode()

    def _is_known(self, content: bytes) -> bool:
        validators = self._validators(content)
        return self.headers.get("If-None-Match", "none") == validators.get(
            "ETag"
        ) or self.headers.get("If-Modified-Since", "none") == validators.get("Last-Modified")

    def _validators(self, content: bytes) -> dict[str, str]:
        found = {}
        if self.simulator.has_etag:
            found["ETag"] = f'"{Digest.of(content).hex}"'
        if self.simulator.last_modified is not None:
            found["Last-Modified"] = self.simulator.last_modified
        return found

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with ``code`` for ever."""
    return lambda exchange, _: exchange.reply(code, headers, b"no")


def first(times: int, fault: Fault) -> Fault:
    """Do ``fault`` so many times, then answer as if nothing had been."""
    counter = itertools.count()

    def act(exchange: Exchange, content: bytes) -> None:
        if next(counter) < times:
            fault(exchange, content)
        else:
            exchange.reply(200, body=content)

    return act


def redirect(target: str, code: int = 302) -> Fault:
    return lambda exchange, _: exchange.reply(code, {"Location": target})


def truncated(exchange: Exchange, content: bytes) -> None:
    """Promise more bytes than come."""
    exchange.reply(200, {"Content-Length": str(len(content) + 100)}, content)
    exchange.close_connection = True


def longer(exchange: Exchange, content: bytes) -> None:
    """Send more bytes than promised."""
    exchange.reply(200, {"Content-Length": str(len(content))}, content + b"more")
    exchange.close_connection = True


def wrong_bytes(exchange: Exchange, content: bytes) -> None:
    exchange.reply(200, body=bytes([content[0] ^ 1]) + content[1:])


def cut_chunks(exchange: Exchange, content: bytes) -> None:
    """Break off within a chunked body."""
    exchange.start(200, {"Transfer-Encoding": "chunked"})
    exchange.wfile.write(b"%x\r\n%s" % (len(content) + 10, content))
    exchange.close_connection = True


def chunked(exchange: Exchange, content: bytes) -> None:
    exchange.start(200, {"Transfer-Encoding": "chunked"})
    for part in (content[:10], content[10:]):
        exchange.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    exchange.wfile.write(b"0\r\n\r\n")


def hanging_up(exchange: Exchange, _: bytes) -> None:
    """Close the connection without an answer."""
    exchange.close_connection = True


def silent(exchange: Exchange, _: bytes) -> None:
    """Say nothing until the test is over."""
    exchange.simulator.stop.wait(10)
    exchange.close_connection = True


def dripping(exchange: Exchange, _: bytes) -> None:
    """Send a byte now and then, each soon enough for a timeout between bytes."""
    exchange.start(200, {"Content-Length": "100000"})
    while not exchange.simulator.stop.wait(0.02):
        exchange.wfile.write(b"#")
    exchange.close_connection = True


@dataclass
class Endless:
    """Send for ever; ``sent`` counts the bytes."""

    sent: int = 0

    def __call__(self, exchange: Exchange, _: bytes) -> None:
        exchange.start(200, {})
        exchange.close_connection = True
        part = b"# nothing but a comment\n" * 4096
        until = time.monotonic() + 30
        while time.monotonic() < until:
            exchange.wfile.write(part)
            self.sent += len(part)


def gzip_bomb(exchange: Exchange, _: bytes) -> None:
    """Answer with a gzip Content-Encoding of 64 MiB of zeros."""
    exchange.reply(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(64 << 20), 9))


def damaged_gzip(exchange: Exchange, content: bytes) -> None:
    body = bytearray(gzip.compress(content))
    body[12:40] = bytes(28)
    exchange.reply(200, {"Content-Encoding": "gzip"}, bytes(body))


@contextlib.contextmanager
def serving(*, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Simulator]:
    """Run a simulator; with ``tls`` it speaks https only."""
    simulator = Simulator()
    handler = type("Handler", (Exchange,), {"simulator": simulator})
    with listening(handler, simulator.stop, address=host, tls=tls) as place:
        simulator.url = f"http{'s' if tls else ''}://{place}"
        yield simulator
