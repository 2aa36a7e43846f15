"""Listings: the layers of images, each looked at once, from the store or a registry."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci import coding, frameheader
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.pack import content
from rke2pack.oci.program.layertree import Listing, Tree
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout

MAX_LAYER_BYTES = 64 * 1024**3
# Names in memory over all listings; what is beyond is read again when it is needed again.
MAX_KEPT = 300_000
_HINT = "find out who made this layer; what is in the store is checked by 'rke2pack cache verify'"
_Key = tuple[Digest, bool]


@dataclass(frozen=True, kw_only=True)
class Listings:
    """Makes listings and keeps the last ones; safe for threads.

    A blob that the store lacks streams from the registry and is kept nowhere.
    A listing is given only when the whole blob has the digest that it should.
    """

    access: Access
    layout: Layout
    is_offline: bool = False
    _kept: OrderedDict[_Key, Listing] = field(default_factory=OrderedDict, init=False)
    _locks: dict[_Key, threading.Lock] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def tree(self, reference: Reference, manifest: Manifest, *, folds_case: bool) -> Tree:
        """Return the root file system of an image; its layers are read when they are needed."""
        loads: tuple[Callable[[], Listing], ...] = tuple(
            partial(self.listing, reference, layer, folds_case=folds_case)
            for layer in reversed(manifest.layers)
        )
        return Tree(layers=loads)

    def listing(self, reference: Reference, layer: Descriptor, *, folds_case: bool) -> Listing:
        """Return what a layer puts where; raises IntegrityError or RegistryError."""
        key = layer.digest, folds_case
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._lock:
                known = self._kept.get(key)
                if known is not None:
                    self._kept.move_to_end(key)
                    return known
            what = f"{reference}: layer {layer.digest}"
            chunks = unpacked(self._blob(reference, layer), what=what)
            made = Listing.read(chunks, what=what, folds_case=folds_case)
            self._keep(key, made)
            return made

    def _keep(self, key: _Key, made: Listing) -> None:
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > MAX_KEPT:
                self._kept.popitem(last=False)

    def _blob(self, reference: Reference, layer: Descriptor) -> Iterator[bytes]:
        if self.layout.has(layer):
            return content.verbatim(self.layout, layer)
        if self.is_offline:
            msg = f"{reference}: {self.layout.root} lacks its layer {layer.digest}"
            raise NotFoundError(msg, hint="run it without --offline")
        registry = self.access.registry(reference.registry)
        chunks = registry.read_blob(reference.repository, layer)
        return _verified(chunks, layer.digest, what=f"{reference}: layer")


def unpacked(chunks: Iterable[bytes], *, what: str) -> Iterator[bytes]:
    """Yield the tar of a layer's blob, whatever packs it; raises IntegrityError.

    Told by the first bytes, as in `content`. More than 64 GiB are refused.
    """
    rest = iter(chunks)
    start = b""
    while len(start) < len(frameheader.ZSTD) and (chunk := next(rest, b"")):
        start += chunk
    whole: Iterator[bytes] = itertools.chain([start], rest)
    if start.startswith(frameheader.GZIP):
        whole = coding.gunzipped(whole, what=what, hint=_HINT)
    elif start.startswith(frameheader.ZSTD):
        whole = coding.unzstd(whole, what=what, hint=_HINT)
    size = 0
    for piece in whole:
        size += len(piece)
        if size > MAX_LAYER_BYTES:
            msg = f"{what}: unpacks to more than {MAX_LAYER_BYTES} bytes"
            raise IntegrityError(msg, hint=_HINT)
        yield piece


def _verified(chunks: Iterable[bytes], expected: Digest, *, what: str) -> Iterator[bytes]:
    hashed = hashlib.sha256()
    for chunk in chunks:
        hashed.update(chunk)
        yield chunk
    if hashed.hexdigest() != expected.hex:
        msg = f"{what}: content is sha256:{hashed.hexdigest()}, expected {expected}"
        raise IntegrityError(msg, hint="find out why the registry has other bytes")
