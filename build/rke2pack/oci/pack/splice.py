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

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.files import Cache
from rke2pack.oci import coding
from rke2pack.oci.pack import content, frames, framesize
from rke2pack.oci.pack.framecache import FrameCache
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
        framed = [each for each in every if each not in {*spliced, *direct}]
        with ThreadPoolExecutor(WORKERS) as pool:
            ready = dict(pool.map(self._spliced, sorted(spliced, key=_large_first)))
            ready |= {each.digest: Ready(size=each.blob.size) for each in direct}
            found = dict(pool.map(self._found, framed))
        ready |= {digest: known for digest, known in found.items() if known is not None}
        ready |= self._encoded([each for each in framed if found[each.digest] is None])
        return ready

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
        whole = frames.split(self._whole(layer, known.size), size=coding.PIECE_BYTES)
        for data in self.recipe.packed.wrap(whole, known.size):
            out.write(data)

    def _is_spliced(self, layer: Layer) -> bool:
        return self.recipe.splices and layer.is_unpacked and layer.packing == "gzip"

    def _spliced(self, layer: Layer) -> tuple[Digest, Ready]:
        """Verify a gzip blob and find out how long it is unpacked, once for all times.

        A blob of several members does not say how long all are: it is unpacked
        each time.
        """
        size = self._known_size(layer)
        if size is not None and size % framesize.GZIP_MODULUS != self._said_size(layer):
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
            end = (end + chunk[-framesize.END_BYTES :])[-framesize.END_BYTES :]
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
        return layer.digest, Ready(size=entry.raw_size, path=entry.path, length=entry.size)

    def _encoded(self, layers: Iterable[Layer]) -> dict[Digest, Ready]:
        ready: dict[Digest, Ready] = {}
        sizes: Counter[Digest] = Counter()
        plain = self.recipe.plain
        jobs = (Job(key=None, coding=plain, chunks=self._counted(layer, sizes)) for layer in layers)
        with contextlib.closing(frames.encode(jobs)) as encoded:
            for layer in layers:
                with self._frames.growing(plain, layer.digest) as growing:
                    for data in _until_end(encoded):
                        growing.write(data)
                    size = sizes[layer.digest]
                    entry = self._frames.keep(plain, layer.digest, growing, raw_size=size)
                if layer.packing == "gzip":
                    self._keep_size(layer, size)
                ready[layer.digest] = Ready(size=size, path=entry.path, length=entry.size)
        return ready

    def _counted(self, layer: Layer, sizes: Counter[Digest]) -> Iterator[bytes]:
        for chunk in self._unpacked(layer):
            sizes[layer.digest] += len(chunk)
            yield chunk

    def _whole(self, layer: Layer, size: int) -> Iterator[bytes]:
        """Yield a blob; raises IntegrityError unless it is as long as the tar's header says."""
        left = size
        for chunk in self._verbatim(layer):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
        if left:
            msg = f"{self.layout.root}: {layer.blob.digest} has {size - left} bytes, not {size}"
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


def _is_direct(layer: Layer) -> bool:
    return not layer.is_unpacked and layer.packing == "gzip"


def _size_key(layer: Layer) -> str:
    return f"layers/{layer.blob.digest.hex}.json"


def _until_end(encoded: Iterator[Frame[None]]) -> Iterator[bytes]:
    for frame in encoded:
        if frame.data is None:
            return
        yield frame.data


def _large_first(layer: Layer) -> int:
    """Order layers so that no worker has a large one left when the others are done."""
    return -layer.blob.size
