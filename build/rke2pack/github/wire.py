"""Asking GitHub: one request with the token, and again where that is safe."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import IO, Any, Final, TypeVar

import requests

from rke2pack.address import redact
from rke2pack.digest import Digest
from rke2pack.errors import ReleaseError
from rke2pack.http import retry_after

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
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_T = TypeVar("_T")
_AGAIN: Final = "run the same command again: what is there is kept"


class TemporaryError(ReleaseError):
    """The same request may succeed later; ``after`` are the seconds that the server asks for."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message, hint=_AGAIN)
        self.after = after


class StatusError(ReleaseError):
    """An answer that tells of no success and will not change by itself."""

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that was read to its end."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class _Token(requests.auth.AuthBase):
    """Puts the token into a request; requests would take netrc's without an auth."""

    secret: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.secret}"
        return request


class Wire:
    """Sends requests of one session; each is answered, or raises ReleaseError."""

    def __init__(
        self,
        session: requests.Session,
        *,
        token: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Send ``token`` with each; the caller says to which host."""
        self._session = session
        self._auth = _Token(secret=token)
        self._sleep = sleep

    def pages(self, url: str) -> Iterator[Any]:
        """Yield the entries of a list, page after page."""
        for page in range(1, _MAX_PAGES + 1):
            answer = self.answer("GET", f"{url}?per_page={_PER_PAGE}&page={page}")
            found = document_of(answer.body, url)
            if not isinstance(found, list):
                msg = f"{redact(url)}: answers with no list"
                raise ReleaseError(msg)
            yield from found
            if len(found) < _PER_PAGE:
                return

    def answer(
        self, method: str, url: str, *, accept: str = _JSON, document: object = None
    ) -> Answer:
        """Ask, and where that only reads or removes, ask again after a temporary failure."""
        headers = {"Content-Type": "application/json"} if document is not None else {}
        data = json.dumps(document).encode() if document is not None else None

        def attempt() -> Answer:
            with self.once(method, url, accept=accept, headers=headers, data=data) as answer:
                return Answer(headers=answer.headers, body=body_of(answer, url))

        return self.tried(attempt) if method in {"GET", "DELETE"} else attempt()

    def tried(self, attempt: Callable[[], _T]) -> _T:
        """Do what only reads, and again after a TemporaryError."""
        for number in range(1, _ATTEMPTS + 1):
            try:
                return attempt()
            except TemporaryError as exc:
                if number == _ATTEMPTS:
                    raise
                self._sleep(min(exc.after or 0.5 * 2**number, _LONGEST_WAIT))
        raise AssertionError

    def once(
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
                timeout=_UPLOAD_TIMEOUT if isinstance(data, FileBody) else _TIMEOUT,
                # Said again, because REQUESTS_CA_BUNDLE beats what only the session says.
                verify=session.verify if isinstance(session.verify, str) else None,
            )
        except requests.RequestException as exc:
            raise _broken(exc, url) from exc
        if not answer.ok or answer.is_redirect:
            with answer:
                raise _refused(answer, method, url)
        return answer


class FileBody:
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
        """Return the next bytes, as files do."""
        chunk = self._handle.read(_CHUNK if size < 0 else size)
        self._hashed.update(chunk)
        self.sent += len(chunk)
        return chunk

    @property
    def digest(self) -> Digest:
        """Of all bytes that were read so far."""
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
    return StatusError(reason, status=status, hint=hint)


def _said(answer: requests.Response) -> str:
    """Return what GitHub says of a refusal, in one short line."""
    try:
        document = json.loads(body_of(answer, answer.url))
        errors = document.get("errors") or []
        codes = [str(e["code"]) for e in errors if isinstance(e, dict) and e.get("code")]
        text = " ".join([str(document.get("message", "")), *codes])
    except (ReleaseError, ValueError, AttributeError, TypeError, RecursionError):
        text = answer.reason or ""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def chunks(answer: requests.Response, url: str) -> Iterator[bytes]:
    """Yield an answer's bytes; raises TemporaryError where it breaks off."""
    try:
        yield from answer.iter_content(_CHUNK)
    except requests.RequestException as exc:
        raise _broken(exc, url) from exc


def body_of(answer: requests.Response, url: str) -> bytes:
    """Read an answer to its end; raises ReleaseError where it is too long."""
    body = bytearray()
    for chunk in chunks(answer, url):
        body += chunk
        if len(body) > MAX_ANSWER:
            msg = f"{redact(url)}: answers with more than {MAX_ANSWER} bytes"
            raise ReleaseError(msg)
    return bytes(body)


def document_of(body: bytes, url: str) -> Any:  # noqa: ANN401 - any JSON
    """Parse an answer of ``url``; raises ReleaseError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        msg = f"{redact(url)}: answers with no JSON"
        raise ReleaseError(msg, hint="check --api") from exc
