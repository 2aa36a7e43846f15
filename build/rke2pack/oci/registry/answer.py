"""Answer: reading what a registry sends, and telling what went wrong.

Bodies are read with a ceiling and a least rate; failures become RegistryError,
``temporary`` where the same request may succeed later.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from types import MappingProxyType
from typing import Self, cast

import requests
import urllib3

from rke2pack import strictjson, wording
from rke2pack.errors import (
    AuthError,
    IntegrityError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
)
from rke2pack.http import cause, innermost, retry_after
from rke2pack.oci.registry.heads import Bare

LONGEST_SILENCE = 900.0
_BLOCK = 1024 * 1024
_SMALL = 64 * 1024
_LONG_NUMBER = 20
_SETTLE_SECONDS = 60.0
_MAX_ERROR_BYTES = 16 * 1024
LOGIN = (
    "log in with docker, podman or skopeo, or set RKE2PACK_REGISTRY_<HOST>_USERNAME and "
    "_PASSWORD (docs/images.md); check the repository's name"
)
_TEMPORARY = frozenset({408, 425, 500, 502, 503, 504})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Response:
    """An answer whose body is still to come."""

    __slots__ = ("headers", "raw", "status_code")

    def __init__(self, raw: urllib3.BaseHTTPResponse | Bare) -> None:
        """Take what urllib3 gives, or a bare answer."""
        self.raw = raw
        self.status_code = raw.status
        self.headers = raw.headers

    def waiting(self, seconds: float) -> AbstractContextManager[None]:
        """Look after the connection for the length of a block that reads; as `Watch.over`."""
        over = getattr(self.raw, "waiting", None)
        return (
            nullcontext() if over is None else cast("AbstractContextManager[None]", over(seconds))
        )

    def close(self) -> None:
        """Close the connection, unless it was given back."""
        self.raw.close()
        self.raw.release_conn()

    def __enter__(self) -> Self:
        """Give the answer for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def read(response: Response, *, what: str, max_bytes: int) -> bytes:
    """Read a whole small body; raises RegistryError beyond ``max_bytes``."""
    body = bytearray()
    for chunk in stream(response, what=what):
        body += chunk
        if len(body) > max_bytes:
            msg = f"{what}: larger than the limit of {max_bytes} bytes"
            raise RegistryError(msg)
    return bytes(body)


def stream(
    response: Response, *, what: str, patience: float = 60.0, least: int = 16 * 1024
) -> Iterator[bytes]:
    """Yield the body as it comes; raises RegistryError for fewer than ``least`` bytes a minute.

    Bytes are as sent, whatever Content-Encoding claims.
    """
    since, got = time.monotonic(), 0
    while True:
        # urllib3 reads the line before a chunk to its end, however long that takes.
        with response.waiting(patience):
            chunk = response.raw.read1(_BLOCK, decode_content=False)
        if not chunk:
            return
        yield chunk
        got += len(chunk)
        now = time.monotonic()
        if now - since > patience:
            if got < least:
                msg = f"{what}: only {wording.count(got, 'byte')} in {now - since:.0f} s"
                raise RegistryError(msg, temporary=True)
            since, got = now, 0


def content_length(response: Response) -> int | None:
    """Return how many bytes an answer announces; None where it does not say, or not in digits."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < _LONG_NUMBER else None


def settle(response: Response, method: str) -> None:
    """Read what little is left, so that the connection can be used again."""
    length = content_length(response)
    if method == "HEAD" or (length is not None and length <= _SMALL):
        with response.waiting(_SETTLE_SECONDS):
            response.raw.read(_SMALL, decode_content=False)
        response.raw.release_conn()


def refusal(
    response: Response, what: str, hints: Mapping[int, str] = MappingProxyType({})
) -> RegistryError:
    """Return the error for an answer with a status that is none of the expected.

    ``hints`` has the next step for a status, where there is a better one than usual.
    """
    status = response.status_code
    is_limit = status == HTTPStatus.TOO_MANY_REQUESTS
    after = (
        retry_after(response.headers.get("Retry-After"))
        if is_limit or status == HTTPStatus.SERVICE_UNAVAILABLE
        else None
    )
    reason = f"{what}: {status} {_phrase(status)}{_said(response)}"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return AuthError(reason, hint=hints.get(status, LOGIN))
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(reason, hint=hints.get(status))
    kind = RateLimitedError if is_limit else RegistryError
    if after is not None and after > LONGEST_SILENCE:
        late = f"{reason}; it asks to wait {after:.0f} s"
        hint = "run it again later, or log in for a higher limit"
        return kind(late, hint=hint, retry_after=after)
    is_temporary = is_limit or status in _TEMPORARY
    return kind(reason, hint=hints.get(status), temporary=is_temporary, retry_after=after)


def breakage(exc: Exception, what: str) -> RegistryError:
    """Return the error for a connection that did not come about or broke."""
    if isinstance(exc, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        is_cut = isinstance(innermost(exc), ssl.SSLEOFError | ssl.SSLZeroReturnError)
        return RegistryError(
            f"{what}: TLS failed: {cause(exc)}",
            hint="name a private CA with --ca-file",
            temporary=is_cut,
        )
    hint = None
    if isinstance(exc, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        reason = "timed out"
    elif isinstance(exc, requests.ConnectionError):
        reason = f"not reachable: {cause(exc)}"
        hint = "check the address, this machine's network and its proxies; then run it again"
    elif isinstance(exc, urllib3.exceptions.HTTPError | OSError) and not isinstance(
        exc, requests.RequestException
    ):
        reason = f"the answer broke off: {cause(exc)}"
    else:
        return RegistryError(f"{what}: {cause(exc)}")
    return RegistryError(f"{what}: {reason}", hint=hint, temporary=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "(no HTTP status)"


def _said(response: Response) -> str:
    """Return the registry's own words (OCI distribution-spec, error codes), or nothing."""
    try:
        body = read(response, what="error", max_bytes=_MAX_ERROR_BYTES)
        found = strictjson.load_object(body, what="error", max_bytes=_MAX_ERROR_BYTES)
        error = found["errors"][0]
        words = " ".join(str(error[key]) for key in ("code", "message") if error.get(key))
    except (
        IntegrityError, RegistryError, requests.RequestException, urllib3.exceptions.HTTPError,
        OSError, KeyError, IndexError, TypeError, AttributeError,
    ):  # fmt: skip
        return ""
    words = _CONTROL.sub(" ", words).strip()[:200]
    return f" ({words})" if words else ""
