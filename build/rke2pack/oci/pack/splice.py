"""Splice: from layers and a tar's bytes to the frames of one archive.

What is encoded already is copied: the cached frames of a layer, and for a
``.tar.gz`` the registry's own gzip blob, which is a gzip member of the very
bytes that the tar holds there. Every byte is verified in the run that uses it,
and a length that was kept from another run is held against what the bytes say.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError
from rke2pack.files import Cache
from rke2pack.oci import coding, frameheader, wrapping
from rke2pack.oci.pack import content, frames
from rke2pack.oci.pack.framecache import Entry, FrameCache
from rke2pack.oci.pack.frames import WORKERS, Frame, Job
from rke2pack.oci.pack.images import Layer
from rke2pack.oci.pack.outfile import Outfile
from rke2pack.oci.pack.recipes import Recipe
from rke2pack.oci.store.layout import Layout
from rke2pack.progress import Advance, Meter, Silence


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A layer whose ``size`` in the tar is known; ``path`` has its frames, ``length`` bytes.

    Without a path it is wrapped while it is written.
    """

    size: int
    path: Path | None = None
    length: int = 0


_Turn = tuple[Layer, Ready]


@dataclass(frozen=True, kw_only=True)
class Splicer:
    """Makes the frames of archives from a layout."""

    layout: Layout
    cache: Cache
    recipe: Recipe
    meter: Meter = field(default_factory=Silence)

    def prepare(self, layers: Iterable[Layer]) -> dict[Digest, Ready]:
        """Get everything ready to be copied that is not encoded while it is written.

        Raises IntegrityError for a damaged layer, ToolError when the disk is full.
        """
        every = tuple(layers)
        self.meter.expect(sum(each.blob.size for each in every))
        spliced = [each for each in every if self._is_spliced(each)]
        direct = [each for each in every if _is_direct(each)]
        framed = [each for each in every if self._is_framed(each)]
        with ThreadPoolExecutor(WORKERS) as pool:
            ready = dict(pool.map(self._spliced, sorted(spliced, key=_large_first)))
            ready |= {each.digest: Ready(size=each.blob.size) for each in direct}
            found = dict(pool.map(self._found, framed))
        ready |= {digest: known for digest, known in found.items() if known is not None}
        encoded, failed = self._encode(each for each in framed if found[each.digest] is None)
        for error in failed.values():
            raise error
        return ready | encoded

    def keep(self, layers: Iterable[Layer]) -> None:
        """Encode layers as they come, but those of which the cache seems to have frames.

        `prepare` finds them, and tries again what is damaged. Raises ToolError when
        the disk is full.
        """
        self._encode(self._unknown(layers))

    def _unknown(self, layers: Iterable[Layer]) -> Iterator[Layer]:
        """Yield each layer once that is encoded, and is not yet."""
        seen: set[Digest] = set()
        for layer in layers:
            if layer.digest in seen or not self._is_framed(layer):
                continue
            seen.add(layer.digest)
            if not self._frames.has(self.recipe.plain, layer.digest):
                self.meter.expect(layer.blob.size)
                yield layer

    def write(
        self, pieces: Iterable[bytes | Layer], ready: Mapping[Digest, Ready], out: Outfile
    ) -> None:
        """Write a tar's pieces as frames."""
        with contextlib.closing(frames.encode(self._jobs(pieces, ready))) as encoded:
            for frame in encoded:
                if frame.data is not None:
                    out.write(frame.data)
                elif frame.key is not None:
                    self._place(*frame.key, out)

    def _jobs(
        self, pieces: Iterable[bytes | Layer], ready: Mapping[Digest, Ready]
    ) -> Iterator[Job[_Turn | None]]:
        """Yield a job a piece; a layer has nothing to encode, only its turn."""
        plain = self.recipe.plain
        for piece in pieces:
            if isinstance(piece, bytes):
                yield Job(key=None, coding=plain, chunks=(piece,))
            else:
                yield Job(key=(piece, ready[piece.digest]), coding=plain, chunks=())

    def _place(self, layer: Layer, known: Ready, out: Outfile) -> None:
        """Copy a layer's frames, or wrap it."""
        if known.path is not None:
            out.copy(known.path, known.length)
            return
        whole = frames.split(self._whole(layer, known.size), size=wrapping.PIECE_BYTES)
        for buffers in self.recipe.packed.wrap(whole, known.size):
            out.write(*buffers)

    def _is_framed(self, layer: Layer) -> bool:
        return not (self._is_spliced(layer) or _is_direct(layer))

    def _is_spliced(self, layer: Layer) -> bool:
        return self.recipe.splices and layer.is_unpacked and layer.packing == "gzip"

    def _spliced(self, layer: Layer) -> tuple[Digest, Ready]:
        """Verify a gzip blob and find out how long it is unpacked, once for all times.

        A blob of several members does not say how long all are: it is unpacked
        each time.
        """
        size = self._known_size(layer)
        if size is not None and size % frameheader.GZIP_MODULUS != self._said_size(layer):
            self.meter.expect(layer.blob.size)  # it has to be read again
            size = None
        if size is None:
            size = sum(map(len, self._unpacked(layer)))
            self._keep_size(layer, size)
        path = self.layout.path(layer.blob.digest)
        return layer.digest, Ready(size=size, path=path, length=layer.blob.size)

    def _said_size(self, layer: Layer) -> int:
        """Return what a gzip blob, verified, says at its end of how long it is unpacked."""
        end = b""
        for chunk in self._verbatim(layer):
            end = (end + chunk[-frameheader.END_BYTES :])[-frameheader.END_BYTES :]
        return int.from_bytes(end, "little")

    @property
    def _frames(self) -> FrameCache:
        return FrameCache(cache=self.cache)

    def _found(self, layer: Layer) -> tuple[Digest, Ready | None]:
        entry = self._frames.find(self.recipe.plain, layer.digest)
        if entry is None:
            return layer.digest, None
        with self._item(layer) as advance:
            advance(layer.blob.size)
        return layer.digest, _ready(entry)

    def _encode(
        self, layers: Iterable[Layer]
    ) -> tuple[dict[Digest, Ready], dict[Layer, PackError]]:
        """Encode layers, read when their turn comes; return why some could not be, too."""
        ready: dict[Digest, Ready] = {}
        failed: dict[Layer, PackError] = {}
        sizes: Counter[Layer] = Counter()

        def counted(layer: Layer) -> Iterator[bytes]:
            try:
                for chunk in self._unpacked(layer):
                    sizes[layer] += len(chunk)
                    yield chunk
            except (IntegrityError, NotFoundError) as exc:
                failed[layer] = exc

        plain = self.recipe.plain
        jobs = (Job(key=layer, coding=plain, chunks=counted(layer)) for layer in layers)
        with contextlib.closing(frames.encode(jobs)) as encoded:
            for frame in encoded:
                layer = frame.key
                with self._frames.growing(plain, layer.digest) as growing:
                    for data in _until_end(frame, encoded):
                        growing.write(data)
                    if layer in failed:
                        continue
                    size = sizes[layer]
                    entry = self._frames.keep(plain, layer.digest, growing, raw_size=size)
                if layer.packing == "gzip":
                    self._keep_size(layer, size)
                ready[layer.digest] = _ready(entry)
        return ready, failed

    def _whole(self, layer: Layer, size: int) -> Iterator[bytes]:
        """Yield a blob; raises IntegrityError unless it is as long as the tar's header says."""
        left = size
        for chunk in self._verbatim(layer):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            got = wording.count(size - left, "byte")
            msg = f"{self.layout.root}: {layer.blob.digest} has {got}, not {size}"
            raise IntegrityError(msg, hint=coding.HINT)

    def _verbatim(self, layer: Layer) -> Iterator[bytes]:
        with self._item(layer) as advance:
            yield from content.verbatim(self.layout, layer.blob, advance=advance)

    def _unpacked(self, layer: Layer) -> Iterator[bytes]:
        with self._item(layer) as advance:
            yield from content.unpacked(self.layout, layer.blob, layer.diff_id, advance=advance)

    def _item(self, layer: Layer) -> AbstractContextManager[Advance]:
        return self.meter.item(f"layer {layer.blob.digest.hex[:12]}", layer.blob.size)

    def _known_size(self, layer: Layer) -> int | None:
        try:
            known = json.loads(self.cache.get(_size_key(layer)) or b"null")
            return int(known["size"]) if known["diff_id"] == str(layer.diff_id) else None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    def _keep_size(self, layer: Layer, size: int) -> None:
        known = {"diff_id": str(layer.diff_id), "size": size}
        self.cache.put(_size_key(layer), json.dumps(known).encode())


def _ready(entry: Entry) -> Ready:
    return Ready(size=entry.raw_size, path=entry.path, length=entry.size)


def _is_direct(layer: Layer) -> bool:
    return not layer.is_unpacked and layer.packing == "gzip"


def _size_key(layer: Layer) -> str:
    return f"layers/{layer.blob.digest.hex}.json"


def _until_end(first: Frame[Layer], others: Iterator[Frame[Layer]]) -> Iterator[bytes]:
    """Yield the data of one job's frames."""
    frame = first
    while frame.data is not None:
        yield frame.data
        frame = next(others)


def _large_first(layer: Layer) -> int:
    """Order layers so that no worker has a large one left when the others are done."""
    return -layer.blob.size
