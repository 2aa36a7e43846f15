"""Deltas on real containerd: complete and unpackable with the base, refused without it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.files import Cache
from rke2pack.oci.intake import archivefile
from rke2pack.oci.pack import delta
from rke2pack.oci.pack.delta import DeltaMaker
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import scan as scans
from tests.compatibility import reads, refuses
from tests.integration.archives.conftest import Consumer
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.packing import pack

NAMES = ("docker.io/example/app:v2", "docker.io/example/new:v1", "docker.io/example/same:v1")
SNAPSHOTTERS = ("native", "overlayfs")
Release = tuple[Path, Path, Path]


@pytest.fixture(scope="module")
def release(
    tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]
) -> Callable[[ProfileName, Format], Release]:
    """Make base, delta and whole new archive, each also as a plain tar beside it."""
    root = tmp_path_factory.mktemp("deltas")
    shared = layer({"bin/shared": os.urandom(3_000_000)})
    layouts = {version: Layout.open(root / version) for version in ("v1", "v2")}
    for version, layout in layouts.items():
        own = layer({"etc/version": version.encode() * 500})
        put_image(layout, f"docker.io/example/app:{version}", [(shared, "gzip"), (own, "gzip")])
        put_image(layout, "docker.io/example/same:v1", [(shared, "gzip")])
    put_image(layouts["v2"], "docker.io/example/new:v1", [(layer({"new": b"new"}), "gzip")])
    known: dict[tuple[ProfileName, Format], Release] = {}

    def call(profile: ProfileName, form: Format) -> Release:
        key = (profile, form)
        if key not in known:
            folder = root / f"{profile}-{form}"
            paths = [folder / name / f"rke2-images-core.linux-amd64.tar.{form}" for name in layouts]
            for path, layout in zip(paths, layouts.values(), strict=True):
                pack(layout, path, profile, form=form)
            maker = DeltaMaker(output=folder, cache=Cache(folder / "cache"), form=form)
            base = delta.read_base(archivefile.find(paths[0]))
            made = maker.make(base, archivefile.find(paths[1]), folder / "scratch")
            every = (paths[0], made.files[0].path, paths[1])
            tool = program("zstd" if form == "zst" else "gzip")
            for path in every:
                with plain(path).open("wb") as out:
                    subprocess.run([tool, "-dc", path], stdout=out, check=True)
            known[key] = every
        return known[key]

    return call


def plain(path: Path) -> Path:
    return path.with_name(f"{path.name}.tar")


def checked(containerd: Consumer, snapshotter: str) -> dict[str, tuple[str, str]]:
    """Name -> state of the content, and whether it is unpacked."""
    rows = containerd.run("images", "check", "--snapshotter", snapshotter).splitlines()[1:]
    return {row.split()[0]: (row.split()[3], row.split()[-1]) for row in rows}


def names(containerd: Consumer) -> dict[str, str]:
    rows = containerd.run("images", "ls").splitlines()[1:]
    return {row.split()[0]: row.split()[2] for row in rows}


@reads("ctr images import, check, unpack", "delta after its base")
@pytest.mark.parametrize("snapshotter", SNAPSHOTTERS)
@pytest.mark.parametrize("form", ["zst", "gz"])
@pytest.mark.parametrize("profile", ["fast", "default"])
def test_node_with_the_base_has_the_new_release_after_the_delta(
    release: Callable[[ProfileName, Format], Release],
    containerd: Consumer,
    profile: ProfileName,
    form: Format,
    snapshotter: str,
) -> None:
    base, made, whole = release(profile, form)
    assert made.stat().st_size < whole.stat().st_size / 50
    containerd.run("images", "import", "--snapshotter", snapshotter, "-", stdin=plain(base))
    containerd.run("images", "import", "--snapshotter", snapshotter, "-", stdin=plain(made))
    state = checked(containerd, snapshotter)
    assert {name: state[name] for name in NAMES} == dict.fromkeys(NAMES, ("complete", "true"))
    assert names(containerd) == {**names_in(base), **names_in(whole)}


@pytest.mark.parametrize("profile", ["fast", "default"])
def test_it_stays_whole_after_the_old_name_is_removed(
    release: Callable[[ProfileName, Format], Release], containerd: Consumer, profile: ProfileName
) -> None:
    base, made, _ = release(profile, "zst")
    containerd.run("images", "import", "--no-unpack", "-", stdin=plain(base))
    containerd.run("images", "import", "--no-unpack", "-", stdin=plain(made))
    containerd.run("images", "rm", "--sync", "docker.io/example/app:v1")
    state = checked(containerd, "native")
    assert {name: entry[0] for name, entry in state.items()} == dict.fromkeys(NAMES, "complete")
    containerd.run("images", "import", "--snapshotter", "native", "-", stdin=plain(made))
    assert set(checked(containerd, "native").values()) == {("complete", "true")}


@refuses("ctr images import, check, unpack", "delta alone", "needs its base")
@pytest.mark.parametrize("profile", ["fast", "default"])
def test_without_the_base_containerd_fails_and_verify_says_why(
    release: Callable[[ProfileName, Format], Release], containerd: Consumer, profile: ProfileName
) -> None:
    base, made, _ = release(profile, "zst")
    done = containerd.tried("images", "import", "-", stdin=plain(made))
    assert done.returncode != 0
    assert "not found" in done.stderr
    state = checked(containerd, "native")
    assert state.get("docker.io/example/app:v2", ("incomplete", ""))[0] != "complete"
    failed = [
        f"{each.check}: {each.detail}"
        for each in verifyarchive.verify(scans.scan(archivefile.find(made))).results
        if each.status == "failed"
    ]
    (message,) = failed
    assert message.startswith("complete: a delta: 1 blob comes from rke2-images-core.linux-amd64")
    assert message.endswith("name it with --base")
    scan, bases = scans.scan(archivefile.find(made)), [scans.scan(archivefile.find(base))]
    states = {each.status for each in verifyarchive.verify(scan, bases).results}
    assert states == {"passed"}


def test_docker_loads_of_a_delta_only_what_is_whole(
    release: Callable[[ProfileName, Format], Release], docker: Consumer
) -> None:
    _, made, _ = release("default", "gz")
    done = docker.tried("load", "--input", plain(made))
    loaded = [line for line in done.stdout.splitlines() if line.startswith("Loaded image")]
    try:
        assert loaded == ["Loaded image: example/new:v1"]
    finally:
        docker.tried("image", "rm", "--force", "example/new:v1")


def names_in(path: Path) -> dict[str, str]:
    """Name -> digest, as an archive's index has it."""
    scan = scans.scan(archivefile.find(path))
    entries = json.loads(scan.documents["index.json"])["manifests"]
    return {e["annotations"]["io.containerd.image.name"]: e["digest"] for e in entries}
