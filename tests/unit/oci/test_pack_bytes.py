"""An archive's bytes are always the same, and no work is done twice for them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import coding
from rke2pack.oci.pack.packer import Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.archives import BASE, OWN
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.workshop import (
    FORMATS,
    PROFILES,
    Workshop,
    plain,
    put_three,
)


def test_both_formats_hold_the_same_tar(layout: Layout, workshop: Workshop, tmp_path: Path) -> None:
    put_three(layout)
    put_image(layout, "docker.io/example/mixed:v1", [(BASE, "gzip"), (OWN, "zstd")])
    for profile in PROFILES:
        tars = []
        for form in FORMATS:
            workshop.pack(tmp_path / form, profile, form)
            tars.append(plain((tmp_path / form).read_bytes(), form))
        assert tars[0] == tars[1]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profile", PROFILES)
def test_bytes_do_not_depend_on_order_time_cache_or_folder(
    layout: Layout, workshop: Workshop, tmp_path: Path, profile: ProfileName, form: Format
) -> None:
    put_three(layout)
    put_image(layout, "docker.io/example/mixed:v1", [(BASE, "none"), (OWN, "zstd")])
    first = workshop.pack(tmp_path / "a", profile, form)[0].written.digest
    warm = workshop.packer(profile, form).pack(tmp_path / "b", reversed(workshop.images()))
    copied = Layout(Path(shutil.copytree(layout.root, tmp_path / "copy")))
    for path in copied.root.rglob("*"):
        os.utime(path, (1, 1))
    cold = Workshop(copied, tmp_path / "other").pack(tmp_path / "c" / "d", profile, form)
    assert {warm[0].written.digest, cold[0].written.digest} == {first}


def test_unchanged_archive_is_not_built_again(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_three(layout)
    path = tmp_path / "a"
    (built,) = workshop.pack(path)
    before = path.stat().st_mtime_ns
    (again,) = workshop.pack(path)
    assert (built.status, again.status) == ("built", "unchanged")
    assert again.written == built.written
    assert path.stat().st_mtime_ns == before
    assert workshop.packer("default", "zst").is_unchanged(path, workshop.images())


def test_archive_is_built_again_when_anything_changes(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_three(layout)
    path = tmp_path / "a"

    def status(packer: Packer | None = None) -> str:
        return (packer or workshop.packer("default", "zst")).pack(path, workshop.images())[0].status

    assert [status(), status()] == ["built", "unchanged"]
    path.write_bytes(path.read_bytes())
    assert [status(), status()] == ["built", "unchanged"]
    path.unlink()
    assert [status(), status()] == ["built", "unchanged"]
    assert status(workshop.packer("fast", "zst")) == "built"
    assert status(workshop.packer("default", "zst")) == "built"
    assert status(workshop.packer("default", "zst", max_size=100_000)) == "built"
    put_image(layout, "docker.io/example/app2:v2", [(OWN, "gzip")])
    assert status() == "built"
    for record in (tmp_path / "cache" / "archives").iterdir():
        record.write_bytes(b"{")
    assert [status(), status()] == ["built", "unchanged"]


def test_one_changed_image_compresses_only_its_own_layers(
    layout: Layout, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_three(layout)
    workshop.pack(tmp_path / "a")
    new = layer({"changed": b"1" * 3000})
    put_image(layout, "docker.io/example/app2:v2", [(BASE, "gzip"), (new, "gzip")])
    encoded: list[bytes] = []
    encode = coding.Zstd.encode

    def recorded(self: coding.Zstd, data: coding.Buffer) -> bytes:
        encoded.append(bytes(data))
        return encode(self, data)

    monkeypatch.setattr(coding.Zstd, "encode", recorded)
    workshop.pack(tmp_path / "a")
    assert new in encoded
    assert not [data for data in encoded if b"basebase" in data]


def test_golden_digests(layout: Layout, workshop: Workshop, tmp_path: Path) -> None:
    """The tar's bytes are a promise: a change of them rebuilds every archive."""
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip"), (OWN, "none")])
    put_image(layout, "docker.io/example/zero:v1", [])
    workshop.pack(tmp_path / "a")
    found = Digest.of(plain((tmp_path / "a").read_bytes(), "zst"))
    assert found.hex == "5971408fde15e720543e756dbc1534eae3de20a3a9f74d61f04a5092ccea87b4"
