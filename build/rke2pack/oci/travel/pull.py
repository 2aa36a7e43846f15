"""Pull: a cache from a registry, every byte proven before it is used.

Blobs are held against their digests. Frames are decoded and held against the
layer that they are kept for: where they come from is not trusted. Frames that
another run has made meanwhile are never replaced: it may be copying them.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack import files, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.files import Cache
from rke2pack.oci import coding
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.store import partial as partials
from rke2pack.oci.store import upkeep
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.travel import cargo
from rke2pack.progress import Meter, Position, Silence

_CHUNK = 1024 * 1024
_MAX_NOTE = 1024 * 1024
_HINT = "push the cache anew; find out who else writes there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What became of a pull: names that are new, those that stay as they are or lack blobs."""

    digest: Digest
    layers: int
    received: int
    names: tuple[str, ...]
    kept: tuple[str, ...]
    incomplete: tuple[str, ...]
    frames: int


@dataclass(kw_only=True)
class Pull:
    """Fetches a cache with ``jobs`` layers at a time."""

    registry: Registry
    reference: Reference
    layout: Layout
    cache: Cache
    jobs: int = 4
    is_dry_run: bool = False
    meter: Meter = field(default_factory=Silence)
    _notes: dict[str, bytes] = field(default_factory=dict, init=False)

    def run(self) -> Received:
        """Fetch what is not there; names last. Raises RegistryError, IntegrityError.

        A name that the store has stays as it is: what it has may be newer.
        """
        what = str(self.reference)
        document = self.registry.get_manifest(self.reference.repository, self.reference.tag)
        manifest = cargo.check(document, what=what)
        config = self._memory(manifest.config, limit=cargo.MAX_CONFIG)
        names = cargo.names_of(config, what=what)
        wanted = [each for each in manifest.layers if not self._has(each)]
        received = sum(each.size for each in wanted)
        if self.is_dry_run:
            return self._told(manifest, received, names, frozenset(), 0)
        try:
            frames = self._brought(wanted)
        finally:
            for left in self.cache.folder.glob(f"frames/*/*{_unproven()}"):
                left.unlink(missing_ok=True)
        complete = {n for n, d in names.items() if upkeep.is_complete(self.layout, d)}
        told = self._told(manifest, received, names, frozenset(complete), frames)
        self.layout.tag_new({name: names[name] for name in told.names})
        return told

    def _brought(self, wanted: Iterable[Descriptor]) -> int:
        """Fetch layers; return how many layers have frames then that had none."""
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="blob") as pool:
            futures = [pool.submit(self._fetch, each) for each in wanted]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            return sum(pool.map(self._accept, sorted(self._notes)))

    def _told(
        self,
        manifest: Manifest,
        received: int,
        names: Mapping[str, Descriptor],
        complete: frozenset[str],
        frames: int,
    ) -> Received:
        there = {entry.name for entry in self.layout.entries()}
        new = [name for name in names if name not in there]
        is_new = new if self.is_dry_run else [name for name in new if name in complete]
        return Received(
            digest=manifest.descriptor.digest,
            layers=len(manifest.layers),
            received=received,
            names=tuple(sorted(is_new)),
            kept=tuple(sorted(there & names.keys())),
            incomplete=tuple(sorted(set(new) - set(is_new))),
            frames=frames,
        )

    def _has(self, layer: Descriptor) -> bool:
        """Whether a large file is there; what is in a bundle is not known before it is read."""
        title = layer.annotations.get(cargo.TITLE, "")
        match layer.media_type:
            case cargo.BLOB:
                return self.layout.has(layer)
            case cargo.FRAMES:
                path = self._frame_path(title)
                return path.with_suffix(".json").is_file() and path.is_file()
            case cargo.BUNDLE:
                return False
        msg = f"{self.reference}: {layer.media_type[:100]} is nothing that a cache has"
        raise IntegrityError(msg, hint=_HINT)

    def _fetch(self, layer: Descriptor) -> None:
        self.meter.expect(layer.size)
        title = layer.annotations.get(cargo.TITLE, "")
        with self.meter.item(title or str(layer.digest), layer.size) as advance:
            match layer.media_type:
                case cargo.BLOB:
                    self._to_store(layer)
                case cargo.FRAMES:
                    self._to_file(layer, self._unproven(title))
                case _:
                    self._unpack(self._memory(layer, limit=cargo.MAX_BUNDLE))
            Position(advance).move(layer.size)

    def _to_store(self, layer: Descriptor) -> None:
        pause = self.registry.wire.pace.pause
        with self.layout.receive(layer, wait=pause) as partial:
            if partial is not None:
                self.registry.fetch_blob(self.reference.repository, layer, partial)

    def _to_file(self, layer: Descriptor, path: Path) -> None:
        with files.reported("write", path):
            path.parent.mkdir(parents=True, exist_ok=True)
        place = path.with_name(f".{path.name}.{layer.digest.hex[:12]}.tmp")
        with partials.opened(place, layer, is_there=lambda: False, wait=time.sleep) as partial:
            if partial is not None:
                self.registry.fetch_blob(self.reference.repository, layer, partial)
                partial.commit(path)

    def _memory(self, blob: Descriptor, *, limit: int) -> bytes:
        what = f"{self.reference}: {blob.digest}"
        if blob.size > limit:
            msg = f"{what}: {blob.size} bytes are more than the limit of {limit}"
            raise IntegrityError(msg, hint=_HINT)
        data = b"".join(self.registry.read_blob(self.reference.repository, blob))
        blob.digest.verify(data, what=what)
        return data

    def _unpack(self, tar: bytes) -> None:
        """Take small files out of a bundle, each under a name that it may have."""
        for name, data in _members(tar, what=str(self.reference)):
            blob, frame = cargo.BLOB_NAME.match(name), cargo.FRAME_NAME.match(name)
            if blob is not None:
                Digest(blob["hex"]).verify(data, what=f"{self.reference}: {name}")
                self.layout.put(data)
            elif frame is not None and frame["kind"] == "json":
                self._notes[name] = data[:_MAX_NOTE]
            elif frame is not None:
                files.write(self._unproven(name), data)
            else:
                msg = f"{self.reference}: {name[:100]!r} is no place in a cache"
                raise IntegrityError(msg, hint=_HINT)

    def _accept(self, name: str) -> bool:
        """Make frames an entry of the cache, once they were decoded to the layer they are for."""
        path, unproven = self._frame_path(name), self._unproven(name)
        if not unproven.is_file():
            return False
        try:
            if self.cache.get(name) is not None:
                return False
            _prove(unproven, self._notes[name], what=f"{self.reference}: {name}", layer=path.stem)
            if not _placed(unproven, path):
                return False
        except IntegrityError as exc:
            raise IntegrityError(exc.message, hint=exc.hint or _HINT) from exc
        finally:
            unproven.unlink(missing_ok=True)
        self.cache.put(name, self._notes[name])
        return True

    def _frame_path(self, name: str) -> Path:
        if not cargo.FRAME_NAME.match(name):
            msg = f"{self.reference}: {name[:100]!r} is no place in a cache"
            raise IntegrityError(msg, hint=_HINT)
        return (self.cache.folder / name).with_suffix(".frames")

    def _unproven(self, name: str) -> Path:
        """Return where this process has frames until they are proven."""
        return self._frame_path(name).with_suffix(_unproven())


def _unproven() -> str:
    """Return the ending of what this process has not proven yet."""
    return f".{os.getpid()}.tmp"


def _members(tar: bytes, *, what: str) -> Iterator[tuple[str, bytes]]:
    """Yield the regular files of a tar in memory."""
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
            for member in opened:
                handle = opened.extractfile(member) if member.isreg() else None
                if handle is None or member.issparse():
                    msg = f"{what}: {member.name[:100]!r} is not a plain file"
                    raise IntegrityError(msg, hint=_HINT)
                yield member.name, handle.read()
    except (tarfile.TarError, ValueError, EOFError) as exc:
        msg = f"{what}: a bundle is not a tar: {exc}"
        raise IntegrityError(msg, hint=_HINT) from exc


def _prove(path: Path, note: bytes, *, what: str, layer: str) -> None:
    """Raise IntegrityError unless frames decode to ``layer``, a digest's hex, and no longer."""
    said = strictjson.load_object(note, what=what, max_bytes=_MAX_NOTE)
    raw_size = strictjson.number(said.get("raw_size"), what=f"{what}: raw_size")
    decode = coding.unzstd if path.parent.name.startswith("zstd-") else coding.gunzipped
    hashed, size = hashlib.sha256(), 0
    for chunk in decode(_chunks(path), what=what):
        hashed.update(chunk)
        size += len(chunk)
        if size > raw_size:
            break
    if size != raw_size or hashed.hexdigest() != layer:
        msg = f"{what}: its frames are not the layer that they are kept for"
        raise IntegrityError(msg, hint=_HINT)


def _placed(source: Path, target: Path) -> bool:
    """Give frames their name; false where another run has made such frames meanwhile."""
    with files.reported("write", target):
        try:
            target.hardlink_to(source)
        except OSError:  # it is there, or there are no links in this file system
            if target.exists():
                return False
            source.replace(target)
    return True


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as handle:
        while chunk := handle.read(_CHUNK):
            yield chunk
