"""Archive: which manifests and layers of a store go into an archive, and in what form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rke2pack import strictjson, wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.oci import resolve
from rke2pack.oci.intake.archivefile import Packing
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack import content
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.names import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A blob of the tar that is read when it is written.

    ``digest`` is its name there: the one of ``blob``, or where ``is_unpacked``
    the one of the tar that the blob unpacks to.
    """

    digest: Digest
    blob: Descriptor
    diff_id: Digest
    packing: Packing
    is_unpacked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveImage:
    """One image for one platform as the store has it; ``layers`` as the archive will."""

    reference: Reference
    platform: Platform | None
    manifest: Manifest
    config: bytes
    layers: tuple[Layer, ...]

    @property
    def is_kept(self) -> bool:
        """Whether the manifest goes into the archive as it is, so that its digest stays."""
        return not any(layer.is_unpacked for layer in self.layers)


def read_image(
    store: Store,
    reference: Reference,
    manifest: Manifest,
    platform: Platform | None,
    *,
    keeps_blobs: bool,
) -> ArchiveImage:
    """Read an image that `Store.manifest` has found and decide what becomes of its layers.

    With ``keeps_blobs`` they stay as they are, unless one is zstd or they are
    compressed differently: docker and RKE2's bootstrap reader take neither.
    Raises IntegrityError for a damaged image.
    """
    what = f"{reference}: config {manifest.config.digest}"
    config = store.config(manifest.config)
    named = diff_ids(config, what=what)
    if not resolve.is_image(manifest) or len(named) != len(manifest.layers):
        own = wording.count(len(manifest.layers), "layer")
        msg = f"{what}: does not fit the {own} of its manifest"
        raise IntegrityError(msg)
    packings = [content.packing(store.layout, blob) for blob in manifest.layers]
    for blob, diff_id, packed in zip(manifest.layers, named, packings, strict=True):
        if packed == "none" and blob.digest != diff_id:
            msg = f"{what}: says {diff_id} of the plain layer {blob.digest}"
            raise IntegrityError(msg)
    is_kept = keeps_blobs and len(set(packings)) <= 1 and "zstd" not in packings
    layers = tuple(
        Layer(
            digest=blob.digest if is_kept or packed == "none" else diff_id,
            blob=blob,
            diff_id=diff_id,
            packing=packed,
            is_unpacked=not is_kept and packed != "none",
        )
        for blob, diff_id, packed in zip(manifest.layers, named, packings, strict=True)
    )
    return ArchiveImage(
        reference=reference, platform=platform, manifest=manifest, config=config, layers=layers
    )


def unique_layers(images: Iterable[ArchiveImage]) -> tuple[Layer, ...]:
    """Return every layer of the images once, by digest; of several blobs that hold it, one.

    Which one does not depend on the order of the images; gzip, which may be
    spliced, comes before the others.
    """
    every = {layer for image in images for layer in image.layers}
    ordered = sorted(every, key=lambda each: (each.packing != "gzip", each.blob.digest))
    found = {layer.digest: layer for layer in reversed(ordered)}
    return tuple(found[digest] for digest in sorted(found))


def diff_ids(config: bytes, *, what: str) -> tuple[Digest, ...]:
    """Return the digests of an image's unpacked layers as its config names them, in order.

    Raises IntegrityError for a config that names none.
    """
    found = strictjson.load_object(config, what=what, max_bytes=resolve.MAX_CONFIG_BYTES)
    rootfs = found.get("rootfs")
    names = (rootfs.get("diff_ids") or []) if isinstance(rootfs, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        msg = f"{what}: names no layers (rootfs.diff_ids)"
        raise IntegrityError(msg)
    return tuple(map(Digest.parse, names))
