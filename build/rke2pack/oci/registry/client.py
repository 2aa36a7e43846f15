"""Registry: the reading client of one host (OCI distribution-spec, "Pull").

How a blob is streamed is in `download`, uploads are in `upload`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urljoin

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import AuthError, IntegrityError, NotFoundError, RegistryError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.registry import answer, token, wire
from rke2pack.oci.registry.answer import Response
from rke2pack.oci.registry.download import Download, Reader, Sink
from rke2pack.oci.registry.token import Authenticator, Scope
from rke2pack.oci.registry.wire import Body, Wire

MAX_TAGS = 100_000
MAX_PAGES = 2000
_PAGE = 1000
_MAX_TAGS_BYTES = 16 * 1024 * 1024
_NEXT = re.compile(r"<([^>]*)>\s*;(?:[^,]*;)?\s*rel=\"?next\"?", re.IGNORECASE)
# As `answer.refusal` writes it; without a code it is the page of some web server.
_REFUSED_WITH_CODE = re.compile(r": 4\d\d [^:(]+ \((?!UNSUPPORTED\b)[A-Z_]+\b")


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

    def head_manifest(
        self, repository: str, name: str | Digest, *, likely: Digest | None = None
    ) -> Head:
        """Ask what a tag or digest points at.

        Where it is the ``likely`` digest, the registry need not read the
        manifest (RFC 9110, If-None-Match), and nothing else is known of it.
        """
        what = f"{self.host}/{repository}{_joined(name)}"
        headers = {"Accept": media.ACCEPT}
        if likely is not None:
            headers["If-None-Match"] = f'"{likely}"'

        def attempt() -> Head:
            with self.ask(
                "HEAD",
                self.url(repository, "manifests", str(name)),
                scope=token.pull(repository),
                what=what,
                headers=headers,
                expected={200, 304} if likely is not None else None,
            ) as response:
                promised = _promised(response, what)
                if response.status_code == 304:  # noqa: PLR2004 - HTTP's own number
                    if promised not in {None, likely}:
                        msg = f"{what}: answers 304 to {likely}, and that it is {promised}"
                        raise IntegrityError(msg)
                    return Head(digest=likely, media_type="", size=None)
                return Head(
                    digest=promised,
                    media_type=media.bare(response.headers.get("Content-Type", "")),
                    size=answer.content_length(response),
                )

        return self.wire.retry(attempt)

    def find_digest(
        self, repository: str, name: str | Digest, *, likely: Digest | None = None
    ) -> Digest | None:
        """Ask what a tag or digest points at; None where it is not there.

        ``likely`` is as in `head_manifest`.
        """
        try:
            head = self.head_manifest(repository, name, likely=likely)
            if head.digest is not None:
                return head.digest
            return self.get_manifest(repository, name).descriptor.digest
        except NotFoundError:
            return None

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
        for chunk in Download(registry=self, repository=repository, blob=blob, place=sink):
            sink.write(chunk)

    def read_blob(self, repository: str, blob: Descriptor, *, start: int = 0) -> Iterator[bytes]:
        """Yield a blob's bytes from ``start`` on, as `fetch_blob` gets them."""
        place = Reader(start)
        for chunk in Download(registry=self, repository=repository, blob=blob, place=place):
            fresh = place.advance(chunk)
            if fresh:
                yield fresh

    def tags(self, repository: str, *, start: str = "") -> tuple[str, ...]:
        """List the tags that begin with ``start``, all pages, in the registry's order.

        A registry that lists in the order of text (the specification) is asked
        for no page before or after those.
        """
        what = f"{self.host}/{repository}: tags"
        after = f"&last={quote(start)}" if start else ""
        url = f"{self.url(repository, 'tags', 'list')}?n={_PAGE}{after}"
        found: list[str] = []
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            page, url = self.wire.retry(partial(self._tags_page, url, repository, what))
            found += (tag for tag in page if tag.startswith(start))
            if start and page == sorted(page) and page and not page[-1].startswith(start):
                url = url if page[-1] < start else ""
            if len(found) > MAX_TAGS:
                msg = f"{what}: more than {MAX_TAGS}"
                raise RegistryError(msg)
            _check_pages(len(seen), what)
        return tuple(dict.fromkeys(found))

    def referrers(self, repository: str, subject: Digest) -> tuple[Descriptor, ...] | None:
        """List the manifests that name ``subject`` (OCI distribution-spec 1.1, "Referrers").

        None where the registry does not know this question; raises
        NotFoundError where it refuses it for this repository.
        """
        what = f"{self.host}/{repository}: referrers of {subject}"
        url: str = self.url(repository, "referrers", str(subject))
        found: list[Descriptor] = []
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            try:
                page, url = self.wire.retry(partial(self._referrers_page, url, repository, what))
            except RegistryError as exc:
                if exc.temporary or isinstance(exc, AuthError) or found:
                    raise
                if _is_about_repository(exc):
                    raise NotFoundError(exc.message, hint=exc.hint) from exc
                return None
            found += page
            if len(found) > model.MAX_CHILDREN:
                msg = f"{what}: more than {model.MAX_CHILDREN}"
                raise RegistryError(msg)
            _check_pages(len(seen), what)
        return tuple(found)

    def _referrers_page(
        self, url: str, repository: str, what: str
    ) -> tuple[tuple[Descriptor, ...], str]:
        with self.ask(
            "GET", url, scope=token.pull(repository), what=what,
            headers={"Accept": media.OCI_INDEX},
        ) as response:  # fmt: skip
            kind = media.bare(response.headers.get("Content-Type", ""))
            body = answer.read(response, what=what, max_bytes=model.MAX_BYTES)
            following = _following(response, url, what)
        if kind != media.OCI_INDEX:
            # A page for people, which some registries have for every address.
            raise NotFoundError(f"{what}: {kind[:100] or 'no type'}")
        document = model.parse(body, media_type=kind, what=what)
        return (document.manifests if isinstance(document, model.Index) else ()), following

    def _tags_page(self, url: str, repository: str, what: str) -> tuple[list[str], str]:
        with self.ask("GET", url, scope=token.pull(repository), what=what) as response:
            body = answer.read(response, what=what, max_bytes=_MAX_TAGS_BYTES)
            following = _following(response, url, what)
        found = strictjson.load_object(body, what=what, max_bytes=_MAX_TAGS_BYTES)
        tags = found.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            msg = f"{what}: not a list of tags"
            raise IntegrityError(msg)
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
        hints: Mapping[int, str] | None = None,
        seconds: float | None = None,
    ) -> Iterator[Response]:
        """Send one request with the Authorization that ``scope`` needs (None: without any).

        ``hints`` has the next step for a refused status, ``seconds`` is how
        long the registry may be silent (None: 30). A 401 is answered
        once with a new token; the body is read a second time then.
        """
        accepted = expected or {200}
        is_free = self._has_free_heads and method == "HEAD"
        value = self._auth.header(scope) if scope is not None else None
        first = accepted | {401} if scope is not None else accepted
        with self.wire.exchange(
            method, url, what=what, expected=first, headers=headers,
            authorization=value, body=body, is_free=is_free, hints=hints, seconds=seconds,
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
            authorization=value, body=body, is_free=is_free, hints=hints, seconds=seconds,
        ) as response:  # fmt: skip
            yield response

    def url(self, repository: str, *parts: str) -> str:
        """Return the address of something in a repository."""
        return f"{self.base}/v2/{repository}/{'/'.join(parts)}"


def _following(response: Response, url: str, what: str) -> str:
    """Return the address of the next page, or nothing."""
    link = _NEXT.search(response.headers.get("Link", ""))
    following = urljoin(url, link[1]) if link else ""
    if following and wire.origin(following) != wire.origin(url):
        msg = f"{what}: the next page is on another host, refused"
        raise RegistryError(msg)
    return following


def _check_pages(number: int, what: str) -> None:
    """Raise RegistryError for a list that does not end: pages may be empty."""
    if number >= MAX_PAGES:
        msg = f"{what}: more than {MAX_PAGES} pages"
        raise RegistryError(msg)


def _is_about_repository(exc: RegistryError) -> bool:
    """Whether a refusal has one of the specification's codes: who gives one knows the question."""
    return _REFUSED_WITH_CODE.search(exc.message) is not None


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
