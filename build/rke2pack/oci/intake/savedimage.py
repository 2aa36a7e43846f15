"""Saved image: images that an engine exports as a tar, taken into a layout as OCI images.

Source: Docker's image specification 1.2, "Combined image JSON + filesystem
changeset format". The same image gives the same manifest, on every machine:
layers stay as they are, and nothing but their digests goes into it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any

from rke2pack import files, strictjson, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, NotFoundError, ValidationError
from rke2pack.oci import coding, media, model
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.intake.archivefile import Budget
from rke2pack.oci.intake.tarstream import Member
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack import content
from rke2pack.oci.pack import images as archive
from rke2pack.oci.reference import Reference
from rke2pack.oci.resolve import MAX_CONFIG_BYTES
from rke2pack.oci.store.layout import Layout, Staged

LISTING = "manifest.json"
MAX_FILES = 20_000
MAX_LISTING_BYTES = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


def take_in(
    layout: Layout, stream: Iterator[bytes], reference: Reference, *, what: str
) -> Manifest:
    """Keep the image that ``reference`` names in a saved tar; return its manifest.

    The manifest is in the layout too, under no name yet. Raises NotFoundError
    when the tar has no such image, IntegrityError when its layers are not the
    ones of its config, ValidationError for zstd layers, which nodes cannot read.
    """
    with ExitStack() as stack:
        saved = Saved(layout=layout, what=what)
        stack.callback(saved.discard)
        for member in tarstream.read(stream, what=what):
            saved.add(member)
        saved.budget = Budget.of(sum(part.size for part in saved.parts.values()))
        image = saved.image(_chosen(saved.listing(), reference, what))
        saved.adopt(image)
        return image.manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """One image of a saved tar; its ``manifest`` is made of what the tar has."""

    names: tuple[str, ...]
    manifest: Manifest
    config: bytes
    parts: tuple[Staged, ...]


@dataclass(kw_only=True)
class Saved:
    """The files of a saved tar, staged beside a layout's blobs until they are adopted.

    Its layers together unpack to no more than the ``budget``.
    """

    layout: Layout
    what: str
    budget: Budget = field(default_factory=lambda: Budget.of(0))
    parts: dict[str, Staged] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    _unpacked: dict[Digest, Digest] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Stage a file of the tar; its content is data and never unpacked."""
        if member.name in self.parts or member.name in self.links:
            raise self.wrong(f"{member.name!r} stands twice")
        if len(self.parts) + len(self.links) >= MAX_FILES:
            raise self.wrong(f"more than {MAX_FILES} files")
        if member.kind == "link":
            self.links[member.name] = member.target
        elif member.kind == "file":
            self.parts[member.name] = self.layout.stage(member.chunks)

    def wrong(self, why: str) -> IntegrityError:
        """Return an error that names the tar."""
        return IntegrityError(f"{self.what}: {why}", hint=archivefile.HINT)

    def part(self, name: object) -> Staged:
        """Return a file of the tar; raises IntegrityError where it is not there."""
        wanted = normpath(name) if isinstance(name, str) else ""
        found = self.parts.get(tarstream.resolved(wanted, self.links, self.what))
        if found is None:
            raise self.wrong(f"has no file {str(name)[:200]!r}")
        return found

    def text(self, part: Staged, *, max_bytes: int = MAX_CONFIG_BYTES) -> bytes:
        """Read a small file of the tar, of a blob that the layout has the layout's own."""
        if part.size > max_bytes:
            raise self.wrong(f"{part.digest} is larger than {max_bytes} bytes")
        if part.path == self.layout.path(part.digest):
            return self.layout.read(part.digest, max_bytes=max_bytes)
        with files.reported("read", part.path):
            return part.path.read_bytes()

    def listing(self) -> list[Mapping[str, Any]]:
        """Read ``manifest.json``, one entry an image."""
        raw = self.text(self.part(LISTING))
        what = f"{self.what}: {LISTING}"
        entries = strictjson.load(raw, what=what, max_bytes=MAX_LISTING_BYTES)
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            msg = f"{what}: not a list of images"
            raise IntegrityError(msg)
        return entries

    def image(self, entry: Mapping[str, Any]) -> SavedImage:
        """Read what one entry of the listing names; raises as `take_in` does."""
        config = self.part(entry.get("Config"))
        layers = [self.part(name) for name in _listed(entry.get("Layers"), self.what)]
        raw = self.text(config)
        self._check_layers(layers, archive.diff_ids(raw, what=f"{self.what}: config"))
        names = [str(name) for name in _listed(entry.get("RepoTags") or [], self.what)]
        return SavedImage(
            names=tuple(names),
            manifest=_manifest(config, layers, self.what),
            config=raw,
            parts=(config, *layers),
        )

    def adopt(self, image: SavedImage) -> None:
        """Keep an image's blobs and its manifest."""
        for part in image.parts:
            self.layout.adopt(part)
        if not content.is_good(self.layout, image.manifest.descriptor):
            self.layout.adopt(self.layout.stage([image.manifest.raw]))

    def discard(self) -> None:
        """Remove what was staged and not adopted."""
        for part in self.parts.values():
            with files.reported("remove", part.path):
                part.path.unlink(missing_ok=True)

    def _check_layers(self, layers: list[Staged], diff_ids: Sequence[Digest]) -> None:
        if len(layers) != len(diff_ids):
            has = wording.count(len(layers), "layer")
            raise self.wrong(f"{has}, its config knows {len(diff_ids)}")
        for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), start=1):
            packing = archivefile.packing_of(layer.start)
            if packing == "zstd":
                msg = f"{self.what}: layer {number} is zstd-compressed"
                raise ValidationError(msg, hint="rebuild it with gzip layers")
            got = self._tar_of(layer) if packing == "gzip" else layer.digest
            if got != diff_id:
                raise self.wrong(f"layer {number} unpacks to {got}, its config says {diff_id}")

    def _tar_of(self, layer: Staged) -> Digest:
        if layer.digest not in self._unpacked:
            what = f"{self.what}: a gzip layer"
            chunks = coding.gunzipped(_read(layer), what=what, hint=archivefile.HINT)
            hashed = hashlib.sha256()
            for chunk in self.budget.bounded(chunks, what=self.what):
                hashed.update(chunk)
            self._unpacked[layer.digest] = Digest(hashed.hexdigest())
        return self._unpacked[layer.digest]


def _chosen(entries: list[Mapping[str, Any]], reference: Reference, what: str) -> Mapping[str, Any]:
    if len(entries) == 1:
        return entries[0]
    for entry in entries:
        for tag in _listed(entry.get("RepoTags") or [], what):
            try:
                if Reference.parse(str(tag)) == reference:
                    return entry
            except ConfigError:
                continue
    msg = f"{what}: the saved tar does not name it"
    raise NotFoundError(msg)


def _listed(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        msg = f"{what}: {LISTING} has no list where one belongs"
        raise IntegrityError(msg)
    return value


def _read(layer: Staged) -> Iterator[bytes]:
    with files.reported("read", layer.path):
        handle = layer.path.open("rb", buffering=0)
    with handle:
        while chunk := handle.read(_CHUNK):
            yield chunk


def _manifest(config: Staged, layers: list[Staged], what: str) -> Manifest:
    def described(part: Staged, media_type: str) -> dict[str, object]:
        return Descriptor(media_type=media_type, digest=part.digest, size=part.size).to_json()

    def layer_type(part: Staged) -> str:
        is_gzip = archivefile.packing_of(part.start) == "gzip"
        return f"{media.OCI_LAYER}+gzip" if is_gzip else media.OCI_LAYER

    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": described(config, media.OCI_CONFIG),
        "layers": [described(each, layer_type(each)) for each in layers],
    }
    raw = strictjson.dump(document)
    parsed = model.parse(raw, media_type=media.OCI_MANIFEST, what=what)
    if not isinstance(parsed, Manifest):
        raise TypeError
    return parsed
