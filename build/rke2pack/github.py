"""The door to GitHub's releases (REST API, version 2022-11-28), also of GitHub Enterprise.

A token comes from the caller and goes to the API's own host and its host for uploads,
nowhere else; no message holds it. Reading is tried again where the failure is
temporary; what writes is not: the caller looks first what has become of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import requests

from rke2pack import files
from rke2pack.address import redact
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ReleaseError
from rke2pack.http import retry_after

if TYPE_CHECKING:
    from datetime import datetime

API: Final = "https://api.github.com"
MAX_ANSWER: Final = 16 * 1024 * 1024
_VERSION: Final = "2022-11-28"
_JSON: Final = "application/vnd.github+json"
_PER_PAGE: Final = 100
_MAX_PAGES: Final = 100
_ATTEMPTS: Final = 4
_LONGEST_WAIT: Final = 60.0
_TIMEOUT: Final = (10.0, 60.0)
_UPLOAD_TIMEOUT: Final = (60.0, 300.0)
_CHUNK: Final = 1024 * 1024
_MAX_SHOWN: Final = 300
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}\Z")
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}\Z")
_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_T = TypeVar("_T")
_AGAIN: Final = "run the same command again: what is there is kept"


class TemporaryError(ReleaseError):
    """The same request may succeed later; ``after`` are the seconds that the server asks for."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message, hint=_AGAIN)
        self.after = after


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAsset:
    """A file of a release as GitHub has it; a half sent one has another state than uploaded.

    ``digest`` is None where the server does not tell one (older GitHub Enterprise).
    """

    id: int
    name: str
    size: int
    state: str
    digest: Digest | None

    @property
    def is_whole(self) -> bool:
        """Whether it was sent to its end."""
        return self.state == "uploaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRelease:
    """A release, or a draft of one; ``address`` is where people look at it."""

    id: int
    tag: str
    is_draft: bool
    address: str
    uploads: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class _Token(requests.auth.AuthBase):
    """Puts the token into a request; requests would take netrc's without an auth."""

    secret: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.secret}"
        return request


class GitHub:
    """The releases of one repository."""

    def __init__(
        self,
        session: requests.Session,
        repository: str,
        *,
        token: str,
        api: str = API,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use ``session`` for ``repository`` (OWNER/NAME); raises ReleaseError for other names."""
        if not _REPOSITORY.match(repository):
            msg = f"{repository[:200]!r}: not a repository"
            raise ReleaseError(msg, hint="write it as OWNER/NAME")
        parts = urlsplit(api)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username:
            msg = f"{redact(api)}: not an address of GitHub's API"
            raise ReleaseError(msg, hint="write it as https://github.example.com/api/v3")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            msg = f"{redact(api)}: the token would travel in the clear"
            raise ReleaseError(msg, hint="write the address with https")
        self.repository = repository
        self._session = session
        self._api = api.rstrip("/")
        self._root = f"{self._api}/repos/{repository}"
        self._auth = _Token(secret=token)
        self._sleep = sleep

    def clock(self) -> datetime | None:
        """Return what time the server has; None where it does not say."""
        date = self._answer("GET", self._root).headers.get("Date")
        try:
            return parsedate_to_datetime(date) if date else None
        except ValueError:
            return None

    def commit_of(self, tag: str) -> str | None:
        """Return the commit that a tag points at there; None where there is no such tag."""
        url = f"{self._root}/commits/{quote(f'refs/tags/{tag}', safe='')}"
        try:
            answer = self._answer("GET", url, accept="application/vnd.github.sha")
        except _StatusError as exc:
            if exc.status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                return None
            raise
        text = answer.body.decode(errors="replace").strip()
        if not _COMMIT.match(text):
            msg = f"{redact(url)}: answers with no commit"
            raise ReleaseError(msg)
        return text

    def releases(self, tag: str) -> tuple[RemoteRelease, ...]:
        """Return the releases and drafts of a tag; only a token that may write sees drafts."""
        found = (_release(each, self._root) for each in self._pages(f"{self._root}/releases"))
        return tuple(each for each in found if each.tag == tag)

    def create_draft(self, tag: str, *, name: str, body: str, is_prerelease: bool) -> RemoteRelease:
        """Make a draft, which nobody but the repository's own people see."""
        document = {
            "tag_name": tag, "name": name, "body": body,
            "draft": True, "prerelease": is_prerelease,
        }  # fmt: skip
        answer = self._answer("POST", f"{self._root}/releases", document=document)
        return _release(_document(answer.body, self._root), self._root)

    def publish(self, release: RemoteRelease) -> RemoteRelease:
        """Make a draft a release; GitHub decides by version and date whether it is the latest."""
        document = {"draft": False, "make_latest": "legacy"}
        url = f"{self._root}/releases/{release.id}"
        answer = self._answer("PATCH", url, document=document)
        return _release(_document(answer.body, url), self._root)

    def assets(self, release: RemoteRelease) -> tuple[RemoteAsset, ...]:
        """Return the files of a release, those half sent too."""
        url = f"{self._root}/releases/{release.id}/assets"
        return tuple(_asset(each, url) for each in self._pages(url))

    def delete(self, asset: RemoteAsset) -> None:
        """Remove a file; nothing happens where it is gone already."""
        url = f"{self._root}/releases/assets/{asset.id}"
        try:
            self._answer("DELETE", url)
        except _StatusError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise

    def upload(self, release: RemoteRelease, name: str, path: Path, digest: Digest) -> RemoteAsset:
        """Send a file, hashed on its way.

        Raises TemporaryError where it broke off: something half may be there
        then. Raises IntegrityError where the file no longer has ``digest``; what
        is there then is wrong and is the caller's to delete.
        """
        url = f"{self._upload_root(release)}?name={quote(name, safe='')}"
        with files.reported("read", path), path.open("rb") as handle:
            body = _Body(handle, path.stat().st_size)
            headers = {"Content-Type": "application/octet-stream"}
            with self._once("POST", url, headers=headers, data=body) as answer:
                sent = _asset(_document(_body(answer, url), url), url)
        if body.sent < len(body):
            msg = f"{name}: GitHub answered when {body.sent} of {len(body)} bytes were sent"
            raise TemporaryError(msg)
        if body.digest != digest:
            msg = f"{path}: changed while it was sent, is {body.digest}, was {digest}"
            raise IntegrityError(msg, hint="find out who writes to it, then run this again")
        return sent

    def digest_of(self, asset: RemoteAsset) -> Digest:
        """Download a file and return its digest; nothing is kept."""
        url = f"{self._root}/releases/assets/{asset.id}"

        def once() -> Digest:
            hashed, size = hashlib.sha256(), 0
            with self._once("GET", url, accept="application/octet-stream") as answer:
                for chunk in _chunks(answer, url):
                    hashed.update(chunk)
                    size += len(chunk)
                    if size > asset.size:
                        msg = f"{asset.name}: more than the {asset.size} bytes that it should have"
                        raise IntegrityError(msg)
            if size < asset.size:
                msg = f"{asset.name}: the download broke off"
                raise TemporaryError(msg)
            return Digest(hashed.hexdigest())

        return self._tried(once)

    def pull_request(self, *, head: str, base: str, title: str, body: str) -> str:
        """Open a pull request, or find the open one of the same branches; returns its address.

        ``head`` is ``OWNER:BRANCH``.
        """
        url = f"{self._root}/pulls"
        query = f"state=open&head={quote(head, safe=':')}&base={quote(base, safe='')}"
        found = _document(self._answer("GET", f"{url}?{query}").body, url)
        if not isinstance(found, list):
            msg = f"{redact(url)}: answers with no list"
            raise ReleaseError(msg)
        if not found:
            document = {"title": title, "head": head, "base": base, "body": body}
            found = [_document(self._answer("POST", url, document=document).body, url)]
        address = found[0].get("html_url") if isinstance(found[0], dict) else None
        if not isinstance(address, str):
            msg = f"{redact(url)}: answers with no pull request"
            raise ReleaseError(msg)
        return address

    def _upload_root(self, release: RemoteRelease) -> str:
        """Return where files go; raises ReleaseError for a host that the token is not for."""
        url = release.uploads.partition("{")[0]
        theirs, ours = urlsplit(url), urlsplit(self._api)
        uploads = f"uploads.{(ours.hostname or '').removeprefix('api.')}"
        is_same = (theirs.hostname, theirs.port) == (ours.hostname, ours.port)
        is_known = is_same or (theirs.hostname == uploads and theirs.port == ours.port)
        if theirs.scheme != ours.scheme or not is_known or theirs.username:
            msg = f"{redact(url)}: not where {ours.hostname} takes files, the token stays here"
            raise ReleaseError(msg)
        return url

    def _pages(self, url: str) -> Iterator[Any]:
        for page in range(1, _MAX_PAGES + 1):
            answer = self._answer("GET", f"{url}?per_page={_PER_PAGE}&page={page}")
            found = _document(answer.body, url)
            if not isinstance(found, list):
                msg = f"{redact(url)}: answers with no list"
                raise ReleaseError(msg)
            yield from found
            if len(found) < _PER_PAGE:
                return

    def _answer(
        self, method: str, url: str, *, accept: str = _JSON, document: object = None
    ) -> _Answer:
        """Ask, and where that only reads or removes, ask again after a temporary failure."""
        headers = {"Content-Type": "application/json"} if document is not None else {}
        data = json.dumps(document).encode() if document is not None else None

        def once() -> _Answer:
            with self._once(method, url, accept=accept, headers=headers, data=data) as answer:
                return _Answer(headers=answer.headers, body=_body(answer, url))

        return self._tried(once) if method in {"GET", "DELETE"} else once()

    def _tried(self, once: Callable[[], _T]) -> _T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return once()
            except TemporaryError as exc:
                if attempt == _ATTEMPTS:
                    raise
                self._sleep(min(exc.after or 0.5 * 2**attempt, _LONGEST_WAIT))
        raise AssertionError

    def _once(
        self,
        method: str,
        url: str,
        *,
        accept: str = _JSON,
        headers: Mapping[str, str] | None = None,
        data: Any = None,  # noqa: ANN401 - bytes or what requests reads from
    ) -> requests.Response:
        """Ask once; the answer is open, and of a status that tells of success."""
        session = self._session
        try:
            answer = session.request(
                method,
                url,
                headers={"Accept": accept, "X-GitHub-Api-Version": _VERSION, **(headers or {})},
                data=data,
                auth=self._auth,
                stream=True,
                allow_redirects=method == "GET",
                timeout=_UPLOAD_TIMEOUT if isinstance(data, _Body) else _TIMEOUT,
                # Said again, because REQUESTS_CA_BUNDLE beats what only the session says.
                verify=session.verify if isinstance(session.verify, str) else None,
            )
        except requests.RequestException as exc:
            raise _broken(exc, url) from exc
        if not answer.ok or answer.is_redirect:
            with answer:
                raise _refused(answer, method, url)
        return answer


class _StatusError(ReleaseError):
    """An answer that tells of no success and will not change by itself."""

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class _Body:
    """A file as requests sends it: its length is known, and its bytes are hashed on their way."""

    def __init__(self, handle: IO[bytes], size: int) -> None:
        self._handle = handle
        self._size = size
        self._hashed = hashlib.sha256()
        self.sent = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk

    def read(self, size: int = -1) -> bytes:
        chunk = self._handle.read(_CHUNK if size < 0 else size)
        self._hashed.update(chunk)
        self.sent += len(chunk)
        return chunk

    @property
    def digest(self) -> Digest:
        return Digest(self._hashed.hexdigest())


def _broken(exc: requests.RequestException, url: str) -> ReleaseError:
    if isinstance(exc, requests.exceptions.SSLError):
        msg = f"{redact(url)}: TLS failed"
        return ReleaseError(msg, hint="name a private CA with --ca-file")
    why = "timed out" if isinstance(exc, requests.Timeout) else "not reachable, or it broke off"
    return TemporaryError(f"{redact(url)}: {why}")


def _refused(answer: requests.Response, method: str, url: str) -> ReleaseError:
    status, shown = answer.status_code, redact(url)
    reason = f"{method} {shown}: {status} {_said(answer)}".rstrip()
    after = retry_after(answer.headers.get("Retry-After"))
    is_limited = after is not None or answer.headers.get("X-RateLimit-Remaining") == "0"
    if status in _TEMPORARY or (status == HTTPStatus.FORBIDDEN and is_limited):
        return TemporaryError(reason, after=after)
    hints = {
        HTTPStatus.UNAUTHORIZED: "set GITHUB_TOKEN to a token that is valid",
        HTTPStatus.FORBIDDEN: "use a token that may write contents (contents: write)",
        HTTPStatus.NOT_FOUND: "check --repo, and that the token may write there",
    }
    hint = next((text for code, text in hints.items() if code == status), None)
    return _StatusError(reason, status=status, hint=hint)


def _said(answer: requests.Response) -> str:
    """Return what GitHub says of a refusal, in one short line."""
    try:
        document = json.loads(_body(answer, answer.url))
        errors = document.get("errors") or []
        codes = [str(e["code"]) for e in errors if isinstance(e, dict) and e.get("code")]
        text = " ".join([str(document.get("message", "")), *codes])
    except (ReleaseError, ValueError, AttributeError, TypeError, RecursionError):
        text = answer.reason or ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def _chunks(answer: requests.Response, url: str) -> Iterator[bytes]:
    try:
        yield from answer.iter_content(_CHUNK)
    except requests.RequestException as exc:
        raise _broken(exc, url) from exc


def _body(answer: requests.Response, url: str) -> bytes:
    body = bytearray()
    for chunk in _chunks(answer, url):
        body += chunk
        if len(body) > MAX_ANSWER:
            msg = f"{redact(url)}: answers with more than {MAX_ANSWER} bytes"
            raise ReleaseError(msg)
    return bytes(body)


def _document(body: bytes, url: str) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        msg = f"{redact(url)}: answers with no JSON"
        raise ReleaseError(msg, hint="check --api") from exc


def _shown(text: str) -> str:
    """Return a server's text as it may stand in a line; what does not print is written out."""
    return text if text.isprintable() and len(text) <= _MAX_SHOWN else ascii(text[:_MAX_SHOWN])


def _release(found: object, url: str) -> RemoteRelease:
    match found:
        case {"id": int(number), "tag_name": str(tag), "draft": bool(is_draft), **rest}:
            return RemoteRelease(
                id=number,
                tag=tag,
                is_draft=is_draft,
                address=_shown(redact(str(rest.get("html_url", "")))),
                uploads=str(rest.get("upload_url", "")),
            )
    msg = f"{redact(url)}: answers with no release"
    raise ReleaseError(msg, hint="check --api")


def _asset(found: object, url: str) -> RemoteAsset:
    match found:
        case {"id": int(number), "name": str(name), "size": int(size), "state": str(state), **rest}:
            digest = rest.get("digest")
            is_sha = isinstance(digest, str) and _SHA256.match(digest)
            return RemoteAsset(
                id=number,
                name=_shown(name),
                size=size,
                state=_shown(state),
                digest=Digest.parse(str(digest)) if is_sha else None,
            )
    msg = f"{redact(url)}: answers with no asset"
    raise ReleaseError(msg, hint="check --api")
