"""What other programs write is verified, and taken into a layout, as what it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake import take as intake
from rke2pack.oci.model import Manifest
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import nodeimport
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.checks import Verified
from tests.compatibility import reads
from tests.integration.archives.conftest import FORMATS, PROFILES, Consumer, Made

Make = Callable[..., Made]
NAME = "docker.io/example/gzipped:v0"


def verify(path: Path) -> Verified:
    return verifyarchive.verify(scans.scan(archivefile.find(path)))


def failed(found: Verified) -> dict[str, str]:
    return {each.check: each.detail for each in found.results if each.status == "failed"}


def taken(path: Path, folder: Path) -> dict[str, Manifest]:
    """Name -> manifest, all blobs of which are in a layout."""
    layout = Layout.open(folder)
    found = {}
    for entry in intake.take_in(layout, path):
        document = layout.document(entry.descriptor)
        assert isinstance(document, Manifest)
        assert all(map(layout.has, document.blobs))
        found[entry.name] = document
    return found


@pytest.fixture(scope="module")
def skopeo(program: Callable[[str], str]) -> Consumer:
    return Consumer(command=(program("skopeo"), "--insecure-policy"))


@pytest.fixture(scope="module")
def source(make: Make) -> str:
    return f"oci-archive:{make('fast', 'zst').path}:v0"


def test_archives_of_ours_pass_in_every_profile_and_format(make: Make) -> None:
    for profile in PROFILES:
        for form in FORMATS:
            for platform in ("linux/amd64", "linux/arm64"):
                found = verify(make(profile, form, platform).path)
                assert failed(found) == {}
                assert found.findings == ()


@reads("rke2pack verify", "skopeo oci-archive:")
@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_oci_archive_of_skopeo_with_a_full_name(
    skopeo: Consumer, source: str, tmp_path: Path, program: Callable[[str], str], packing: str
) -> None:
    path = tmp_path / "images.tar"
    skopeo.run("copy", "--quiet", source, f"oci-archive:{path}:{NAME}")
    if packing:
        subprocess.run([program(packing), "-q", path], check=True)
        path = next(tmp_path.glob("images.tar.*"))
    found = verify(path)
    assert failed(found) == {}
    assert {each.check for each in found.findings} <= {"docker", "order"}
    assert "docker" in {each.check for each in found.findings}
    (image,) = nodeimport.imported(found, None)
    assert (image.name, image.platform) == (NAME, "linux/amd64")
    assert [str(m.descriptor.digest) for m in taken(path, tmp_path / "s").values()] == [
        image.digest
    ]


def test_oci_archive_of_skopeo_with_a_tag_alone_gives_nodes_no_name(
    skopeo: Consumer, source: str, tmp_path: Path
) -> None:
    path = tmp_path / "images.tar"
    skopeo.run("copy", "--quiet", source, f"oci-archive:{path}:v0")
    assert failed(verify(path)) == {"tags": "v0: has no tag, RKE2 passes over it"}
    assert set(taken(path, tmp_path / "s")) == {"v0"}


@reads("rke2pack verify", "skopeo docker-archive:")
def test_docker_archive_of_skopeo(skopeo: Consumer, source: str, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    skopeo.run("copy", "--quiet", source, f"docker-archive:{path}:{NAME}")
    found = verify(path)
    assert failed(found) == {}
    assert [each.check for each in nodeimport.findings(found)] == ["digests-lost"]
    (manifest,) = taken(path, tmp_path / "s").values()
    assert manifest.config.digest == found.images[0].config


@reads("rke2pack verify", "docker save")
def test_docker_save(make: Make, docker: Consumer, tmp_path: Path) -> None:
    loaded = docker.run("load", "--input", make("default", "gz").path)
    names = [line.rpartition("image: ")[2] for line in loaded.splitlines() if "image: " in line]
    try:
        path = tmp_path / "saved.tar"
        docker.run("save", "--output", path, *names)
        ids = {
            name: docker.run("image", "inspect", "--format", "{{.Id}}", name).strip()
            for name in names
        }
    finally:
        docker.run("image", "rm", "--force", *names)
    found = verify(path)
    assert failed(found) == {}
    assert {image.name: str(image.config) for image in found.images} == ids
    manifests = taken(path, tmp_path / "s")
    assert {n.removeprefix("docker.io/"): str(m.config.digest) for n, m in manifests.items()} == ids


@reads("rke2pack verify", "ctr images export")
def test_export_of_containerd_with_every_platform(
    make: Make, containerd: Consumer, tmp_path: Path
) -> None:
    containerd.run("images", "import", "--no-unpack", "-", stdin=make("fast", "zst").tar)
    path = tmp_path / "exported.tar"
    containerd.run("images", "export", path, NAME)
    found = verify(path)
    assert failed(found) == {}
    (image,) = nodeimport.imported(found, "registry.example.com")
    assert image.name == NAME
    assert image.digest == make("fast", "zst").digests[NAME]
    assert image.tags[-1] == "registry.example.com/example/gzipped:v0"
    assert set(taken(path, tmp_path / "s")) == {NAME}


def test_names_that_are_told_are_those_that_containerd_has(
    make: Make, containerd: Consumer
) -> None:
    made = make("default", "zst")
    containerd.run("images", "import", "--no-unpack", "-", stdin=made.tar)
    rows = [row.split() for row in containerd.run("images", "ls").splitlines()[1:]]
    told = {each.name: each.digest for each in nodeimport.imported(verify(made.path), None)}
    assert told == {row[0]: row[2] for row in rows}


def test_window_is_the_one_that_zstd_tells(
    make: Make, program: Callable[[str], str], tmp_path: Path
) -> None:
    path = tmp_path / "wide.tar.zst"
    zstd = program("zstd")
    with make("default", "zst").tar.open("rb") as plain, path.open("wb") as out:
        subprocess.run([zstd, "-q", "-3", "--long=27", "-c"], stdin=plain, stdout=out, check=True)
    told = failed(verify(path))
    assert told == {"window": "a window of 134217728 bytes; nodes take 33554432"}
    tested = subprocess.run(
        [zstd, "-t", "--memory=32MB", path], capture_output=True, text=True, check=False
    )
    assert tested.returncode != 0
