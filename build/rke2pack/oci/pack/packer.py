"""Pack: one archive file from images of a store, unless it is there already.

What an archive was made of is recorded in the cache: the digests of its
manifests and everything that decides its bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.files import Cache
from rke2pack.oci.model import Manifest
from rke2pack.oci.pack.buildrecord import BuildRecord
from rke2pack.oci.pack.outfile import Written
from rke2pack.oci.pack.recipes import Recipe
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.names import Store
from rke2pack.progress import Meter, Silence

if TYPE_CHECKING:
    from rke2pack.oci.pack.images import ArchiveImage, Layer
    from rke2pack.oci.pack.splice import Splicer

Status = Literal["built", "unchanged"]
# Counted up when the same inputs begin to give other bytes.
_FORMAT = 1
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An image that the store has, complete, for the archive's platform."""

    reference: Reference
    manifest: Manifest
    platform: Platform | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One archive file, or one part of it.

    ``changed_digests`` are images that were built into it under another digest
    than the registry's.
    """

    written: Written
    status: Status
    changed_digests: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Packer:
    """Builds archives by one recipe."""

    store: Store
    cache: Cache
    recipe: Recipe
    max_size: int | None = None
    meter: Meter = field(default_factory=Silence)

    def pack(self, path: Path, images: Iterable[Found]) -> tuple[Artifact, ...]:
        """Write the archive of ``images`` to ``path``, or to parts of it.

        Raises IntegrityError for damaged blobs, ToolError when it cannot be
        written; then nothing new is at ``path``.
        """
        every = tuple(sorted(images, key=lambda found: str(found.reference)))
        record = self._record(path, every)
        known = record.files()
        if known:
            return tuple(Artifact(written=each, status="unchanged") for each in known)
        from rke2pack.oci.pack import images as archive  # noqa: PLC0415 - only for what is built

        read = [
            archive.read_image(self.store, found.reference, found.manifest, found.platform,
                               keeps_blobs=self.recipe.keeps_blobs)
            for found in every
        ]  # fmt: skip
        written = self.write(path, read)
        record.keep(written)
        changed = tuple(str(image.reference) for image in read if not image.is_kept)
        return tuple(
            Artifact(written=each, status="built", changed_digests=changed) for each in written
        )

    def write(
        self,
        path: Path,
        images: Sequence[ArchiveImage],
        *,
        left_out: frozenset[Digest] = frozenset(),
        notes: Mapping[str, bytes] = _NOTHING,
    ) -> tuple[Written, ...]:
        """Write an archive of images without the layers that are ``left_out``.

        ``notes`` are further files, after the metadata. Raises as `pack` does.
        """
        from rke2pack.oci.pack import images as archive  # noqa: PLC0415 - only for what is built
        from rke2pack.oci.pack import imagetar, outfile  # noqa: PLC0415 - as above

        layers = [each for each in archive.unique_layers(images) if each.digest not in left_out]
        ready = self._splicer.prepare(layers)
        sizes = {digest: each.size for digest, each in ready.items()}
        members = imagetar.members(images, sizes, left_out=left_out, notes=notes)
        with outfile.opened(path) as out:
            self._splicer.write(imagetar.pieces(members), ready, out)
            return out.finish(max_size=self.max_size)

    def keep(self, images: Iterable[tuple[Reference, Manifest]]) -> None:
        """Encode the layers of images as they come, for `pack` to find.

        What is wrong with an image is left for `pack` to say. Raises ToolError
        when the disk is full.
        """
        coming = iter(images)
        for first in coming:  # where nothing comes, nothing is loaded to encode it
            self._splicer.keep(self._layers(itertools.chain((first,), coming)))

    def _layers(self, images: Iterable[tuple[Reference, Manifest]]) -> Iterator[Layer]:
        from rke2pack.oci.pack import images as archive  # noqa: PLC0415 - only for what is built

        for reference, manifest in images:
            with contextlib.suppress(IntegrityError, NotFoundError):
                keeps_blobs = self.recipe.keeps_blobs
                yield from archive.read_image(
                    self.store, reference, manifest, None, keeps_blobs=keeps_blobs
                ).layers

    @cached_property
    def _splicer(self) -> Splicer:
        from rke2pack.oci.pack.splice import Splicer  # noqa: PLC0415 - only for what is built

        return Splicer(
            layout=self.store.layout, cache=self.cache, recipe=self.recipe, meter=self.meter
        )

    def is_unchanged(self, path: Path, images: Iterable[Found]) -> bool:
        """Whether `pack` would find that there is nothing to do."""
        every = sorted(images, key=lambda found: str(found.reference))
        return bool(self._record(path, every).files())

    def inputs(self, images: Iterable[Found]) -> str:
        """Return the digest of all that decides the bytes of an archive of ``images``."""
        return self._inputs(sorted(images, key=lambda found: str(found.reference)))

    def _record(self, path: Path, images: Iterable[Found]) -> BuildRecord:
        return BuildRecord(
            cache=self.cache,
            folder=path.parent,
            subject=str(path.absolute()),
            inputs=self._inputs(images),
        )

    def _inputs(self, images: Iterable[Found]) -> str:
        recipe = self.recipe
        document = {
            "format": _FORMAT,
            "codings": [recipe.plain.name, recipe.packed.name],
            "keeps_blobs": recipe.keeps_blobs,
            "splices": recipe.splices,
            "max_size": self.max_size,
            "images": [
                [str(each.reference), str(each.manifest.descriptor.digest), str(each.platform)]
                for each in images
            ],
        }
        return str(Digest.of(json.dumps(document, sort_keys=True).encode()))
