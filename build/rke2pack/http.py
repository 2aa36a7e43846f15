"""The door to HTTP: one session factory and one way to fetch small things.

Proxies, NO_PROXY and netrc come from the environment as ``requests`` reads
them. Every read has a timeout, a byte ceiling and a deadline; only what the
error calls temporary is tried again (tenacity), ``Retry-After`` is obeyed.
``requests`` drops credentials on a redirect to another host; a redirect from
https to http is refused here.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from rke2pack import __version__
from rke2pack.address import redact
from rke2pack.errors import AuthError, ConfigError, NotFoundError, RateLimitedError, RegistryError

USER_AGENT = f"rke2pack/{__version__}"
MAX_REDIRECTS = 5
_ATTEMPTS = 4
_TIMEOUT = (10.0, 30.0)
_DEADLINE = 300.0
_LONGEST_WAIT = 60.0
# No proxy reaches this machine's loopback.
_LOOPBACK = tuple(
    f"{scheme}://{host}"
    for scheme in ("http", "https")
    for host in ("127.0.0.1", "localhost", "::1")
)
_CHUNK = 64 * 1024
_TEMPORARY = frozenset({408, 425, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished response: ``body`` is empty for 304."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Session(requests.Session):
    """Looks at a redirect before it is followed."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where an answer leads; raises RegistryError instead of leaving https."""
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        # Nobody reads the body of a redirect; requests would, to its end if there is one.
        resp.close()
        resp._content = b""  # noqa: SLF001 - what resp.content gives
        try:
            schemes = urlsplit(resp.url).scheme, urlsplit(target).scheme
        except ValueError as exc:
            msg = f"{redact(resp.url)}: redirects to what is no address"
            raise RegistryError(msg) from exc
        if schemes == ("https", "http"):
            msg = f"{redact(resp.url)}: redirects from https to http, refused"
            raise RegistryError(msg)
        return target

    def rebuild_proxies(
        self, prepared_request: requests.PreparedRequest, proxies: Mapping[str, str] | None
    ) -> dict[str, str]:
        """Return the proxies for a redirect, as the environment has them for its host.

        requests keeps those of the first host, and tells the proxy's password to whomever
        it leads to; the adapter tells it to the proxy alone.
        """
        del proxies
        found: dict[str, str] = super().rebuild_proxies(  # type: ignore[no-untyped-call]
            prepared_request, dict(self.proxies)
        )
        prepared_request.headers.pop("Proxy-Authorization", None)
        return found


def new_session(*, ca_file: Path | None = None) -> requests.Session:
    """Return a session that trusts ``ca_file`` instead of the system's authorities."""
    if ca_file is not None:
        _check_authorities(ca_file)
    session = _Session()
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = MAX_REDIRECTS
    session.proxies.update(dict.fromkeys(_LOOPBACK, ""))
    if ca_file is not None:
        session.verify = str(ca_file)
    return session


def _check_authorities(ca_file: Path) -> None:
    """Raise ConfigError for a file that requests would only complain about when it connects."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except ssl.SSLError as exc:
        msg = f"{ca_file}: not a file of certificates (PEM)"
        raise ConfigError(msg, hint="name the certificate of the CA with --ca-file") from exc
    except OSError as exc:
        msg = f"cannot read the CA file {ca_file}: {exc.strerror}"
        raise ConfigError(msg, hint="check the path behind --ca-file") from exc


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
                url,
                headers=dict(headers),
                stream=True,
                timeout=_TIMEOUT,
                auth=_own_auth(url),
                # Said again, because REQUESTS_CA_BUNDLE beats what only the session says.
                verify=self._session.verify if isinstance(self._session.verify, str) else None,
            ) as response:
                _check_status(response, shown)
                if "identity" in headers["Accept-Encoding"]:
                    # Servers that call an archive's own gzip an encoding mean the archive.
                    response.raw.headers.pop("Content-Encoding", None)
                body = _read(response, shown, max_bytes)
                return Answer(
                    status=response.status_code, headers=dict(response.headers), body=body
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise _translated(exc, shown) from exc


def _own_auth(url: str) -> tuple[str, str] | None:
    """Return the address's own user and password, which count more than netrc's."""
    user, password = requests.utils.get_auth_from_url(url)
    return (user, password) if user else None


def _read(response: requests.Response, shown: str, max_bytes: int) -> bytes:
    deadline = time.monotonic() + _DEADLINE
    body = bytearray()
    # read1 returns what has come; reading whole chunks lets a slow server outlast the deadline.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            msg = f"{shown}: larger than the limit of {max_bytes} bytes"
            raise RegistryError(msg, hint="check that the address is a chart repository")
        if time.monotonic() > deadline:
            msg = f"{shown}: not finished after {_DEADLINE:.0f} s"
            raise RegistryError(msg, temporary=False)
    return bytes(body)


def _check_status(response: requests.Response, shown: str) -> None:
    status = response.status_code
    if status in {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED}:
        return
    reason = f"{shown}: {status} {response.reason or ''}".rstrip()
    after = retry_after(response.headers.get("Retry-After"))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise AuthError(reason, hint="check the credentials in netrc or in the address")
    if status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(reason, hint="check the address of the chart repository")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimitedError(reason, temporary=True, retry_after=after)
    raise RegistryError(reason, temporary=status in _TEMPORARY, retry_after=after)


def _translated(exc: Exception, shown: str) -> RegistryError:
    if isinstance(exc, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return RegistryError(
            f"{shown}: TLS failed: {cause(exc)}", hint="name a private CA with --ca-file"
        )
    if isinstance(exc, requests.TooManyRedirects):
        return RegistryError(
            f"{shown}: more than {MAX_REDIRECTS} redirects",
            hint="check the address of the chart repository",
        )
    if isinstance(exc, requests.Timeout | urllib3.exceptions.TimeoutError):
        reason = "timed out"
    elif isinstance(exc, urllib3.exceptions.DecodeError):
        reason = "damaged Content-Encoding"
    elif isinstance(exc, urllib3.exceptions.HTTPError):
        reason = f"the answer broke off: {cause(exc)}"
    elif isinstance(exc, requests.ConnectionError):
        reason = f"not reachable: {cause(exc)}"
    else:
        return RegistryError(f"{shown}: {cause(exc)}")
    return RegistryError(f"{shown}: {reason}", temporary=True)


def innermost(exc: BaseException) -> BaseException:
    """Return the reason at the bottom of an exception."""
    while True:
        inner = exc.__cause__ or exc.__context__ or getattr(exc, "reason", None)
        if not isinstance(inner, BaseException):
            return exc
        exc = inner


def cause(exc: BaseException) -> str:
    """Return the innermost reason as one line, without an address (it may hold credentials)."""
    reason = innermost(exc)
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
    return float(tenacity.wait_random_exponential(multiplier=0.5, max=10.0)(state))


def retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - time.time())
