"""mirror from the store and from archives, without asking a registry."""

from __future__ import annotations

import json
import tarfile
import tempfile
from pathlib import Path

import pytest

from rke2pack.oci import media
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
    assert_there,
    statuses,
)
from tests.contract.oci.simulator import Simulator


def test_store_is_mirrored_without_asking_a_registry(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: dict[str, Made],
    tmp_path: Path,
) -> None:
    images.write(
        tmp_path / "cache/store", {f"docker.io/rancher/{n}:v1": i for n, i in made.items()}
    )
    answer = mirror(*NAMES, "--from-store")
    assert answer.code == 0, answer.err
    assert registry.requests == []
    for name, image in made.items():
        assert_there(target, f"rancher/{name}", image)
    assert set(statuses(mirror(*NAMES, "--from-store")).values()) == {"present"}
    absent = mirror("rancher/none:v1", "--from-store")
    assert absent.code == 4
    assert "docker.io/rancher/none:v1: not in" in absent.err


def test_store_that_has_some_platforms_needs_platform(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    layout = images.write(tmp_path / "cache/store", {"docker.io/rancher/alpha:v1": made["alpha"]})
    for child in made["alpha"].children[1:]:
        layout.drop(child.digest)
    answer = mirror(NAMES[0], "--from-store")
    assert answer.code == 4
    assert "--all-platforms', or choose with --platform" in answer.err
    assert mirror(NAMES[0], "--from-store", "--platform", "linux/amd64").code == 0
    entries = json.loads(target.manifests["rancher/alpha", "v1"][1])["manifests"]
    assert [each["digest"] for each in entries] == [str(made["alpha"].children[0].digest)]


def test_damaged_blob_of_the_store_never_appears_at_the_target(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    layout = images.write(tmp_path / "cache/store", {"docker.io/rancher/alpha:v1": made["alpha"]})
    layer = list(made["alpha"].children[0].blobs)[2]
    path = layout.path(layer)
    path.write_bytes(bytes(path.stat().st_size))
    answer = mirror(NAMES[0], "--from-store")
    assert answer.code == 5
    assert "content is sha256:" in answer.err
    assert all(digest != layer for _, digest in target.blobs)
    assert all(":" in name for _, name in target.manifests)


def test_archives_of_two_platforms_become_one_index(
    mirror: MirrorCall, registry: Simulator, target: Simulator, tmp_path: Path
) -> None:
    name = "docker.io/rancher/pause:v1"
    children = {"amd64": images.manifest(AMD64), "arm64": images.manifest(ARM64, [b"other"])}
    for folder, image in children.items():
        images.write(tmp_path / folder, {name: image})
    folders = [tmp_path / "arm64", tmp_path / "amd64"]
    archives = [part for folder in folders for part in ("--from-archive", folder)]
    planned = mirror(*archives, "--dry-run")
    assert planned.code == 0, planned.err
    assert target.manifests == {}
    assert not (tmp_path / "cache/store").exists()
    answer = mirror(*archives)
    assert answer.code == 0, answer.err
    assert registry.requests == []
    assert f"{name}: an index was made of the parts in the archives" in answer.err
    kind, raw = target.manifests["rancher/pause", "v1"]
    assert kind == media.OCI_INDEX
    entries = json.loads(raw)["manifests"]
    assert [each["platform"]["architecture"] for each in entries] == ["amd64", "arm64"]
    assert [each["digest"] for each in entries] == [str(i.digest) for i in children.values()]
    for image in children.values():
        assert_there(target, "rancher/pause", image, str(image.digest))
    other_order = mirror(*archives[2:], *archives[:2])
    assert statuses(other_order) == {"rancher/pause:v1": "present"}


def test_release_folder_is_mirrored(
    mirror: MirrorCall, target: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, release = "docker.io/rancher/pause:v1", tmp_path / "release"
    release.mkdir()
    (release / "sha256sum.txt").write_text("no archive\n")
    children = {"amd64": images.manifest(AMD64), "arm64": images.manifest(ARM64, [b"other"])}
    for folder, image in children.items():
        images.write(tmp_path / folder, {name: image})
        with tarfile.open(release / f"images.linux-{folder}.tar.gz", "w:gz") as tar:
            for part in ("oci-layout", "index.json", "blobs"):
                tar.add(tmp_path / folder / part, part)
    # An archive that is looked at is larger than what a system keeps for small files.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    planned = mirror("--from-archive", release, "--dry-run")
    assert planned.code == 0, planned.err
    assert statuses(planned) == {"rancher/pause:v1": "planned"}
    assert target.manifests == {}
    assert list((tmp_path / "cache").iterdir()) == []
    answer = mirror("--from-archive", release)
    assert answer.code == 0, answer.err
    for image in children.values():
        assert_there(target, "rancher/pause", image, str(image.digest))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no archive" in mirror("--from-archive", empty).err


def test_archive_of_one_platform_stays_what_it_is(
    mirror: MirrorCall, target: Simulator, tmp_path: Path
) -> None:
    name, image = "docker.io/rancher/pause:v1", images.manifest(AMD64)
    images.write(tmp_path / "amd64", {name: image, "docker.io/rancher/other:v1": image})
    answer = mirror("rancher/pause:v1", "--from-archive", tmp_path / "amd64")
    assert answer.code == 0, answer.err
    assert_there(target, "rancher/pause", image)
    assert "an index was made" not in answer.err
    assert ("rancher/other", "v1") not in target.manifests


def test_two_images_for_one_platform_in_archives_are_refused(
    mirror: MirrorCall, target: Simulator, tmp_path: Path
) -> None:
    name = "docker.io/rancher/pause:v1"
    images.write(tmp_path / "a", {name: images.manifest(AMD64, [b"a"])})
    images.write(tmp_path / "b", {name: images.manifest(AMD64, [b"b"])})
    answer = mirror("--from-archive", tmp_path / "a", "--from-archive", tmp_path / "b")
    assert answer.code == 7
    assert f"{name}: two images for linux/amd64" in answer.err
    assert target.manifests == {}


def test_one_source_at_a_time(mirror: MirrorCall, tmp_path: Path) -> None:
    answer = mirror("--from-store", "--from-archive", tmp_path / "a")
    assert answer.code == 2
    assert "--from-store and --from-archive: two sources" in answer.err
