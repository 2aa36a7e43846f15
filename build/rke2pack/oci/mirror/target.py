"""Target: the registry that a mirror writes to; every blob is sent to it once.

A further repository gets a blob by mount, as long as the registry does that. In
a dry run nothing is written: what would be is counted.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError
from rke2pack.oci.mirror.sources import ReferrersApis, Source
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.registry.stream import RegistryOrigin, ShownOrigin
from rke2pack.progress import Meter, Position, Silence

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry
    from rke2pack.oci.registry.upload import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a dry run would have done: requests to both sides, and bytes to the target."""

    requests: int = 0
    bytes: int = 0


@dataclass(kw_only=True)
class Target:
    """Writes to one registry with ``pool``'s threads; safe for threads."""

    registry: Registry
    pool: ThreadPoolExecutor
    apis: ReferrersApis
    is_dry_run: bool = False
    meter: Meter = field(default_factory=Silence)
    _counts: Counter[str] = field(default_factory=Counter)
    _homes: dict[Digest, tuple[str, Future[Arrival]]] = field(default_factory=dict)
    _places: dict[tuple[str, Digest], Future[Arrival]] = field(default_factory=dict)
    _put: set[tuple[str, Digest]] = field(default_factory=set)
    _locks: dict[Digest, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Write through one uploader."""
        from rke2pack.oci.registry.upload import Uploader  # noqa: PLC0415 - slow, and not for --help

        self._uploader = Uploader(self.registry)

    @property
    def planned(self) -> Planned:
        """What the dry run counted so far."""
        with self._lock:
            return Planned(requests=self._counts["requests"], bytes=self._counts["bytes"])

    def document(self, repository: str, name: str | Digest) -> Document | None:
        """Fetch a document; None where it is not there."""
        try:
            return self.registry.get_manifest(repository, name)
        except NotFoundError:
            return None

    def referrers(self, repository: str, subject: Digest) -> tuple[Descriptor, ...] | None:
        """List what refers to a manifest; None where the target keeps no such list."""
        return self.apis.referrers(self.registry, repository, subject)

    def put(self, repository: str, document: Document, name: str | Digest) -> None:
        """Put a manifest or index under a tag or, once, its digest, and see that it is there."""
        digest = document.descriptor.digest
        place = repository, digest
        # docker-registry writes files in place: who reads a manifest meanwhile finds it empty.
        with self._lock_of(digest):
            if isinstance(name, Digest) and place in self._put:
                return
            if self.is_dry_run:
                requests = 1 if isinstance(name, Digest) else 2
                self._count(requests=requests, bytes=len(document.raw))
            else:
                self._put_verified(repository, document, name)
            self._put.add(place)

    def _put_verified(self, repository: str, document: Document, name: str | Digest) -> None:
        digest = document.descriptor.digest
        self._uploader.push_manifest(repository, document, name)
        if (
            not isinstance(name, Digest)
            and (got := self.registry.find_digest(repository, name)) != digest
        ):
            msg = f"{self.registry.host}/{repository}:{name}: is {got} and not {digest}"
            raise IntegrityError(msg, hint="find out who else writes this tag, then run again")

    def _lock_of(self, digest: Digest) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(digest, threading.Lock())

    def send(
        self, source: Source, repository: str, blobs: Iterable[Descriptor]
    ) -> tuple[Descriptor, ...]:
        """Make a repository have all the blobs; return those that had to be sent.

        Raises the first error when all have ended.
        """
        claims = self._claims(source, repository, blobs)
        # What other threads may wait for comes before what this one waits for.
        for claim in claims:
            if claim.home:
                self._follow(source, repository, claim)
        errors = [exc for claim in claims if (exc := claim.future.exception()) is not None]
        if errors:
            raise next((exc for exc in errors if isinstance(exc, PackError)), errors[0])
        return tuple(c.blob for c in claims if c.is_own and c.future.result() == "pushed")

    def _claims(
        self, source: Source, repository: str, blobs: Iterable[Descriptor]
    ) -> tuple[_Claim, ...]:
        """Claim all the blobs; where that fails, who waits for those before is told."""
        claims: list[_Claim] = []
        try:
            for blob in blobs:
                claims.append(self._claim(source, repository, blob))  # noqa: PERF401 - kept if it fails
        except BaseException as exc:
            for claim in claims:
                if claim.home:
                    claim.future.set_exception(exc)
            raise
        return tuple(claims)

    def _claim(self, source: Source, repository: str, blob: Descriptor) -> _Claim:
        """Have a blob sent, unless another thread has, or another repository gets it first."""
        with self._lock:
            place = repository, blob.digest
            known = self._places.get(place)
            if known is not None and not _has_failed(known):
                return _Claim(blob=blob, future=known, is_own=False)
            first = self._homes.get(blob.digest)
            if first is not None and first[0] != repository and not _has_failed(first[1]):
                self._places[place] = Future()
                return _Claim(blob=blob, future=self._places[place], home=first)
            mount = source.repository if source.host == self.registry.host else ""
            future = self.pool.submit(self._send, source, repository, blob, mount)
            self._places[place] = future
            self._homes[blob.digest] = repository, future
            return _Claim(blob=blob, future=future)

    def _follow(self, source: Source, repository: str, claim: _Claim) -> None:
        """Mount a blob as soon as its first repository has it, else send it."""
        try:
            is_there = claim.home is not None and claim.home[1].exception() is None
            if claim.home and is_there and self._mount(repository, claim.blob, claim.home[0]):
                claim.future.set_result("mounted")
                return
            sending = self.pool.submit(self._send, source, repository, claim.blob, "")
            claim.future.set_result(sending.result())
        except BaseException as exc:  # noqa: BLE001 - for whoever waits; `send` raises it
            claim.future.set_exception(exc)

    def _mount(self, repository: str, blob: Descriptor, home: str) -> bool:
        if self.is_dry_run:
            self._count(requests=1)
            return True
        return self._uploader.mount(repository, blob, mount_from=home)

    def _send(self, source: Source, repository: str, blob: Descriptor, mount: str) -> Arrival:
        if not self.is_dry_run:
            return self._push(source, repository, blob, mount)
        if mount:
            self._count(requests=1)
            return "mounted"
        if self.registry.has_blob(repository, blob.digest):
            return "present"
        is_fetched = isinstance(source.origin(blob), RegistryOrigin)
        # POST and PUT, and GET where it is not here already.
        self._count(requests=3 if is_fetched else 2, bytes=blob.size)
        return "pushed"

    def _push(self, source: Source, repository: str, blob: Descriptor, mount: str) -> Arrival:
        self.meter.expect(blob.size)
        with self.meter.item(f"{repository} {blob.digest.hex[:12]}", blob.size) as advance:
            position = Position(advance)
            origin = ShownOrigin(source.origin(blob), position)
            arrival = self._uploader.push_blob(repository, blob, origin, mount_from=mount)
            position.move(blob.size)
        return arrival

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """A blob that is to be in a repository; ``home`` is the one that gets it first."""

    blob: Descriptor
    future: Future[Arrival]
    is_own: bool = True
    home: tuple[str, Future[Arrival]] | None = None


def _has_failed(future: Future[Arrival]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)
