"""Companions: signatures, attestations and SBOMs, which travel with what they are about.

Sources: cosign's tags ``sha256-<hex>.sig``, ``.att``, ``.sbom``; OCI
distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema". Companions
have companions: an SBOM may be signed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import AuthError, IntegrityError
from rke2pack.oci import media, model
from rke2pack.oci.mirror.sources import Source
from rke2pack.oci.mirror.target import Target
from rke2pack.oci.model import Descriptor, Document, Index, Manifest
from rke2pack.oci.resolve import MAX_NESTING

MAX_COMPANIONS = 1000
# Copies one manifest or index under a name; returns the bytes that the target lacked.
Copy = Callable[[Source, Digest, str, str | Digest], int]


@dataclass(kw_only=True)
class Followers:
    """Copies what belongs to images, everything once."""

    target: Target
    copy: Copy
    _seen: set[tuple[str, Digest]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(
        self, source: Source, repository: str, root: Digest, known: Iterable[Digest]
    ) -> tuple[int, int]:
        """Copy what belongs to an image and to the manifests that it lists.

        ``known`` are these manifests where they are known; else the target
        tells, which has the image. Returns how many companions there are, and
        how many bytes of them the target lacked.
        """
        try:
            tags, listed = source.companion_tags(), source.referrers(root)
        except AuthError as exc:
            hint = "leave signatures out with --no-referrers, or log in"
            raise AuthError(exc.message, hint=hint) from exc
        if not tags and listed is None:
            return 0, 0
        walk = _Walk(followers=self, source=source, repository=repository)
        walk.queue = [root, *(known or self._listed(repository, root))]
        walk.listed[root] = listed
        while walk.queue:
            subject = walk.queue.pop()
            if self._claim(repository, subject):
                walk.visit(subject, tags.get(subject, ()))
        return walk.found, walk.copied

    def _claim(self, repository: str, subject: Digest) -> bool:
        with self._lock:
            key = repository, subject
            is_new = key not in self._seen
            self._seen.add(key)
            return is_new

    def _listed(self, repository: str, digest: Digest, depth: int = 0) -> list[Digest]:
        if depth > MAX_NESTING:
            msg = f"{repository}@{digest}: indexes nested deeper than {MAX_NESTING}"
            raise IntegrityError(msg, hint="leave signatures out with --no-referrers")
        document = self.target.document(repository, digest)
        if not isinstance(document, Index):
            return []
        found = [child.digest for child in document.manifests]
        for child in document.manifests:
            if child.media_type in media.INDEXES:
                found += self._listed(repository, child.digest, depth + 1)
        return found


@dataclass(kw_only=True)
class _Walk:
    followers: Followers
    source: Source
    repository: str
    queue: list[Digest] = field(default_factory=list)
    listed: dict[Digest, tuple[Descriptor, ...] | None] = field(default_factory=dict)
    found: int = 0
    copied: int = 0

    def visit(self, subject: Digest, tags: tuple[str, ...]) -> None:
        """Copy what belongs to one manifest."""
        entries: dict[str, dict[str, Any]] = {}
        original: Document | None = None
        for tag in tags:
            digest = self.source.digest(tag)
            if "." in tag:
                self._copy(digest, tag)
                continue
            original = self.source.document(Descriptor(media_type="", digest=digest, size=0))
            if not isinstance(original, Index):
                msg = f"{self.source.repository}:{tag}: not an index of referrers"
                raise IntegrityError(msg, hint="leave signatures out with --no-referrers")
            raw = json.loads(original.raw)["manifests"]
            entries |= {entry["digest"]: entry for entry in raw}
        for descriptor in self._referrers(subject):
            if str(descriptor.digest) not in entries:
                entries[str(descriptor.digest)] = _entry(self.source.document(descriptor))
                original = None
        for name in entries:
            self._copy(Digest.parse(name), Digest.parse(name))
        if entries:
            self._list(subject, entries, original)

    def _referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        if subject not in self.listed:
            self.listed[subject] = self.source.referrers(subject)
        return self.listed[subject] or ()

    def _copy(self, digest: Digest, name: str | Digest) -> None:
        self.found += 1
        if self.found > MAX_COMPANIONS:
            msg = f"{self.source.repository}: an image with more than {MAX_COMPANIONS} referrers"
            raise IntegrityError(msg, hint="leave signatures out with --no-referrers")
        self.copied += self.followers.copy(self.source, digest, self.repository, name)
        self.queue.append(digest)

    def _list(
        self, subject: Digest, entries: dict[str, dict[str, Any]], original: Document | None
    ) -> None:
        """Write the list of referrers where the target keeps none by itself."""
        target = self.followers.target
        if target.referrers(self.repository, subject) is not None:
            return
        tag = f"sha256-{subject.hex}"
        there = target.document(self.repository, tag)
        old = json.loads(there.raw)["manifests"] if isinstance(there, Index) else []
        known = {entry["digest"]: entry for entry in old}
        if entries.keys() <= known.keys():
            return
        if original is None or known:
            merged = {**entries, **known}
            document = {
                "schemaVersion": 2,
                "mediaType": media.OCI_INDEX,
                "manifests": [merged[name] for name in sorted(merged)],
            }
            raw = strictjson.dump(document)
            original = model.parse(raw, media_type=media.OCI_INDEX, what=f"referrers of {subject}")
        target.put(self.repository, original, tag)
        self.copied += len(original.raw)


def _entry(document: Document) -> dict[str, Any]:
    """Describe a referrer as its specification asks of whoever keeps the list."""
    kind = document.artifact_type
    if not kind and isinstance(document, Manifest):
        kind = document.config.media_type
    return {
        **document.descriptor.to_json(),
        **({"artifactType": kind} if kind else {}),
        **({"annotations": dict(document.annotations)} if document.annotations else {}),
    }
