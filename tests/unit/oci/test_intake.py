"""Images of archives and folders come into a layout whole, verified, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError, ValidationError
from rke2pack.files import Cache
from rke2pack.oci import media
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake import take as intake
from rke2pack.oci.model import Manifest
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.packer import Found, Packer
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.unit.oci.archives import (
    BASE,
    NAME,
    OWN,
    as_json,
    blob,
    config,
    docker_listing,
    image_files,
    index,
    manifest,
    tar,
    write,
)
from tests.unit.oci.imaging import packed, put_image
from tests.unit.oci.saving import saved
from tests.unit.oci.saving import tar as tar_with_links

AMD64 = Platform.parse("linux/amd64")


def contents(layout: Layout) -> set[str]:
    assert not layout.partial_folder.exists() or list(layout.partial_folder.iterdir()) == []
    return {path.name for path in (layout.root / "blobs/sha256").iterdir()}


def archive(folder: Path, files: dict[str, bytes], name: str = "a.tar.zst") -> Path:
    return write(folder / name, tar(files.items()))


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst"])
def test_archive_of_ours_comes_with_its_manifests(
    layout: Layout, tmp_path: Path, name: str
) -> None:
    files = image_files(BASE, OWN)
    (entry,) = intake.take_in(layout, archive(tmp_path, files, name))
    assert entry.name == NAME
    assert entry.descriptor.platform == AMD64
    document = layout.document(entry.descriptor)
    assert isinstance(document, Manifest)
    assert contents(layout) == {n.rpartition("/")[2] for n in files if n.startswith("blobs")}
    assert layout.entries() == ()


@pytest.mark.parametrize("profile", ["fast", "default"])
@pytest.mark.parametrize("form", ["zst", "gz"])
def test_what_airgap_packs_comes_back_as_it_was(
    layout: Layout, tmp_path: Path, profile: recipes.ProfileName, form: recipes.Format
) -> None:
    for number in range(3):
        put_image(layout, f"docker.io/example/app{number}:v1", [(BASE, "gzip"), (OWN, "gzip")])
    store = Store(layout=layout)
    images = [
        Found(reference=Reference.parse(n), manifest=store.manifest(Reference.parse(n), AMD64)[0],
              platform=AMD64) for n in store.names
    ]  # fmt: skip
    recipe = recipes.recipe(profile, form)
    packer = Packer(store=store, cache=Cache(tmp_path / "c"), recipe=recipe, max_size=5000)
    packer.pack(tmp_path / "a.tar", images)
    other = Layout.open(tmp_path / "other")
    entries = intake.take_in(other, tmp_path / "a.tar")
    assert [entry.name for entry in entries] == list(store.names)
    for entry, image in zip(entries, images, strict=True):
        document = other.document(entry.descriptor)
        assert isinstance(document, Manifest)
        assert document.config.digest == image.manifest.config.digest
        assert (document.raw == image.manifest.raw) is (profile == "fast")
        assert all(map(other.has, document.blobs))


def test_blobs_that_are_there_are_not_written_again(layout: Layout, tmp_path: Path) -> None:
    path = archive(tmp_path, image_files(BASE))
    intake.take_in(layout, path)
    before = {each: each.stat().st_ino for each in (layout.root / "blobs/sha256").iterdir()}
    (entry,) = intake.take_in(layout, path)
    assert entry.name == NAME
    assert {each: each.stat().st_ino for each in before} == before
    files = image_files(BASE)
    files[blob(BASE)[0]] = bytes(len(BASE))
    with pytest.raises(IntegrityError, match=f"{blob(BASE)[0]} is sha256:"):
        intake.take_in(layout, archive(tmp_path, files))
    assert {each: each.stat().st_ino for each in before} == before


@pytest.mark.parametrize("is_docker", [False, True])
def test_damaged_blob_of_the_layout_is_replaced(
    layout: Layout, tmp_path: Path, *, is_docker: bool
) -> None:
    files = image_files(BASE)
    if is_docker:
        del files["oci-layout"], files["index.json"]
    path = archive(tmp_path, files)
    intake.take_in(layout, path)
    for name in contents(layout):
        damaged = layout.path(Digest(name))
        good = damaged.read_bytes()
        damaged.write_bytes(bytes(len(good)))
        (entry,) = intake.take_in(layout, path)
        assert entry.name == NAME
        assert damaged.read_bytes() == good


def test_damaged_blob_of_the_layout_is_replaced_from_a_folder(
    layout: Layout, tmp_path: Path
) -> None:
    source = Layout.open(tmp_path / "source")
    (blob_of, *_) = put_image(source, NAME, [(BASE, "gzip")])["linux/amd64"].layers
    intake.take_in(layout, source.root)
    layout.path(blob_of.digest).write_bytes(bytes(blob_of.size))
    intake.take_in(layout, source.root)
    assert layout.read(blob_of.digest) == source.read(blob_of.digest)


def test_damaged_blob_that_only_the_layout_has_is_told_as_its_own(
    layout: Layout, tmp_path: Path
) -> None:
    intake.take_in(layout, archive(tmp_path, image_files(BASE), "base.tar"))
    files = image_files(BASE)
    del files[blob(BASE)[0]], files["manifest.json"]
    path = archive(tmp_path, files)
    intake.take_in(layout, path)
    layout.path(Digest.of(BASE)).write_bytes(bytes(len(BASE)))
    with pytest.raises(IntegrityError, match=f"^{layout.root}: {Digest.of(BASE)}: content is"):
        intake.take_in(layout, path)


def test_layers_of_a_docker_archive_have_one_budget(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tars = [bytes([number]) * 400_000 for number in range(4)]
    layers, own = tuple(packed(each, "gzip") for each in tars), config(*tars)
    listing = docker_listing({NAME: (own, layers)})
    files = dict(map(blob, (own, *layers))) | {"manifest.json": listing}
    path = archive(tmp_path, files)
    monkeypatch.setattr(archivefile, "MAX_RATIO", 1)
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_500_000)
    with pytest.raises(IntegrityError, match=r"a\.tar\.zst: \d+ bytes unpack to more than 1500000"):
        intake.take_in(layout, path)
    assert contents(layout) == set()
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_700_000)
    intake.take_in(layout, path)


def test_docker_archive_of_several_images(layout: Layout, tmp_path: Path) -> None:
    one, two = config(BASE), config(BASE, OWN)
    files = {
        **dict(map(blob, (one, two, BASE, OWN))),
        "manifest.json": docker_listing(
            {"rancher/one:v1": (one, (BASE,)), "docker.io/rancher/two:v2": (two, (BASE, OWN))}
        ),
    }
    entries = intake.take_in(layout, archive(tmp_path, files))
    assert [entry.name for entry in entries] == [
        "docker.io/rancher/one:v1",
        "docker.io/rancher/two:v2",
    ]
    for entry, own in zip(entries, (one, two), strict=True):
        document = layout.document(entry.descriptor)
        assert isinstance(document, Manifest)
        assert document.config.digest == Digest.of(own)
        assert all(map(layout.has, document.blobs))
        assert entry.descriptor.platform == AMD64
    assert len(contents(layout)) == 6


def test_docker_archive_with_folders_and_links(layout: Layout, tmp_path: Path) -> None:
    files = saved(BASE, OWN)
    files["id1/again.tar"] = "../id0/layer.tar"
    listing = json.loads(files["manifest.json"])
    listing[0]["Layers"][0] = "id1/again.tar"
    listing[0]["RepoTags"] = None
    files["manifest.json"] = as_json(listing)
    path = write(tmp_path / "a.tar", tar_with_links(files))
    (entry,) = intake.take_in(layout, path)
    assert entry.name == ""
    assert Digest.of(BASE).hex in contents(layout)


def test_archive_of_skopeo_names_its_image_by_the_tag(layout: Layout, tmp_path: Path) -> None:
    files = image_files(BASE)
    document = json.loads(files["index.json"])
    del document["manifests"][0]["platform"], document["mediaType"]
    document["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    files["index.json"] = as_json(document)
    del files["manifest.json"]
    turned = dict(reversed(files.items()))
    (entry,) = intake.take_in(layout, archive(tmp_path, turned))
    assert (entry.name, entry.descriptor.platform) == ("v1", AMD64)


def test_folder_that_is_a_layout(layout: Layout, tmp_path: Path) -> None:
    source = Layout.open(tmp_path / "source")
    made = put_image(source, NAME, [(BASE, "gzip")])
    source.drop(made["linux/arm64"].descriptor.digest)
    (entry,) = intake.take_in(layout, source.root)
    assert entry.name == NAME
    assert all(map(layout.has, made["linux/amd64"].blobs))
    assert layout.has(entry.descriptor)
    intake.take_in(layout, source.root)
    lost = made["linux/amd64"].layers[0].digest
    source.drop(lost)
    with pytest.raises(IntegrityError, match=f"lacks 1 blob of its images: {lost}"):
        intake.take_in(Layout.open(tmp_path / "third"), source.root)
    damaged = made["linux/amd64"].layers[0]
    source.path(lost).write_bytes(bytes(damaged.size))
    third = Layout.open(tmp_path / "third")
    with pytest.raises(IntegrityError, match="content is") as caught:
        intake.take_in(third, source.root)
    assert caught.value.hint == "copy the folder again"
    assert contents(third) == set()
    with pytest.raises(ConfigError, match="no OCI layout"):
        intake.take_in(layout, tmp_path)


def test_delta_comes_when_its_base_is_there(layout: Layout, tmp_path: Path) -> None:
    files = image_files(BASE, OWN)
    del files[blob(BASE)[0]], files["manifest.json"]
    path = archive(tmp_path, files)
    with pytest.raises(IntegrityError, match=f"lacks 1 blob of its images: {Digest.of(BASE)}") as e:
        intake.take_in(layout, path)
    assert e.value.hint == "give the archive that it builds upon too, when it is a delta"
    assert contents(layout) == set()
    base = image_files(BASE, name="docker.io/example/old:v1")
    intake.take_in(layout, archive(tmp_path, base, "base.tar"))
    (entry,) = intake.take_in(layout, path)
    assert entry.name == NAME


def hostile() -> dict[str, tuple[list[tuple[str, bytes]], type[PackError], str]]:
    good = image_files(BASE)
    listed = manifest(config(BASE), BASE)
    files = list(good.items())
    other = {**good, blob(BASE)[0]: good[blob(config(BASE))[0]]}
    nested = b"[" * 100 + b"]" * 100
    one, layers = config(BASE), {"a": packed(BASE, "zstd")}
    return {
        "swapped": (list(other.items()), IntegrityError, "is sha256:"),
        "twice": ([*files, files[-1]], IntegrityError, "stands twice"),
        "other twice": ([*files, ("index.json", b"{}")], IntegrityError, "stands twice"),
        "no digest": ([*files, ("blobs/sha256/xyz", b"")], IntegrityError, "named by no digest"),
        "no index": (
            [each for each in files if each[0] != "index.json"],
            IntegrityError,
            "has no file 'index.json'",
        ),
        "bad index": ([("oci-layout", b""), ("index.json", nested)], IntegrityError, "JSON|nested"),
        "no manifest": (
            [each for each in files if each[0] != blob(listed)[0]],
            IntegrityError,
            f"lacks 1 blob of its images: {Digest.of(listed)}",
        ),
        "no image": (
            [("oci-layout", b""), ("index.json", index({NAME: BASE})), blob(BASE)],
            IntegrityError,
            "not JSON|larger",
        ),
        "wrong size": (
            [
                (n, d.replace(b'"size":%d' % len(listed), b'"size":1') if n == "index.json" else d)
                for n, d in files
            ],
            IntegrityError,
            "lacks 1 blob",
        ),
        "foreign type": (
            [
                (n, d.replace(media.OCI_MANIFEST.encode(), b"text/plain") if "index" in n else d)
                for n, d in files
            ],
            ValidationError,
            "'text/plain' is neither a manifest nor an index",
        ),
        "annotations": (
            [(n, d.replace(b'"annotations":{', b'"annotations":[1],"x":{')) for n, d in files[:2]],
            IntegrityError,
            "annotations",
        ),
        "bad tag": (
            [blob(one), blob(BASE), ("manifest.json", docker_listing({"A:/": (one, (BASE,))}))],
            IntegrityError,
            "not an image reference",
        ),
        "zstd layer": (
            [
                blob(one),
                blob(layers["a"]),
                ("manifest.json", docker_listing({NAME: (one, (layers["a"],))})),
            ],
            ValidationError,
            "layer 1 is zstd-compressed",
        ),
        "nothing": ([("readme", b"hello")], IntegrityError, "has no file 'manifest.json'"),
    }


@pytest.mark.parametrize("case", hostile())
def test_hostile_archive_leaves_nothing(layout: Layout, tmp_path: Path, case: str) -> None:
    files, error, message = hostile()[case]
    with pytest.raises(error, match=message):
        intake.take_in(layout, write(tmp_path / "a.tar", tar(files)))
    assert contents(layout) == set()


def test_bytes_cut_short_leave_nothing(layout: Layout, tmp_path: Path) -> None:
    whole = archive(tmp_path, image_files(BASE, OWN)).read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "b").write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            intake.take_in(layout, tmp_path / "b")
    assert contents(layout) == set()


def test_indexes_that_list_each_other_deeply_are_refused(layout: Layout, tmp_path: Path) -> None:
    inner = manifest(config(BASE), BASE)
    files = [("oci-layout", b"{}"), *map(blob, (inner, config(BASE), BASE))]
    kind = media.OCI_MANIFEST
    for _ in range(6):
        child = {"mediaType": kind, "digest": str(Digest.of(inner)), "size": len(inner)}
        kind = media.OCI_INDEX
        inner = as_json({"schemaVersion": 2, "mediaType": kind, "manifests": [child]})
        files.append(blob(inner))
    files.append(("index.json", inner))
    (tmp_path / "a").write_bytes(tar(files))
    with pytest.raises(IntegrityError, match="nested deeper than 3"):
        intake.take_in(layout, tmp_path / "a")
