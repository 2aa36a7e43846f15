"""Pushes: what the lab's registry takes in (OCI distribution-spec, "Push")."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.server import RegistryFailure, digest_of
from rke2pack.oci.store.layout import Layout
from rke2pack.serving.message import Answer, Request

# What was pushed has this host in its name; on a registry a name is a path alone.
HOST = "localhost"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")


@dataclass(kw_only=True)
class _Upload:
    """A blob on its way."""

    repository: str
    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    size: int = 0


@dataclass(kw_only=True)
class Pushes:
    """Blobs and manifests that come; ``has`` tells what a repository had before."""

    layout: Layout
    blobs: dict[tuple[str, Digest], Descriptor] = field(default_factory=dict)
    _uploads: dict[str, _Upload] = field(default_factory=dict)

    def has(self, repository: str, digest: Digest) -> Descriptor | None:
        """Return a blob that was pushed to a repository in this run."""
        return self.blobs.get((repository, digest))

    def start(self, request: Request, repository: str) -> Answer:
        """Begin an upload; a blob of the layout is mounted, from wherever it is."""
        wanted = request.query.get("mount") or ""
        if wanted:
            digest = digest_of(wanted)
            path = self.layout.path(digest)
            if path.is_file():
                return self._created(repository, digest, path.stat().st_size)
        folder = self.layout.partial_folder
        folder.mkdir(exist_ok=True)
        name = uuid.uuid4().hex
        upload = _Upload(repository=repository, path=folder / f"{name}.upload")
        upload.path.touch()
        self._uploads[name] = upload
        if "digest" in request.query:
            self._append(upload, request)
            return self._finish(name, upload, digest_of(request.query["digest"]))
        return self._state(HTTPStatus.ACCEPTED, name, upload)

    def go_on(self, request: Request, repository: str, name: str) -> Answer:
        """Take bytes of an upload, tell how far it is, or end it."""
        upload = self._uploads.get(name)
        if upload is None or upload.repository != repository:
            raise RegistryFailure(HTTPStatus.NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        with upload.lock:
            match request.method:
                case "GET":
                    return self._state(HTTPStatus.NO_CONTENT, name, upload)
                case "PATCH":
                    self._append(upload, request)
                    return self._state(HTTPStatus.ACCEPTED, name, upload)
                case "PUT":
                    self._append(upload, request)
                    return self._finish(name, upload, digest_of(request.query.get("digest", "")))
                case "DELETE":
                    self._drop(name, upload)
                    return Answer(status=HTTPStatus.NO_CONTENT)
        raise RegistryFailure(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "not for an upload")

    def put_manifest(self, request: Request, repository: str, name: str) -> Answer:
        """Take a manifest or index under a tag or its digest; ``repository`` is HOST/PATH."""
        raw = b"".join(_within(request.body, model.MAX_BYTES))
        kind = media.bare(request.headers.get("content-type", ""))
        try:
            document = model.parse(raw, media_type=kind, what=f"{repository}:{name}")
        except PackError as exc:
            raise _bad("MANIFEST_INVALID", exc.message) from exc
        digest = document.descriptor.digest
        if ":" in name and digest_of(name) != digest:
            raise _bad("DIGEST_INVALID", f"{name}: the content is {digest}")
        if ":" not in name and not _TAG.match(name):
            raise _bad("TAG_INVALID", f"not a tag: {name}")
        self._check(document, repository)
        self.layout.put(raw)
        sign = "@" if ":" in name else ":"
        self.layout.tag({f"{repository}{sign}{name}": document.descriptor})
        headers = {
            "Location": f"/v2/{repository.partition('/')[2]}/manifests/{digest}",
            "Docker-Content-Digest": str(digest),
        }
        if document.subject is not None:
            headers["OCI-Subject"] = str(document.subject.digest)
        return Answer(status=HTTPStatus.CREATED, headers=headers)

    def _check(self, document: Document, repository: str) -> None:
        """Refuse a manifest whose blobs have not come; an index may list what stays away."""
        if not isinstance(document, Manifest):
            return
        lacking = [blob for blob in document.blobs if not self.layout.has(blob) and not blob.urls]
        if lacking:
            text = f"{repository}: {lacking[0].digest} has not been pushed"
            raise RegistryFailure(HTTPStatus.NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", text)

    def _append(self, upload: _Upload, request: Request) -> None:
        """Write the body behind what is there; raises RegistryFailure where it does not fit on."""
        said = request.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
        if said and said != str(upload.size):
            headers = {"Range": f"0-{max(0, upload.size - 1)}"}
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise RegistryFailure(status, "BLOB_UPLOAD_INVALID", "not in order", headers)
        with upload.path.open("ab") as handle:
            try:
                for chunk in request.body:
                    handle.write(chunk)
            finally:
                upload.size = handle.tell()

    def _finish(self, name: str, upload: _Upload, digest: Digest) -> Answer:
        blob = Descriptor(media_type="", digest=digest, size=upload.size)
        try:
            with self.layout.receive(blob) as partial, upload.path.open("rb") as handle:
                if partial is not None:
                    partial.restart()
                    while chunk := handle.read(256 * 1024):
                        partial.write(chunk)
        except IntegrityError as exc:
            raise _bad("DIGEST_INVALID", exc.message) from exc
        finally:
            self._drop(name, upload)
        return self._created(upload.repository, digest, blob.size)

    def _created(self, repository: str, digest: Digest, size: int) -> Answer:
        kind = "application/octet-stream"
        self.blobs[repository, digest] = Descriptor(media_type=kind, digest=digest, size=size)
        place = f"/v2/{repository}/blobs/{digest}"
        headers = {"Location": place, "Docker-Content-Digest": str(digest)}
        return Answer(status=HTTPStatus.CREATED, headers=headers)

    def _drop(self, name: str, upload: _Upload) -> None:
        self._uploads.pop(name, None)
        upload.path.unlink(missing_ok=True)

    def _state(self, status: HTTPStatus, name: str, upload: _Upload) -> Answer:
        headers = {
            "Location": f"/v2/{upload.repository}/blobs/uploads/{name}",
            "Range": f"0-{max(0, upload.size - 1)}",
            "Docker-Upload-UUID": name,
        }
        return Answer(status=status, headers=headers)


def _bad(code: str, text: str) -> RegistryFailure:
    return RegistryFailure(HTTPStatus.BAD_REQUEST, code, text)


def _within(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise RegistryFailure(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "MANIFEST_INVALID", f"more than {limit} bytes"
            )
        yield chunk
