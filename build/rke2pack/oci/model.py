"""Manifests and indexes: values read from bytes that are kept as they came.

Source: OCI image-spec (manifest.md, image-index.md, descriptor.md) and Docker's
image manifest version 2, schema 2. ``raw`` is never written anew, so a digest
is always the one of the bytes that were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.oci import media
from rke2pack.oci.platform import Platform
from rke2pack.strictjson import typed

MAX_BYTES = 4 * 1024 * 1024
MAX_CHILDREN = 1000
_ATTESTATION = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What points at a blob; ``urls`` are further places that may have it."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()

    @classmethod
    def parse(cls, document: object, *, what: str) -> Descriptor:
        """Read a descriptor; raises IntegrityError that names ``what``."""
        found = typed(document, dict, what=what)
        return cls(
            media_type=_media_type(found, what=what),
            digest=strictjson.digest(found.get("digest"), what=f"{what}: digest"),
            size=strictjson.number(found.get("size"), what=f"{what}: size"),
            platform=_platform(found.get("platform"), what=what),
            annotations=_annotations(found, what=what),
            urls=strictjson.texts(found.get("urls") or [], what=f"{what}: urls"),
        )

    @property
    def is_attestation(self) -> bool:
        """Whether this points at a build attestation and not at an image."""
        return _ATTESTATION in self.annotations or bool(self.platform and self.platform.is_unknown)

    def to_json(self) -> dict[str, object]:
        """Return the descriptor's own three keys."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One platform's image (or an artifact): its config and layers, in order."""

    raw: bytes = field(repr=False)
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def descriptor(self) -> Descriptor:
        """What points at this manifest."""
        return _descriptor(self.media_type, self.raw)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once."""
        return unique((self.config, *self.layers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The list of an image's manifests, one a platform; it may list further indexes."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def descriptor(self) -> Descriptor:
        """What points at this index."""
        return _descriptor(self.media_type, self.raw)


Document = Manifest | Index


def parse(raw: bytes, *, media_type: str, what: str) -> Document:
    """Read a manifest or an index that came as ``media_type`` (empty: as it says itself).

    Raises ValidationError for Docker's schema 1 and for other kinds of
    documents, IntegrityError for bytes that are not what they claim.
    """
    found = strictjson.load_object(raw, what=what, max_bytes=MAX_BYTES)
    own = typed(found.get("mediaType", ""), str, what=f"{what}: mediaType")
    if media_type in media.SCHEMA_1 or own in media.SCHEMA_1 or found.get("schemaVersion") == 1:
        raise schema_1(what)
    claimed = media_type if media.is_document(media_type) else ""
    kind = claimed or own or _kind(found)
    if not media.is_document(kind):
        msg = f"{what}: {(media_type or kind)[:100]!r} is neither a manifest nor an index"
        raise ValidationError(msg)
    if own and own != kind:
        msg = f"{what}: came as {kind} and says that it is {own[:100]}"
        raise IntegrityError(msg)
    if found.get("schemaVersion") != 2 or isinstance(found["schemaVersion"], float):  # noqa: PLR2004 - the only one
        msg = f"{what}: schemaVersion is not 2"
        raise IntegrityError(msg)
    if "manifests" in found and ("layers" in found or "config" in found):
        msg = f"{what}: a manifest and an index at once"
        raise IntegrityError(msg)
    read = _manifest if kind in media.MANIFESTS else _index
    return read(raw, kind, found, what)


def schema_1(what: str) -> ValidationError:
    """Return the error for an image in Docker's first format."""
    return ValidationError(
        f"{what}: Docker schema 1, which names its layers before compression and is retired",
        hint="push the image anew with a current docker or skopeo",
    )


def unique(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return the descriptors, the first of each digest."""
    return tuple({each.digest: each for each in reversed(tuple(descriptors))}.values())[::-1]


def _manifest(raw: bytes, kind: str, found: Mapping[str, Any], what: str) -> Manifest:
    layers = typed(found.get("layers"), list, what=f"{what}: layers")
    return Manifest(
        raw=raw,
        media_type=kind,
        config=Descriptor.parse(found.get("config"), what=f"{what}: config"),
        layers=tuple(
            Descriptor.parse(layer, what=f"{what}: layer {number}")
            for number, layer in enumerate(layers, start=1)
        ),
        subject=_subject(found, what=what),
        artifact_type=typed(found.get("artifactType", ""), str, what=f"{what}: artifactType"),
        annotations=_annotations(found, what=what),
    )


def _index(raw: bytes, kind: str, found: Mapping[str, Any], what: str) -> Index:
    manifests = typed(found.get("manifests"), list, what=f"{what}: manifests")
    if len(manifests) > MAX_CHILDREN:
        msg = f"{what}: lists more than {MAX_CHILDREN} manifests"
        raise IntegrityError(msg)
    return Index(
        raw=raw,
        media_type=kind,
        manifests=tuple(
            Descriptor.parse(each, what=f"{what}: manifest {number}")
            for number, each in enumerate(manifests, start=1)
        ),
        subject=_subject(found, what=what),
        artifact_type=typed(found.get("artifactType", ""), str, what=f"{what}: artifactType"),
        annotations=_annotations(found, what=what),
    )


def _kind(found: Mapping[str, Any]) -> str:
    """OCI lets ``mediaType`` be absent; the other keys tell."""
    if "manifests" in found:
        return media.OCI_INDEX
    return media.OCI_MANIFEST if "layers" in found else ""


def _subject(found: Mapping[str, Any], *, what: str) -> Descriptor | None:
    subject = found.get("subject")
    return None if subject is None else Descriptor.parse(subject, what=f"{what}: subject")


def _platform(document: object, *, what: str) -> Platform | None:
    if document is None:
        return None
    what = f"{what}: platform"
    return named_platform(typed(document, dict, what=what), what=what)


def named_platform(found: Mapping[str, Any], *, what: str) -> Platform:
    """Read the platform that a descriptor or a config names; raises IntegrityError."""
    keys = ("os", "architecture", "variant", "os.version")
    texts = [typed(found.get(key) or "", str, what=f"{what}: {key}") for key in keys]
    return Platform(os=texts[0], architecture=texts[1], variant=texts[2], os_version=texts[3])


def _annotations(found: Mapping[str, Any], *, what: str) -> Mapping[str, str]:
    what = f"{what}: annotations"
    pairs = typed(found.get("annotations") or {}, dict, what=what)
    return {key: typed(value, str, what=what) for key, value in pairs.items()}


def _media_type(found: Mapping[str, Any], *, what: str) -> str:
    media_type = typed(found.get("mediaType"), str, what=f"{what}: mediaType")
    if "/" not in media_type:
        msg = f"{what}: mediaType {media_type[:100]!r} is none"
        raise IntegrityError(msg)
    return media_type


def _descriptor(media_type: str, raw: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(raw), size=len(raw))
