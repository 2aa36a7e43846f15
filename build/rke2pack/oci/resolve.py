"""Resolve: from what a name points at to the manifests and blobs of the wanted platforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from rke2pack import strictjson
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document, Index, Manifest, unique
from rke2pack.oci.platform import Platform

MAX_NESTING = 3
MAX_DOCUMENTS = 1000
MAX_CONFIG_BYTES = 8 * 1024 * 1024
_CONFIGS = frozenset({media.OCI_CONFIG, media.DOCKER_CONFIG})


class Source(Protocol):
    """Where documents and configs are read: a registry's repository, or a layout."""

    def document(self, descriptor: Descriptor) -> Document:
        """Read a manifest or index, verified; raises NotFoundError."""

    def config(self, descriptor: Descriptor) -> bytes:
        """Read a config, verified; raises NotFoundError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One name's documents (children before the index that lists them) and blobs.

    Where platforms were asked for, the index is whole and lists manifests of
    other platforms too, which are not among ``documents``.
    """

    root: Descriptor
    documents: tuple[Document, ...]
    platforms: tuple[Platform, ...]
    blobs: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes of all documents and blobs, each once."""
        return sum(len(document.raw) for document in self.documents) + sum(
            blob.size for blob in self.blobs
        )


def resolve(source: Source, root: Document, wants: tuple[Platform, ...], *, what: str) -> Image:
    """Read what ``root`` lists for the wanted platforms, or all of it where none is asked for.

    Raises NotFoundError when a wanted platform is not there, IntegrityError
    for indexes that nest deeper than 3.
    """
    walk = _Walk(source=source, wants=wants, what=what)
    walk.visit(root, None, depth=1)
    missing = [w for w in wants if not any(p.satisfies(w) for p in walk.platforms)]
    if missing:
        has = ", ".join(sorted({str(p) for p in (*walk.platforms, *walk.others)})) or "no platform"
        msg = f"{what}: not there for {', '.join(map(str, missing))}; it has {has}"
        raise NotFoundError(msg)
    documents = {document.descriptor.digest: document for document in walk.documents}
    return Image(
        root=root.descriptor,
        documents=tuple(documents.values()),
        platforms=tuple(dict.fromkeys(walk.platforms)),
        blobs=unique(
            blob for each in documents.values() if isinstance(each, Manifest) for blob in each.blobs
        ),
    )


@dataclass(kw_only=True)
class _Walk:
    source: Source
    wants: tuple[Platform, ...]
    what: str
    documents: list[Document] = field(default_factory=list)
    platforms: list[Platform] = field(default_factory=list)
    others: list[Platform] = field(default_factory=list)
    visited: int = 0

    def visit(self, document: Document, platform: Platform | None, *, depth: int) -> None:
        """Collect a document after everything that it lists."""
        self.visited += 1
        if self.visited > MAX_DOCUMENTS:
            msg = f"{self.what}: more than {MAX_DOCUMENTS} manifests"
            raise IntegrityError(msg)
        if isinstance(document, Manifest):
            own = platform or self._platform(document)
            if not self._is_wanted(own):
                self.others += [own] if own else []
                return
            self.platforms += [own] if own and not own.is_unknown else []
        else:
            self._visit_children(document, depth=depth)
        self.documents.append(document)

    def _visit_children(self, index: Index, *, depth: int) -> None:
        if depth > MAX_NESTING:
            msg = f"{self.what}: indexes nested deeper than {MAX_NESTING}"
            raise IntegrityError(msg)
        for child in index.manifests:
            if not media.is_document(child.media_type):
                if not self.wants:
                    msg = f"{self.what}: lists {child.media_type[:100]!r}, which is no manifest"
                    raise IntegrityError(msg)
                continue
            if self.wants and child.is_attestation:
                continue
            is_other = child.platform is not None and not self._is_wanted(child.platform)
            if is_other and child.platform is not None:
                self.others.append(child.platform)
            else:
                self.visit(self._child(child), child.platform, depth=depth + 1)

    def _child(self, child: Descriptor) -> Document:
        document = self.source.document(child)
        if document.descriptor.size != child.size or document.media_type != child.media_type:
            msg = f"{self.what}: {child.digest} is not what its index says (size or media type)"
            raise IntegrityError(msg)
        return document

    def _is_wanted(self, platform: Platform | None) -> bool:
        if not self.wants:
            return True
        return platform is not None and any(platform.satisfies(want) for want in self.wants)

    def _platform(self, manifest: Manifest) -> Platform | None:
        """Read the platform from the config, as a manifest outside an index tells it."""
        if not is_image(manifest):
            return None
        what = f"{self.what}: config {manifest.config.digest}"
        return config_platform(self.source.config(manifest.config), what=what)


def is_image(manifest: Manifest) -> bool:
    """Whether the manifest is an image's, whose config names its platform."""
    return manifest.config.media_type in _CONFIGS


def config_platform(raw: bytes, *, what: str) -> Platform:
    """Read the platform that an image's config names; raises IntegrityError."""
    found = strictjson.load_object(raw, what=what, max_bytes=MAX_CONFIG_BYTES)
    return model.named_platform(found, what=what)
