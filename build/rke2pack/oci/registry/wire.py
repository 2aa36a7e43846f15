"""Wire: HTTP as registries speak it; the sibling of `rke2pack.http` for streams.

A request goes out at the host's pace, with its own Authorization or none (netrc
is not for registries). Redirects are followed here, so that credentials and
client certificates stay with the host that they are for. Failures leave as
RegistryError; ``temporary`` says which may be tried again.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import requests
import tenacity
import urllib3

from rke2pack.address import redact
from rke2pack.errors import RegistryError
from rke2pack.http import innermost, new_session
from rke2pack.oci.registry import answer, heads, watch
from rke2pack.oci.registry.answer import Response
from rke2pack.oci.registry.certs import Trust
from rke2pack.oci.registry.pace import Pace

MAX_REDIRECTS = 5
_ATTEMPTS = 6
_CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
_PROBE_SECONDS = 5.0
_PROBE = urllib3.Timeout(connect=_PROBE_SECONDS, read=_PROBE_SECONDS)
# What OpenSSL calls an answer in plain text.
_PLAIN_HTTP = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE",
     "PACKET_LENGTH_TOO_LONG"}
)  # fmt: skip
_BLOCK = 128 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PRINTABLE = "%/:=&?~#+!$,;'@()*[]"
_Result = TypeVar("_Result")
Origin = tuple[str, str, int | None]


class Rereadable(Protocol):
    """A body of known length that can be sent a second time."""

    len: int

    def read(self, size: int = -1) -> bytes:
        """Read on."""

    def seek(self, position: int) -> int:
        """Go back."""

    def __iter__(self) -> Iterator[bytes]: ...


Body = bytes | Rereadable


class _UnreachableError(requests.ConnectionError):
    """The host has no address, or nobody answers there."""


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends bodies in large blocks."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - requests' own signature
        super().init_poolmanager(*args, **kwargs, blocksize=_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Road:
    """Connections to a place; a plain proxy is told the whole address."""

    pool: urllib3.HTTPConnectionPool
    is_absolute: bool

    @staticmethod
    def host(url: str) -> str:
        """Return what stands in the request's Host line."""
        return urlsplit(url).netloc.rpartition("@")[2]

    def target(self, url: str) -> str:
        """Return what stands in the request's first line."""
        parts = urlsplit(url)
        start = f"{parts.scheme}://{parts.netloc}" if self.is_absolute else ""
        found = f"{start}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        return found if _is_plain(found) else quote(found, safe=_PRINTABLE)


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
        self.received = self.uploaded = 0
        self._lock = threading.Lock()
        # The session tells what the environment says; requests go to the adapter without
        # its detours: cookies, netrc, redirects, a new look at the environment each time.
        self._session = new_session(ca_file=trust.ca_file)
        self._adapter = _Adapter(pool_connections=connections, pool_maxsize=connections)
        self._headers = {name: str(value) for name, value in self._session.headers.items()}
        self._roads: dict[Origin, _Road] = {}
        self._watch = watch.Watch(pace.stopped)
        self._is_given_up = False

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
        hints: Mapping[int, str] | None = None,
        seconds: float | None = None,
    ) -> Iterator[Response]:
        """Send one request and give its streaming answer, whose status is in ``expected``.

        ``what`` stands in messages, ``hints`` has the next step for a status.
        An answer may be silent for ``seconds`` (None: 30), its head take 30 s
        more than that.
        Raises RegistryError for every other status and for whatever goes wrong
        while the caller reads the body.
        """
        self.pace.take(is_free=is_free)
        try:
            timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds or READ_SECONDS)
            own = dict(headers or {})
            with self._follow(method, url, own, authorization, body, timeout) as response:
                if response.status_code not in expected:
                    raise self._heed(answer.refusal(response, what, hints or {}))
                self._is_given_up = False
                yield response
                answer.settle(response, method)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            error = answer.breakage(exc, what)
            if isinstance(exc, _UnreachableError) and self._is_given_up:
                error.temporary = False
            raise error from exc

    def speaks_tls(self, url: str) -> bool:
        """Whether something at this https address answers with TLS.

        Raises RegistryError where it does and its certificate is not trusted.
        """
        if not requests.utils.select_proxy(url, self._found(url)["proxies"]):
            with self._lock:
                self.sent["GET"] += 1
            if not _shakes_hands(url):
                return False
        try:
            self._send("GET", url, origin(url), {}, None, None, _PROBE).close()
        except requests.exceptions.SSLError as exc:
            reason = innermost(exc)
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

    def count(self, received: int = 0, *, uploaded: int = 0) -> None:
        """Add to the bytes of blobs that came or went."""
        with self._lock:
            self.received += received
            self.uploaded += uploaded

    def retry(self, attempt: Callable[[], _Result]) -> _Result:
        """Call until it succeeds or its error is not temporary, six times at most."""
        try:
            return attempt()
        except RegistryError as exc:
            if not exc.temporary:
                raise
            failed = [exc]

        def again() -> _Result:
            if failed:
                raise failed.pop()
            return attempt()

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_temporary),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self.pace.sleep,
            reraise=True,
        )
        try:
            return retrying(again)
        except RegistryError as exc:
            self._give_up(exc)
            raise

    def rest(self, failures: int, error: RegistryError) -> None:
        """Wait after so many failures in a row; raises ``error`` when it was one too many."""
        if not error.temporary or failures >= _ATTEMPTS:
            self._give_up(error)
            raise error
        if error.retry_after is None:
            self.pace.sleep(min(10.0, 0.25 * 2.0**failures))

    def _give_up(self, error: RegistryError) -> None:
        """After all tries to connect for one thing, let the next things try only once."""
        if isinstance(error.__cause__, _UnreachableError):
            self._is_given_up = True

    def _follow(  # noqa: PLR0917 - as `exchange` names them
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        authorization: str | None,
        body: Body | None,
        timeout: urllib3.Timeout,
    ) -> Response:
        first = place = origin(url)
        headers.setdefault("Accept-Encoding", "identity")
        for _ in range(MAX_REDIRECTS + 1):
            own = authorization if place == first else None
            response = self._send(method, url, place, headers, own, body, timeout)
            if response.status_code not in _REDIRECTS or method not in {"GET", "HEAD"}:
                return response
            target = response.headers.get("Location")
            if not target:
                return response
            answer.settle(response, method)
            response.close()
            url = follow(url, target)
            place = origin(url)
        msg = f"{redact(url)}: more than {MAX_REDIRECTS} redirects"
        raise RegistryError(msg)

    def _send(  # noqa: PLR0917 - as `exchange` names them
        self,
        method: str,
        url: str,
        place: Origin,
        headers: Mapping[str, str],
        authorization: str | None,
        body: Body | None,
        timeout: urllib3.Timeout,
    ) -> Response:
        own = {**self._headers, **headers}
        if authorization:
            own["Authorization"] = authorization
        if body is not None and not isinstance(body, bytes):
            own["Content-Length"] = str(body.len)
        with self._lock:
            self.sent[method] += 1
            road = self._roads.get(place) or self._roads.setdefault(place, self._road(url, place))
        if method == "HEAD" and not road.is_absolute:
            quick = heads.ask(road.pool, road.target(url), road.host(url), own, self._watch)
            if quick is not None:
                return Response(quick)
        # requests finds the way there, once; its detours for every request take longer than
        # the rest: sessions, cookies, netrc, a new look at the environment.
        try:
            return Response(
                road.pool.urlopen(
                    method, road.target(url), body=body, headers=own, redirect=False,
                    assert_same_host=False, retries=False, preload_content=False,
                    decode_content=False, timeout=timeout,
                )
            )  # fmt: skip
        except urllib3.exceptions.SSLError as exc:
            raise requests.exceptions.SSLError(exc) from exc
        except urllib3.exceptions.NewConnectionError as exc:
            raise _UnreachableError(exc) from exc
        except urllib3.exceptions.TimeoutError as exc:
            raise requests.Timeout(exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise requests.ConnectionError(exc) from exc

    def _road(self, url: str, place: Origin) -> _Road:
        """Find proxies, authorities and client certificate for a place."""
        trust, is_home = self.trust, place == self._home
        cert = (str(trust.certificate), str(trust.key)) if is_home and trust.certificate else None
        found = self._found(url)
        request = requests.Request("GET", url).prepare()
        pool: Any = self._adapter.get_connection_with_tls_context(
            request, found["verify"], proxies=found["proxies"], cert=cert
        )
        self._adapter.cert_verify(  # type: ignore[no-untyped-call]
            pool, url, found["verify"], cert
        )
        watch.attach(pool, self._watch)
        asked = self._adapter.request_url(request, found["proxies"])
        return _Road(pool=pool, is_absolute=asked.startswith("http"))

    def _found(self, url: str) -> Mapping[str, Any]:
        """Ask the environment for the proxies and authorities of an address."""
        # Said again, because REQUESTS_CA_BUNDLE beats what only the session says.
        ca_file = str(self.trust.ca_file) if self.trust.ca_file else None
        return self._session.merge_environment_settings(url, {}, None, ca_file, None)

    def _heed(self, error: RegistryError) -> RegistryError:
        """Be silent as long as an answer asks for, unless that is too long to wait."""
        if error.retry_after is not None and error.temporary:
            self.pace.silence(error.retry_after)
        return error


def is_temporary(exc: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(exc, RegistryError) and exc.temporary


def _shakes_hands(url: str) -> bool:
    """Whether TLS is spoken at all, by whomever: reading the authorities takes longer than this."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, host, port = origin(url)
    try:
        with (
            socket.create_connection((host, port or 443), _PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLError as exc:
        is_plain = exc.reason in _PLAIN_HTTP
        return not (is_plain or isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError))
    except OSError:
        return False


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def origin(url: str) -> Origin:
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
