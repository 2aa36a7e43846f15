"""Images like RKE2's: two shared bases, and binaries of this machine, Go programs first."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor, Document, Manifest
from rke2pack.oci.store.layout import Layout

MEGABYTE = 1_000_000
MIN_BINARY = 200_000
FOLDERS = ("/usr/local", "/usr/bin", "/usr/sbin", "/usr/lib")
GO_BUILD = b"\xff Go buildinf:"
# RKE2's layers come from docker build, which compresses with Go's gzip.
GO_GZIP = """
package main

import (
	"compress/gzip"
	"io"
	"os"
)

func main() {
	packed := gzip.NewWriter(os.Stdout)
	if _, err := io.Copy(packed, os.Stdin); err != nil {
		panic(err)
	}
	if err := packed.Close(); err != nil {
		panic(err)
	}
}
"""
Files = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer's blob and the digest of its tar."""

    diff_id: Digest
    blob: Descriptor


def layers(layout: Layout, count: int, megabytes: int) -> list[Layer]:
    """Put ``count`` layers of ``megabytes`` in all, unpacked, into a layout."""
    found = list(binaries(megabytes * MEGABYTE))
    tars = [layer_of(found[number::count]) for number in range(count)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blobs = pool.map(packed, tars)
        return [put_layer(layout, tar, blob) for tar, blob in zip(tars, blobs, strict=True)]


def put_layer(layout: Layout, tar: bytes, blob: bytes) -> Layer:
    """Put one layer."""
    kind = f"{media.OCI_LAYER}+gzip"
    described = Descriptor(media_type=kind, digest=layout.put(blob), size=len(blob))
    return Layer(diff_id=Digest.of(tar), blob=described)


def put_manifest(layout: Layout, architecture: str, parts: Sequence[Layer]) -> Descriptor:
    """Put a config and a manifest."""
    rootfs = {"type": "layers", "diff_ids": [str(each.diff_id) for each in parts]}
    config = as_json({"os": "linux", "architecture": architecture, "rootfs": rootfs})
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": described(layout, media.OCI_CONFIG, config).to_json(),
        "layers": [each.blob.to_json() for each in parts],
    }
    return described(layout, media.OCI_MANIFEST, as_json(document))


def put_index(layout: Layout, manifests: Mapping[str, Descriptor]) -> Descriptor:
    """Put an index of manifests by architecture."""
    entries = [
        {**each.to_json(), "platform": {"os": "linux", "architecture": architecture}}
        for architecture, each in manifests.items()
    ]
    document = {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}
    return described(layout, media.OCI_INDEX, as_json(document))


def described(layout: Layout, kind: str, data: bytes) -> Descriptor:
    """Put bytes and describe them."""
    return Descriptor(media_type=kind, digest=layout.put(data), size=len(data))


def binaries(wanted: int) -> Iterator[tuple[str, bytes]]:
    """Yield ELF files up to ``wanted`` bytes, Go programs first, in an order by chance.

    Where they do not suffice, they come again with other bytes in between.
    """
    found = [path for name in FOLDERS for path in Path(name).rglob("*") if is_program(path)]
    found.sort(key=lambda path: hashlib.sha256(str(path).encode()).digest())
    found.sort(key=lambda path: not is_go(path))
    for turn in range(100):
        for path in found:
            data = path.read_bytes()[:wanted]
            wanted -= len(data)
            yield f"{turn}{path}", salted(data, turn) if turn else data
            if not wanted:
                return


def salted(data: bytes, turn: int) -> bytes:
    """Return other bytes of much the same kind."""
    salt = hashlib.sha256(f"{turn}".encode()).digest()
    return b"".join(data[start : start + 4000] + salt for start in range(0, len(data), 4000))


def is_program(path: Path) -> bool:
    """Whether a file is an ELF file of some size."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size < MIN_BINARY:
        return False
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"


@functools.cache
def is_go(path: Path) -> bool:
    """Whether Go's linker made a program."""
    return GO_BUILD in path.read_bytes()


def layer_of(files: Files) -> bytes:
    """Return a layer's tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def packed(tar: bytes) -> bytes:
    """Return a layer as registries have it: by Go's gzip, or zlib's where there is no Go."""
    program = go_gzip()
    if program is None:
        return gzip.compress(tar, 6, mtime=0)
    return subprocess.run([program], input=tar, capture_output=True, check=True).stdout


@functools.cache
def go_gzip() -> Path | None:
    """Build the compressor, once."""
    go = shutil.which("go")
    if go is None:
        print("no go on PATH: layers are compressed by zlib")
        return None
    folder = Path(tempfile.mkdtemp(prefix="rke2pack-bench-go-"))
    (folder / "main.go").write_text(GO_GZIP)
    program = folder / "gzip"
    subprocess.run([go, "build", "-o", program, folder / "main.go"], check=True)
    return program


def unpacked(blob: bytes) -> bytes:
    """Return a layer's tar."""
    return gzip.decompress(blob)


def blobs(document: Document) -> tuple[Descriptor, ...]:
    """Return what a manifest needs, its config among it."""
    if not isinstance(document, Manifest):
        raise TypeError
    return document.blobs


def as_json(document: Mapping[str, object]) -> bytes:
    """Return a document's bytes."""
    return json.dumps(document).encode()
