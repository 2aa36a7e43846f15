"""The door to HTTP: one session factory and one way to fetch small things.

Proxies, NO_PROXY and netrc come from the environment as ``requests`` reads
them. Every read has a timeout, a byte ceiling and a deadline; only what the
error calls temporary is tried again (tenacity), ``Retry-After`` is obeyed.
``requests`` drops credentials on a redirect to another host; a redirect from
https to http is refused here.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tenacity

from rke2pack import __version__
from rke2pack.address import redact
from rke2pack.errors import AuthError, ConfigError, NotFoundError, RateLimitedError, RegistryError

USER_AGENT = f"rke2pack/{__version__}"
MAX_REDIRECTS = 5
_ATTEMPTS = 4
_TIMEOUT = (10.0, 30.0)
_DEADLINE = 300.0
_LONGEST_WAIT = 60.0
_LOOPBACK = ("http://127.0.0.1", "http://localhost")  # no proxy reaches this machine's loopback
_CHUNK = 64 * 1024
_TEMPORARY = frozenset({408, 425, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished response: ``body`` is empty for 304."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def new_session(*, ca_file: Path | None = None) -> requests.Session:
    """Return a session that trusts ``ca_file`` instead of the system's authorities."""
    if ca_file is not None and not ca_file.is_file():
        msg = f"{ca_file}: no such CA file"
        raise ConfigError(msg)
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = MAX_REDIRECTS
    session.proxies.update(dict.fromkeys(_LOOPBACK, ""))
    if ca_file is not None:
        session.verify = str(ca_file)
    return session


class Fetcher:
    """Fetches whole small documents (indexes, chart archives) with retries."""

    def __init__(
        self, session: requests.Session, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Use ``session``; ``sleep`` is called between attempts, with seconds."""
        self._session = session
        self._sleep = sleep

    def get(
        self,
        url: str,
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        compressed: bool = False,
    ) -> Answer:
        """GET ``url``; 200 and 304 are answers, anything else is a RegistryError.

        ``compressed`` lets the server use Content-Encoding; the ceiling counts
        the bytes that come out of it. Archives are asked for as they are.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_temporary),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self._sleep,
            reraise=True,
        )
        wanted = {"Accept-Encoding": "gzip" if compressed else "identity", **(headers or {})}
        return retrying(self._get_once, url, max_bytes, wanted)

    def _get_once(self, url: str, max_bytes: int, headers: Mapping[str, str]) -> Answer:
        shown = redact(url)
        try:
            with self._session.get(
                url, headers=dict(headers), stream=True, timeout=_TIMEOUT
            ) as response:
                _check_redirects(response, shown)
                _check_status(response, shown)
                body = _read(response, shown, max_bytes)
                return Answer(
                    status=response.status_code, headers=dict(response.headers), body=body
                )
        except requests.RequestException as exc:
            raise _translated(exc, shown) from exc


def _read(response: requests.Response, shown: str, max_bytes: int) -> bytes:
    deadline = time.monotonic() + _DEADLINE
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            msg = f"{shown}: larger than the limit of {max_bytes} bytes"
            raise RegistryError(msg, hint="check that the address is a chart repository")
        if time.monotonic() > deadline:
            msg = f"{shown}: not finished after {_DEADLINE:.0f} s"
            raise RegistryError(msg, temporary=False)
    return bytes(body)


def _check_redirects(response: requests.Response, shown: str) -> None:
    """Refuse an answer that came over plain http although https was asked for."""
    chain = [*response.history, response]
    schemes = [urlsplit(r.url).scheme for r in chain]
    if "https" in schemes and "http" in schemes[schemes.index("https") :]:
        msg = f"{shown}: redirects from https to http, refused"
        raise RegistryError(msg)


def _check_status(response: requests.Response, shown: str) -> None:
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        return
    reason = f"{shown}: {status} {response.reason or ''}".rstrip()
    after = _retry_after(response.headers.get("Retry-After"))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise AuthError(reason, hint="check the credentials in netrc or in the address")
    if status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(reason, hint="check the address of the chart repository")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimitedError(reason, temporary=True, retry_after=after)
    raise RegistryError(reason, temporary=status in _TEMPORARY, retry_after=after)


def _translated(exc: requests.RequestException, shown: str) -> RegistryError:
    if isinstance(exc, requests.exceptions.SSLError):
        return RegistryError(
            f"{shown}: TLS failed: {_root(exc)}", hint="name a private CA with --ca-file"
        )
    if isinstance(exc, requests.TooManyRedirects):
        return RegistryError(f"{shown}: more than {MAX_REDIRECTS} redirects")
    if isinstance(exc, requests.Timeout):
        return RegistryError(f"{shown}: timed out", temporary=True)
    if isinstance(exc, requests.exceptions.ContentDecodingError):
        return RegistryError(f"{shown}: damaged Content-Encoding", temporary=True)
    if isinstance(exc, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return RegistryError(f"{shown}: not reachable: {_root(exc)}", temporary=True)
    return RegistryError(f"{shown}: {_root(exc)}")


def _root(exc: BaseException) -> str:
    """Return the innermost reason as one line, without the address (it may hold credentials)."""
    reason = exc
    while True:
        inner = reason.__cause__ or reason.__context__ or getattr(reason, "reason", None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return type(reason).__name__ if "://" in str(reason) else " ".join(str(reason).split())[:200]


def _is_temporary(exc: BaseException) -> bool:
    return isinstance(exc, RegistryError) and exc.temporary


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt: the server's own word, or doubling with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, RegistryError) else None
    if asked is not None:
        return min(asked, _LONGEST_WAIT)
    return float(tenacity.wait_exponential_jitter(initial=0.5, max=10.0)(state))


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())
