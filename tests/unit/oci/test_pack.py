"""Whole archives from small layouts: what they hold, and that they are always the same."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError
from rke2pack.files import Cache
from rke2pack.oci import coding, media
from rke2pack.oci.pack import recipes
from rke2pack.oci.pack.packer import Artifact, Found, Packer
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.names import Store
from tests.unit.oci import imaging
from tests.unit.oci.imaging import Packed, Packing, layer, packed, put_image

AMD64 = Platform.parse("linux/amd64")
PROFILES: tuple[ProfileName, ...] = ("fast", "default", "small")
FORMATS: tuple[Format, ...] = ("zst", "gz")
BASE = layer({"bin/main": b"base" * 5000})
OWN = layer({"etc/own": b"own" * 99})
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path / "store")


class Workshop:
    """Packs everything that a layout has."""

    def __init__(self, layout: Layout, cache: Path) -> None:
        self.layout = layout
        self.cache = cache

    def packer(self, profile: ProfileName, form: Format, **options: Any) -> Packer:  # noqa: ANN401 - of Packer
        store = Store(layout=self.layout)
        recipe = recipes.recipe(profile, form)
        return Packer(store=store, cache=Cache(self.cache), recipe=recipe, **options)

    def images(self, platform: Platform = AMD64) -> list[Found]:
        store = Store(layout=self.layout)
        found = []
        for name in store.names:
            reference = Reference.parse(name)
            manifest, own = store.manifest(reference, platform)
            found.append(Found(reference=reference, manifest=manifest, platform=own))
        return found

    def pack(
        self,
        path: Path,
        profile: ProfileName = "default",
        form: Format = "zst",
        platform: Platform = AMD64,
    ) -> tuple[Artifact, ...]:
        return self.packer(profile, form).pack(path, self.images(platform))

    def tar(
        self, path: Path, profile: ProfileName = "default", form: Format = "zst"
    ) -> dict[str, bytes]:
        self.pack(path, profile, form)
        return members(path.read_bytes(), form)


@pytest.fixture
def workshop(layout: Layout, tmp_path: Path) -> Workshop:
    return Workshop(layout, tmp_path / "cache")


def plain(data: bytes, form: Format) -> bytes:
    if form == "gz":
        return gzip.decompress(data)
    return b"".join(coding.unzstd([data], what="archive"))


def members(data: bytes, form: Format) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(plain(data, form))) as tar:
        found = [(each.name, tar.extractfile(each)) for each in tar]
        names = [name for name, _ in found]
        assert len(names) == len(set(names)), "each file is there once"
        return {name: content.read() for name, content in found if content}


def blob(digest: object) -> str:
    return f"blobs/sha256/{str(digest).removeprefix('sha256:')}"


def put_three(layout: Layout) -> None:
    for number in range(3):
        put_image(
            layout,
            f"docker.io/example/app{number}:v{number}",
            [(BASE, "gzip"), (layer({"n": str(number).encode()}), "gzip")],
            is_docker=number == 1,
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


def test_both_formats_hold_the_same_tar(layout: Layout, workshop: Workshop, tmp_path: Path) -> None:
    put_three(layout)
    put_image(layout, "docker.io/example/mixed:v1", [(BASE, "gzip"), (OWN, "zstd")])
    for profile in PROFILES:
        tars = []
        for form in FORMATS:
            workshop.pack(tmp_path / form, profile, form)
            tars.append(plain((tmp_path / form).read_bytes(), form))
        assert tars[0] == tars[1]


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


def test_gzip_layer_of_several_members_is_spliced_at_its_full_length(
    layout: Layout, workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        imaging, "packed", lambda tar, _: gzip.compress(tar[:700]) + gzip.compress(tar[700:])
    )
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip")])
    for name in ("cold", "warm"):
        assert workshop.tar(tmp_path / name, form="gz")[blob(Digest.of(BASE))] == BASE


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
    expected = f"docker.io/example/app:v1: {layout.root} lacks 1 blobs: {gone}"
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


def test_golden_digests(layout: Layout, workshop: Workshop, tmp_path: Path) -> None:
    """The tar's bytes are a promise: a change of them rebuilds every archive."""
    put_image(layout, "docker.io/example/app:v1", [(BASE, "gzip"), (OWN, "none")])
    put_image(layout, "docker.io/example/zero:v1", [])
    workshop.pack(tmp_path / "a")
    found = Digest.of(plain((tmp_path / "a").read_bytes(), "zst"))
    assert found.hex == "5971408fde15e720543e756dbc1534eae3de20a3a9f74d61f04a5092ccea87b4"
