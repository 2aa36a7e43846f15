"""Layout: a folder of blobs addressed by digest (OCI image-spec, image-layout.md).

Several processes may share it: a blob appears by rename once it is verified,
``index.json`` is replaced under a lock. Whoever adds holds the layout's use
lock, so that upkeep never takes away what is just being added.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rke2pack import filelock, files, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, ToolError, ValidationError
from rke2pack.oci import media, model
from rke2pack.oci.model import Descriptor, Document
from rke2pack.oci.store import partial as partials
from rke2pack.oci.store.partial import Partial

VERSION_FILE = "oci-layout"
VERSION = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
MAX_INDEX_BYTES = 256 * 1024 * 1024
_BLOBS = "blobs/sha256"
_PARTIAL = "partial"
_LOCK_FILE, _INDEX_LOCK = ".lock", ".index.lock"
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of index.json: a name, empty where it has none, and what it points at."""

    name: str
    descriptor: Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Bytes whose digest was not known before; ``start`` is their first few."""

    path: Path
    digest: Digest
    size: int
    start: bytes


class Layout:
    """The blob store below one folder."""

    def __init__(self, root: Path) -> None:
        """Use ``root``, which is a layout; `open` makes one."""
        self.root = root

    @classmethod
    def open(cls, root: Path, *, must_exist: bool = False) -> Layout:
        """Open a layout, made where there is none unless it ``must_exist``.

        Raises ValidationError for a layout of another version, NotFoundError
        where it must exist and does not.
        """
        marker = root / VERSION_FILE
        with files.reported("read", marker):
            raw = marker.read_bytes() if marker.is_file() else None
        if raw is None and must_exist:
            msg = f"{root}: no image store"
            raise NotFoundError(msg, hint="fill it with 'rke2pack pull'")
        if raw is None:
            files.write(marker, VERSION)
        elif _version(raw, marker) != "1.0.0":
            msg = f"{marker}: imageLayoutVersion is not 1.0.0"
            raise ValidationError(msg)
        with files.reported("make", root / _BLOBS):
            (root / _BLOBS).mkdir(parents=True, exist_ok=True)
        return cls(root)

    def path(self, digest: Digest) -> Path:
        """Return where a blob is or would be."""
        return self.root / _BLOBS / digest.hex

    @property
    def partial_folder(self) -> Path:
        """The folder of blobs that are on their way."""
        return self.root / _PARTIAL

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there in its full size; its bytes are not read."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:
            msg = f"cannot read {self.path(blob.digest)}: {exc.strerror or exc}"
            raise ToolError(msg) from exc

    def read(self, digest: Digest, *, max_bytes: int = model.MAX_BYTES) -> bytes:
        """Read a small blob, verified; raises NotFoundError or IntegrityError."""
        path = self.path(digest)
        with files.reported("read", path):
            try:
                size = path.stat().st_size
                data = path.read_bytes() if size <= max_bytes else b""
            except FileNotFoundError as exc:
                msg = f"{self.root}: has no blob {digest}"
                raise NotFoundError(msg) from exc
        if size > max_bytes:
            msg = f"{path}: larger than the limit of {max_bytes} bytes"
            raise IntegrityError(msg)
        digest.verify(data, what=str(path))
        return data

    def document(self, descriptor: Descriptor) -> Document:
        """Read a manifest or an index; raises NotFoundError or IntegrityError."""
        what = f"{self.root}: {descriptor.digest}"
        raw = self.read(descriptor.digest)
        return model.parse(raw, media_type=descriptor.media_type, what=what)

    def put(self, data: bytes) -> Digest:
        """Keep ``data``; nothing is written where its blob is there already."""
        blob = Descriptor(media_type="", digest=Digest.of(data), size=len(data))
        if not self.has(blob):
            with self.receive(blob) as partial:
                if partial is not None:
                    partial.restart()
                    partial.write(data)
        return blob.digest

    def stage(self, chunks: Iterable[bytes]) -> Staged:
        """Write bytes beside the blobs; `adopt` makes them one."""
        hashed, size, start = hashlib.sha256(), 0, b""
        with files.reported("write", self.partial_folder):
            self.partial_folder.mkdir(exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.partial_folder, suffix=".partial")
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as handle:
                os.fchmod(handle.fileno(), 0o644)
                for chunk in chunks:
                    with files.reported("write", path):
                        handle.write(chunk)
                    hashed.update(chunk)
                    size += len(chunk)
                    start = start or chunk[:8]
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Staged(path=path, digest=Digest(hashed.hexdigest()), size=size, start=start)

    def adopt(self, staged: Staged) -> None:
        """Keep staged bytes as a blob; nothing happens where they were adopted before."""
        with files.reported("write", self.path(staged.digest)):
            if staged.path.exists():
                staged.path.replace(self.path(staged.digest))

    def drop(self, digest: Digest) -> None:
        """Remove a blob; nothing happens where it is not there."""
        with files.reported("remove", self.path(digest)):
            self.path(digest).unlink(missing_ok=True)

    @contextlib.contextmanager
    def receive(
        self, blob: Descriptor, *, wait: Callable[[float], None] = time.sleep
    ) -> Iterator[Partial | None]:
        """Give a place for the bytes of ``blob``, and keep it at the end of the block.

        None where another process has brought it meanwhile. Raises
        IntegrityError when what came is something else; then nothing is left.
        """
        path = self.partial_folder / f"{blob.digest.hex}.partial"
        with partials.opened(path, blob, is_there=lambda: self.has(blob), wait=wait) as partial:
            yield partial
            if partial is not None:
                partial.commit(self.path(blob.digest))

    def entries(self) -> tuple[Entry, ...]:
        """Read index.json, sorted by name."""
        return tuple(
            Entry(name=_name(raw), descriptor=Descriptor.parse(raw, what=f"{self._index}: entry"))
            for raw in self._entries()
        )

    def find(self, name: str) -> Descriptor | None:
        """Return what a name points at."""
        return next((e.descriptor for e in self.entries() if e.name == name), None)

    def tag(self, names: Mapping[str, Descriptor]) -> None:
        """Let names point at what the layout holds; entries of other names stay as they are."""
        if names:
            new = [_entry(name, descriptor) for name, descriptor in names.items()]
            self._change(lambda old: [*(e for e in old if _name(e) not in names), *new])

    def tag_new(self, names: Mapping[str, Descriptor]) -> None:
        """Add names; those that the layout has by now stay as they are."""

        def added(old: list[dict[str, Any]]) -> list[dict[str, Any]]:
            there = {_name(entry) for entry in old}
            return [*old, *(_entry(name, d) for name, d in names.items() if name not in there)]

        if names:
            self._change(added)

    def untag(self, names: frozenset[str]) -> None:
        """Forget names; their blobs stay until ``cache gc``."""
        self._change(lambda old: [e for e in old if _name(e) not in names])

    @contextlib.contextmanager
    def in_use(self, *, wait: Callable[[float], None] = time.sleep) -> Iterator[None]:
        """Hold the layout while adding to it, together with others."""
        with self._locked(_LOCK_FILE, fcntl.LOCK_SH, wait=wait):
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the layout for removing; raises ToolError while another process uses it."""
        with self._locked(_LOCK_FILE, fcntl.LOCK_EX, wait=None):
            yield

    @property
    def _index(self) -> Path:
        return self.root / INDEX_FILE

    def _entries(self) -> list[dict[str, Any]]:
        with files.reported("read", self._index):
            if not self._index.exists():
                return []
            raw = self._index.read_bytes()
        return _listed(raw, what=str(self._index))

    def _change(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        with self._locked(_INDEX_LOCK, fcntl.LOCK_EX, wait=time.sleep):
            entries = sorted(change(self._entries()), key=lambda e: (_name(e), e.get("digest", "")))
            document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
            files.write_changed(self._index, strictjson.dump(document))

    @contextlib.contextmanager
    def _locked(
        self, name: str, kind: int, *, wait: Callable[[float], None] | None
    ) -> Iterator[None]:
        path = self.root / name
        with files.reported("lock", path):
            handle = _opened(path, kind)
        if handle is None:
            yield
            return
        with handle:
            started = time.monotonic()
            while not _try_lock(handle.fileno(), kind):
                if wait is None or time.monotonic() - started > _LONGEST_WAIT:
                    msg = f"{self.root}: another rke2pack is using this image store"
                    raise ToolError(msg, hint=filelock.HINT)
                wait(filelock.PAUSE_SECONDS)
            yield


def parse_index(raw: bytes, *, what: str) -> tuple[Entry, ...]:
    """Read an index.json that came from outside; raises IntegrityError that names ``what``."""
    found = [Descriptor.parse(each, what=f"{what}: entry") for each in _listed(raw, what=what)]
    names = (d.annotations.get(IMAGE_NAME) or d.annotations.get(REF_NAME) or "" for d in found)
    return tuple(Entry(name=name, descriptor=d) for name, d in zip(names, found, strict=True))


def _listed(raw: bytes, *, what: str) -> list[dict[str, Any]]:
    document = strictjson.load_object(raw, what=what, max_bytes=MAX_INDEX_BYTES)
    entries = document.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        msg = f"{what}: there is no list 'manifests'"
        raise IntegrityError(msg)
    return entries


def _opened(path: Path, kind: int) -> IO[bytes] | None:
    """Open a lock; None for a reader where nothing can be written and no lock was ever made."""
    try:
        return path.open("a+b")
    except OSError as exc:
        if kind != fcntl.LOCK_SH or exc.errno not in _READ_ONLY:
            raise
    return path.open("rb") if path.exists() else None


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _version(raw: bytes, path: Path) -> object:
    return strictjson.load_object(raw, what=str(path), max_bytes=64 * 1024).get(
        "imageLayoutVersion"
    )


def _name(entry: Mapping[str, Any]) -> str:
    annotations = entry.get("annotations") or {}
    name = annotations.get(IMAGE_NAME) or annotations.get(REF_NAME) or ""
    return str(name)


def _entry(name: str, descriptor: Descriptor) -> dict[str, Any]:
    annotations = {IMAGE_NAME: name, REF_NAME: name}
    return {**descriptor.to_json(), "annotations": annotations}
