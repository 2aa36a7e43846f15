"""Archive: one file that runtimes are to import, read once, and what they should have of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.oci.intake import savedimage
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.checks import Verified
from rke2pack.oci.verify.view import SeenImage


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive; ``base`` is the one that a delta builds upon, where it was given."""

    verified: Verified
    base: Archive | None = None

    @property
    def file(self) -> ArchiveFile:
        """Its bytes."""
        return self.verified.scan.file

    @property
    def name(self) -> str:
        """Its file name."""
        return self.verified.scan.what

    @property
    def platform(self) -> Platform | None:
        """The platform that its name carries, if any."""
        return verifyarchive.platform_of(self.name)

    @property
    def problem(self) -> str:
        """Why it is given to no runtime; empty where nothing speaks against it.

        A name that a runtime's listing could not show on one line could fake another.
        """
        if self.verified.scan.error is not None:
            return self.verified.scan.error.message.removeprefix(f"{self.name}: ")
        strange = [name for name in self._every_name if not _is_plain(name)]
        if strange:
            return f"names an image {strange[0][:100]!r}"
        return "" if self.verified.images else "holds no image"

    @property
    def _every_name(self) -> Iterator[str]:
        yield from (image.name for image in (*self.verified.images, *self.loaded))

    @cached_property
    def images(self) -> Mapping[Reference, tuple[SeenImage, ...]]:
        """What a node takes: name -> its image, or the images of an index for each platform."""
        return _named(self.verified.images)

    @cached_property
    def nameless(self) -> tuple[str, ...]:
        """The images that a node passes over, by what tells them apart."""
        return tuple(each.title for each in self.verified.images if _reference(each) is None)

    @cached_property
    def loaded(self) -> tuple[SeenImage, ...]:
        """What docker finds in it; nothing where it has no (readable) ``manifest.json``."""
        try:
            return tuple(self.verified.view.loaded())
        except PackError:
            return ()

    @property
    def is_for_docker(self) -> bool:
        """Whether docker loads anything of it: a delta may have no whole image."""
        return self.verified.note is None or savedimage.LISTING in self.verified.scan.contents

    @property
    def docker_images(self) -> Mapping[Reference, tuple[SeenImage, ...]]:
        """The same as ``images``, by what docker finds."""
        return _named(self.loaded)


def read(files: Iterable[ArchiveFile], bases: Iterable[ArchiveFile] = ()) -> tuple[Archive, ...]:
    """Read archives, each once; the base of a delta is looked for among all that are given.

    Raises IntegrityError for a base that cannot be read, and what `scan` raises.
    """
    given = [verifyarchive.verify(scans.scan(file)) for file in files]
    further = [verifyarchive.verify(scans.scan(file)) for file in bases]
    for base in further:
        if base.scan.error is not None:
            raise base.scan.error
    known = {each.scan.whole: each for each in (*further, *given)}
    return tuple(Archive(verified=each, base=_base(each, known)) for each in given)


def _base(of: Verified, known: Mapping[Digest, Verified]) -> Archive | None:
    """Return what a delta builds upon, which may be a delta itself."""
    above = {of.scan.whole}
    chain: list[Verified] = []
    at = of
    while at.note is not None and (base := known.get(at.note.base.digest)) is not None:
        if base.scan.whole in above:
            msg = f"{of.scan.what}: builds upon itself"
            raise IntegrityError(msg)
        above.add(base.scan.whole)
        chain.append(base)
        at = base
    found: Archive | None = None
    for each in reversed(chain):
        found = Archive(verified=each, base=found)
    return found


def _named(images: Iterable[SeenImage]) -> Mapping[Reference, tuple[SeenImage, ...]]:
    found: dict[Reference, list[SeenImage]] = {}
    for image in images:
        reference = _reference(image)
        if reference is not None:
            found.setdefault(reference, []).append(image)
    return {reference: tuple(each) for reference, each in found.items()}


def _reference(image: SeenImage) -> Reference | None:
    reference = image.reference
    return reference if reference is not None and reference.tag else None


def _is_plain(name: str) -> bool:
    return name.isprintable() and " " not in name and not name.startswith("-")
