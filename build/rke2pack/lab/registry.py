"""The lab's registry: has every image of the lab's tree, and takes pushes, on loopback.

Images are made when they are first asked for, below ``dist/lab/``; a list that
a bump has changed gives new ones. What is pushed stays there for the next run.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

from rke2pack.lab import images
from rke2pack.lab.pushes import HOST, Pushes
from rke2pack.oci import server
from rke2pack.oci.model import Descriptor
from rke2pack.oci.server import RegistryServer
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.wish import Wish
from rke2pack.serving import message
from rke2pack.serving.content import content
from rke2pack.serving.message import Answer, Request
from rke2pack.serving.server import running

_UPLOADS = re.compile(
    r"/v2/(?P<name>[a-z0-9][a-z0-9._/-]{0,254})/blobs/uploads/(?P<upload>[0-9a-f]{0,32})\Z"
)
# A host as a reference may have it; what is stored is named so.
_ON_HOST = re.compile(r"/(?P<host>[A-Za-z0-9.-]+(?::[0-9]{1,5})?)(?P<rest>/v2(?:/.*)?)\Z")
_BYTES = "application/octet-stream"


class LabImages:
    """The images of a list, made in a layout when they are wanted."""

    def __init__(
        self, root: Path, wishes: Callable[[], Iterable[Wish]], *, sources: tuple[Path, ...]
    ) -> None:
        """Make what ``wishes`` gives below ``root``; asked anew when one of ``sources`` changed."""
        self.layout = Layout.open(root)
        self._wishes, self._sources = wishes, sources
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, int], ...] | None = None
        self._made: set[Wish] = set()

    def refresh(self) -> None:
        """Make the images that are on the list now and have not been made."""
        with self._lock:
            states = [path.stat() for path in self._sources if path.is_file()]
            seen = tuple((state.st_ino, state.st_mtime_ns) for state in states)
            if seen == self._seen:
                return
            wanted = [wish for wish in self._wishes() if wish not in self._made]
            with self.layout.in_use():
                images.make(self.layout, wanted)
            self._made.update(wanted)
            self._seen = seen

    def filled(self) -> Path:
        """Return the folder of the layout, with all images."""
        self.refresh()
        return self.layout.root


class LabRegistry(RegistryServer):
    """A registry that can be written to."""

    def __init__(self, made: LabImages) -> None:
        """Serve the images that ``made`` makes, and what is pushed beside them."""
        super().__init__(made.layout)
        self._images = made
        self._pushes = Pushes(layout=self.layout)

    def route(self, request: Request) -> Answer:
        """Answer a request that reads as every registry does, and one that writes.

        Below ``/HOST/v2/`` is what the lab has in place of that host.
        """
        match = _ON_HOST.match(request.path)
        if match is None:
            return self._answer(request)
        query = {**request.query, "ns": match["host"]}
        reply = self._answer(replace(request, path=match["rest"], query=query))
        places = {n: reply.headers[n] for n in ("Location", "Link") if n in reply.headers}
        own = {n: text.replace("/v2/", f"/{match['host']}/v2/", 1) for n, text in places.items()}
        return replace(reply, headers={**reply.headers, **own})

    def _answer(self, request: Request) -> Answer:
        self._images.refresh()
        upload = _UPLOADS.match(request.path)
        if upload is not None and request.method == "POST":
            return self._pushes.start(request, upload["name"])
        if upload is not None:
            return self._pushes.go_on(request, upload["name"], upload["upload"])
        match = server.ROUTE.match(request.path)
        if match and match["kind"] == "manifests" and request.method not in message.READS:
            return self._changed(request, match["name"], match["rest"])
        if match and match["kind"] == "blobs" and request.method in message.READS:
            pushed = self._pushes.has(match["name"], server.digest_of(match["rest"]))
            if pushed is not None:
                return self._pushed(request, pushed)
        return super().route(request)

    def _changed(self, request: Request, path: str, name: str) -> Answer:
        host = request.query.get("ns", "")
        found = self.catalog.find(path, host)
        if request.method == "PUT":
            host = host or (found.host if found else HOST)
            return self._pushes.put_manifest(request, f"{host}/{path}", name)
        if request.method != "DELETE" or found is None:
            return super().route(request)
        entries = self.layout.entries()
        own = (
            e
            for e in entries
            if e.name.startswith((f"{found.host}/{path}:", f"{found.host}/{path}@"))
        )
        gone = {
            e.name for e in own if name in {str(e.descriptor.digest), e.name.rpartition(":")[2]}
        }
        self.layout.untag(frozenset(gone))
        return Answer(status=HTTPStatus.ACCEPTED if gone else HTTPStatus.NOT_FOUND)

    def _pushed(self, request: Request, blob: Descriptor) -> Answer:
        headers = {"Content-Type": _BYTES, "Docker-Content-Digest": str(blob.digest)}
        part = message.opened(self.layout.path(blob.digest))
        return content(request, part, tag=str(blob.digest), headers=headers)


@contextlib.contextmanager
def serve(made: LabImages) -> Iterator[str]:
    """Serve the lab's images on loopback; yield the address. Raises ToolError."""
    with running(LabRegistry(made)) as found:
        yield found.url
