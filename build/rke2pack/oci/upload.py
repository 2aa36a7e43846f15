"""Upload: the writing side of a registry (OCI distribution-spec, "Push")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlencode, urlsplit

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, RegistryError
from rke2pack.oci import token, wire
from rke2pack.oci.answer import Response
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.registry import Registry
from rke2pack.oci.token import Scope

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)\Z")
_CHUNK = 256 * 1024
Arrival = Literal["present", "mounted", "pushed"]


class Span:
    """A part of a file as a request's body, of known length and readable again."""

    def __init__(self, handle: IO[bytes], path: Path, start: int, length: int) -> None:
        """Cover ``length`` bytes of ``handle`` from ``start`` on; ``path`` stands in messages."""
        self._handle, self._path, self._start, self.len = handle, path, start, length
        self._position = 0
        self.seek(0)

    def seek(self, position: int) -> int:
        """Go to a place within the part."""
        with files.reported("read", self._path):
            self._handle.seek(self._start + position)
        self._position = position
        return position

    def tell(self) -> int:
        """Return the place within the part."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read on, never beyond the part."""
        left = self.len - self._position
        with files.reported("read", self._path):
            data = self._handle.read(left if size < 0 else min(size, left))
        self._position += len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(_CHUNK):
            yield data


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One blob on its way: where to send, and how much of it the registry has."""

    repository: str
    blob: Descriptor
    scope: Scope
    what: str
    location: str = ""
    offset: int = 0


class Uploader:
    """Writes blobs and manifests to one registry; safe for threads."""

    def __init__(self, registry: Registry, *, chunk_size: int | None = None) -> None:
        """Send blobs whole, or in PATCH requests of ``chunk_size`` bytes."""
        self._registry = registry
        self._chunk_size = chunk_size

    def push_blob(
        self, repository: str, blob: Descriptor, path: Path, *, mount_from: str = ""
    ) -> Arrival:
        """Make the repository have a blob, whose bytes are in ``path``.

        ``mount_from`` names a repository of this registry that has it already.
        A broken upload goes on where the registry says that it stands.
        """
        upload = Upload(
            repository=repository,
            blob=blob,
            scope=token.push(repository, mount_from=mount_from),
            what=f"{self._registry.host}/{repository}@{blob.digest}",
        )
        if self._registry.has_blob(repository, blob.digest, scope=upload.scope):
            return "present"
        started = self._start(upload, mount_from=mount_from)
        if started is None:
            return "mounted"
        with files.reported("read", path):
            handle = path.open("rb")
        with handle:
            self._push(started, handle, path)
        return "pushed"

    def _push(self, upload: Upload, handle: IO[bytes], path: Path) -> None:
        failures = 0
        while True:
            try:
                self._send(upload, handle, path)
            except RegistryError as exc:
                failures += 1
                self._registry.wire.rest(failures, exc)
                upload = self._resumed(upload) or self._restarted(upload)
            else:
                return

    def push_manifest(self, repository: str, document: Document, name: str | Digest) -> None:
        """Put a manifest or index under a tag or its digest, byte for byte."""
        what = f"{self._registry.host}/{repository}: manifest {name}"

        def attempt() -> str:
            with self._registry.ask(
                "PUT",
                self._registry.url(repository, "manifests", str(name)),
                scope=token.push(repository),
                what=what,
                headers={"Content-Type": document.media_type},
                body=document.raw,
                expected={201},
            ) as response:
                return response.headers.get("Docker-Content-Digest", "")

        got = self._registry.wire.retry(attempt)
        if got and got != str(document.descriptor.digest):
            msg = f"{what}: the registry made {got[:100]} of {document.descriptor.digest}"
            raise IntegrityError(msg)

    def _start(self, upload: Upload, *, mount_from: str = "") -> Upload | None:
        """Open an upload; None where the blob was mounted instead."""
        query = {"mount": str(upload.blob.digest), "from": mount_from} if mount_from else {}
        url = self._registry.url(upload.repository, "blobs", "uploads", "")
        url = f"{url}?{urlencode(query)}" if query else url

        def attempt() -> Upload | None:
            with self._registry.ask(
                "POST", url, scope=upload.scope, what=upload.what, expected={201, 202}
            ) as response:
                if mount_from and response.status_code == HTTPStatus.CREATED:
                    return None
                return replace(upload, location=_location(response, url, upload.what), offset=0)

        return self._registry.wire.retry(attempt)

    def _restarted(self, upload: Upload) -> Upload:
        return self._start(upload) or upload

    def _send(self, upload: Upload, handle: IO[bytes], path: Path) -> None:
        """Send what is left of a blob and close its upload."""
        size = upload.blob.size
        if upload.offset == 0 and self._chunk_size is None:
            self._close(upload, Span(handle, path, 0, size))
            return
        while upload.offset < size:
            length = min(self._chunk_size or size, size - upload.offset)
            upload = self._patch(upload, Span(handle, path, upload.offset, length))
        self._close(upload, None)

    def _patch(self, upload: Upload, span: Span) -> Upload:
        end = upload.offset + span.len
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{upload.offset}-{end - 1}",
        }
        with self._ask("PATCH", upload, expected={202}, headers=headers, span=span) as response:
            place = _location(response, upload.location, upload.what)
            said = _RANGE.match(response.headers.get("Range", ""))
        has = int(said[1]) + 1 if said else end
        if has != end:
            msg = f"{upload.what}: sent {end} bytes, the registry has {has}"
            raise RegistryError(msg, temporary=True)
        return replace(upload, location=place, offset=end)

    def _close(self, upload: Upload, span: Span | None) -> None:
        glue = "&" if urlsplit(upload.location).query else "?"
        url = f"{upload.location}{glue}{urlencode({'digest': str(upload.blob.digest)})}"
        headers = {"Content-Type": "application/octet-stream"} if span else {}
        last = replace(upload, location=url)
        with self._ask("PUT", last, expected={201}, headers=headers, span=span) as response:
            got = response.headers.get("Docker-Content-Digest", "")
        if got and got != str(upload.blob.digest):
            msg = f"{upload.what}: the registry made {got[:100]} of it"
            raise IntegrityError(msg)

    def _resumed(self, upload: Upload) -> Upload | None:
        """Ask how much of an upload arrived; None where it has to begin again."""

        def attempt() -> Upload | None:
            with self._ask("GET", upload, expected={204}) as response:
                said = _RANGE.match(response.headers.get("Range", ""))
                has_place = "Location" in response.headers
                place = _location(response, upload.location, upload.what) if has_place else ""
            # "0-0" is said of one byte and of none.
            if not said or said[1] == "0":
                return None
            return replace(upload, location=place or upload.location, offset=int(said[1]) + 1)

        try:
            return self._registry.wire.retry(attempt)
        except NotFoundError:
            return None

    def _ask(
        self,
        method: str,
        upload: Upload,
        *,
        expected: set[int],
        headers: dict[str, str] | None = None,
        span: Span | None = None,
    ) -> AbstractContextManager[Response]:
        """Send to an upload's location; credentials go to the registry's own address only."""
        is_home = wire.origin(upload.location) == wire.origin(self._registry.base)
        return self._registry.ask(
            method,
            upload.location,
            scope=upload.scope if is_home else None,
            what=upload.what,
            headers=headers,
            body=span,
            expected=expected,
        )


def _location(response: Response, url: str, what: str) -> str:
    target = response.headers.get("Location")
    if not target:
        msg = f"{what}: the registry does not say where to send it"
        raise RegistryError(msg)
    return wire.follow(url, target)
