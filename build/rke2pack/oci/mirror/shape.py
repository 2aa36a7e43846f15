"""Shape: an image as it is to be at the target, whole or with fewer platforms.

An index that loses entries is written anew, in a form that depends on its
content alone, so that every run makes the same digest. Everything else is
passed on byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import NotFoundError, ValidationError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document, Index, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.resolve import Image, Source, config_platform, is_image, resolve
from rke2pack.oci.store.layout import Layout

_SUBJECT = "vnd.docker.reference.digest"


@dataclass(frozen=True, kw_only=True)
class _Remembering:
    """A source whose documents are read once, together with those that were made."""

    source: Source
    documents: dict[Digest, Document] = field(default_factory=dict)

    def document(self, descriptor: Descriptor) -> Document:
        if descriptor.digest not in self.documents:
            self.documents[descriptor.digest] = self.source.document(descriptor)
        return self.documents[descriptor.digest]

    def config(self, descriptor: Descriptor) -> bytes:
        return self.source.config(descriptor)


def read(source: Source, root: Document, wants: tuple[Platform, ...], *, what: str) -> Image:
    """Read an image with all that it lists, or with the wanted platforms alone.

    What is not wanted is left out of its index, too, which then has another
    digest. Attestations go with the manifest that they are about. Raises as
    `resolve` does.
    """
    memory = _Remembering(source=source)
    if wants:
        kept = {
            each.descriptor.digest for each in resolve(memory, root, wants, what=what).documents
        }
        root = _narrowed(memory, root, kept)
    return resolve(memory, root, (), what=what)


def _narrowed(memory: _Remembering, document: Document, kept: set[Digest]) -> Document:
    """Return a document without the entries that are not kept."""
    if isinstance(document, Manifest):
        return document
    entries: list[dict[str, Any]] = json.loads(document.raw)["manifests"]
    found: list[dict[str, Any]] = []
    for child, entry in zip(document.manifests, entries, strict=True):
        about = child.annotations.get(_SUBJECT, "").removeprefix("sha256:")
        if child.digest in kept:
            new = _narrowed(memory, memory.document(child), kept).descriptor
            found.append({**entry, "digest": str(new.digest), "size": new.size})
        elif child.is_attestation and any(about == digest.hex for digest in kept):
            found.append(entry)
    if found == entries:
        return document
    return _written(memory, document, found)


def _written(memory: _Remembering, document: Document, entries: list[dict[str, Any]]) -> Document:
    raw = strictjson.dump({**json.loads(document.raw), "manifests": entries})
    made = model.parse(raw, media_type=document.media_type, what="an index that was made")
    memory.documents[made.descriptor.digest] = made
    return made


def joined(layout: Layout, roots: Iterable[Descriptor], *, what: str) -> Descriptor:
    """Make one root of several that have the same name, each with some of its platforms.

    Of an index, what the layout lacks is left out. One root that is whole stays
    as it is; otherwise an index is made of all manifests, in the order of their
    platforms, and kept in the layout. Raises ValidationError for two images of
    one platform.
    """
    unique = model.unique(roots)
    if len(unique) == 1 and _is_whole(layout, unique[0]):
        return unique[0]
    leaves: dict[Digest, tuple[Platform | None, dict[str, Any]]] = {}
    for root in unique:
        leaves |= _leaves(layout, root, what=what)
    _check_platforms(leaves, what=what)
    ordered = sorted(leaves.items(), key=lambda pair: (str(pair[1][0] or "~"), pair[0]))
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [entry for _, (_, entry) in ordered],
    }
    raw = strictjson.dump(document)
    return Descriptor(media_type=media.OCI_INDEX, digest=layout.put(raw), size=len(raw))


def _is_whole(layout: Layout, root: Descriptor) -> bool:
    document = layout.document(root)
    return isinstance(document, Manifest) or all(
        layout.has(child) and (not media.is_document(child.media_type) or _is_whole(layout, child))
        for child in document.manifests
    )


def _leaves(
    layout: Layout, root: Descriptor, *, what: str
) -> dict[Digest, tuple[Platform | None, dict[str, Any]]]:
    """Return the manifests below ``root`` that are there, each with its index entry."""
    document = layout.document(root)
    if isinstance(document, Index):
        found: dict[Digest, tuple[Platform | None, dict[str, Any]]] = {}
        entries = json.loads(document.raw)["manifests"]
        for child, entry in zip(document.manifests, entries, strict=True):
            if not layout.has(child):
                continue
            below = _leaves(layout, child, what=what)
            is_own = child.platform is not None and child.media_type in media.MANIFESTS
            found |= {child.digest: (child.platform, entry)} if is_own else below
        return found
    platform = root.platform or _platform(layout, document, what=what)
    entry = {**document.descriptor.to_json(), **_platform_json(platform)}
    return {document.descriptor.digest: (platform, entry)}


def _platform(layout: Layout, manifest: Manifest, *, what: str) -> Platform | None:
    if not is_image(manifest):
        return None
    raw = layout.read(manifest.config.digest, max_bytes=model.MAX_BYTES)
    return config_platform(raw, what=f"{what}: config {manifest.config.digest}")


def _platform_json(platform: Platform | None) -> dict[str, Any]:
    if platform is None:
        return {}
    # An index has to have the first two (image-spec), known or not.
    return {"platform": {"architecture": "", "os": "", **platform.to_json()}}


def _check_platforms(
    leaves: dict[Digest, tuple[Platform | None, dict[str, Any]]], *, what: str
) -> None:
    """Refuse two images for one platform, and an image of which nothing is there."""
    if not leaves:
        msg = f"{what}: none of its manifests is there"
        raise NotFoundError(msg)
    owners: dict[Platform, Digest] = {}
    for digest, (platform, _) in leaves.items():
        if platform is None or platform.is_unknown:
            continue
        other = owners.setdefault(platform, digest)
        if other != digest:
            msg = f"{what}: two images for {platform}: {other} and {digest}"
            raise ValidationError(msg, hint="leave one of the archives out")


def blobs(documents: Iterable[Document]) -> tuple[Descriptor, ...]:
    """Return the blobs of all manifests, each once."""
    return model.unique(
        blob for each in documents if isinstance(each, Manifest) for blob in each.blobs
    )
