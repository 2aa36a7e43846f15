"""Wire: HTTP as registries speak it; the sibling of `rke2pack.http` for streams.

A request goes out at the host's pace, with its own Authorization or none (netrc
is not for registries). Redirects are followed here, so that credentials and
client certificates stay with the host that they are for. Failures leave as
RegistryError; ``temporary`` says which may be tried again.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3

from rke2pack.address import redact
from rke2pack.errors import RegistryError
from rke2pack.http import new_session
from rke2pack.oci import answer
from rke2pack.oci.answer import Response
from rke2pack.oci.certs import Trust
from rke2pack.oci.pace import Pace

MAX_REDIRECTS = 5
_ATTEMPTS = 6
_CONNECT, _READ = 10.0, 30.0
_PROBE = (5.0, 5.0)
# What OpenSSL calls an answer in plain text.
_PLAIN_HTTP = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE",
     "PACKET_LENGTH_TOO_LONG"}
)  # fmt: skip
_BLOCK = 128 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_Result = TypeVar("_Result")


class Rereadable(Protocol):
    """A body of known length that can be sent a second time."""

    len: int

    def read(self, size: int = -1) -> bytes:
        """Read on."""

    def seek(self, position: int) -> int:
        """Go back."""

    def __iter__(self) -> Iterator[bytes]: ...


Body = bytes | Rereadable


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends bodies in large blocks."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs, blocksize=_BLOCK)


class Wire:
    """Sends requests to one registry and to where it leads; safe for threads."""

    def __init__(self, host: str, *, trust: Trust, pace: Pace, connections: int = 8) -> None:
        """Show the client certificate of ``trust`` to ``host[:port]`` only.

        Up to ``connections`` connections a host are kept open.
        """
        self.pace = pace
        self._home = origin(f"https://{host}")
        self.trust = trust
        self.sent: Counter[str] = Counter()
        self.received = 0
        self._lock = threading.Lock()
        # The session tells what the environment says; requests go to the adapter without
        # its detours: cookies, netrc, redirects, a new look at the environment each time.
        self._session = new_session(ca_file=trust.ca_file)
        self._adapter = _Adapter(pool_connections=connections, pool_maxsize=connections)
        self._settings: dict[tuple[str, str, int | None], Mapping[str, Any]] = {}

    @contextlib.contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        what: str,
        expected: frozenset[int] | set[int],
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
        body: Body | None = None,
        is_free: bool = False,
    ) -> Iterator[Response]:
        """Send one request and give its streaming answer, whose status is in ``expected``.

        ``what`` stands in messages. Raises RegistryError for every other
        status and for whatever goes wrong while the caller reads the body.
        """
        self.pace.take(is_free=is_free)
        try:
            with self._follow(method, url, dict(headers or {}), authorization, body) as response:
                if response.status_code not in expected:
                    raise self._heed(answer.refusal(response, what))
                yield response
                answer.settle(response, method)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise answer.breakage(exc, what) from exc

    def speaks_tls(self, url: str) -> bool:
        """Whether something at this https address answers with TLS.

        Raises RegistryError where it does and its certificate is not trusted.
        """
        try:
            self._send("GET", url, {}, None, None, timeout=_PROBE).close()
        except requests.exceptions.SSLError as exc:
            reason = answer.innermost(exc)
            if isinstance(reason, ssl.SSLError) and reason.reason in _PLAIN_HTTP:
                return False
            if isinstance(reason, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                return False
            raise answer.breakage(exc, redact(url)) from exc
        except (requests.ConnectionError, requests.Timeout):
            return False
        except (requests.RequestException, OSError) as exc:
            raise answer.breakage(exc, redact(url)) from exc
        return True

    def count(self, received: int) -> None:
        """Add to the bytes of blobs that came."""
        with self._lock:
            self.received += received

    def retry(self, attempt: Callable[[], _Result]) -> _Result:
        """Call until it succeeds or its error is not temporary, six times at most."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_temporary),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self.pace.sleep,
            reraise=True,
        )
        return retrying(attempt)

    def rest(self, failures: int, error: RegistryError) -> None:
        """Wait after so many failures in a row; raises ``error`` when it was one too many."""
        if not error.temporary or failures >= _ATTEMPTS:
            raise error
        if error.retry_after is None:
            self.pace.sleep(min(10.0, 0.25 * 2.0**failures))

    def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        authorization: str | None,
        body: Body | None,
    ) -> Response:
        first = origin(url)
        headers.setdefault("Accept-Encoding", "identity")
        for _ in range(MAX_REDIRECTS + 1):
            own = authorization if origin(url) == first else None
            response = self._send(method, url, headers, own, body)
            target = response.headers.get("Location")
            if (
                response.status_code not in _REDIRECTS
                or not target
                or method not in {"GET", "HEAD"}
            ):
                return response
            answer.settle(response, method)
            response.close()
            url = follow(url, target)
        msg = f"{redact(url)}: more than {MAX_REDIRECTS} redirects"
        raise RegistryError(msg)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        authorization: str | None,
        body: Body | None,
        *,
        timeout: tuple[float, float] | None = None,
    ) -> Response:
        own = {**self._session.headers, **headers}
        if authorization:
            own["Authorization"] = authorization
        request = requests.PreparedRequest()
        request.prepare(method=method, url=url, headers=own, data=body)
        place = origin(url)
        with self._lock:
            self.sent[method] += 1
            if place not in self._settings:
                self._settings[place] = self._found_settings(url, is_home=place == self._home)
        return self._adapter.send(
            request, stream=True, timeout=timeout or (_CONNECT, _READ), **self._settings[place]
        )

    def _found_settings(self, url: str, *, is_home: bool) -> Mapping[str, Any]:
        """Return proxies, authorities and client certificate for a place."""
        trust = self.trust
        # Said again, because REQUESTS_CA_BUNDLE beats what only the session says.
        verify = str(trust.ca_file) if trust.ca_file else None
        cert = (str(trust.certificate), str(trust.key)) if is_home and trust.certificate else None
        found = self._session.merge_environment_settings(url, {}, None, verify, cert)
        return {name: found[name] for name in ("proxies", "verify", "cert")}

    def _heed(self, error: RegistryError) -> RegistryError:
        """Be silent as long as an answer asks for, unless that is too long to wait."""
        if error.retry_after is not None and error.temporary:
            self.pace.silence(error.retry_after)
        return error


def is_temporary(exc: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(exc, RegistryError) and exc.temporary


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def follow(url: str, target: str) -> str:
    """Return where an answer's Location leads; raises RegistryError instead of leaving https."""
    try:
        found = urljoin(url, target)
        schemes = urlsplit(url).scheme, urlsplit(found).scheme
    except ValueError as exc:
        msg = f"{redact(url)}: redirects to what is no address"
        raise RegistryError(msg) from exc
    if schemes[1] not in {"http", "https"} or schemes == ("https", "http"):
        msg = f"{redact(url)}: redirects from {schemes[0]} to {schemes[1]}, refused"
        raise RegistryError(msg)
    return found


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds to the next attempt; where Retry-After spoke, the pace waits already."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RegistryError) and error.retry_after is not None:
        return 0.0
    return float(tenacity.wait_random_exponential(multiplier=0.5, max=10.0)(state))
