"""Damage in the store or in the cache never reaches an archive."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.unit.oci.archives import BASE, OWN
from tests.unit.oci.imaging import layer, packed, put_image
from tests.unit.oci.workshop import (
    FORMATS,
    PROFILES,
    Workshop,
    put_three,
)


def test_damaged_frames_of_the_cache_are_made_again(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_three(layout)
    (first,) = workshop.pack(tmp_path / "a")
    for path in (tmp_path / "cache" / "frames").rglob("*.frames"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    (tmp_path / "a").unlink()
    (second,) = workshop.pack(tmp_path / "a")
    assert second.status == "built"
    assert second.written.digest == first.written.digest


@pytest.mark.parametrize("form", FORMATS)
def test_wrong_notes_of_the_cache_do_no_harm(
    layout: Layout, workshop: Workshop, tmp_path: Path, form: Format
) -> None:
    put_three(layout)
    put_image(layout, "docker.io/example/plain:v1", [(OWN, "none")])
    (first,) = workshop.pack(tmp_path / "a", form=form)
    notes = [
        path
        for folder in ("frames", "layers")
        for path in sorted((tmp_path / "cache" / folder).rglob("*.json"))
    ]
    assert {path.parent.parent.name for path in notes} == {"frames", "cache"}
    for name in ("size", "raw_size"):
        for path in notes:
            known = json.loads(path.read_bytes())
            path.write_text(json.dumps(known | {name: known.get(name, 0) + 512}))
        (tmp_path / "a").unlink()
        (again,) = workshop.pack(tmp_path / "a", form=form)
        assert (again.status, again.written.digest) == ("built", first.written.digest)


def test_swapped_entries_of_the_cache_do_no_harm(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_three(layout)
    (first,) = workshop.pack(tmp_path / "a")
    entries = sorted((tmp_path / "cache" / "frames").rglob("*.frames"))
    one, two, spare = entries[0], entries[1], tmp_path / "spare"
    for ending in (".frames", ".json"):
        one.with_suffix(ending).rename(spare)
        two.with_suffix(ending).rename(one.with_suffix(ending))
        spare.rename(two.with_suffix(ending))
    (tmp_path / "a").unlink()
    (again,) = workshop.pack(tmp_path / "a")
    assert again.written.digest == first.written.digest


def test_blob_of_another_length_than_described_is_not_written(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip")])
    (image,) = workshop.images()
    (described,) = image.manifest.layers
    wrong = replace(image.manifest, layers=(replace(described, size=described.size + 1),))
    for form in FORMATS:
        with pytest.raises(IntegrityError, match=f"{described.digest} has {described.size} bytes"):
            workshop.packer("fast", form).pack(tmp_path / "a", [replace(image, manifest=wrong)])
        assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("is_warm", [False, True])
def test_damaged_blob_ends_in_an_error_and_leaves_the_old_archive(
    layout: Layout,
    workshop: Workshop,
    tmp_path: Path,
    profile: ProfileName,
    form: Format,
    *,
    is_warm: bool,
) -> None:
    tar = layer({"random": os.urandom(40_000)})
    put_image(layout, "docker.io/example/app:v1", [(tar, "gzip")])
    if is_warm:
        workshop.pack(tmp_path / "other", profile, form)
    path = layout.path(Digest.of(packed(tar, "gzip")))
    data = bytearray(path.read_bytes())
    data[20_000] ^= 1
    path.write_bytes(data)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a").write_bytes(b"old")
    if is_warm and profile != "fast" and form == "zst":
        workshop.pack(tmp_path / "new" / "a", profile, form)  # the frames are good and enough
        return
    with pytest.raises(IntegrityError):
        workshop.pack(tmp_path / "new" / "a", profile, form)
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["a"]
    assert (tmp_path / "new" / "a").read_bytes() == b"old"


def test_what_the_store_lacks_is_named(layout: Layout) -> None:
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip")])

    def message(name: str, platform: str = "linux/amd64") -> str:
        with pytest.raises(NotFoundError) as caught:
            Store(layout=layout).manifest(Reference.parse(name), Platform.parse(platform))
        return caught.value.message

    assert message("example/other:v1") == f"docker.io/example/other:v1: not in {layout.root}"
    assert "not there for linux/s390x" in message("example/app:v1", "linux/s390x")
    gone = Digest.of(packed(BASE, "gzip"))
    layout.drop(gone)
    expected = f"docker.io/example/app:v1: {layout.root} lacks 1 blob: {gone}"
    assert message("example/app:v1") == expected


def test_config_that_does_not_fit_its_layers_is_refused(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_image(layout, "docker.io/example/app:v1", [(BASE, "none"), (OWN, "none")])
    (image,) = workshop.images()
    wrong: Iterable[Any] = (
        replace(image.manifest, layers=image.manifest.layers[:1]),
        replace(image.manifest, layers=image.manifest.layers[::-1]),
        replace(image.manifest, config=replace(image.manifest.config, media_type="a/b")),
    )
    for manifest in wrong:
        with pytest.raises(IntegrityError, match=r"docker\.io/example/app:v1: config sha256:"):
            workshop.packer("default", "zst").pack(
                tmp_path / "a", [replace(image, manifest=manifest)]
            )
