"""Intake: every image of an archive or a layout folder from outside, brought into a layout.

What has ``oci-layout`` is read as one, everything else as a docker archive. An
image comes whole or not at all; its names are the caller's to give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from rke2pack import files, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.oci import media, model, resolve
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.intake.archivefile import BLOBS, Budget
from rke2pack.oci.intake.savedimage import Saved, SavedImage
from rke2pack.oci.intake.tarstream import Member
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.pack import content
from rke2pack.oci.reference import Reference
from rke2pack.oci.store import layout as layouts
from rke2pack.oci.store.layout import INDEX_FILE, VERSION_FILE, Entry, Layout, Staged

_SHOWN = 5


class Blobs(Protocol):
    """Where blobs are found; a `Layout` is one."""

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there in its full size."""

    def read(self, digest: Digest, *, max_bytes: int = model.MAX_BYTES) -> bytes:
        """Read a small blob, verified."""


def take_in(layout: Layout, archive: Path) -> tuple[Entry, ...]:
    """Bring the images of ``archive`` into ``layout``; return each by the name it has there.

    ``archive`` is a ``.tar``, ``.tar.gz`` or ``.tar.zst`` (the name of a whole
    one, or of its first part) or a folder that is an OCI layout. A name is as
    an OCI layout spells it (empty: none), a docker archive's written in full;
    nothing is tagged. The caller holds `Layout.in_use`. Every blob that the
    images need is verified: what comes, and what the layout has, which is not
    written again unless it is damaged. Of an index, manifests that are not
    there are left out, as containerd does.

    Raises IntegrityError for bytes that are not what they claim and for images
    that lack blobs (then nothing is kept), ConfigError where there is nothing.
    """
    if archive.is_dir():
        return _from_folder(layout, archive)
    file = archivefile.find(archive)
    with ExitStack() as stack:
        saved = Saved(layout=layout, what=str(archive), budget=Budget.of(file.size))
        incoming = Incoming(layout=layout, saved=saved)
        stack.callback(incoming.discard)
        incoming.collect(tarstream.read(file.tar(), what=str(file.path)))
        return incoming.keep()


def needed(
    blobs: Blobs, roots: Iterable[Descriptor], *, what: str, hint: str
) -> tuple[Descriptor, ...]:
    """Return everything that documents need, themselves too, each once.

    Raises IntegrityError that names what ``blobs`` lacks.
    """
    walk = _Walk(blobs=blobs, what=what)
    for root in roots:
        walk.visit(root, depth=1)
    if walk.lacking:
        shown = ", ".join(map(str, list(walk.lacking)[:_SHOWN]))
        more = f" and {len(walk.lacking) - _SHOWN} more" if len(walk.lacking) > _SHOWN else ""
        lost = wording.count(len(walk.lacking), "blob")
        msg = f"{what}: lacks {lost} of its images: {shown}{more}"
        raise IntegrityError(msg, hint=hint)
    return tuple(walk.found.values())


def _from_folder(layout: Layout, folder: Path) -> tuple[Entry, ...]:
    if not (folder / VERSION_FILE).is_file():
        msg = f"{folder}: no OCI layout (it has no {VERSION_FILE})"
        raise ConfigError(msg, hint="name an archive, or a folder that is an OCI layout")
    source = Layout.open(folder, must_exist=True)
    path = folder / INDEX_FILE
    with files.reported("read", path):
        raw = path.read_bytes()
    entries = layouts.parse_index(raw, what=str(path))
    roots = [entry.descriptor for entry in entries]
    blobs = needed(source, roots, what=str(folder), hint="pull or copy these images again")
    staged: list[Staged] = []
    with ExitStack() as stack:
        stack.callback(lambda: _remove(staged))
        for blob in blobs:
            chunks = _verbatim(source, blob)
            if content.is_good(layout, blob):
                for _ in chunks:
                    pass
            else:
                staged.append(layout.stage(chunks))
        for each in staged:
            layout.adopt(each)
    return tuple(_described(layout, entry, what=str(folder)) for entry in entries)


def _verbatim(source: Layout, blob: Descriptor) -> Iterator[bytes]:
    try:
        yield from content.verbatim(source, blob)
    except IntegrityError as exc:
        raise IntegrityError(exc.message, hint="copy the folder again") from exc


@dataclass(kw_only=True)
class Incoming:
    """An archive on its way: staged are all files but blobs that the layout has undamaged.

    Large blobs that are ``elsewhere`` (digest to size) are verified and not kept.
    """

    layout: Layout
    saved: Saved
    elsewhere: Mapping[Digest, int] = field(default_factory=dict)
    blobs: dict[Digest, Staged] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def collect(self, members: Iterable[Member]) -> None:
        """Stage every member; raises IntegrityError for a blob that is not its digest."""
        for member in members:
            if member.name.startswith(BLOBS) and member.kind == "file":
                self._add(member)
            else:
                self.saved.add(member)

    def _add(self, member: Member) -> None:
        if member.name in self.seen:
            raise self.saved.wrong(f"{member.name!r} stands twice")
        self.seen.add(member.name)
        try:
            digest = Digest.parse(member.name.removeprefix(BLOBS))
        except IntegrityError as exc:
            raise self.saved.wrong(f"{member.name[:200]!r} is named by no digest") from exc
        part = self._received(member, digest)
        if part.digest != digest:
            if part.path != self.layout.path(digest):
                _remove([part])
            raise self.saved.wrong(f"{member.name} is {part.digest}")
        self.blobs[digest] = part

    def _received(self, member: Member, digest: Digest) -> Staged:
        """Stage a blob; where it is not to be kept, only hash what came."""
        blob = Descriptor(media_type="", digest=digest, size=member.size)
        is_large = member.size > resolve.MAX_CONFIG_BYTES
        is_elsewhere = is_large and self.elsewhere.get(digest) == member.size
        if not is_elsewhere and not content.is_good(self.layout, blob):
            return self.layout.stage(member.chunks)
        hashed, start = hashlib.sha256(), b""
        for chunk in member.chunks:
            hashed.update(chunk)
            start = start or chunk[:8]
        got = Digest(hashed.hexdigest())
        return Staged(path=self.layout.path(digest), digest=got, size=member.size, start=start)

    def keep(self) -> tuple[Entry, ...]:
        """Keep what the images need; raises as `take_in` does."""
        if VERSION_FILE in self.saved.parts:
            return self._keep_oci()
        if self.elsewhere:
            msg = f"{self.saved.what}: a docker archive alone, without the manifests of images"
            raise ValidationError(msg, hint="use an archive that airgap wrote")
        # Engines since 25 name the blobs in a docker archive as a layout does.
        staged = {f"{BLOBS}{digest.hex}": part for digest, part in self.blobs.items()}
        self.saved.parts |= staged
        images = [self.saved.image(entry) for entry in self.saved.listing()]
        entries = tuple(each for image in images for each in self._named(image))
        for image in images:
            self.saved.adopt(image)
        return entries

    def _keep_oci(self) -> tuple[Entry, ...]:
        raw = self.saved.text(self.saved.part(INDEX_FILE), max_bytes=layouts.MAX_INDEX_BYTES)
        what = self.saved.what
        entries = layouts.parse_index(raw, what=f"{what}: {INDEX_FILE}")
        hint = "give the archive that it builds upon too, when it is a delta"
        roots = [entry.descriptor for entry in entries]
        for blob in needed(self, roots, what=what, hint=hint):
            if blob.digest in self.blobs:
                self.layout.adopt(self.blobs[blob.digest])
            else:
                for _ in content.verbatim(self.layout, blob):
                    pass
        return tuple(_described(self.layout, entry, what=what) for entry in entries)

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob has come, is in the layout, or is elsewhere."""
        part = self.blobs.get(blob.digest)
        return self.layout.has(blob) if part is None else part.size == blob.size

    def read(self, digest: Digest, *, max_bytes: int = model.MAX_BYTES) -> bytes:
        """Read a small blob that has come or is in the layout."""
        part = self.blobs.get(digest)
        if part is None:
            return self.layout.read(digest, max_bytes=max_bytes)
        return self.saved.text(part, max_bytes=max_bytes)

    def _named(self, image: SavedImage) -> Iterator[Entry]:
        what = f"{self.saved.what}: {image.manifest.config.digest}"
        platform = resolve.config_platform(image.config, what=what)
        descriptor = replace(image.manifest.descriptor, platform=platform)
        for name in image.names or ("",):
            yield Entry(name=_full(name, what), descriptor=descriptor)

    def discard(self) -> None:
        """Remove what was staged and not kept."""
        own = [part for digest, part in self.blobs.items() if part.path != self.layout.path(digest)]
        _remove(own)
        for name in [name for name in self.saved.parts if name.startswith(BLOBS)]:
            del self.saved.parts[name]
        self.saved.discard()


@dataclass(kw_only=True)
class _Walk:
    blobs: Blobs
    what: str
    found: dict[Digest, Descriptor] = field(default_factory=dict)
    lacking: dict[Digest, Descriptor] = field(default_factory=dict)

    def visit(self, descriptor: Descriptor, *, depth: int) -> None:
        if depth > resolve.MAX_NESTING + 1:
            msg = f"{self.what}: indexes nested deeper than {resolve.MAX_NESTING}"
            raise IntegrityError(msg)
        if self._is_new(descriptor):
            document = _document(self.blobs, descriptor, self.what)
            if isinstance(document, Manifest):
                for blob in document.blobs:
                    self._is_new(blob)
                return
            there = [child for child in document.manifests if self.blobs.has(child)]
            for child in there or document.manifests:
                if media.is_document(child.media_type):
                    self.visit(child, depth=depth + 1)
                else:
                    self._is_new(child)

    def _is_new(self, blob: Descriptor) -> bool:
        """Note a blob; false where it was noted before or is not there."""
        if blob.digest in self.found:
            return False
        if not self.blobs.has(blob):
            self.lacking[blob.digest] = blob
            return False
        self.found[blob.digest] = blob
        return True


def _document(blobs: Blobs, descriptor: Descriptor, what: str) -> Document:
    what = f"{what}: {descriptor.digest}"
    if not media.is_document(descriptor.media_type):
        msg = f"{what}: {descriptor.media_type[:100]!r} is neither a manifest nor an index"
        raise ValidationError(msg)
    raw = blobs.read(descriptor.digest)
    return model.parse(raw, media_type=descriptor.media_type, what=what)


def _described(layout: Layout, entry: Entry, *, what: str) -> Entry:
    """Add the platform that the config of a single manifest names."""
    document = _document(layout, entry.descriptor, what)
    if not isinstance(document, Manifest) or not resolve.is_image(document):
        return entry
    raw = layout.read(document.config.digest, max_bytes=resolve.MAX_CONFIG_BYTES)
    platform = resolve.config_platform(raw, what=f"{what}: config {document.config.digest}")
    return replace(entry, descriptor=replace(entry.descriptor, platform=platform))


def _full(name: str, what: str) -> str:
    if not name:
        return ""
    try:
        return str(Reference.parse(name))
    except ConfigError as exc:
        msg = f"{what}: {exc.message}"
        raise IntegrityError(msg) from exc


def _remove(parts: Iterable[Staged]) -> None:
    for part in parts:
        with files.reported("remove", part.path):
            part.path.unlink(missing_ok=True)
