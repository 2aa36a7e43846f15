"""What a whole archive holds: metadata, then blobs, each once, as its profile has them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.store.layout import Layout
from tests.unit.oci import imaging
from tests.unit.oci.archives import BASE, LAYOUT_FILE, OWN
from tests.unit.oci.imaging import Packed, Packing, layer, packed, put_image
from tests.unit.oci.workshop import (
    FORMATS,
    PROFILES,
    Workshop,
    blob,
    members,
    put_three,
)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profile", PROFILES)
def test_tar_is_metadata_first_then_blobs_by_digest(
    layout: Layout, workshop: Workshop, tmp_path: Path, profile: ProfileName, form: Format
) -> None:
    put_three(layout)
    found = workshop.tar(tmp_path / "a", profile, form)
    names = list(found)
    assert names[:3] == ["oci-layout", "index.json", "manifest.json"]
    assert names[3:] == sorted(names[3:])
    assert found["oci-layout"] == LAYOUT_FILE
    assert all(blob(Digest.of(data)) == name for name, data in list(found.items())[3:])
    index, docker = json.loads(found["index.json"]), json.loads(found["manifest.json"])
    reached = set(names[:3])
    for entry, loaded in zip(index["manifests"], docker, strict=True):
        manifest = json.loads(found[blob(entry["digest"])])
        assert entry["size"] == len(found[blob(entry["digest"])])
        assert entry["platform"] == {"architecture": "amd64", "os": "linux"}
        parts = [manifest["config"], *manifest["layers"]]
        assert all(each["size"] == len(found[blob(each["digest"])]) for each in parts)
        assert loaded["Config"] == blob(manifest["config"]["digest"])
        assert loaded["Layers"] == [blob(each["digest"]) for each in manifest["layers"]]
        reached |= {blob(entry["digest"]), *(blob(each["digest"]) for each in parts)}
    assert reached == set(names), "nothing else is there"
    assert [entry["annotations"] for entry in index["manifests"]] == [
        {
            "io.containerd.image.name": f"docker.io/example/app{number}:v{number}",
            "org.opencontainers.image.ref.name": f"v{number}",
        }
        for number in range(3)
    ]
    assert [entry["RepoTags"] for entry in docker] == [
        [f"docker.io/example/app{number}:v{number}"] for number in range(3)
    ]


def test_fast_keeps_manifests_and_blobs(layout: Layout, workshop: Workshop, tmp_path: Path) -> None:
    put_three(layout)
    found = workshop.tar(tmp_path / "a", "fast")
    for image in workshop.images():
        assert found[blob(image.manifest.descriptor.digest)] == image.manifest.raw
        for each in image.manifest.blobs:
            assert found[blob(each.digest)] == layout.read(each.digest)


def test_default_has_the_config_unchanged_and_plain_layers(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_three(layout)
    found = workshop.tar(tmp_path / "a")
    originals = workshop.images()
    for entry, image in zip(json.loads(found["index.json"])["manifests"], originals, strict=True):
        assert entry["mediaType"] == media.OCI_MANIFEST
        manifest = json.loads(found[blob(entry["digest"])])
        config = layout.read(image.manifest.config.digest)
        assert found[blob(manifest["config"]["digest"])] == config
        diff_ids = json.loads(config)["rootfs"]["diff_ids"]
        assert [each["digest"] for each in manifest["layers"]] == diff_ids
        assert {each["mediaType"] for each in manifest["layers"]} == {media.OCI_LAYER}


def test_gzip_blob_of_the_registry_is_spliced_as_it_is(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip")])
    workshop.pack(tmp_path / "a", form="gz")
    assert packed(BASE, "gzip") in (tmp_path / "a").read_bytes()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profile", PROFILES)
def test_compression_is_never_mixed_inside_an_image_and_never_zstd(
    layout: Layout, workshop: Workshop, tmp_path: Path, profile: ProfileName, form: Format
) -> None:
    kinds: tuple[tuple[Packing, ...], ...] = (
        ("gzip", "none"), ("zstd",), ("gzip", "zstd", "none"), ("none", "none"), ("gzip", "gzip")
    )  # fmt: skip
    for number, packings in enumerate(kinds):
        layers: list[Packed] = [
            (layer({f"{number}{position}": b"x" * 3000}), packing)
            for position, packing in enumerate(packings)
        ]
        put_image(layout, f"docker.io/example/app{number}:v1", layers)
    artifacts = workshop.pack(tmp_path / "a", profile, form)
    found = members((tmp_path / "a").read_bytes(), form)
    for loaded in json.loads(found["manifest.json"]):
        starts = {found[name][:2] for name in loaded["Layers"]}
        is_gzip = {start == b"\x1f\x8b" for start in starts}
        assert len(is_gzip) == 1
        assert b"\x28\xb5" not in starts
    changed = {0, 1, 2} if profile == "fast" else {0, 1, 2, 4}
    assert artifacts[0].changed_digests == tuple(
        f"docker.io/example/app{number}:v1" for number in sorted(changed)
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_images_without_layers_and_with_empty_and_repeated_ones(
    layout: Layout, workshop: Workshop, tmp_path: Path, profile: ProfileName
) -> None:
    put_image(layout, "docker.io/example/none:v1", [])
    put_image(layout, "docker.io/example/empty:v1", [(b"", "none")])
    put_image(layout, "docker.io/example/twice:v1", [(OWN, "gzip"), (BASE, "gzip"), (OWN, "gzip")])
    put_image(layout, "docker.io/example/again:v1", [(OWN, "gzip")])
    found = workshop.tar(tmp_path / "a", profile)
    layers = {e["RepoTags"][0]: e["Layers"] for e in json.loads(found["manifest.json"])}
    assert layers["docker.io/example/none:v1"] == []
    assert found[layers["docker.io/example/empty:v1"][0]] == b""
    first, second, third = layers["docker.io/example/twice:v1"]
    assert first == third != second
    assert layers["docker.io/example/again:v1"] == [first]


def test_same_layer_packed_in_different_ways_is_there_once(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_image(layout, "docker.io/example/a:v1", [(BASE, "none")])
    put_image(layout, "docker.io/example/b:v1", [(BASE, "zstd")])
    put_image(layout, "docker.io/example/c:v1", [(BASE, "gzip")])
    for form in FORMATS:
        found = workshop.tar(tmp_path / form, form=form)
        loaded = json.loads(found["manifest.json"])
        assert {tuple(each["Layers"]) for each in loaded} == {(blob(Digest.of(BASE)),)}
    assert packed(BASE, "gzip") in (tmp_path / "gz").read_bytes()


def test_each_platform_has_its_own_images(
    layout: Layout, workshop: Workshop, tmp_path: Path
) -> None:
    put_image(
        layout,
        "docker.io/example/app:v1",
        lambda platform: [(BASE, "gzip"), (layer({"p": platform.encode()}), "gzip")],
        platforms=("linux/amd64", "linux/arm64", "linux/arm/v7"),
    )
    for name in ("linux/arm64", "linux/arm"):
        workshop.pack(tmp_path / "a", "fast", platform=Platform.parse(name))
        found = members((tmp_path / "a").read_bytes(), "zst")
        (entry,) = json.loads(found["index.json"])["manifests"]
        config = json.loads(found[json.loads(found["manifest.json"])[0]["Config"]])
        assert entry["platform"]["architecture"] == config["architecture"] == name[6:]
        assert entry["platform"].get("variant") == ("v7" if name == "linux/arm" else None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    images=st.lists(
        st.lists(
            st.tuples(st.integers(0, 5), st.sampled_from(["gzip", "zstd", "none"])), max_size=4
        ),
        min_size=1,
        max_size=4,
    ),
    profile=st.sampled_from(["fast", "default"]),
    form=st.sampled_from(FORMATS),
)
def test_any_images_come_out_with_the_layers_that_their_configs_name(
    tmp_path_factory: pytest.TempPathFactory,
    images: list[list[tuple[int, Packing]]],
    profile: ProfileName,
    form: Format,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    workshop = Workshop(Layout.open(folder / "store"), folder / "cache")
    for number, layers in enumerate(images):
        tars: list[Packed] = [(layer({str(n): b"y" * 700 * n}), how) for n, how in layers]
        put_image(workshop.layout, f"docker.io/example/app{number}:v1", tars)
    found = workshop.tar(folder / "a", profile, form)
    assert [blob(Digest.of(data)) for data in list(found.values())[3:]] == list(found)[3:]
    for loaded in json.loads(found["manifest.json"]):
        diff_ids = json.loads(found[loaded["Config"]])["rootfs"]["diff_ids"]
        contents = [found[name] for name in loaded["Layers"]]
        tars_of = [gzip.decompress(c) if c[:2] == b"\x1f\x8b" else c for c in contents]
        assert [str(Digest.of(tar)) for tar in tars_of] == diff_ids


def test_gzip_layer_of_several_members_is_spliced_at_its_full_length(
    layout: Layout, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        imaging, "packed", lambda tar, _: gzip.compress(tar[:700]) + gzip.compress(tar[700:])
    )
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip")])
    for name in ("cold", "warm"):
        assert workshop.tar(tmp_path / name, form="gz")[blob(Digest.of(BASE))] == BASE
