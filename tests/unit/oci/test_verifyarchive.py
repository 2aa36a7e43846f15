"""What verify proves of good archives of every form, and what it only tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.finding import Result
from rke2pack.oci import media
from rke2pack.oci.platform import Platform
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import nodeimport
from tests.unit.oci.archives import (
    BASE,
    NAME,
    OWN,
    as_json,
    blob,
    config,
    described,
    docker_listing,
    image_files,
    index,
    manifest,
    tar,
    write,
)
from tests.unit.oci.imaging import packed
from tests.unit.oci.saving import saved
from tests.unit.oci.saving import tar as tar_with_links
from tests.unit.oci.verifying import (
    FILE,
    failed,
    states,
    verified,
    verify,
)

CHECKS = (
    "readable", "digests", "once", "documents", "complete", "layers", "compression", "ending",
    "window", "platform", "tags", "docker",
)  # fmt: skip


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.zst"])
def test_good_archive_passes_every_check(tmp_path: Path, ending: str) -> None:
    found = verified(tmp_path, image_files(BASE, OWN), f"rke2-images-core.linux-amd64.{ending}")
    expected = dict.fromkeys(CHECKS, "passed")
    expected["window"] = "passed" if ending.endswith("zst") else "skipped"
    assert states(found) == expected
    assert found.findings == ()
    assert tuple(nodeimport.findings(found)) == ()
    (each,) = nodeimport.imported(found, "registry.example.com:5000")
    digest = json.loads(image_files(BASE, OWN)["index.json"])["manifests"][0]["digest"]
    assert each.tags == (
        NAME,
        f"docker.io/example/app@{digest}",
        "registry.example.com:5000/example/app:v1",
    )
    assert (each.digest, each.platform) == (digest, "linux/amd64")


def test_gzip_layers_are_proved_by_what_they_unpack_to(tmp_path: Path) -> None:
    gz = packed(BASE, "gzip")
    own = config(BASE)
    listed = manifest(own, gz, kind=f"{media.OCI_LAYER}+gzip")
    files = {
        "oci-layout": image_files()["oci-layout"],
        "index.json": index({NAME: listed}),
        "manifest.json": docker_listing({NAME: (own, (gz,))}),
        **dict(sorted(map(blob, (own, listed, gz)))),
    }
    assert failed(verified(tmp_path, files)) == {}
    broken = gz[:-3] + b"xyz"
    listed = manifest(own, broken, kind=f"{media.OCI_LAYER}+gzip")
    files |= {"index.json": index({NAME: listed}), **dict(map(blob, (listed, broken)))}
    files["manifest.json"] = docker_listing({NAME: (own, (broken,))})
    assert "is damaged" in failed(verified(tmp_path, files))["layers"][0]


@pytest.mark.parametrize(
    ("name", "platform"),
    [
        ("rke2-images.linux-amd64.tar.zst", "linux/amd64"),
        ("rke2-images-core.linux-arm64_delta-0123456789ab.tar.gz", "linux/arm64"),
        ("rke2-windows-ltsc2022-amd64-images.tar.gz", "windows/amd64"),
        ("rke2-images.windows-amd64.tar", "windows/amd64"),
        ("images.tar", None),
        ("my-linux-amd64x.tar", None),
    ],
)
def test_platform_of_a_file_name(name: str, platform: str | None) -> None:
    found = verifyarchive.platform_of(name)
    assert found == (Platform.parse(platform) if platform else None)


def test_other_order_is_told_and_no_failure(tmp_path: Path) -> None:
    files = image_files(BASE, OWN)
    found = verified(tmp_path, dict(reversed(files.items())))
    assert failed(found) == {}
    assert [each.check for each in found.findings] == ["order"]
    first = list(files.items())
    found = verified(tmp_path, [*first[:3], *reversed(first[3:])])
    assert [each.expected for each in found.findings] == ["blobs sorted by digest"]


def test_without_manifest_json_docker_is_skipped_and_told(tmp_path: Path) -> None:
    files = image_files(BASE)
    del files["manifest.json"]
    found = verified(tmp_path, files)
    assert failed(found) == {}
    assert states(found)["docker"] == "skipped"
    assert [(each.severity, each.check) for each in found.findings] == [("warning", "docker")]


def test_docker_archive_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", tar_with_links(saved(BASE, OWN)))
    found = verify(path)
    assert failed(found) == {}
    (each,) = nodeimport.imported(found, None)
    assert (each.name, each.digest) == ("docker.io/rancher/rke2-runtime:v1", "")
    assert each.tags == ("docker.io/rancher/rke2-runtime:v1",)
    assert [each.check for each in nodeimport.findings(found)] == ["digests-lost"]
    files = saved(BASE, OWN)
    files["id0/layer.tar"] = OWN
    wrong = failed(verify(write(tmp_path / "a.tar", tar_with_links(files))))
    assert "layer 1 unpacks to" in wrong["layers"][0]
    files = saved(BASE)
    name = next(name for name in files if name.endswith(".json"))
    files[name] = config(BASE, platform={"os": "linux", "architecture": "arm64"})
    wrong = failed(verify(write(tmp_path / "a.tar", tar_with_links(files))))
    assert f"{name} is sha256:" in wrong["digests"][0]


def test_index_of_several_platforms_takes_what_is_there(tmp_path: Path) -> None:
    one, other = manifest(config(BASE), BASE), b"not here"
    platforms = ("amd64", "arm64")
    children = [
        {**described(media.OCI_MANIFEST, each), "platform": {"os": "linux", "architecture": arch}}
        for each, arch in zip((one, other), platforms, strict=True)
    ]
    listed = as_json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": children})
    own = index({NAME: listed}).replace(media.OCI_MANIFEST.encode(), media.OCI_INDEX.encode())
    files = {
        "oci-layout": image_files()["oci-layout"],
        "index.json": own,
        **dict(sorted(map(blob, (listed, one, config(BASE), BASE)))),
    }
    found = verified(tmp_path, files)
    assert failed(found) == {}
    assert [each.check for each in found.findings] == ["sparse-index", "docker"]
    (each,) = nodeimport.imported(found, None)
    assert each.digest == str(Digest.of(listed)), "a node names the index"
    files[blob(one)[0]] = files.pop(blob(one)[0])
    del files[blob(one)[0]]
    assert "complete" in failed(verified(tmp_path, files))


@pytest.mark.parametrize(
    ("name", "packing", "state"),
    [
        ("a.linux-amd64.tar.lz", "zst", "skipped"),
        ("a.tar", "zst", "failed"),
        ("a.tar", "gz", "failed"),
        ("a.tar.gz", "zst", "failed"),
        ("a.tar.zst", "none", "failed"),
        ("a.tar", "none", "passed"),
        ("a.tgz", "gz", "passed"),
        ("a.tzst", "zst", "passed"),
    ],
)
def test_nodes_go_by_the_files_ending(tmp_path: Path, name: str, packing: str, state: str) -> None:
    found = verify(write(tmp_path / name, tar(image_files(BASE).items()), packing))
    assert states(found)["ending"] == state
    told = [each.check for each in nodeimport.findings(found)]
    assert told == (["ending"] if state == "skipped" else [])
    if name == "a.tar" and packing == "zst":
        assert failed(found)["ending"] == ["packed with zstd; nodes take a .tar for none"]


def test_results_name_the_archive(tmp_path: Path) -> None:
    found = verified(tmp_path, image_files(BASE))
    assert {each.subject for each in found.results} == {FILE}
    assert str(found.results[0]).startswith(f"passed: {FILE}: readable: ")
    assert found.results[0].to_json() == {
        "subject": FILE,
        "check": "readable",
        "status": "passed",
        "detail": found.results[0].detail,
    }
    assert isinstance(found.results[0], Result)
