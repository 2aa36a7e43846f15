"""Image tar: the files of an archive, one tar that is an OCI layout and a docker archive at once.

Sources: OCI image-spec, image-layout.md; Docker's image specification 1.2,
"Combined image JSON + filesystem changeset format"; containerd's importer,
which takes the name from ``io.containerd.image.name``. Metadata comes first,
then the blobs by digest, each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.oci import media, model
from rke2pack.oci.intake.archivefile import BLOBS
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack import tarball
from rke2pack.oci.pack.images import ArchiveImage, Layer, unique_layers
from rke2pack.oci.store import layout

_DOCKER_INDEX = "manifest.json"
_NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of the tar: bytes, or a layer."""

    name: str
    size: int
    content: bytes | Layer


def members(
    images: Iterable[ArchiveImage],
    sizes: Mapping[Digest, int],
    *,
    left_out: frozenset[Digest] = frozenset(),
    notes: Mapping[str, bytes] = _NOTHING,
) -> Iterator[Member]:
    """Yield the files of the tar in order; ``sizes`` has each layer's, by its digest there.

    The same image under several names is there once. Layers that are
    ``left_out`` are not there; ``notes`` are files that follow the metadata.
    """
    images = sorted(images, key=lambda image: str(image.reference))
    manifests = [_written(image, sizes) for image in images]
    blobs: dict[Digest, Member] = {}
    for image, manifest in zip(images, manifests, strict=True):
        for data in (manifest.raw, image.config):
            digest = Digest.of(data)
            blobs[digest] = Member(name=_path(digest), size=len(data), content=data)
    for layer in unique_layers(images):
        if layer.digest not in left_out:
            size = sizes[layer.digest]
            blobs[layer.digest] = Member(name=_path(layer.digest), size=size, content=layer)
    top = {
        layout.VERSION_FILE: layout.VERSION,
        layout.INDEX_FILE: _oci_index(images, manifests),
        **_docker_index(images, left_out),
        **notes,
    }
    for name, data in top.items():
        yield Member(name=name, size=len(data), content=data)
    yield from (blobs[digest] for digest in sorted(blobs))


def pieces(files: Iterable[Member]) -> Iterator[bytes | Layer]:
    """Yield the tar's bytes in order, each layer's content as the layer."""
    pending = bytearray()
    for member in files:
        pending += tarball.header(member.name, member.size)
        if isinstance(member.content, bytes):
            pending += member.content
        else:
            yield bytes(pending)
            yield member.content
            pending.clear()
        pending += tarball.padding(member.size)
    yield bytes(pending + tarball.END)


def _written(image: ArchiveImage, sizes: Mapping[Digest, int]) -> Manifest:
    """Return the manifest of the archive: the image's own, or one with its unpacked layers."""
    if image.is_kept:
        return image.manifest
    config = Digest.of(image.config)
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": _descriptor(media.OCI_CONFIG, config, len(image.config)),
        "layers": [
            _descriptor(media.OCI_LAYER, layer.digest, sizes[layer.digest])
            for layer in image.layers
        ],
    }
    if image.manifest.annotations:
        document["annotations"] = dict(sorted(image.manifest.annotations.items()))
    raw = strictjson.dump(document)
    parsed = model.parse(raw, media_type=media.OCI_MANIFEST, what=str(image.reference))
    if not isinstance(parsed, Manifest):
        raise TypeError
    return parsed


def _descriptor(media_type: str, digest: Digest, size: int) -> dict[str, object]:
    return Descriptor(media_type=media_type, digest=digest, size=size).to_json()


def _oci_index(images: Iterable[ArchiveImage], manifests: Iterable[Manifest]) -> bytes:
    entries = []
    for image, manifest in zip(images, manifests, strict=True):
        entry = manifest.descriptor.to_json()
        if image.platform is not None:
            entry["platform"] = image.platform.to_json()
        entry["annotations"] = {
            layout.IMAGE_NAME: str(image.reference),
            layout.REF_NAME: image.reference.tag,
        }
        entries.append(entry)
    return strictjson.dump({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries})


def _docker_index(images: Iterable[ArchiveImage], left_out: frozenset[Digest]) -> dict[str, bytes]:
    """One entry an image: docker tags what it loads by ``RepoTags``.

    Docker knows nothing of layers that are elsewhere: images that lack some
    are not named to it, and where none is left there is no such file.
    """
    whole = [
        image for image in images if not any(layer.digest in left_out for layer in image.layers)
    ]
    if left_out and not whole:
        return {}
    listing = [
        {
            "Config": _path(Digest.of(image.config)),
            "RepoTags": [str(image.reference)],
            "Layers": [_path(layer.digest) for layer in image.layers],
        }
        for image in whole
    ]
    return {_DOCKER_INDEX: strictjson.dump(listing)}


def _path(digest: Digest) -> str:
    return f"{BLOBS}{digest.hex}"
