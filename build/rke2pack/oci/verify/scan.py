"""Scan: what an archive from outside holds, from reading it once and unpacking nothing.

Kept are digests, sizes and the small documents; the layers' bytes only pass by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.oci import coding
from rke2pack.oci.intake import archivefile, tarstream
from rke2pack.oci.intake.archivefile import (
    BLOBS,
    ArchiveFile,
    Budget,
    OutOfProportionError,
    Packing,
)
from rke2pack.oci.intake.tarstream import Member
from rke2pack.oci.resolve import MAX_CONFIG_BYTES

MAX_DOCUMENTS_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file of the tar: its digest, and for gzip and zstd that of what it unpacks to.

    ``problem`` says why it does not unpack; ``tar`` is None then.
    """

    digest: Digest
    size: int
    packing: Packing
    tar: Digest | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A file on the disk."""

    path: Path
    size: int
    digest: Digest


@dataclass(frozen=True, kw_only=True)
class Scan:
    """An archive that was read to its end; ``error`` says where that was not possible.

    ``names`` are those of all files in order, also where one stands twice;
    ``windows`` what its zstd frames need, in bytes.
    """

    file: ArchiveFile
    packing: Packing
    sums: tuple[Sum, ...]
    whole: Digest
    names: tuple[str, ...]
    contents: dict[str, Content]
    documents: dict[str, bytes]
    links: dict[str, str]
    frames: int
    window: int
    error: IntegrityError | None = None

    @property
    def what(self) -> str:
        """The archive's name, for messages."""
        return self.file.path.name

    def blob(self, digest: Digest) -> Content | None:
        """Return a blob by the name that its digest gives it."""
        return self.contents.get(f"{BLOBS}{digest.hex}")

    def text(self, digest: Digest) -> bytes | None:
        """Return a small blob's bytes."""
        return self.documents.get(f"{BLOBS}{digest.hex}")

    def sizes(self) -> dict[Digest, int]:
        """Return every blob whose name is its digest, and its size."""
        named = {f"{BLOBS}{each.digest.hex}": each for each in self.contents.values()}
        return {c.digest: c.size for name, c in named.items() if name in self.contents}


def scan(file: ArchiveFile, stop: Event | None = None) -> Scan:
    """Read an archive once; raises ToolError, and ValidationError for a compression not read.

    Once ``stop`` is set, it ends in a CancelledError.
    """
    reading = _Reading(file=file, stop=stop or Event(), budget=Budget.of(file.size))
    error: IntegrityError | None = None
    try:
        for member in tarstream.read(reading.tar(), what=file.path.name):
            reading.take(member)
    except IntegrityError as exc:
        error = exc
        reading.drain()
    return Scan(
        file=file,
        packing=file.packing,
        sums=reading.sums(),
        whole=Digest(reading.whole.hexdigest()),
        names=tuple(reading.names),
        contents=reading.contents,
        documents=reading.documents,
        links=reading.links,
        frames=reading.frames,
        window=reading.window,
        error=error,
    )


@dataclass(kw_only=True)
class _Reading:
    file: ArchiveFile
    stop: Event
    budget: Budget
    whole: Any = field(default_factory=hashlib.sha256)
    names: list[str] = field(default_factory=list)
    contents: dict[str, Content] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    window: int = 0
    _parts: dict[Path, tuple[Any, int]] = field(default_factory=dict)
    _raw: Iterator[bytes] = field(default_factory=lambda: iter(()))
    _documents_bytes: int = 0

    def tar(self) -> Iterator[bytes]:
        self._raw = self.file.raw(self._tap)
        return self._until_stopped(self.file.tar(self._raw, on_frame=self._frame))

    def drain(self) -> None:
        """Read what is left, so that the sums are those of the files."""
        for _ in self._raw:
            pass

    def sums(self) -> tuple[Sum, ...]:
        return tuple(
            Sum(path=path, size=size, digest=Digest(hashed.hexdigest()))
            for path, (hashed, size) in self._parts.items()
        )

    def take(self, member: Member) -> None:
        if member.kind == "link":
            self.links[member.name] = member.target
        if member.kind != "file":
            return
        self.names.append(member.name)
        if member.name in self.contents:
            return  # `names` tells
        kept = bytearray()
        self.contents[member.name] = self._content(member, kept)
        if member.size <= MAX_CONFIG_BYTES and bytes(kept[:1]) in {b"{", b"["}:
            self._documents_bytes += len(kept)
            if self._documents_bytes > MAX_DOCUMENTS_BYTES:
                msg = f"{self.file.path.name}: more than {MAX_DOCUMENTS_BYTES} bytes of JSON"
                raise IntegrityError(msg, hint=archivefile.HINT)
            self.documents[member.name] = bytes(kept)

    def _until_stopped(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self.stop.is_set():
                raise CancelledError
            yield chunk

    def _tap(self, part: Path, chunk: bytes) -> None:
        if self.stop.is_set():
            raise CancelledError
        hashed, size = self._parts.get(part) or (hashlib.sha256(), 0)
        hashed.update(chunk)
        self.whole.update(chunk)
        self._parts[part] = (hashed, size + len(chunk))

    def _frame(self, window: int) -> None:
        self.frames += 1
        self.window = max(self.window, window)

    def _content(self, member: Member, kept: bytearray) -> Content:
        """Hash a file and what it unpacks to; ``kept`` gets the bytes of a small one."""
        hashed, unpacked = hashlib.sha256(), hashlib.sha256()
        start = next(member.chunks, b"")
        packing, problem = archivefile.packing_of(start[:4]), ""

        def seen() -> Iterator[bytes]:
            for chunk in _chained(start, member.chunks):
                hashed.update(chunk)
                if member.size <= MAX_CONFIG_BYTES:
                    kept.extend(chunk)
                yield chunk

        through = seen()
        decode = {"gzip": coding.gunzipped, "zstd": coding.unzstd}.get(packing)
        if decode is not None:
            try:
                chunks = decode(through, what=member.name, hint=archivefile.HINT)
                chunks = self.budget.bounded(chunks, what=self.file.path.name)
                for chunk in self._until_stopped(chunks):
                    unpacked.update(chunk)
            except OutOfProportionError:
                raise
            except IntegrityError as exc:
                problem = exc.message
        for _ in through:
            pass
        digest = Digest(hashed.hexdigest())
        tar = Digest(unpacked.hexdigest()) if decode is not None else digest
        return Content(
            digest=digest,
            size=member.size,
            packing=packing,
            tar=None if problem else tar,
            problem=problem,
        )


def _chained(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from rest
