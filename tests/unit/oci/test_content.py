from __future__ import annotations

import gzip

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci.model import Descriptor
from rke2pack.oci.pack import content
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.imaging import Packing, layer, packed

TAR = layer({"bin/main": b"program" * 100_000})
DIFF_ID = Digest.of(TAR)
PACKINGS: tuple[Packing, ...] = ("gzip", "zstd", "none")


def put(layout: Layout, data: bytes) -> Descriptor:
    return Descriptor(media_type="a/b", digest=layout.put(data), size=len(data))


@pytest.mark.parametrize("packing", PACKINGS)
def test_layer_unpacks_to_its_tar(layout: Layout, packing: Packing) -> None:
    blob = put(layout, packed(TAR, packing))
    assert content.packing(layout, blob) == packing
    assert b"".join(content.unpacked(layout, blob, DIFF_ID)) == TAR
    assert b"".join(content.verbatim(layout, blob)) == packed(TAR, packing)


def test_gzip_of_several_members_unpacks(layout: Layout) -> None:
    blob = put(layout, gzip.compress(TAR[:1000]) + gzip.compress(TAR[1000:]))
    assert b"".join(content.unpacked(layout, blob, DIFF_ID)) == TAR


@pytest.mark.parametrize("packing", PACKINGS)
def test_other_content_than_the_config_promises_is_refused(
    layout: Layout, packing: Packing
) -> None:
    blob = put(layout, packed(TAR + b"x", packing))
    with pytest.raises(IntegrityError) as caught:
        list(content.unpacked(layout, blob, DIFF_ID))
    assert caught.value.message == (
        f"{layout.root}: layer {blob.digest}: content is {Digest.of(TAR + b'x')}, "
        f"expected {DIFF_ID}"
    )
    assert caught.value.hint == "run 'rke2pack cache verify', then pull"


@pytest.mark.parametrize("packing", PACKINGS)
def test_damaged_blob_is_refused(layout: Layout, packing: Packing) -> None:
    blob = put(layout, packed(TAR, packing))
    data = bytearray(layout.path(blob.digest).read_bytes())
    data[len(data) // 2] ^= 0x10
    layout.path(blob.digest).write_bytes(data)
    with pytest.raises(IntegrityError):
        list(content.unpacked(layout, blob, DIFF_ID))
    with pytest.raises(IntegrityError, match=f"expected {blob.digest}"):
        list(content.verbatim(layout, blob))


def test_empty_blob_is_plain(layout: Layout) -> None:
    blob = put(layout, b"")
    assert content.packing(layout, blob) == "none"
    assert b"".join(content.unpacked(layout, blob, Digest.of(b""))) == b""


def test_missing_blob_is_named(layout: Layout) -> None:
    blob = Descriptor(media_type="a/b", digest=DIFF_ID, size=1)
    with pytest.raises(NotFoundError, match=f"has no blob {DIFF_ID}"):
        list(content.verbatim(layout, blob))
