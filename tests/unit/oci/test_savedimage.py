"""A saved tar becomes an OCI image: the same one each time, and only if it is whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, PackError, ValidationError
from rke2pack.oci import media
from rke2pack.oci.intake import savedimage
from rke2pack.oci.model import Manifest
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from tests.unit.oci import archives
from tests.unit.oci.saving import LAYERS, config, listing, saved, sha, tar

NAME = Reference.parse("docker.io/rancher/rke2-runtime:v1")


def chunks(data: bytes, size: int = 1000) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def take(layout: Layout, files: Mapping[str, bytes | str]) -> Manifest:
    return savedimage.take_in(layout, chunks(tar(files)), NAME, what="it")


def contents(layout: Layout) -> set[str]:
    return {path.name for path in (layout.root / "blobs/sha256").iterdir()}


def test_layers_and_config_stay_as_they_are(layout: Layout) -> None:
    manifest = take(layout, saved(*LAYERS))
    assert manifest.config.digest == Digest.of(config(*LAYERS))
    assert [layer.digest for layer in manifest.layers] == [Digest.of(layer) for layer in LAYERS]
    assert {layer.media_type for layer in manifest.layers} == {media.OCI_LAYER}
    assert layout.document(manifest.descriptor) == manifest
    assert contents(layout) == {each.digest.hex for each in (manifest.descriptor, *manifest.blobs)}
    assert list(layout.partial_folder.iterdir()) == []


def test_same_image_gives_the_same_manifest_in_any_tar(layout: Layout, tmp_path: Path) -> None:
    first = take(layout, saved(*LAYERS))
    turned = dict(reversed(list(saved(*LAYERS).items())))
    second = take(Layout.open(tmp_path / "other"), turned)
    assert first.raw == second.raw


def test_links_and_blob_folders_of_other_engines_are_read(layout: Layout) -> None:
    one = LAYERS[0]
    own = config(one, one)
    files: dict[str, bytes | str] = {
        "blobs/sha256/" + sha(one): one,
        "id1/layer.tar": "../blobs/sha256/" + sha(one),
        "blobs/sha256/" + sha(own): own,
        "manifest.json": json.dumps(
            [listing(f"blobs/sha256/{sha(own)}", [f"blobs/sha256/{sha(one)}", "id1/layer.tar"])]
        ).encode(),
    }
    manifest = take(layout, files)
    assert [layer.digest for layer in manifest.layers] == [Digest.of(one)] * 2


def test_gzip_layers_are_checked_by_what_they_unpack_to(layout: Layout) -> None:
    packed = gzip.compress(LAYERS[0], mtime=0)
    manifest = take(layout, saved(packed, real=LAYERS[:1]))
    assert manifest.layers[0].media_type == f"{media.OCI_LAYER}+gzip"
    with pytest.raises(IntegrityError, match="layer 1 unpacks to"):
        take(layout, saved(packed, real=(b"something else",)))
    with pytest.raises(IntegrityError, match="a gzip layer is damaged"):
        take(layout, saved(packed[:-9], real=LAYERS[:1]))


def test_of_several_images_the_named_one_is_taken(layout: Layout) -> None:
    one, two = config(LAYERS[0]), config(LAYERS[1])
    files: dict[str, bytes | str] = {
        "one.json": one,
        "two.json": two,
        "1.tar": LAYERS[0],
        "2.tar": LAYERS[1],
        "manifest.json": json.dumps(
            [
                listing("one.json", ["1.tar"], "rancher/other:v1"),
                listing("two.json", ["2.tar"], "nonsense:", "rancher/rke2-runtime:v1"),
            ]
        ).encode(),
    }
    assert take(layout, files).config.digest == Digest.of(two)
    other = Reference.parse("docker.io/rancher/third:v1")
    with pytest.raises(NotFoundError, match="does not name it"):
        savedimage.take_in(layout, chunks(tar(files)), other, what="it")


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, IntegrityError, "has no file 'manifest.json'"),
        ({"manifest.json": b"{}"}, IntegrityError, "not a list of images"),
        ({"manifest.json": b"[{}]"}, IntegrityError, "has no file 'None'"),
        ({"manifest.json": b"not json"}, IntegrityError, "not JSON"),
        (
            {**saved(LAYERS[0]), "id0/layer.tar": b"other"},
            IntegrityError,
            "layer 1 unpacks to",
        ),
        (saved(*LAYERS, real=LAYERS[:1]), IntegrityError, "2 layers, its config knows 1"),
        (saved(b"\x28\xb5\x2f\xfdxyz"), ValidationError, "layer 1 is zstd-compressed"),
        ({**saved(LAYERS[0]), "id0/layer.tar": "../nowhere"}, IntegrityError, "has no file"),
    ],
)
def test_what_is_no_whole_image_leaves_nothing(
    layout: Layout, files: dict[str, bytes | str], error: type[PackError], message: str
) -> None:
    with pytest.raises(error, match=message):
        take(layout, files)
    assert contents(layout) == set()
    assert not layout.partial_folder.exists() or list(layout.partial_folder.iterdir()) == []


def test_files_that_stand_twice_or_link_to_each_other_are_refused(layout: Layout) -> None:
    files = saved(LAYERS[0])
    plain = [(name, data) for name, data in files.items() if isinstance(data, bytes)]
    twice = archives.tar([*plain, ("manifest.json", b"[]")])
    with pytest.raises(IntegrityError, match=r"it: 'manifest\.json' stands twice"):
        savedimage.take_in(layout, chunks(twice), NAME, what="it")
    circle: dict[str, bytes | str] = {**files, "id0/layer.tar": "other", "id0/other": "layer.tar"}
    with pytest.raises(IntegrityError, match="points at itself"):
        take(layout, circle)
    assert contents(layout) == set()


def test_number_of_files_has_a_ceiling(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(savedimage, "MAX_FILES", 3)
    with pytest.raises(IntegrityError, match="more than 3 files"):
        take(layout, saved(*LAYERS))
    assert list(layout.partial_folder.iterdir()) == []


@pytest.mark.parametrize("data", [b"not a tar" * 100, tar(saved(*LAYERS))[:3000], b""])
def test_broken_tar_leaves_nothing(layout: Layout, data: bytes) -> None:
    with pytest.raises(IntegrityError):
        savedimage.take_in(layout, chunks(data), NAME, what="it")
    assert contents(layout) == set()
