"""Transfer: images from registries into a layout, whatever was asked for done once.

Images are resolved by one set of threads, blobs fetched by another; a blob that
several images share is fetched once. Blobs come before manifests, manifests
before the indexes that list them, names last: what has a name is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError
from rke2pack.oci import media, model
from rke2pack.oci.completion import as_ready
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.registry.access import Access
from rke2pack.oci.resolve import MAX_CONFIG_BYTES, Image, resolve
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from rke2pack.oci.wish import Wish
from rke2pack.progress import Meter, Position, Silence

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry
    from rke2pack.oci.registry.download import Sink

Status = Literal["copied", "present", "planned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a wish; ``lacking`` are the blobs that were not there before."""

    wish: Wish
    status: Status
    image: Image | None = None
    lacking: tuple[Descriptor, ...] = ()
    error: PackError | None = None


@dataclass(frozen=True, kw_only=True)
class RepositorySource:
    """Documents and configs of a registry's repository, from the layout where it has them."""

    registry: Registry
    repository: str
    layout: Layout
    keeps: bool = True
    kept: list[Descriptor] = field(default_factory=list)

    def document(self, descriptor: Descriptor) -> Document:
        """Read or fetch a document."""
        try:
            return self.layout.document(descriptor)
        except NotFoundError:
            return self.registry.get_manifest(self.repository, descriptor.digest)
        except IntegrityError:
            if self.keeps:
                self.layout.drop(descriptor.digest)
            return self.registry.get_manifest(self.repository, descriptor.digest)

    def config(self, descriptor: Descriptor) -> bytes:
        """Read or fetch a config, and keep it unless told otherwise."""
        if descriptor.size > MAX_CONFIG_BYTES:
            msg = f"{self.repository}: config {descriptor.digest} of {descriptor.size} bytes"
            raise IntegrityError(msg)
        if self.layout.has(descriptor):
            try:
                return self.layout.read(descriptor.digest, max_bytes=MAX_CONFIG_BYTES)
            except IntegrityError:
                if self.keeps:
                    self.layout.drop(descriptor.digest)
        memory = _Memory()
        self.registry.fetch_blob(self.repository, descriptor, memory)
        data = bytes(memory.data)
        descriptor.digest.verify(data, what=f"{self.repository}: config")
        if self.keeps:
            self.layout.put(data)
            self.kept.append(descriptor)
        return data


def _accept_any(_digest: Digest) -> None:
    """Have nothing against any digest."""


class _Memory:
    """A small blob in memory; a `download.Sink`."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.offset = 0

    def write(self, data: bytes) -> None:
        self.data += data
        self.offset = len(self.data)

    def restart(self) -> None:
        self.data.clear()
        self.offset = 0


class _Shown:
    """A sink that tells how far it is."""

    def __init__(self, sink: Sink, position: Position) -> None:
        self._sink, self._position = sink, position

    @property
    def offset(self) -> int:
        return self._sink.offset

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._position.move(self._sink.offset)

    def restart(self) -> None:
        self._sink.restart()
        self._position.move(0)


@dataclass(kw_only=True)
class Transfer:
    """Fulfils wishes with ``jobs`` parallel blobs."""

    access: Access
    layout: Layout
    jobs: int = 4
    is_dry_run: bool = False
    is_offline: bool = False
    meter: Meter = field(default_factory=Silence)
    _names: dict[str, Descriptor] = field(default_factory=dict, init=False)
    _blobs: dict[Digest, Future[None]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _pool: ThreadPoolExecutor = field(init=False)

    def run(self, wishes: Iterable[Wish]) -> Iterator[Outcome]:
        """Yield one outcome a wish, as they are ready; errors are outcomes too.

        The caller tags what came. When it stops early, everything under way is
        ended and partial blobs are kept.
        """
        self._names = {entry.name: entry.descriptor for entry in self.layout.entries()}
        heads = ThreadPoolExecutor(max(2 * self.jobs, 4), thread_name_prefix="image")
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="blob")
        try:
            for each in as_ready([heads.submit(self._outcome, wish) for wish in wishes]):
                yield each.result()
        except BaseException:
            self.access.stopped.set()
            raise
        finally:
            self._pool.shutdown(cancel_futures=True)
            heads.shutdown(cancel_futures=True)

    def _outcome(self, wish: Wish) -> Outcome:
        try:
            return self._offline(wish) if self.is_offline else self._online(wish)
        except PackError as exc:
            return Outcome(wish=wish, status="failed", error=exc)

    def _offline(self, wish: Wish) -> Outcome:
        root = self._names.get(str(wish.reference))
        if root is None:
            msg = f"{wish.reference}: not in {self.layout.root}"
            raise NotFoundError(msg, hint="run it without --offline")
        if wish.accept is not None:
            wish.accept(root.digest)
        document = self.layout.document(root)
        image = resolve(
            Store(layout=self.layout), document, wish.platforms, what=str(wish.reference)
        )
        lacking = self._lacking(image)
        if lacking:
            blobs = wording.count(len(lacking), "blob is", "blobs are")
            msg = f"{wish.reference}: {blobs} missing in {self.layout.root}"
            raise NotFoundError(msg, hint="run it without --offline")
        return Outcome(wish=wish, status="present", image=image)

    def _online(self, wish: Wish) -> Outcome:
        reference = wish.reference
        registry = self.access.registry(reference.registry)
        source = RepositorySource(
            registry=registry,
            repository=reference.repository,
            layout=self.layout,
            keeps=not self.is_dry_run,
        )
        root = self._root(registry, source, wish)
        image = resolve(source, root, wish.platforms, what=str(reference))
        lacking = model.unique((*self._lacking(image), *source.kept))
        old = self._names.get(str(reference))
        if not lacking and old and old.digest == image.root.digest:
            return Outcome(wish=wish, status="present", image=image)
        if self.is_dry_run:
            return Outcome(wish=wish, status="planned", image=image, lacking=lacking)
        documents = {document.descriptor.digest for document in image.documents}
        self._bring(
            registry,
            reference.repository,
            [b for b in lacking if b.digest not in documents and b not in source.kept],
        )
        for document in image.documents:
            self.layout.put(document.raw)
        return Outcome(wish=wish, status="copied", image=image, lacking=lacking)

    def _root(self, registry: Registry, source: RepositorySource, wish: Wish) -> Document:
        """Find out what a reference points at now; a document that is there is not fetched."""
        reference, accept = wish.reference, wish.accept or _accept_any
        repository, promised = reference.repository, reference.digest
        if promised is None or reference.tag:
            head = registry.head_manifest(repository, reference.tag or "latest")
            if head.media_type in media.SCHEMA_1:
                raise model.schema_1(str(reference))
            if promised and head.digest and head.digest != promised:
                msg = f"{reference}: the tag moved, it points at {head.digest} now"
                raise IntegrityError(
                    msg, hint="pin it again, or name it by its digest alone to have the old one"
                )
            promised = promised or head.digest
            if promised is None:
                document = registry.get_manifest(repository, reference.tag or "latest")
                accept(document.descriptor.digest)
                return document
        accept(promised)
        # Neither type nor size are known before: the document itself tells.
        return source.document(Descriptor(media_type="", digest=promised, size=0))

    def _lacking(self, image: Image) -> tuple[Descriptor, ...]:
        wanted = model.unique((*(d.descriptor for d in image.documents), *image.blobs))
        return tuple(each for each in wanted if not self.layout.has(each))

    def _bring(self, registry: Registry, repository: str, blobs: list[Descriptor]) -> None:
        """Have all blobs fetched; raises the first error when all have ended."""
        futures = [(blob, *self._submit(registry, repository, blob)) for blob in blobs]
        first: PackError | None = None
        for blob, future, is_own in futures:
            try:
                try:
                    future.result()
                except PackError:
                    if is_own:
                        raise
                    # Another image's repository did not deliver it; this one may.
                    self._submit(registry, repository, blob, anew=future)[0].result()
            except PackError as exc:
                first = first or exc
        if first is not None:
            raise first

    def _submit(
        self,
        registry: Registry,
        repository: str,
        blob: Descriptor,
        *,
        anew: Future[None] | None = None,
    ) -> tuple[Future[None], bool]:
        """Return the future of a blob, and whether it is fetched from this repository."""
        with self._lock:
            known = self._blobs.get(blob.digest)
            if known is not None and known is not anew:
                return known, False
            self.meter.expect(blob.size)
            future = self._pool.submit(self._fetch, registry, repository, blob)
            self._blobs[blob.digest] = future
            return future, True

    def _fetch(self, registry: Registry, repository: str, blob: Descriptor) -> None:
        name = f"{repository} {blob.digest.hex[:12]}"
        with self.meter.item(name, blob.size) as advance:
            position = Position(advance)
            self._receive(registry, repository, blob, position)
            position.move(blob.size)

    def _receive(
        self, registry: Registry, repository: str, blob: Descriptor, position: Position
    ) -> None:
        """Fetch one blob into the layout, from where an earlier process left it."""
        pause, was_resumed = registry.wire.pace.pause, False
        try:
            with self.layout.receive(blob, wait=pause) as partial:
                if partial is not None:
                    was_resumed = partial.was_resumed
                    registry.fetch_blob(repository, blob, _Shown(partial, position))
        except IntegrityError:
            if not was_resumed:
                raise
            # What the earlier process left may have been damaged on this disk.
            with self.layout.receive(blob, wait=pause) as partial:
                if partial is not None:
                    registry.fetch_blob(repository, blob, _Shown(partial, position))
