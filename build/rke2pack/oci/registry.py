"""Registry: the reading client of one host (OCI distribution-spec, "Pull").

Uploads are in `rke2pack.oci.upload`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, RegistryError
from rke2pack.oci import answer, media, model, strictjson, token, wire
from rke2pack.oci.answer import Response
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.token import Authenticator, Scope
from rke2pack.oci.wire import Body, Wire

MAX_TAGS = 100_000
_PAGE = 1000
_MAX_TAGS_BYTES = 16 * 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")
_NEXT = re.compile(r"<([^>]*)>\s*;(?:[^,]*;)?\s*rel=\"?next\"?", re.IGNORECASE)
# Once so many new bytes came, earlier failures are forgotten: a long blob may break often.
_PROGRESS = 256 * 1024


class Sink(Protocol):
    """Where a blob goes; ``offset`` is how many of its bytes are there already."""

    offset: int

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def restart(self) -> None:
        """Forget all bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a registry says about a manifest; ``digest`` is None where it does not tell."""

    digest: Digest | None
    media_type: str
    size: int | None


class Registry:
    """Reads manifests, blobs and tags of one host; safe for threads.

    Every method raises RegistryError (NotFoundError, AuthError,
    RateLimitedError) after its own retries, and IntegrityError for bytes that
    are not what their digest promises.
    """

    def __init__(
        self, host: str, *, base: str, wire: Wire, auth: Authenticator, has_free_heads: bool = False
    ) -> None:
        """``host`` is the name in references, ``base`` the address that answers for it."""
        self.host = host
        self.base = base.rstrip("/")
        self.wire = wire
        self._auth = auth
        self._has_free_heads = has_free_heads

    def head_manifest(self, repository: str, name: str | Digest) -> Head:
        """Ask what a tag or digest points at."""
        what = f"{self.host}/{repository}{_joined(name)}"

        def attempt() -> Head:
            with self.ask(
                "HEAD",
                self.url(repository, "manifests", str(name)),
                scope=token.pull(repository),
                what=what,
                headers={"Accept": media.ACCEPT},
            ) as response:
                length = response.headers.get("Content-Length", "")
                return Head(
                    digest=_promised(response, what),
                    media_type=media.bare(response.headers.get("Content-Type", "")),
                    size=int(length) if length.isdigit() else None,
                )

        return self.wire.retry(attempt)

    def get_manifest(self, repository: str, name: str | Digest) -> Document:
        """Fetch a manifest or index; its bytes are checked against every digest there is."""
        what = f"{self.host}/{repository}{_joined(name)}"

        def attempt() -> tuple[bytes, str, Digest | None]:
            with self.ask(
                "GET",
                self.url(repository, "manifests", str(name)),
                scope=token.pull(repository),
                what=what,
                headers={"Accept": media.ACCEPT},
            ) as response:
                body = answer.read(response, what=what, max_bytes=model.MAX_BYTES)
                kind = media.bare(response.headers.get("Content-Type", ""))
                return body, kind, _promised(response, what)

        body, kind, promised = self.wire.retry(attempt)
        if isinstance(name, Digest):
            name.verify(body, what=what)
        # Schema 1 is signed: its digest is not the one of all its bytes.
        if promised is not None and kind not in media.SCHEMA_1:
            promised.verify(body, what=f"{what}: Docker-Content-Digest")
        return model.parse(body, media_type=kind, what=what)

    def has_blob(self, repository: str, digest: Digest, *, scope: Scope | None = None) -> bool:
        """Whether the repository has a blob."""
        what = f"{self.host}/{repository}@{digest}"

        def attempt() -> bool:
            with self.ask(
                "HEAD",
                self.url(repository, "blobs", str(digest)),
                scope=scope or token.pull(repository),
                what=what,
            ):
                return True

        try:
            return self.wire.retry(attempt)
        except NotFoundError:
            return False

    def fetch_blob(self, repository: str, blob: Descriptor, sink: Sink) -> None:
        """Stream a blob into ``sink`` from where it stands.

        A broken connection is taken up again by Range. The sink checks the
        digest; a body longer or shorter than the descriptor is an IntegrityError.
        """
        what = f"{self.host}/{repository}@{blob.digest}"
        try:
            url = self.url(repository, "blobs", str(blob.digest))
            self._fetch(url, what, blob, sink, token.pull(repository))
        except NotFoundError:
            # A foreign layer (Windows): elsewhere, without credentials, same digest.
            others = [url for url in blob.urls if url.startswith("https://")]
            if not others:
                raise
            self._fetch(others[0], f"{what} at {urlsplit(others[0]).hostname}", blob, sink, None)

    def _fetch(
        self, url: str, what: str, blob: Descriptor, sink: Sink, scope: Scope | None
    ) -> None:
        failures, mark = 0, sink.offset
        uses_range = True
        while True:
            if not uses_range and sink.offset:
                sink.restart()
            error: RegistryError
            try:
                for chunk in self._body(url, what, blob, sink, scope):
                    sink.write(chunk)
                    self.wire.count(len(chunk))
                    self.wire.pace.check()
            except _RangeRefusedError as exc:
                uses_range, error = False, exc
            except RegistryError as exc:
                error = exc
            else:
                return
            failures = 1 if sink.offset - mark >= _PROGRESS else failures + 1
            mark = sink.offset
            self.wire.rest(failures, error)

    def _body(
        self, url: str, what: str, blob: Descriptor, sink: Sink, scope: Scope | None
    ) -> Iterator[bytes]:
        """Yield the bytes that ``sink`` lacks; it is restarted where the server sends all."""
        start = sink.offset
        if start >= blob.size > 0:
            return
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.ask(
            "GET", url, scope=scope, what=what, headers=headers, expected={200, 206, 416}
        ) as response:
            _check_range(response, start, blob, what)
            if start and response.status_code == 200:  # noqa: PLR2004 - Range is a SHOULD
                sink.restart()
                start = 0
            left = blob.size - start
            for chunk in answer.stream(response, what=what):
                left -= len(chunk)
                if left < 0:
                    msg = f"{what}: longer than the {blob.size} bytes of its descriptor"
                    raise IntegrityError(msg)
                yield chunk
            if left:
                raise _too_short(response, what, left, blob)

    def tags(self, repository: str) -> tuple[str, ...]:
        """List every tag, all pages, in the registry's order."""
        what = f"{self.host}/{repository}: tags"
        url = f"{self.url(repository, 'tags', 'list')}?n={_PAGE}"
        found: list[str] = []
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            page, url = self.wire.retry(partial(self._tags_page, url, repository, what))
            found += page
            if len(found) > MAX_TAGS:
                msg = f"{what}: more than {MAX_TAGS}"
                raise RegistryError(msg)
        return tuple(dict.fromkeys(found))

    def _tags_page(self, url: str, repository: str, what: str) -> tuple[list[str], str]:
        with self.ask("GET", url, scope=token.pull(repository), what=what) as response:
            body = answer.read(response, what=what, max_bytes=_MAX_TAGS_BYTES)
            link = _NEXT.search(response.headers.get("Link", ""))
        found = strictjson.load_object(body, what=what, max_bytes=_MAX_TAGS_BYTES)
        tags = found.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            msg = f"{what}: not a list of tags"
            raise IntegrityError(msg)
        following = urljoin(url, link[1]) if link else ""
        if following and wire.origin(following) != wire.origin(url):
            msg = f"{what}: the next page is on another host, refused"
            raise RegistryError(msg)
        return tags, following

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        url: str,
        *,
        scope: Scope | None,
        what: str,
        headers: dict[str, str] | None = None,
        body: Body | None = None,
        expected: set[int] | None = None,
    ) -> Iterator[Response]:
        """Send one request with the Authorization that ``scope`` needs (None: without any).

        A 401 is answered once with a new token. A body that can be read only
        once must not be sent before the scope was asked for.
        """
        accepted = expected or {200}
        is_free = self._has_free_heads and method == "HEAD"
        value = self._auth.header(scope) if scope is not None else None
        first = accepted | {401} if scope is not None else accepted
        with self.wire.exchange(
            method, url, what=what, expected=first, headers=headers,
            authorization=value, body=body, is_free=is_free,
        ) as response:  # fmt: skip
            if response.status_code != 401 or scope is None:  # noqa: PLR2004 - HTTP's own number
                yield response
                return
            lines = response.raw.headers.getlist("WWW-Authenticate")
        value = self._auth.answer(lines, scope, value)
        if body is not None and not isinstance(body, bytes):
            body.seek(0)
        with self.wire.exchange(
            method, url, what=what, expected=accepted, headers=headers,
            authorization=value, body=body, is_free=is_free,
        ) as response:  # fmt: skip
            yield response

    def url(self, repository: str, *parts: str) -> str:
        """Return the address of something in a repository."""
        return f"{self.base}/v2/{repository}/{'/'.join(parts)}"


class _RangeRefusedError(RegistryError):
    """A part came that was not asked for; the next request is for the whole."""


def _joined(name: str | Digest) -> str:
    return f"@{name}" if isinstance(name, Digest) else f":{name}"


def _promised(response: Response, what: str) -> Digest | None:
    text = response.headers.get("Docker-Content-Digest")
    if not text:
        return None
    try:
        return Digest.parse(text)
    except IntegrityError as exc:
        msg = f"{what}: Docker-Content-Digest: {exc.message}"
        raise IntegrityError(msg) from exc


def _check_range(response: Response, start: int, blob: Descriptor, what: str) -> None:
    """Refuse a part other than the one asked for, and a length other than the descriptor's."""
    if response.status_code == 416:  # noqa: PLR2004 - HTTP's own number
        msg = f"{what}: the registry cannot go on at byte {start}"
        raise _RangeRefusedError(msg, temporary=True)
    if response.status_code == 206:  # noqa: PLR2004 - HTTP's own number
        said = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.match(said)
        whole = str(blob.size)
        fits = match and (match[1], match[2]) == (str(start), str(blob.size - 1))
        if not start or not match or not fits or match[3] not in {whole, "*"}:
            msg = f"{what}: asked for bytes {start}-, got {said[:100]!r}, refused"
            raise _RangeRefusedError(msg, temporary=True)
        return
    length = response.headers.get("Content-Length", "")
    if length.isdigit() and int(length) != blob.size:
        msg = f"{what}: the registry has {length} bytes, its descriptor says {blob.size}"
        raise IntegrityError(msg)


def _too_short(
    response: Response, what: str, left: int, blob: Descriptor
) -> RegistryError | IntegrityError:
    """Tell a body that ends properly, and is wrong, from one that may have been cut."""
    if "Content-Length" in response.headers or "Transfer-Encoding" in response.headers:
        msg = f"{what}: {left} bytes shorter than the {blob.size} of its descriptor"
        return IntegrityError(msg)
    return RegistryError(f"{what}: the answer broke off", temporary=True)
