"""Archive view: the images that a scanned archive claims to hold, each with what is there of it.

An OCI layout is read as containerd does: ``index.json`` alone counts, and of an
index only what is there. Without one it is a docker archive. What cannot be
read becomes a problem in words, so that everything wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from posixpath import normpath
from typing import Any, Final

from rke2pack import strictjson, wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError
from rke2pack.oci import media, model, resolve
from rke2pack.oci.intake import savedimage, tarstream
from rke2pack.oci.model import Descriptor, Document, Index, Manifest
from rke2pack.oci.pack import images as archive
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store import layout
from rke2pack.oci.verify.scan import Content, Scan

MAX_IMAGES: Final = 10_000
MAX_LAYERS: Final = 1000
MAX_VISITS: Final = 100_000
_MAX_LISTING: Final = 16 * 1024 * 1024


class _EndlessError(IntegrityError):
    """There is no point in looking further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLayer:
    """A layer of an image: what is there of it (None: nothing), and what it unpacks to."""

    digest: Digest
    content: Content | None
    diff_id: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenImage:
    """One platform's image under one name.

    ``descriptor`` and ``root`` are empty in a docker archive, which has no
    manifests; ``root`` is what the name points at, an index or this manifest.
    """

    name: str
    config: Digest
    platform: Platform | None
    listed: Platform | None
    layers: tuple[SeenLayer, ...]
    descriptor: Descriptor | None = None
    root: Descriptor | None = None

    @property
    def reference(self) -> Reference | None:
        """The name as a full reference; None where it is none."""
        try:
            return Reference.parse(self.name) if self.name else None
        except ConfigError:
            return None

    @property
    def title(self) -> str:
        """The name, or what else tells it apart."""
        return self.name or f"an image without a name ({self.config})"


@dataclass(kw_only=True)
class View:
    """What was seen: images, blobs that are named and not there, and what is wrong."""

    scan: Scan
    is_oci: bool
    images: list[SeenImage] = field(default_factory=list)
    lacking: dict[Digest, Descriptor] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    visits: int = 0

    def loaded(self) -> Iterator[SeenImage]:
        """Yield the images as docker sees them, by ``manifest.json``."""
        raw = self.scan.documents.get(savedimage.LISTING)
        if raw is None:
            msg = f"{self.scan.what}: has no {savedimage.LISTING}"
            raise IntegrityError(msg)
        what = f"{self.scan.what}: {savedimage.LISTING}"
        entries = strictjson.load(raw, what=what, max_bytes=_MAX_LISTING)
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            msg = f"{what}: not a list of images"
            raise IntegrityError(msg)
        count = 0
        for entry in entries:
            for image in self._loaded(entry, what):
                count += 1
                if count > MAX_IMAGES:
                    msg = f"{what}: more than {MAX_IMAGES} images"
                    raise IntegrityError(msg)
                yield image

    def _loaded(self, entry: Mapping[str, Any], what: str) -> Iterator[SeenImage]:
        layers, names = entry.get("Layers") or [], entry.get("RepoTags") or []
        if not isinstance(layers, list) or not isinstance(names, list):
            msg = f"{what}: no list where one belongs"
            raise IntegrityError(msg)
        path, content = self._file(entry.get("Config"), what)
        raw = self.scan.documents.get(path, b"")
        about = f"{what}: {path}"
        diff_ids = archive.diff_ids(raw, what=about)
        found = [self._file(name, what)[1] for name in layers]
        _check_layers(len(found), len(diff_ids), about)
        seen = tuple(
            SeenLayer(digest=each.digest, content=each, diff_id=diff_id)
            for each, diff_id in zip(found, diff_ids, strict=True)
        )
        for name in names or [""]:
            yield SeenImage(
                name=str(name),
                config=content.digest,
                platform=resolve.config_platform(raw, what=about),
                listed=None,
                layers=seen,
            )

    def _file(self, name: object, what: str) -> tuple[str, Content]:
        path = normpath(name) if isinstance(name, str) else ""
        path = tarstream.resolved(path, self.scan.links, what)
        content = self.scan.contents.get(path)
        if content is None:
            msg = f"{what}: names the file {str(name)[:200]!r}, which is not there"
            raise IntegrityError(msg)
        return path, content


def view(scan: Scan) -> View:
    """See what a scan has; nothing is raised."""
    is_oci = layout.VERSION_FILE in scan.contents
    seen = View(scan=scan, is_oci=is_oci)
    try:
        if is_oci:
            _see_layout(seen)
        else:
            seen.images += seen.loaded()
    except PackError as exc:
        seen.problems.append(exc.message)
    return seen


def _see_layout(seen: View) -> None:
    documents = seen.scan.documents
    what = f"{seen.scan.what}: {layout.VERSION_FILE}"
    marker = strictjson.load_object(
        documents.get(layout.VERSION_FILE, b""), what=what, max_bytes=4096
    )
    if marker.get("imageLayoutVersion") != "1.0.0":
        seen.problems.append(f"{what}: imageLayoutVersion is not 1.0.0")
    what = f"{seen.scan.what}: {layout.INDEX_FILE}"
    for entry in layout.parse_index(documents.get(layout.INDEX_FILE, b""), what=what):
        if len(seen.images) >= MAX_IMAGES:
            msg = f"{what}: more than {MAX_IMAGES} images"
            raise IntegrityError(msg)
        _see(seen, entry.name, entry.descriptor, entry.descriptor, depth=1)


def _see(seen: View, name: str, root: Descriptor, at: Descriptor, *, depth: int) -> None:
    """Collect what one descriptor of an index leads to; what is wrong becomes a problem."""
    seen.visits += 1
    if seen.visits > MAX_VISITS:
        msg = f"{seen.scan.what}: its indexes list more than {MAX_VISITS} manifests"
        raise _EndlessError(msg)
    try:
        document = _document(seen, at)
        if isinstance(document, Manifest):
            seen.images.append(_image(seen, name, root, at, document))
        elif document is not None:
            _see_index(seen, name, root, document, depth=depth)
    except _EndlessError:
        raise
    except PackError as exc:
        seen.problems.append(exc.message)


def _see_index(seen: View, name: str, root: Descriptor, index: Index, *, depth: int) -> None:
    if depth > resolve.MAX_NESTING or len(seen.images) >= MAX_IMAGES:
        msg = f"{seen.scan.what}: {root.digest}: nested or listed more than is read"
        raise IntegrityError(msg)
    children = [each for each in index.manifests if not each.is_attestation]
    there = [each for each in children if seen.scan.blob(each.digest)]
    for child in there or children:
        _see(seen, name, root, child, depth=depth + 1)
    for child in children if there else ():
        if child not in there:
            seen.absent.append(f"{name or root.digest} for {child.platform or child.digest}")


def _document(seen: View, at: Descriptor) -> Document | None:
    what = f"{seen.scan.what}: {at.digest}"
    if not media.is_document(at.media_type):
        msg = f"{what}: {at.media_type[:100]!r} is neither a manifest nor an index"
        raise IntegrityError(msg)
    if not _is_there(seen, at):
        return None
    raw = seen.scan.text(at.digest)
    if raw is None or len(raw) > model.MAX_BYTES:
        msg = f"{what}: not a JSON document of at most {model.MAX_BYTES} bytes"
        raise IntegrityError(msg)
    return model.parse(raw, media_type=at.media_type, what=what)


def _is_there(seen: View, blob: Descriptor) -> bool:
    """Whether a blob is there as it is described; what is not there is noted."""
    content = seen.scan.blob(blob.digest)
    if content is None:
        seen.lacking[blob.digest] = blob
        return False
    if content.size != blob.size:
        has = wording.count(content.size, "byte")
        msg = f"{seen.scan.what}: {blob.digest} has {has}, described as {blob.size}"
        raise IntegrityError(msg)
    return True


def _image(
    seen: View, name: str, root: Descriptor, at: Descriptor, manifest: Manifest
) -> SeenImage:
    about = f"{seen.scan.what}: {name or at.digest}"
    if not resolve.is_image(manifest):
        msg = f"{about}: its config is {manifest.config.media_type[:100]!r}, not an image's"
        raise IntegrityError(msg)
    for blob in manifest.blobs:
        _is_there(seen, blob)
    raw = seen.scan.text(manifest.config.digest)
    if raw is None and manifest.config.digest not in seen.lacking:
        msg = f"{about}: config {manifest.config.digest} is no JSON object"
        raise IntegrityError(msg)
    what = f"{about}: config {manifest.config.digest}"
    diff_ids = archive.diff_ids(raw, what=what) if raw else (None,) * len(manifest.layers)
    _check_layers(len(manifest.layers), len(diff_ids), what)
    return SeenImage(
        name=name,
        config=manifest.config.digest,
        platform=resolve.config_platform(raw, what=what) if raw else None,
        listed=at.platform,
        layers=tuple(
            SeenLayer(digest=each.digest, content=seen.scan.blob(each.digest), diff_id=diff_id)
            for each, diff_id in zip(manifest.layers, diff_ids, strict=True)
        ),
        descriptor=at,
        root=root,
    )


def _check_layers(layers: int, diff_ids: int, what: str) -> None:
    if layers != diff_ids:
        msg = f"{what}: names {wording.count(diff_ids, 'layer')}, its manifest {layers}"
        raise IntegrityError(msg)
    if layers > MAX_LAYERS:
        msg = f"{what}: more than {MAX_LAYERS} layers"
        raise IntegrityError(msg)
