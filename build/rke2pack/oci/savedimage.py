"""Saved image: the tar that an engine exports, taken into a layout as an OCI image.

Source: Docker's image specification 1.2, "Combined image JSON + filesystem
changeset format". The same image gives the same manifest, on every machine:
layers stay as they are, and nothing but their digests goes into it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import Any

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, NotFoundError, ValidationError
from rke2pack.oci import media, model, strictjson
from rke2pack.oci.layout import Layout, Staged
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.reference import Reference
from rke2pack.oci.resolve import MAX_CONFIG_BYTES

MAX_MEMBERS = 20_000
_CHUNK = 1024 * 1024
_MAX_MANIFEST = 4 * 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def take_in(
    layout: Layout, stream: Iterator[bytes], reference: Reference, *, what: str
) -> Manifest:
    """Keep the image that ``reference`` names in a saved tar; return its manifest.

    The manifest is in the layout too, under no name yet. Raises NotFoundError
    when the tar has no such image, IntegrityError when its layers are not the
    ones of its config, ValidationError for zstd layers, which nodes cannot read.
    """
    with ExitStack() as stack:
        saved = _Saved(layout=layout, what=what)
        stack.callback(saved.discard)
        saved.read(stream)
        entry = _chosen(saved.json_list("manifest.json"), reference, what)
        config = saved.part(entry.get("Config"))
        layers = [saved.part(name) for name in _listed(entry.get("Layers"), what)]
        _check_layers(layers, _diff_ids(saved.text(config), what), what)
        manifest = _manifest(config, layers, what)
        for each in (config, *layers):
            layout.adopt(each)
        layout.put(manifest.raw)
        return manifest


@dataclass(kw_only=True)
class _Saved:
    layout: Layout
    what: str
    parts: dict[str, Staged] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def read(self, stream: Iterator[bytes]) -> None:
        """Stage every file of the tar; its content is data and never unpacked."""
        try:
            with tarfile.open(fileobj=io.BufferedReader(_Reader(stream), _CHUNK), mode="r|") as tar:
                for count, member in enumerate(tar, start=1):
                    if count > MAX_MEMBERS:
                        msg = f"{self.what}: more than {MAX_MEMBERS} files"
                        raise IntegrityError(msg)
                    self._take(tar, member)
        except tarfile.TarError as exc:
            msg = f"{self.what}: not a whole tar: {exc}"
            raise IntegrityError(msg) from exc

    def _take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = normpath(member.name)
        if member.issym() or member.islnk():
            folder = dirname(name) if member.issym() else ""
            self.links[name] = normpath(join(folder, member.linkname))
        elif member.isfile() and (content := tar.extractfile(member)) is not None:
            self.parts[name] = self.layout.stage(iter(lambda: content.read(_CHUNK), b""))

    def part(self, name: object) -> Staged:
        """Return a file of the tar; raises IntegrityError where it is not there."""
        wanted = normpath(name) if isinstance(name, str) else ""
        found = self.parts.get(self.links.get(wanted, wanted))
        if found is None:
            msg = f"{self.what}: has no file {str(name)[:200]!r}"
            raise IntegrityError(msg)
        return found

    def text(self, part: Staged) -> bytes:
        """Read a small file of the tar."""
        if part.size > MAX_CONFIG_BYTES:
            msg = f"{self.what}: {part.digest} is larger than {MAX_CONFIG_BYTES} bytes"
            raise IntegrityError(msg)
        with files.reported("read", part.path):
            return part.path.read_bytes()

    def json_list(self, name: str) -> list[Mapping[str, Any]]:
        """Read a JSON list of objects."""
        raw = self.text(self.part(name))
        what = f"{self.what}: {name}"
        entries = strictjson.load(raw, what=what, max_bytes=_MAX_MANIFEST)
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            msg = f"{what}: not a list of images"
            raise IntegrityError(msg)
        return entries

    def discard(self) -> None:
        """Remove what was staged and not adopted."""
        for part in self.parts.values():
            with files.reported("remove", part.path):
                part.path.unlink(missing_ok=True)


class _Reader(io.RawIOBase):
    """A stream of chunks as a file, for tarfile."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        super().__init__()
        self._stream = stream
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - collections.abc.Buffer is 3.12's
        target = memoryview(buffer).cast("B")
        while not self._rest:
            chunk = next(self._stream, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(target), len(self._rest))
        target[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


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
        msg = f"{what}: manifest.json has no list where one belongs"
        raise IntegrityError(msg)
    return value


def _diff_ids(config: bytes, what: str) -> list[Digest]:
    found = strictjson.load_object(config, what=f"{what}: config", max_bytes=MAX_CONFIG_BYTES)
    rootfs = found.get("rootfs")
    names = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    return [Digest.parse(str(name)) for name in _listed(names, what)]


def _check_layers(layers: list[Staged], diff_ids: list[Digest], what: str) -> None:
    if len(layers) != len(diff_ids):
        msg = f"{what}: {len(layers)} layers, its config knows {len(diff_ids)}"
        raise IntegrityError(msg)
    for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), start=1):
        if layer.start.startswith(_ZSTD):
            msg = f"{what}: layer {number} is zstd-compressed"
            raise ValidationError(msg, hint="rebuild it with gzip layers")
        got = _unpacked(layer, what) if layer.start.startswith(_GZIP) else layer.digest
        if got != diff_id:
            msg = f"{what}: layer {number} unpacks to {got}, its config says {diff_id}"
            raise IntegrityError(msg)


def _unpacked(layer: Staged, what: str) -> Digest:
    hashed = hashlib.sha256()
    with files.reported("read", layer.path):
        handle = layer.path.open("rb")
    try:
        with handle, gzip.GzipFile(fileobj=handle) as content:
            while chunk := content.read(_CHUNK):
                hashed.update(chunk)
    except (gzip.BadGzipFile, EOFError, zlib.error) as exc:
        msg = f"{what}: a gzip layer is damaged: {exc}"
        raise IntegrityError(msg) from exc
    return Digest(hashed.hexdigest())


def _manifest(config: Staged, layers: list[Staged], what: str) -> Manifest:
    def described(part: Staged, media_type: str) -> dict[str, object]:
        return Descriptor(media_type=media_type, digest=part.digest, size=part.size).to_json()

    gzipped = f"{media.OCI_LAYER}+gzip"
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": described(config, media.OCI_CONFIG),
        "layers": [
            described(each, gzipped if each.start.startswith(_GZIP) else media.OCI_LAYER)
            for each in layers
        ],
    }
    raw = json.dumps(document, separators=(",", ":")).encode()
    parsed = model.parse(raw, media_type=media.OCI_MANIFEST, what=what)
    if not isinstance(parsed, Manifest):
        raise TypeError
    return parsed
