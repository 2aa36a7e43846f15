"""Server: a layout as a read-only registry (OCI distribution-spec, "Pull" and discovery).

Answers requests; the sockets are `serving`'s. Blobs are given only where an
image of that repository needs them, manifests only with their digest verified.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.store.catalog import Catalog, Repository
from rke2pack.oci.store.layout import INDEX_FILE, Layout
from rke2pack.serving import message
from rke2pack.serving.content import content
from rke2pack.serving.message import Answer, Request

PREFIX = "/v2"
MAX_PAGE = 10_000
# Names and references are looked up, not joined to paths; what does not match is not there.
ROUTE = re.compile(
    r"/v2/(?P<name>[a-z0-9][a-z0-9._/-]{0,254})/"
    r"(?P<kind>manifests|blobs|referrers|tags)/(?P<rest>[A-Za-z0-9_][A-Za-z0-9._:+-]{0,255})\Z"
)
_API = {"Docker-Distribution-Api-Version": "registry/2.0"}
_JSON = "application/json"


class RegistryFailure(Exception):  # noqa: N818 - an answer of the protocol, not one of our errors
    """An answer that refuses: status, the specification's code, and a message."""

    def __init__(
        self, status: HTTPStatus, code: str, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers or {}

    def answer(self) -> Answer:
        """Return what is said."""
        document = {"errors": [{"code": self.code, "message": self.text}]}
        return _json(document, status=self.status, headers=self.headers)


class RegistryServer:
    """Answers for one layout; names that come or go while it runs are seen."""

    def __init__(self, layout: Layout) -> None:
        """Serve what ``layout`` has under names."""
        self.layout = layout
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._catalog = Catalog(repositories={}, unnamed=())

    @property
    def catalog(self) -> Catalog:
        """The layout's names, read again when its index was replaced."""
        with self._lock:
            path = self.layout.root / INDEX_FILE
            state = path.stat() if path.is_file() else None
            seen = (state.st_ino, state.st_size, state.st_mtime_ns) if state else ()
            if seen != self._seen:
                self._catalog = Catalog.read(self.layout, self.layout.entries())
                self._seen = seen
            return self._catalog

    def __call__(self, request: Request) -> Answer:
        """Answer a request below ``/v2``."""
        try:
            return self.route(request)
        except RegistryFailure as failure:
            return failure.answer()
        except PackError as exc:
            return RegistryFailure(
                HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN", exc.message
            ).answer()

    def route(self, request: Request) -> Answer:
        """Find out what is asked for, and answer; raises RegistryFailure."""
        if request.method not in message.READS:
            raise RegistryFailure(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "UNSUPPORTED",
                "this registry is read-only: nothing can be pushed or deleted",
                {"Allow": "GET, HEAD"},
            )
        if request.path in {PREFIX, f"{PREFIX}/"}:
            return _json({})
        if request.path == f"{PREFIX}/_catalog":
            return self._repositories(request)
        match = ROUTE.match(request.path)
        if match is None:
            raise RegistryFailure(HTTPStatus.NOT_FOUND, "NAME_INVALID", "no such address here")
        found = self.catalog.find(match["name"], request.query.get("ns", ""))
        if match["kind"] == "referrers":
            return self._referrers(request, found, match["rest"])
        if found is None:
            raise _unknown("NAME_UNKNOWN", f"no image {match['name']} here")
        answers: Mapping[str, Callable[[Request, Repository, str], Answer]] = {
            "manifests": self._manifest,
            "blobs": self._blob,
            "tags": self._tags,
        }
        return answers[match["kind"]](request, found, match["rest"])

    def _manifest(self, request: Request, repository: Repository, name: str) -> Answer:
        found = repository.document(digest_of(name)) if ":" in name else repository.tags.get(name)
        what = f"{repository.path}: {name}"
        if found is None:
            raise _unknown("MANIFEST_UNKNOWN", f"{what}: no such manifest here")
        try:
            raw = self.layout.document(found).raw
        except NotFoundError:
            raise _unknown("MANIFEST_UNKNOWN", f"{what}: its manifest is not here") from None
        return content(request, raw, tag=str(found.digest), headers=_headers(found))

    def _blob(self, request: Request, repository: Repository, name: str) -> Answer:
        found = repository.blob(digest_of(name))
        if found is None:
            raise _unknown("BLOB_UNKNOWN", f"{repository.path}: {name}: no such blob here")
        path = self.layout.path(found.digest)
        with files.reported("read", path):
            part = message.opened(path)
        headers = {**_headers(found), "Content-Type": "application/octet-stream"}
        return content(request, part, tag=str(found.digest), headers=headers)

    def _referrers(self, request: Request, repository: Repository | None, name: str) -> Answer:
        """List what refers to a digest: nothing is no error, nor is an image that is not here."""
        digest = digest_of(name)
        known = repository.contents.referrers.get(digest, ()) if repository else ()
        wanted = request.query.get("artifactType", "")
        found = map(_referrer, known)
        kept = [each for each in found if wanted in {"", each["artifactType"]}]
        index = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": kept}
        more = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        return _json(index, headers={"Content-Type": media.OCI_INDEX, **more})

    def _tags(self, request: Request, repository: Repository, rest: str) -> Answer:
        if rest != "list":
            raise RegistryFailure(HTTPStatus.NOT_FOUND, "NAME_INVALID", "no such address here")
        tags, headers = _page(request, sorted(repository.tags))
        return _json({"name": repository.path, "tags": tags}, headers=headers)

    def _repositories(self, request: Request) -> Answer:
        names, headers = _page(request, self.catalog.paths(request.query.get("ns", "")))
        return _json({"repositories": names}, headers=headers)


def digest_of(text: str) -> Digest:
    """Read a digest of an address; raises RegistryFailure."""
    try:
        # Without its algorithm it would be taken for that of a chart's index.
        return Digest.parse(text if ":" in text else f":{text}")
    except IntegrityError as exc:
        raise RegistryFailure(HTTPStatus.BAD_REQUEST, "DIGEST_INVALID", exc.message) from exc


def _unknown(code: str, text: str) -> RegistryFailure:
    return RegistryFailure(HTTPStatus.NOT_FOUND, code, text)


def _headers(found: Descriptor) -> dict[str, str]:
    return {
        "Content-Type": found.media_type,
        "Docker-Content-Digest": str(found.digest),
        **_API,
    }


def _page(request: Request, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the names that ``n`` and ``last`` ask for, and where the next ones are."""
    last, asked = request.query.get("last", ""), request.query.get("n", "")
    if asked and not (asked.isascii() and asked.isdigit() and len(asked) < 10):  # noqa: PLR2004 - fits an int32
        text = f"n is not a number of names: {asked[:20]}"
        raise RegistryFailure(HTTPStatus.BAD_REQUEST, "PAGINATION_NUMBER_INVALID", text)
    size = min(int(asked), MAX_PAGE) if asked else MAX_PAGE
    rest = [name for name in names if name > last]
    page = rest[:size]
    if len(page) == len(rest) or not page:
        return page, {}
    kept = {"ns": request.query["ns"]} if "ns" in request.query else {}
    query = urlencode({"n": str(size), "last": page[-1], **kept})
    return page, {"Link": f'<{request.path}?{query}>; rel="next"'}


def _referrer(document: Document) -> dict[str, Any]:
    """Describe a document that refers to another (distribution-spec, "Listing Referrers")."""
    fallback = document.config.media_type if isinstance(document, Manifest) else ""
    return {
        **document.descriptor.to_json(),
        "artifactType": document.artifact_type or fallback,
        "annotations": dict(document.annotations),
    }


def _json(
    document: Mapping[str, Any],
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Answer(
        status=status, headers={"Content-Type": _JSON, **_API, **(headers or {})}, body=body
    )
