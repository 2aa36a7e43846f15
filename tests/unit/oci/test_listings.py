from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci.model import Descriptor
from rke2pack.oci.program import listings
from rke2pack.oci.program.layertree import Listing
from rke2pack.oci.program.listings import Listings
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.programs import layer

REFERENCE = Reference.parse("docker.io/rancher/x:v1")


@pytest.fixture
def made(layout: Layout) -> Listings:
    return Listings(access=Access(keychain=Keychain({})), layout=layout, is_offline=True)


def put(layout: Layout, tar: bytes) -> Descriptor:
    data = gzip.compress(tar, mtime=0)
    return Descriptor(media_type="a/b", digest=layout.put(data), size=len(data))


def test_a_shared_layer_is_looked_at_once(
    layout: Layout, made: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, read, real = put(layout, layer(("a", b""))), [], Listing.read

    def counted(*arguments: object, **more: object) -> Listing:
        read.append(arguments)
        return real(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Listing, "read", counted)
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(made.listing, REFERENCE, blob, folds_case=False) for _ in range(50)]
    assert {id(each.result()) for each in found} == {id(found[0].result())}
    assert len(read) == 1


def test_what_is_too_much_to_keep_is_read_again(
    layout: Layout, made: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "MAX_KEPT", 3)
    one, two = (put(layout, layer(*((f"{name}{n}", b"") for n in range(2)))) for name in "ab")
    first = made.listing(REFERENCE, one, folds_case=False)
    made.listing(REFERENCE, two, folds_case=False)
    again = made.listing(REFERENCE, one, folds_case=False)
    assert again is not first
    assert again == first


def test_case_is_folded_in_a_listing_of_its_own(layout: Layout, made: Listings) -> None:
    blob = put(layout, layer(("Files/App", b"")))
    assert "Files/App" in made.listing(REFERENCE, blob, folds_case=False).nodes
    assert "files/app" in made.listing(REFERENCE, blob, folds_case=True).nodes


def test_a_layer_that_the_store_lacks_is_named_offline(made: Listings) -> None:
    blob = Descriptor(media_type="a/b", digest=Digest.of(b"x"), size=1)
    with pytest.raises(NotFoundError, match=f"lacks its layer {blob.digest}"):
        made.listing(REFERENCE, blob, folds_case=False)


def test_a_layer_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MAX_LAYER_BYTES", 1_000_000)
    pieces = listings.unpacked([gzip.compress(bytes(10_000_000))], what="layer")
    seen: list[int] = []
    with pytest.raises(IntegrityError, match="unpacks to more than 1000000 bytes"):
        seen.extend(map(len, pieces))
    assert sum(seen) <= 1_000_000


@pytest.mark.parametrize("chunks", [[], [b""], [b"\x1f"], [b"\x1f\x8b"], [b"\x28\xb5\x2f\xfd"]])
def test_starts_of_blobs(chunks: list[bytes]) -> None:
    data = b"".join(chunks)
    if len(data) < 2:
        assert b"".join(listings.unpacked(chunks, what="layer")) == data
        return
    with pytest.raises(IntegrityError, match="layer is damaged"):
        list(listings.unpacked(chunks, what="layer"))


def test_a_blob_may_come_by_the_byte() -> None:
    data = gzip.compress(b"content")
    chunks = [data[place : place + 1] for place in range(len(data))]
    assert b"".join(listings.unpacked(chunks, what="layer")) == b"content"
