"""The lab's chart repository: built from the package's own files, served on loopback.

The result has the form of a Helm repository: ``index.yaml``, written in JSON as
``helm repo index --json`` writes it, and ``assets/<package>/<chart>-<version>.tgz``
with relative urls, where the package is the chart's name without ``-crd``.
Nothing in it depends on the machine or the time: two builds are equal byte for
byte.
"""

from __future__ import annotations

import contextlib
import http
import http.server
import importlib.resources
import json
import logging
import socketserver
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from rke2pack import files, safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import ToolError
from rke2pack.helm import archive
from rke2pack.helm.version import ChartVersion

_CREATED = "2025-05-01T00:00:00Z"
_BASE = "base"
_HOST = "127.0.0.1"
_IDLE_SECONDS = 10
_POLL_SECONDS = 0.02
_TYPES = {".yaml": "application/yaml", ".tgz": "application/gzip"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of one lab chart: its files, Chart.yaml first, the others sorted."""

    name: str
    version: str
    members: tuple[archive.Member, ...]

    @property
    def url(self) -> str:
        """Where the archive is, relative to the repository."""
        package = self.name.removesuffix("-crd")
        return f"assets/{package}/{self.name}-{self.version}.tgz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the repository says to one GET; HEAD is the same without the body."""

    status: http.HTTPStatus
    headers: Mapping[str, str]
    body: bytes = b""


def releases() -> tuple[Release, ...]:
    """Return every version of every lab chart, by name, newest version first."""
    found: list[Release] = []
    charts = importlib.resources.files(__package__) / "charts"
    for chart in sorted(charts.iterdir(), key=lambda entry: entry.name):
        base = _read(chart / _BASE) if (chart / _BASE).is_dir() else {}
        versions = (entry.name for entry in chart.iterdir() if entry.name != _BASE)
        for version in sorted(versions, key=ChartVersion.parse, reverse=True):
            content = base | _read(chart / version)
            paths = sorted(content, key=lambda path: (path != "Chart.yaml", path))
            members = tuple(archive.Member(f"{chart.name}/{path}", content[path]) for path in paths)
            found.append(Release(name=chart.name, version=version, members=members))
    return tuple(found)


def build(folder: Path) -> Path:
    """Write the repository below ``folder`` and return ``folder``.

    Files that are there already and equal are left alone. Each file appears
    whole, ``index.yaml`` last: a reader never meets a name without its archive.
    Raises ToolError.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    for release in releases():
        data = archive.pack(release.members)
        files.write_changed(folder / release.url, data)
        entries.setdefault(release.name, []).append(_entry(release, Digest.of(data)))
    index = {"apiVersion": "v1", "entries": entries, "generated": _CREATED}
    text = json.dumps(index, indent=2, sort_keys=True)
    files.write_changed(folder / "index.yaml", f"{text}\n".encode())
    return folder


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve ``folder`` read-only over loopback HTTP; yield the address, without a slash.

    Raises ToolError where no port can be opened.
    """
    root = folder.resolve()

    class Handler(_Handler):
        repository = root

    try:
        server = _Server((_HOST, 0), Handler)
    except OSError as exc:
        msg = f"cannot open a port on {_HOST}: {exc.strerror or exc}"
        raise ToolError(msg, hint="allow this process to listen on the loopback address") from exc
    with server:
        loop = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        loop.start()
        try:
            yield f"http://{_HOST}:{server.server_port}"
        finally:
            server.shutdown()
            loop.join()


def answer(folder: Path, target: str, *, if_none_match: str = "") -> Answer:
    """Return what a GET of ``target`` below the resolved ``folder`` gives: 200, 304 or 404.

    A folder is 404 like everything else that is no readable file inside ``folder``.
    """
    path = unquote(urlsplit(target).path)
    data = _content(folder, path)
    if data is None:
        body = b"not found\n"
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
        return Answer(status=http.HTTPStatus.NOT_FOUND, headers=headers, body=body)
    tag = f'"{Digest.of(data).hex}"'
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    if known & {tag, "*"}:
        return Answer(status=http.HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    headers = {
        "Content-Type": _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream"),
        "Content-Length": str(len(data)),
        "ETag": tag,
    }
    return Answer(status=http.HTTPStatus.OK, headers=headers, body=data)


def _read(folder: Traversable) -> dict[str, bytes]:
    """Return every file below ``folder`` by its relative path."""
    content: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            content |= {f"{entry.name}/{path}": data for path, data in _read(entry).items()}
        else:
            content[entry.name] = entry.read_bytes()
    return content


def _entry(release: Release, digest: Digest) -> dict[str, Any]:
    """Return the index entry: all of Chart.yaml as text, and where the archive is."""
    what = f"{release.name} {release.version}: Chart.yaml"
    metadata = safeyaml.load(release.members[0].data.decode(), what=what, scalars=False)
    return {**metadata, "created": _CREATED, "digest": digest.hex, "urls": [release.url]}


def _content(folder: Path, path: str) -> bytes | None:
    """Return the bytes of the file that ``path`` names inside ``folder``, or None."""
    relative = PurePosixPath(path.lstrip("/"))
    if ".." in relative.parts or "\\" in path or "\0" in path:
        return None
    try:
        found = (folder / relative).resolve()
        is_inside = found.is_relative_to(folder) and found.is_file()
        return found.read_bytes() if is_inside else None
    except OSError:
        return None


class _Server(http.server.ThreadingHTTPServer):
    def server_bind(self) -> None:
        # HTTPServer asks the resolver for the host's full name, which can take seconds offline.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's form
        _log.debug("the client %s went away", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    repository: Path

    def do_GET(self) -> None:
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        self._send(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        _log.debug(format, *args)

    def _send(self, *, with_body: bool) -> None:
        known = self.headers.get("If-None-Match", "")
        reply = answer(self.repository, self.path, if_none_match=known)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(reply.body)
