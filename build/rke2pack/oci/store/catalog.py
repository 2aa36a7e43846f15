"""Catalog: what the names of a layout are to a registry: repositories, tags, and what is in each.

A name's host is no part of a path on a registry: ``docker.io/rancher/x:v1`` is
the tag ``v1`` of ``rancher/x``. Where two hosts have the same path, whoever asks
says which (``ns``, as containerd's mirrors do), else docker.io's is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, PackError
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.reference import DOCKER_HUB, Reference
from rke2pack.oci.resolve import MAX_DOCUMENTS, MAX_NESTING
from rke2pack.oci.store.layout import Entry, Layout


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything below a repository's names that is in the layout.

    ``lacking`` are manifests that an index lists and the layout does not have.
    """

    documents: Mapping[Digest, Descriptor]
    blobs: Mapping[Digest, Descriptor]
    referrers: Mapping[Digest, tuple[Document, ...]]
    lacking: tuple[Descriptor, ...]


@dataclass(kw_only=True)
class Repository:
    """One host's repository: its tags, and all that its names point at."""

    layout: Layout
    host: str
    path: str
    tags: dict[str, Descriptor] = field(default_factory=dict)
    roots: list[Descriptor] = field(default_factory=list)
    _contents: Contents | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def contents(self) -> Contents:
        """What is in it; read again when something that lacked may have come."""
        with self._lock:
            known = self._contents
            if known is None or any(map(self.layout.has, known.lacking)):
                walk = _Walk(self.layout)
                for root in self.roots:
                    walk.visit(root, depth=0)
                known = self._contents = walk.contents()
            return known

    def document(self, digest: Digest) -> Descriptor | None:
        """Return the descriptor of a manifest or index of this repository."""
        root = next((each for each in self.roots if each.digest == digest), None)
        return root or self.contents.documents.get(digest)

    def blob(self, digest: Digest) -> Descriptor | None:
        """Return the descriptor of a config or layer of this repository, if it is there."""
        found = self.contents.blobs.get(digest)
        return found if found is not None and self.layout.has(found) else None


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All repositories of a layout; ``unnamed`` are names that no registry can serve."""

    repositories: Mapping[tuple[str, str], Repository]
    unnamed: tuple[str, ...]

    @classmethod
    def read(cls, layout: Layout, entries: Iterable[Entry]) -> Catalog:
        """Sort a layout's names into repositories."""
        found: dict[tuple[str, str], Repository] = {}
        unnamed: list[str] = []
        for entry in entries:
            reference = _reference(entry)
            if reference is None:
                unnamed.append(entry.name or str(entry.descriptor.digest))
                continue
            key = (reference.registry, reference.repository)
            repository = found.setdefault(key, Repository(layout=layout, host=key[0], path=key[1]))
            repository.roots.append(entry.descriptor)
            if reference.tag:
                repository.tags[reference.tag] = entry.descriptor
        return cls(repositories=found, unnamed=tuple(unnamed))

    def paths(self, host: str = "") -> list[str]:
        """Return every path once, sorted; of one host alone where it is given."""
        return sorted({path for own, path in self.repositories if host in {"", own}})

    def find(self, path: str, host: str = "") -> Repository | None:
        """Return the repository at ``path``: of ``host``, else docker.io's, else the first host's.

        Without a host, ``path`` may begin with it: ``registry.example.com/team/x``.
        """
        if host:
            return self.repositories.get((host, path))
        hosts = sorted(
            {own for own, _ in self.repositories}, key=lambda own: (own != DOCKER_HUB, own)
        )
        for own in hosts:
            if (own, path) in self.repositories:
                return self.repositories[own, path]
        first, _, rest = path.partition("/")
        return self.repositories.get((first, rest))


def _reference(entry: Entry) -> Reference | None:
    if not media.is_document(entry.descriptor.media_type):
        return None
    try:
        reference = Reference.parse(entry.name)
    except ConfigError:
        return None
    return reference if reference.tag or reference.digest else None


class _Walk:
    """Collects what is below some descriptors; what cannot be read is left out."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._documents: dict[Digest, Descriptor] = {}
        self._blobs: dict[Digest, Descriptor] = {}
        self._referrers: dict[Digest, list[Document]] = {}
        self._lacking: dict[Digest, Descriptor] = {}

    def visit(self, descriptor: Descriptor, *, depth: int) -> None:
        """Collect a document and all that it lists."""
        is_full = len(self._documents) >= MAX_DOCUMENTS * (MAX_NESTING + 1)
        if descriptor.digest in self._documents or depth > MAX_NESTING or is_full:
            return
        if not self._layout.has(descriptor):
            self._lacking[descriptor.digest] = descriptor
            return
        try:
            document = self._layout.document(descriptor)
        except PackError:  # whoever asks for it by its digest is told
            return
        self._documents[descriptor.digest] = descriptor
        if document.subject is not None:
            self._referrers.setdefault(document.subject.digest, []).append(document)
        if isinstance(document, Manifest):
            self._blobs.update((blob.digest, blob) for blob in document.blobs)
            return
        for child in document.manifests:
            if media.is_document(child.media_type):
                self.visit(child, depth=depth + 1)

    def contents(self) -> Contents:
        """Return what was found."""
        return Contents(
            documents=self._documents,
            blobs=self._blobs,
            referrers={digest: tuple(found) for digest, found in self._referrers.items()},
            lacking=tuple(self._lacking.values()),
        )
