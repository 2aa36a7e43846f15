"""Access: how hosts are reached, and with what; gives one `Registry` a host."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rke2pack.errors import ConfigError
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.oci.registry import certs
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.pace import Pace

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry
    from rke2pack.oci.registry.wire import Wire

_HUB = f"registry-1.{DOCKER_HUB}"


@dataclass(frozen=True, kw_only=True)
class Access:
    """What every registry's client is made with.

    ``insecure`` hosts, and loopback, may speak plain HTTP. ``endpoints`` maps a
    host of references to the address that answers for it (a mirror of it).
    """

    keychain: Keychain
    ca_file: Path | None = None
    cert_folders: tuple[Path, ...] = ()
    insecure: frozenset[str] = frozenset()
    endpoints: Mapping[str, str] = field(default_factory=dict)
    per_hour: int | None = None
    connections: int = 8
    stopped: threading.Event = field(default_factory=threading.Event)
    notify: Callable[[str, float], None] | None = None
    _made: dict[str, Registry] = field(default_factory=dict, init=False, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def registry(self, host: str) -> Registry:
        """Return the client of a host, the same one each time; raises RegistryError."""
        with self._lock:
            lock = self._locks.setdefault(host, threading.Lock())
        with lock:
            if host not in self._made:
                self._made[host] = self._make(host)
            return self._made[host]

    @property
    def sent(self) -> Mapping[str, int]:
        """Method -> requests sent to all hosts so far, redirects and tokens included."""
        return sum((r.wire.sent for r in self._made.values()), Counter())

    @property
    def received(self) -> int:
        """Bytes of blobs that came from all hosts so far."""
        return sum(registry.wire.received for registry in self._made.values())

    @property
    def uploaded(self) -> int:
        """Bytes of blobs that went to all hosts so far, those that had to go twice included."""
        return sum(registry.wire.uploaded for registry in self._made.values())

    def _make(self, host: str) -> Registry:
        # All that knows HTTP is slow to import, and many runs ask no registry.
        from rke2pack.oci.registry.client import Registry  # noqa: PLC0415
        from rke2pack.oci.registry.token import Authenticator  # noqa: PLC0415
        from rke2pack.oci.registry.wire import Wire  # noqa: PLC0415

        named = self.endpoints.get(host)
        authority = urlsplit(named).netloc if named else _HUB if host == DOCKER_HUB else host
        wire = Wire(
            authority,
            trust=certs.find(authority, self.cert_folders, ca_file=self.ca_file),
            pace=Pace(
                self.per_hour,
                stopped=self.stopped,
                notify=partial(self.notify, host) if self.notify else None,
            ),
            connections=self.connections,
        )
        base = named or self._base(authority, wire)
        own = authority if named else host
        auth = Authenticator(
            host, wire=wire, find=partial(self.keychain.find, own), allows_http=base[:5] == "http:"
        )
        # HEAD does not count as a pull on Docker Hub (its documentation, "Usage and limits").
        is_hub = authority == _HUB
        return Registry(host, base=base, wire=wire, auth=auth, has_free_heads=is_hub)

    def _base(self, authority: str, wire: Wire) -> str:
        if not may_be_plain(authority, self.insecure):
            return f"https://{authority}"
        is_tls = wire.speaks_tls(f"https://{authority}/v2/")
        return f"{'https' if is_tls else 'http'}://{authority}"


def endpoints(texts: Iterable[str], *, insecure: Iterable[str]) -> dict[str, str]:
    """Read ``HOST=ADDRESS`` pairs; raises ConfigError, also for http where it is not allowed."""
    found: dict[str, str] = {}
    for text in texts:
        host, _, address = text.partition("=")
        try:
            parts = urlsplit(address)
        except ValueError:
            parts = urlsplit("")
        if (
            not host
            or parts.scheme not in {"http", "https"}
            or not parts.netloc
            or "@" in parts.netloc
        ):
            msg = f"not an endpoint: {host}"
            raise ConfigError(msg, hint="write it as docker.io=https://mirror.example.com")
        if parts.scheme == "http" and not may_be_plain(parts.netloc, insecure):
            msg = f"{parts.netloc}: plain http, refused"
            raise ConfigError(msg, hint=f"name it with --insecure-registry {parts.netloc}")
        found[host] = address
    return found


def may_be_plain(authority: str, insecure: Iterable[str]) -> bool:
    """Whether a host may be spoken to without TLS."""
    if authority in insecure:
        return True
    host = urlsplit(f"//{authority}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
