"""Images: what a name points at, read from a registry or the store, with nothing kept.

A document or config that the store has is read from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rke2pack.digest import Digest
from rke2pack.errors import NotFoundError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.resolve import Source, resolve
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from rke2pack.oci.store.transfer import RepositorySource


@dataclass(frozen=True, kw_only=True)
class OpenImage:
    """A name, what it points at, and where the rest of it is read."""

    reference: Reference
    root: Document
    source: Source

    def manifest(self, platform: Platform) -> Manifest:
        """Return the first manifest that the index has for a platform.

        Raises NotFoundError where there is none, and `resolve`'s errors.
        """
        image = resolve(self.source, self.root, (platform,), what=str(self.reference))
        return next(each for each in image.documents if isinstance(each, Manifest))


@dataclass(frozen=True, kw_only=True)
class Images:
    """Opens images; safe for threads."""

    access: Access
    layout: Layout
    is_offline: bool = False

    def digest(self, reference: Reference) -> Digest | None:
        """Ask what a name points at now, with one HEAD; None where the registry does not tell.

        Raises RegistryError, ValidationError for Docker's schema 1.
        """
        if self.is_offline:
            return self._kept(reference).digest
        registry = self.access.registry(reference.registry)
        head = registry.head_manifest(reference.repository, _name(reference))
        if head.media_type in media.SCHEMA_1:
            raise model.schema_1(str(reference))
        return head.digest

    def open(self, reference: Reference, *, digest: Digest | None = None) -> OpenImage:
        """Read what a name points at; ``digest`` is what `digest` has just told.

        Raises RegistryError or IntegrityError.
        """
        if self.is_offline:
            root = self._store.document(self._kept(reference))
            return OpenImage(reference=reference, root=root, source=self._store)
        digest = digest or self.digest(reference)
        registry = self.access.registry(reference.registry)
        repository = reference.repository
        source = RepositorySource(
            registry=registry, repository=repository, layout=self.layout, keeps=False
        )
        if digest is None:
            root = registry.get_manifest(repository, _name(reference))
        else:
            # Neither type nor size are known before: the document itself tells.
            root = source.document(Descriptor(media_type="", digest=digest, size=0))
        return OpenImage(reference=reference, root=root, source=source)

    @cached_property
    def _store(self) -> Store:
        return Store(layout=self.layout)

    def _kept(self, reference: Reference) -> Descriptor:
        found = self._store.names.get(str(reference))
        if found is None:
            msg = f"{reference}: not in {self.layout.root}"
            raise NotFoundError(msg, hint="run it without --offline")
        return found


def _name(reference: Reference) -> str | Digest:
    return reference.digest or reference.tag or "latest"
