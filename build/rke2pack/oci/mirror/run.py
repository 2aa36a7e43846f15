"""Run: a whole mirror, image by image, what they share done once.

Small requests are sent by one set of threads, blobs by another. Blobs come
before manifests, manifests before the indexes that list them, tags last: what
has a tag at the target is complete, whenever the program ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.oci.completion import as_ready
from rke2pack.oci.mirror import shape
from rke2pack.oci.mirror.companions import Followers
from rke2pack.oci.mirror.sources import ReferrersApis, Source
from rke2pack.oci.mirror.target import Planned, Target
from rke2pack.oci.model import Descriptor
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.resolve import Image
from rke2pack.progress import Meter, Silence

Status = Literal["copied", "present", "planned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """An image to mirror: no platforms means the whole of it.

    ``was`` is the digest that it had before an index was made of it. ``accept``
    raises where the digest of what the name points at is not to be had.
    """

    source: Source
    reference: Reference
    target: Reference
    platforms: tuple[Platform, ...] = ()
    was: Digest | None = None
    accept: Callable[[Digest], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an errand.

    ``original`` is the digest at the source, ``digest`` the one at the target.
    ``size`` is None for an image that is present and was not read.
    ``sent_bytes`` are those that the target lacked, with those of companions.
    """

    errand: Errand
    status: Status
    original: Digest | None = None
    digest: Digest | None = None
    platforms: tuple[Platform, ...] = ()
    size: int | None = None
    sent_bytes: int = 0
    companions: int = 0
    error: PackError | None = None


@dataclass(kw_only=True)
class Mirror:
    """Writes images to the registry ``host`` with ``jobs`` parallel blobs."""

    access: Access
    host: str
    jobs: int = 4
    is_dry_run: bool = False
    has_companions: bool = True
    meter: Meter = field(default_factory=Silence)
    apis: ReferrersApis = field(default_factory=ReferrersApis)
    planned: Planned = field(default_factory=Planned, init=False)
    _target: Target = field(init=False)
    _followers: Followers = field(init=False)

    def run(self, errands: Iterable[Errand]) -> Iterator[Outcome]:
        """Yield one outcome an errand, as they are ready; errors are outcomes too.

        When the caller stops early, everything under way is ended.
        """
        heads = ThreadPoolExecutor(max(2 * self.jobs, 4), thread_name_prefix="image")
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="blob")
        self._target = Target(
            registry=self.access.registry(self.host),
            pool=pool,
            apis=self.apis,
            is_dry_run=self.is_dry_run,
            meter=self.meter,
        )
        self._followers = Followers(target=self._target, copy=self._copy_companion)
        try:
            for each in as_ready([heads.submit(self._outcome, errand) for errand in errands]):
                yield each.result()
        except BaseException:
            self.access.stopped.set()
            raise
        finally:
            # Heads hand work to the pool: it has to be there as long as they are.
            heads.shutdown(cancel_futures=True)
            pool.shutdown(cancel_futures=True)
            self.planned = self._target.planned

    def _outcome(self, errand: Errand) -> Outcome:
        try:
            return self._done(errand)
        except PackError as exc:
            return Outcome(errand=errand, status="failed", error=exc)

    def _done(self, errand: Errand) -> Outcome:
        source, place = errand.source, errand.target
        original = root_digest(errand)
        name = place.tag or original
        there = self._target.registry.find_digest(place.repository, name, likely=original)
        image: Image | None = None
        digest, lacking = original, 0
        if there != original or errand.platforms:
            root = source.document(Descriptor(media_type="", digest=original, size=0))
            image = shape.read(source, root, errand.platforms, what=str(errand.reference))
            digest = image.root.digest
            lacking = self._bring(source, image, place.repository, place.tag or digest, there)
        is_present = there == digest
        companions = copied = 0
        if self.has_companions:
            documents = image.documents if image else ()
            known = [each.descriptor.digest for each in documents]
            companions, copied = self._followers.follow(source, place.repository, digest, known)
        if is_present and not copied:
            status: Status = "present"
        else:
            status = "planned" if self.is_dry_run else "copied"
        return Outcome(
            errand=errand,
            status=status,
            original=errand.was or original,
            digest=digest,
            platforms=image.platforms if image else (),
            size=image.size if image else None,
            sent_bytes=lacking + copied,
            companions=companions,
        )

    def _bring(
        self,
        source: Source,
        image: Image,
        repository: str,
        name: str | Digest,
        there: Digest | None,
    ) -> int:
        """Bring an image under a name, unless it is there; return the bytes that were lacking."""
        if there == image.root.digest:
            return 0
        target, documents = self._target, image.documents
        if there is not None:
            # Another image has the name; they may share manifests.
            find = target.registry.find_digest
            children = [d for d in documents[:-1] if find(repository, d.descriptor.digest) is None]
            documents = (*children, documents[-1])
        blobs = shape.blobs(documents)
        sent = target.send(source, repository, blobs)
        for document in documents[:-1]:
            target.put(repository, document, document.descriptor.digest)
        target.put(repository, documents[-1], name)
        return sum(blob.size for blob in sent) + sum(len(d.raw) for d in documents)

    def _copy_companion(
        self, source: Source, digest: Digest, repository: str, name: str | Digest
    ) -> int:
        there = self._target.registry.find_digest(repository, name, likely=digest)
        if there == digest:
            return 0
        root = source.document(Descriptor(media_type="", digest=digest, size=0))
        image = shape.read(source, root, (), what=f"{source.repository}@{digest}")
        return self._bring(source, image, repository, name, there)


def root_digest(errand: Errand) -> Digest:
    """Find out what an errand's reference points at now.

    Raises IntegrityError where it moved, or is not to be had.
    """
    reference = errand.reference
    if reference.digest is not None and not reference.tag:
        return reference.digest
    found = errand.source.digest(reference.tag or "latest")
    if reference.digest is not None and reference.digest != found:
        msg = f"{reference}: the tag moved, it points at {found} now"
        hint = "pin it again, or name it by its digest alone to have the old one"
        raise IntegrityError(msg, hint=hint)
    if errand.accept is not None:
        errand.accept(found)
    return found
