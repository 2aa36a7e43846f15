"""Upload: the writing side of a registry (OCI distribution-spec, "Push")."""

from __future__ import annotations

import contextlib
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlencode, urlsplit

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError, RegistryError
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.registry import token, wire
from rke2pack.oci.registry.answer import Response
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.registry.download import PROGRESS
from rke2pack.oci.registry.stream import FileOrigin, Origin, Part, Stream
from rke2pack.oci.registry.token import Scope

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)\Z")
# Registries copy or hash a blob between its last byte and their answer (S3, Harbor).
CLOSING_SECONDS = 900.0
_WRITING_SECONDS = 120.0
_RIGHTS = "log in with the right to push there; some registries want the project made before"
_TAKES_NONE = "turn off its read-only or proxy mode, or name another target"
_SPACE = "raise the quota of that project, or make room in the registry"
_WRITE_HINTS: Final = {
    401: _RIGHTS,
    403: _RIGHTS,
    404: "make the project first, and check the target's name",
    405: _TAKES_NONE,
    413: "raise the body limit of the registry, or of the proxy before it",
    507: _SPACE,
}
_DELETE_HINTS: Final = {
    401: "log in with the right to delete there",
    403: "log in with the right to delete there",
    405: "allow deleting in the registry (docker-registry: storage.delete.enabled)",
}
Arrival = Literal["present", "mounted", "pushed"]


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

    def __init__(self, registry: Registry) -> None:
        """Write through ``registry``, which reads."""
        self._registry = registry

    def push_blob(
        self, repository: str, blob: Descriptor, origin: Origin | Path, *, mount_from: str = ""
    ) -> Arrival:
        """Make the repository have a blob, whose bytes are at ``origin``.

        ``mount_from`` names a repository of this registry that has it already.
        A broken upload goes on where the registry says that it stands. Raises
        IntegrityError, and completes nothing, where the bytes are others.
        """
        if mount_from and self.mount(repository, blob, mount_from=mount_from):
            return "mounted"
        upload = self._upload(repository, blob)
        if self._registry.has_blob(repository, blob.digest, scope=upload.scope):
            return "present"
        reader = FileOrigin(path=origin) if isinstance(origin, Path) else origin
        stream = Stream(blob, reader, what=upload.what, count=self._count)
        with contextlib.closing(stream):
            self._push(self._start(upload), stream)
        return "pushed"

    def _count(self, size: int) -> None:
        self._registry.wire.count(uploaded=size)

    def mount(self, repository: str, blob: Descriptor, *, mount_from: str) -> bool:
        """Let the repository have a blob of another one; false where the registry does not."""
        upload = self._upload(repository, blob, mount_from=mount_from)
        query = urlencode({"mount": str(blob.digest), "from": mount_from})
        url = f"{self._registry.url(repository, 'blobs', 'uploads', '')}?{query}"
        opened = self._open(upload, url)
        if opened is not None:
            self._cancel(opened)
        return opened is None

    def _upload(self, repository: str, blob: Descriptor, *, mount_from: str = "") -> Upload:
        return Upload(
            repository=repository,
            blob=blob,
            scope=token.push(repository, mount_from=mount_from),
            what=f"{self._registry.host}/{repository}@{blob.digest}",
        )

    def _push(self, upload: Upload, stream: Stream) -> None:
        failures = furthest = 0
        while True:
            try:
                self._send(upload, stream)
            except PackError as exc:
                if stream.failure is not None or not isinstance(exc, RegistryError):
                    self._cancel(upload)
                    raise
                failures += 1
                if isinstance(exc, NotFoundError):
                    # The registry has lost the upload; it can be begun anew.
                    exc.temporary = True
                self._registry.wire.rest(failures, exc)
                # The answer may be lost and not the blob.
                if self._registry.has_blob(
                    upload.repository, upload.blob.digest, scope=upload.scope
                ):
                    self._cancel(upload)
                    return
                upload = self._resumed(upload) or self._start(upload)
                if upload.offset - furthest >= PROGRESS:
                    failures, furthest = 0, upload.offset
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
                hints=_WRITE_HINTS,
                seconds=_WRITING_SECONDS,
            ) as response:
                return response.headers.get("Docker-Content-Digest", "")

        def patient() -> str:
            try:
                return attempt()
            except RegistryError as exc:
                # docker-registry says so of a good manifest while another program writes it.
                exc.temporary = exc.temporary or " (DIGEST_INVALID " in exc.message
                raise

        got = self._registry.wire.retry(patient)
        if got and got != str(document.descriptor.digest):
            msg = f"{what}: the registry made {got[:100]} of {document.descriptor.digest}"
            raise IntegrityError(msg)

    def delete(self, repository: str, name: str | Digest) -> None:
        """Remove a tag, or a manifest and with it all its tags.

        Raises NotFoundError where there is none, RegistryError where the
        registry does not remove such things.
        """
        what = f"{self._registry.host}/{repository}: {name}"

        def attempt() -> None:
            with self._registry.ask(
                "DELETE",
                self._registry.url(repository, "manifests", str(name)),
                scope=token.delete(repository),
                what=what,
                expected={200, 202},
                hints=_DELETE_HINTS,
            ):
                return

        self._registry.wire.retry(attempt)

    def _start(self, upload: Upload) -> Upload:
        url = self._registry.url(upload.repository, "blobs", "uploads", "")
        opened = self._open(upload, url)
        if opened is None:
            msg = f"{upload.what}: the registry claims to have taken what was not sent"
            raise RegistryError(msg)
        return opened

    def _open(self, upload: Upload, url: str) -> Upload | None:
        """Open an upload; None where the blob was mounted instead."""

        def attempt() -> Upload | None:
            with self._registry.ask(
                "POST", url, scope=upload.scope, what=upload.what, expected={201, 202},
                hints=_WRITE_HINTS, seconds=_WRITING_SECONDS,
            ) as response:  # fmt: skip
                if response.status_code == HTTPStatus.CREATED:
                    return None
                return replace(upload, location=_location(response, url, upload.what), offset=0)

        return self._registry.wire.retry(attempt)

    def _cancel(self, upload: Upload) -> None:
        """Tell the registry to forget an upload; it does so by itself, later."""
        with contextlib.suppress(RegistryError), self._ask("DELETE", upload, expected={204, 202}):
            pass

    def _send(self, upload: Upload, stream: Stream) -> None:
        """Send what is left of a blob and close its upload."""
        size = upload.blob.size
        if size and upload.offset == 0:
            self._close(upload, stream.part(0, size))
            return
        if upload.offset < size:
            upload = self._patch(upload, stream.part(upload.offset, size - upload.offset))
        self._close(upload, None)

    def _patch(self, upload: Upload, part: Part) -> Upload:
        end = upload.offset + part.len
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{upload.offset}-{end - 1}",
        }
        with self._ask("PATCH", upload, expected={202}, headers=headers, part=part) as response:
            place = _location(response, upload.location, upload.what)
            said = _RANGE.match(response.headers.get("Range", ""))
        has = int(said[1]) + 1 if said else end
        if has != end:
            msg = f"{upload.what}: sent {wording.count(end, 'byte')}, the registry has {has}"
            raise RegistryError(msg, temporary=True)
        return replace(upload, location=place, offset=end)

    def _close(self, upload: Upload, part: Part | None) -> None:
        glue = "&" if urlsplit(upload.location).query else "?"
        url = f"{upload.location}{glue}{urlencode({'digest': str(upload.blob.digest)})}"
        headers = {"Content-Type": "application/octet-stream"} if part else {}
        last = replace(upload, location=url)
        with self._ask(
            "PUT", last, expected={201}, headers=headers, part=part, seconds=CLOSING_SECONDS
        ) as response:
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
        part: Part | None = None,
        seconds: float | None = None,
    ) -> AbstractContextManager[Response]:
        """Send to an upload's location; credentials go to the registry's own address only."""
        is_home = wire.origin(upload.location) == wire.origin(self._registry.base)
        return self._registry.ask(
            method,
            upload.location,
            scope=upload.scope if is_home else None,
            what=upload.what,
            headers=headers,
            body=part,
            expected=expected,
            hints=_WRITE_HINTS,
            seconds=seconds,
        )


def _location(response: Response, url: str, what: str) -> str:
    target = response.headers.get("Location")
    if not target:
        msg = f"{what}: the registry does not say where to send it"
        raise RegistryError(msg)
    return wire.follow(url, target)
