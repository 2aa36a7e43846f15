"""Delta: an archive with only the blobs that another one lacks, for nodes that have that one.

A node keeps the blobs of what it imported; containerd takes an image whose
layers are there already. Manifests, configs and names are all in the delta, so
that the node ends with the names of the whole archive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rke2pack import files, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.files import Cache
from rke2pack.oci import deltanote
from rke2pack.oci.deltanote import DeltaImage, DeltaNote, Whole
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.intake.savedimage import Saved
from rke2pack.oci.intake.take import Incoming
from rke2pack.oci.model import Manifest
from rke2pack.oci.pack import content, recipes
from rke2pack.oci.pack import images as archive
from rke2pack.oci.pack.images import ArchiveImage, Layer
from rke2pack.oci.pack.outfile import Written
from rke2pack.oci.pack.packer import Packer
from rke2pack.oci.pack.recipes import Format, Recipe
from rke2pack.oci.reference import Reference
from rke2pack.oci.resolve import MAX_CONFIG_BYTES
from rke2pack.oci.store.layout import Entry, Layout
from rke2pack.oci.store.names import Store
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import scan

MARK = "_delta-"
_SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A whole archive that nodes have imported: the blobs that they keep of it, with sizes."""

    whole: Whole
    blobs: Mapping[Digest, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A delta: its files, the note beside it first, and the layers it leaves to the base."""

    files: tuple[Written, ...]
    left_out: int
    layers: int


def recipe(form: Format) -> Recipe:
    """Return how deltas are made: every blob as the archive has it, or its digest would go."""
    return replace(recipes.recipe("default", form), keeps_blobs=True, splices=False)


def read_base(file: ArchiveFile) -> Base:
    """Read the archive that nodes have; raises IntegrityError unless it is whole and true.

    What is in it and belongs to no image is no blob of the base: nodes drop it.
    """
    verified = verifyarchive.verify(scan.scan(file))
    if verified.scan.documents.keys() & {deltanote.FILE}:
        raise _is_delta(file)
    wrong = [
        each
        for each in verified.results
        if each.status == "failed" and each.check in verifyarchive.INTEGRITY
    ]
    if wrong:
        msg = f"{file.path}: {wrong[0].check}: {wrong[0].detail}"
        raise IntegrityError(msg, hint=archivefile.HINT)
    return Base(
        whole=Whole(name=file.path.name, digest=verified.scan.whole, size=file.size),
        blobs={
            layer.content.digest: layer.content.size
            for image in verified.images
            for layer in image.layers
            if layer.content
        },
    )


@dataclass(frozen=True, kw_only=True)
class DeltaMaker:
    """Makes deltas in a folder, with the frames of layers that are cached."""

    output: Path
    cache: Cache
    form: Format
    max_size: int | None = None

    def make(self, base: Base, file: ArchiveFile, scratch: Path) -> Made:
        """Write the delta from ``base`` to ``file``; blobs are staged in ``scratch`` meanwhile.

        Raises IntegrityError for a damaged archive, ConfigError for one that is
        a delta itself, ValidationError for images that cannot be kept as they are.
        """
        layout = Layout.open(scratch)
        with ExitStack() as stack:
            incoming = Incoming(
                layout=layout,
                saved=Saved(
                    layout=layout, what=str(file.path), budget=archivefile.Budget.of(file.size)
                ),
                elsewhere=base.blobs,
            )
            stack.callback(incoming.discard)
            target = _taken(incoming, file)
            if deltanote.FILE in incoming.saved.parts:
                raise _is_delta(file)
            images = [_image(layout, entry, str(file.path)) for entry in incoming.keep()]
        return self._write(base, target, images, layout)

    def _write(self, base: Base, target: Whole, images: list[ArchiveImage], layout: Layout) -> Made:
        layers = archive.unique_layers(images)
        left_out = {each.digest for each in layers if each.digest in base.blobs}
        _check_layers(layers, left_out, target.name)
        note = _note(base, target, images, left_out)
        path = self.output / name(target.name, base.whole, self.form)
        packer = Packer(
            store=Store(layout=layout),
            cache=self.cache,
            recipe=recipe(self.form),
            max_size=self.max_size,
        )
        written = packer.write(
            path, images, left_out=frozenset(left_out), notes={deltanote.FILE: bytes(note)}
        )
        beside = path.with_name(f"{_stem(path.name)}.json")
        files.write_changed(beside, bytes(note))
        kept = Written(
            path=beside,
            size=len(bytes(note)),
            digest=Digest.of(bytes(note)),
            mtime_ns=beside.stat().st_mtime_ns,
        )
        return Made(files=(*written, kept), left_out=len(left_out), layers=len(layers))


def name(target: str, base: Whole, form: Format) -> str:
    """Return a delta's file name, which nodes read after the base's own name.

    ``rke2-images-core.linux-amd64_delta-0123456789ab.tar.zst``; the digits begin
    the base's sha256.
    """
    return f"{_stem(target)}{MARK}{base.digest.hex[:_SHORT]}.tar.{form}"


def _stem(file_name: str) -> str:
    return file_name.removesuffix(archivefile.ending(file_name))


def _taken(incoming: Incoming, file: ArchiveFile) -> Whole:
    hashed, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in file.raw():
            hashed.update(chunk)
            size += len(chunk)
            yield chunk

    incoming.collect(tarstream.read(file.tar(counted()), what=str(file.path)))
    return Whole(name=file.path.name, digest=Digest(hashed.hexdigest()), size=size)


def _image(layout: Layout, entry: Entry, what: str) -> ArchiveImage:
    about = f"{what}: {entry.name or entry.descriptor.digest}"
    document = layout.document(entry.descriptor)
    if not isinstance(document, Manifest):
        msg = f"{about}: an index; a delta is made of archives of one platform"
        raise ValidationError(msg, hint="use archives that airgap wrote")
    try:
        reference = Reference.parse(entry.name)
    except ConfigError as exc:
        msg = f"{about}: {exc.message}"
        raise ValidationError(msg, hint="use archives that airgap wrote") from exc
    raw = layout.read(document.config.digest, max_bytes=MAX_CONFIG_BYTES)
    diff_ids = archive.diff_ids(raw, what=about)
    if len(diff_ids) != len(document.layers):
        named = wording.count(len(diff_ids), "layer")
        msg = f"{about}: its config names {named} of {len(document.layers)}"
        raise IntegrityError(msg)
    return ArchiveImage(
        reference=reference,
        platform=entry.descriptor.platform,
        manifest=document,
        config=raw,
        layers=tuple(
            Layer(
                digest=blob.digest,
                blob=blob,
                diff_id=diff_id,
                packing=content.packing(layout, blob) if layout.has(blob) else "none",
                is_unpacked=False,
            )
            for blob, diff_id in zip(document.layers, diff_ids, strict=True)
        ),
    )


def _check_layers(layers: tuple[Layer, ...], left_out: set[Digest], what: str) -> None:
    """Refuse what cannot be put into an archive with its digest kept."""
    for layer in layers:
        if layer.digest in left_out:
            continue
        if layer.packing == "zstd":
            msg = f"{what}: {layer.digest} is a zstd layer, which nodes may refuse"
            raise ValidationError(msg, hint="use archives that airgap wrote")
        if layer.packing == "none" and layer.digest != layer.diff_id:
            msg = f"{what}: {layer.digest} is a plain layer, its config says {layer.diff_id}"
            raise IntegrityError(msg, hint=archivefile.HINT)


def _note(
    base: Base, target: Whole, images: list[ArchiveImage], left_out: set[Digest]
) -> DeltaNote:
    noted = (
        DeltaImage(
            name=str(image.reference),
            manifest=image.manifest.descriptor.digest,
            needs=tuple(
                sorted(
                    {
                        (layer.digest, layer.blob.size)
                        for layer in image.layers
                        if layer.digest in left_out
                    }
                )
            ),
        )
        for image in images
    )
    ordered = tuple(sorted(noted, key=lambda image: image.name))
    return DeltaNote(base=base.whole, target=target, images=ordered)


def _is_delta(file: ArchiveFile) -> ConfigError:
    return ConfigError(
        f"{file.path}: is a delta itself", hint="name the whole archive that it leads to"
    )
