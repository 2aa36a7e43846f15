"""Store: a layout and the names in its index, as a source of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from rke2pack import wording
from rke2pack.errors import NotFoundError
from rke2pack.oci import resolve
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Store:
    """Documents, configs and names of a layout alone; a `resolve.Source`."""

    layout: Layout

    @cached_property
    def names(self) -> Mapping[str, Descriptor]:
        """What the index has, read once."""
        return {entry.name: entry.descriptor for entry in self.layout.entries()}

    def document(self, descriptor: Descriptor) -> Document:
        """Read a document; raises NotFoundError."""
        return self.layout.document(descriptor)

    def config(self, descriptor: Descriptor) -> bytes:
        """Read a config; raises NotFoundError."""
        return self.layout.read(descriptor.digest, max_bytes=resolve.MAX_CONFIG_BYTES)

    def manifest(
        self, reference: Reference, platform: Platform
    ) -> tuple[Manifest, Platform | None]:
        """Return an image's manifest for a platform.

        Raises NotFoundError where the store has no such name, not the
        platform, or not every blob.
        """
        root = self.names.get(str(reference))
        if root is None:
            msg = f"{reference}: not in {self.layout.root}"
            raise NotFoundError(msg)
        image = resolve.resolve(self, self.document(root), (platform,), what=str(reference))
        found = next(each for each in image.documents if isinstance(each, Manifest))
        lacking = [blob for blob in found.blobs if not self.layout.has(blob)]
        if lacking:
            blobs = wording.count(len(lacking), "blob")
            msg = f"{reference}: {self.layout.root} lacks {blobs}: {lacking[0].digest}"
            raise NotFoundError(msg)
        return found, next(iter(image.platforms), None)
