"""Pack: one archive file from images of a store, unless it is there already.

What an archive was made of is recorded in the cache: the digests of its
manifests and everything that decides its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.oci import archive, imagetar, outfile
from rke2pack.oci.model import Manifest
from rke2pack.oci.outfile import Written
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.splice import Recipe, Splicer
from rke2pack.oci.store import Store

Status = Literal["built", "unchanged"]
# Counted up when the same inputs begin to give other bytes.
_FORMAT = 1


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

    def pack(self, path: Path, images: Iterable[Found]) -> tuple[Artifact, ...]:
        """Write the archive of ``images`` to ``path``, or to parts of it.

        Raises IntegrityError for damaged blobs, ToolError when it cannot be
        written; then nothing new is at ``path``.
        """
        every = tuple(sorted(images, key=lambda found: str(found.reference)))
        inputs = self._inputs(every)
        known = self._recorded(path, inputs)
        if known:
            return tuple(Artifact(written=each, status="unchanged") for each in known)
        read = [
            archive.read_image(self.store, found.reference, found.manifest, found.platform,
                               keeps_blobs=self.recipe.keeps_blobs)
            for found in every
        ]  # fmt: skip
        splicer = Splicer(layout=self.store.layout, cache=self.cache, recipe=self.recipe)
        ready = splicer.prepare(archive.unique_layers(read))
        sizes = {digest: each.size for digest, each in ready.items()}
        with outfile.opened(path) as out:
            splicer.write(imagetar.pieces(imagetar.members(read, sizes)), ready, out)
            written = out.finish(max_size=self.max_size)
        self._record(path, inputs, written)
        changed = tuple(str(image.reference) for image in read if not image.is_kept)
        return tuple(
            Artifact(written=each, status="built", changed_digests=changed) for each in written
        )

    def is_unchanged(self, path: Path, images: Iterable[Found]) -> bool:
        """Whether `pack` would find that there is nothing to do."""
        every = sorted(images, key=lambda found: str(found.reference))
        return bool(self._recorded(path, self._inputs(every)))

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

    def _recorded(self, path: Path, inputs: str) -> tuple[Written, ...]:
        """Return the files of the archive where they were made of ``inputs`` and are untouched."""
        try:
            known = json.loads(self.cache.get(_key(path)) or b"null")
            if known["inputs"] != inputs:
                return ()
            files = tuple(_written(path.parent, each) for each in known["files"])
        except (ValueError, TypeError, KeyError):
            return ()
        return files if all(each.is_untouched for each in files) else ()

    def _record(self, path: Path, inputs: str, written: Iterable[Written]) -> None:
        files = [
            {
                "name": each.path.name,
                "size": each.size,
                "sha256": each.digest.hex,
                "mtime_ns": each.mtime_ns,
            }
            for each in written
        ]
        self.cache.put(_key(path), json.dumps({"inputs": inputs, "files": files}).encode())


def _key(path: Path) -> str:
    return f"archives/{Digest.of(str(path.absolute()).encode()).hex}.json"


def _written(folder: Path, known: dict[str, Any]) -> Written:
    return Written(
        path=folder / known["name"],
        size=int(known["size"]),
        digest=Digest(known["sha256"]),
        mtime_ns=int(known["mtime_ns"]),
    )
