"""Sources: where a mirror reads one repository, in a registry or in a layout."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.stream import BytesOrigin, FileOrigin, Origin, RegistryOrigin
from rke2pack.oci.resolve import MAX_CONFIG_BYTES
from rke2pack.oci.store.layout import Layout

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry

# What a signature, attestation or SBOM is called (cosign), and without an ending the
# list of referrers where a registry keeps none (distribution-spec, "Referrers Tag Schema").
_COMPANION = "sha256-"
_COMPANION_TAG = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z0-9._-]+)?\Z")
Companions = Mapping[Digest, tuple[str, ...]]
_SMALL = 64 * 1024


class Source(Protocol):
    """Reads one repository; a `resolve.Source`."""

    @property
    def host(self) -> str:
        """The registry of this repository, empty for none."""

    @property
    def repository(self) -> str:
        """The repository's path there."""

    def digest(self, name: str) -> Digest:
        """Return what a tag points at; raises NotFoundError."""

    def document(self, descriptor: Descriptor) -> Document:
        """Read a manifest or index, verified; raises NotFoundError."""

    def config(self, descriptor: Descriptor) -> bytes:
        """Read a config, verified."""

    def origin(self, blob: Descriptor) -> Origin:
        """Return where a blob's bytes are; raises NotFoundError where it is known to be absent."""

    def companion_tags(self) -> Companions:
        """Return the tags that are called by the digest of what they belong to."""

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...] | None:
        """List what refers to a manifest; None where the source cannot tell."""


@dataclass(kw_only=True)
class RegistrySource:
    """A registry's repository; small configs that were read are kept until they are sent."""

    registry: Registry
    repository: str
    apis: ReferrersApis
    _configs: dict[Digest, bytes] = field(default_factory=dict)
    _tags: Companions | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """The registry's name in references."""
        return self.registry.host

    def digest(self, name: str) -> Digest:
        """Ask what a tag points at."""
        head = self.registry.head_manifest(self.repository, name)
        if head.media_type in media.SCHEMA_1:
            raise model.schema_1(f"{self.host}/{self.repository}:{name}")
        if head.digest is not None:
            return head.digest
        return self.registry.get_manifest(self.repository, name).descriptor.digest

    def document(self, descriptor: Descriptor) -> Document:
        """Fetch a document."""
        return self.registry.get_manifest(self.repository, descriptor.digest)

    def config(self, descriptor: Descriptor) -> bytes:
        """Fetch a config."""
        if descriptor.size > MAX_CONFIG_BYTES:
            msg = f"{self.repository}: config {descriptor.digest} of {descriptor.size} bytes"
            raise IntegrityError(msg)
        data = b"".join(self.registry.read_blob(self.repository, descriptor))
        descriptor.digest.verify(data, what=f"{self.host}/{self.repository}: config")
        if len(data) <= _SMALL:
            with self._lock:
                self._configs[descriptor.digest] = data
        return data

    def origin(self, blob: Descriptor) -> Origin:
        """Return the registry's blob."""
        with self._lock:
            data = self._configs.pop(blob.digest, None)
        if data is not None:
            return BytesOrigin(data=data)
        return RegistryOrigin(registry=self.registry, repository=self.repository, blob=blob)

    def companion_tags(self) -> Companions:
        """List them, once."""
        with self._listing:
            if self._tags is None:
                self._tags = _by_digest(self.registry.tags(self.repository, start=_COMPANION))
            return self._tags

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...] | None:
        """Ask the registry, unless it is known not to answer this question."""
        return self.apis.referrers(self.registry, self.repository, subject)


@dataclass(kw_only=True)
class ReferrersApis:
    """Which registries know the referrers API, which repositories it is refused for.

    Who does not know it is asked once, a repository that it is refused for too.
    """

    _known: dict[str, bool] = field(default_factory=dict)
    _refused: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def referrers(
        self, registry: Registry, repository: str, subject: Digest
    ) -> tuple[Descriptor, ...] | None:
        """List what refers to a manifest; None where the registry does not know."""
        with self._lock:
            if registry.host not in self._known:
                return self._first(registry, repository, subject)
        if not self._known[registry.host]:
            return None
        try:
            return registry.referrers(repository, subject)
        except NotFoundError:
            # A repository that is not there yet, in a dry run.
            return ()

    def _first(
        self, registry: Registry, repository: str, subject: Digest
    ) -> tuple[Descriptor, ...] | None:
        """Ask a host of which nothing is known yet."""
        if (registry.host, repository) in self._refused:
            return None
        try:
            found = registry.referrers(repository, subject)
        except NotFoundError:
            self._refused.add((registry.host, repository))
            return None
        self._known[registry.host] = found is not None
        return found


@dataclass(frozen=True, kw_only=True)
class LayoutSource:
    """What a layout has of the repository of ``reference``; ``names`` are full references."""

    layout: Layout
    names: Mapping[str, Descriptor]
    reference: Reference

    @property
    def host(self) -> str:
        """No registry: nothing can be mounted from here."""
        return ""

    @property
    def repository(self) -> str:
        """The repository's path in its references."""
        return self.reference.repository

    def digest(self, name: str) -> Digest:
        """Look a name up."""
        full = f"{self._start}{name}"
        exact = str(self.reference) if self.reference.tag == name else full
        root = self.names.get(exact) or self.names.get(full)
        if root is None:
            msg = f"{full}: not in {self.layout.root}"
            raise NotFoundError(msg, hint="bring it with 'rke2pack pull', or mirror a registry")
        return root.digest

    def document(self, descriptor: Descriptor) -> Document:
        """Read a document."""
        try:
            return self.layout.document(descriptor)
        except NotFoundError as exc:
            hint = "bring it with 'rke2pack pull --all-platforms', or choose with --platform"
            raise NotFoundError(exc.message, hint=hint) from exc

    def config(self, descriptor: Descriptor) -> bytes:
        """Read a config."""
        return self.layout.read(descriptor.digest, max_bytes=MAX_CONFIG_BYTES)

    def origin(self, blob: Descriptor) -> Origin:
        """Return the blob's file."""
        if not self.layout.has(blob):
            msg = f"{self.layout.root}: has no blob {blob.digest}"
            raise NotFoundError(msg, hint="bring the image with 'rke2pack pull'")
        return FileOrigin(path=self.layout.path(blob.digest))

    def companion_tags(self) -> Companions:
        """Find them among the names."""
        start = self._start
        return _by_digest(n.removeprefix(start) for n in self.names if n.startswith(start))

    def referrers(self, subject: Digest) -> None:
        """Tell nothing: a layout does not say what refers to what."""
        _ = subject

    @property
    def _start(self) -> str:
        return f"{self.reference.registry}/{self.reference.repository}:"


def _by_digest(tags: Iterable[str]) -> Companions:
    """Sort tags like ``sha256-<hex>.sig`` by the digest in their name."""
    found: dict[str, list[str]] = {}
    for tag in sorted(tags):
        match = _COMPANION_TAG.match(tag)
        if match:
            found.setdefault(match[1], []).append(tag)
    return {Digest(name): tuple(names) for name, names in found.items()}
