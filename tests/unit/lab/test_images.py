from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.lab import images, program
from rke2pack.oci import media
from rke2pack.oci.model import Index, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.wish import Wish
from tests.contract.oci.runner import listing

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
WINDOWS = Platform.parse("windows(10.0.20348)/amd64")
OWN, MIRRORED = "docker.io/rancher/hardened-etcd:v1", "docker.io/rancher/mirrored-pause:3.6"


def wish(name: str, *platforms: Platform) -> Wish:
    return Wish(reference=Reference.parse(name), platforms=platforms)


WISHES = (wish(OWN, AMD64, ARM64), wish(MIRRORED, WINDOWS, ARM64, AMD64))


def made(root: Path, wishes: Iterable[Wish] = WISHES) -> Layout:
    layout = Layout.open(root)
    images.make(layout, wishes)
    return layout


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return made(tmp_path_factory.mktemp("images"))


def manifests(layout: Layout, name: str) -> dict[Platform, Manifest]:
    root = layout.find(name)
    assert root is not None
    index = layout.document(root)
    assert isinstance(index, Index)
    found = {}
    for child in index.manifests:
        manifest = layout.document(child)
        assert isinstance(manifest, Manifest)
        assert child.platform is not None
        found[child.platform] = manifest
    return found


def members(layout: Layout, manifest: Manifest) -> dict[str, bytes]:
    found = {}
    for layer in manifest.layers:
        with tarfile.open(fileobj=BytesIO(gzip.decompress(layout.read(layer.digest)))) as tar:
            for info in tar:
                handle = tar.extractfile(info)
                found[info.name] = handle.read() if handle else b""
    return found


def config(layout: Layout, manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(layout.read(manifest.config.digest))
    return document


def test_two_runs_give_the_same_bytes_in_any_order(layout: Layout, tmp_path: Path) -> None:
    again = made(tmp_path / "again", reversed(WISHES))
    assert listing(again.root) == listing(layout.root)


def test_every_image_is_there_for_its_platforms(layout: Layout) -> None:
    assert set(manifests(layout, OWN)) == {AMD64, ARM64}
    assert set(manifests(layout, MIRRORED)) == {AMD64, ARM64, WINDOWS}
    for name in (OWN, MIRRORED):
        for platform, manifest in manifests(layout, name).items():
            document = config(layout, manifest)
            assert document["os"] == platform.os
            assert document["architecture"] == platform.architecture
            assert document.get("os.version", "") == platform.os_version
            assert all(map(layout.has, manifest.blobs))


def test_diff_ids_are_those_of_the_tars(layout: Layout) -> None:
    for manifest in manifests(layout, MIRRORED).values():
        tars = [gzip.decompress(layout.read(layer.digest)) for layer in manifest.layers]
        digests = [str(Digest.of(tar)) for tar in tars]
        assert config(layout, manifest)["rootfs"]["diff_ids"] == digests


def test_images_of_a_platform_share_their_base(layout: Layout) -> None:
    one, other = manifests(layout, OWN)[ARM64], manifests(layout, MIRRORED)[ARM64]
    assert one.layers[0].digest == other.layers[0].digest
    assert one.layers[1].digest != other.layers[1].digest
    assert one.layers[0].digest != manifests(layout, OWN)[AMD64].layers[0].digest


def test_mirrored_images_are_dockers(layout: Layout) -> None:
    own, mirrored = layout.find(OWN), layout.find(MIRRORED)
    assert own is not None
    assert mirrored is not None
    assert (own.media_type, mirrored.media_type) == (media.OCI_INDEX, media.DOCKER_INDEX)
    assert manifests(layout, MIRRORED)[AMD64].config.media_type == media.DOCKER_CONFIG


def test_an_image_tells_its_name(layout: Layout) -> None:
    assert members(layout, manifests(layout, OWN)[ARM64])["etc/lab-image"] == (
        f"{OWN} linux/arm64\n".encode()
    )


@pytest.mark.parametrize(
    ("platform", "path", "place", "machine"),
    [
        (AMD64, "bin/lab", 18, 62),
        (ARM64, "bin/lab", 18, 183),
        (WINDOWS, "Files/lab.exe", 68, 0x8664),
    ],
    ids=str,
)
def test_the_program_is_for_the_images_machine(
    layout: Layout, platform: Platform, path: str, place: int, machine: int
) -> None:
    manifest = manifests(layout, MIRRORED)[platform]
    data = members(layout, manifest)[path]
    assert data == program.build(platform)
    assert data.startswith(b"MZ" if platform.os == "windows" else b"\x7fELF\x02\x01\x01")
    assert int.from_bytes(data[place : place + 2], "little") == machine
    started = config(layout, manifest)["config"]["Entrypoint"][0]
    assert started.rpartition("\\")[2].rpartition("/")[2] == path.rpartition("/")[2]


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 200_000])
def test_stored_gzip_unpacks_to_what_went_in(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert gzip.decompress(images.gzipped(data[:size])) == data[:size]


@pytest.mark.parametrize("text", ["linux/riscv64", "windows/arm64", "plan9/amd64"])
def test_platform_without_a_program_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="the lab has no program for this platform"):
        made(tmp_path, [wish(OWN, Platform.parse(text))])


# ---- the program itself, where this machine can run it


@pytest.fixture
def started(tmp_path: Path) -> Path:
    if os.uname().machine != "x86_64":
        pytest.skip("this machine is no x86_64")
    path = tmp_path / "lab"
    path.write_bytes(program.build(AMD64))
    path.chmod(0o755)
    return path


def test_once_ends_at_once(started: Path) -> None:
    assert subprocess.run([started, "once"], check=False, timeout=20).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [(), ("onces",), ("serve", "once")], ids=str)
def test_it_waits_until_it_is_stopped(
    started: Path, arguments: tuple[str, ...], number: signal.Signals
) -> None:
    process = subprocess.Popen([started, *arguments])
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.1)
        process.send_signal(number)
        assert process.wait(20) == 0
    finally:
        process.kill()
