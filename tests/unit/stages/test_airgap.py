from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rke2pack.errors import ConfigError, IntegrityError, NotFoundError, PackError
from rke2pack.oci.pack.packer import Artifact, Found, Packer
from rke2pack.oci.store.layout import Layout
from rke2pack.stages.airgap import command
from tests.unit.oci.imaging import layer, put_image
from tests.unit.stages.conftest import write_tree
from tests.unit.stages.invoking import invoked

LISTED = {
    "core": ("docker.io/example/runtime:v1", "docker.io/example/shared:v1"),
    "canal": ("docker.io/example/canal:v1", "docker.io/example/shared:v1"),
    "vsphere (linux/amd64)": ("docker.io/example/vsphere:v1",),
}
EVERY = sorted({name for names in LISTED.values() for name in names})
AMD64 = ("rke2-images-core", "rke2-images-canal", "rke2-images-vsphere", "rke2-images")
ARM64 = ("rke2-images-core", "rke2-images-canal", "rke2-images")


class Bench:
    """A tree, a store with every image of it, and the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = write_tree(root / "tree", {})
        self.cache = root / "cache"
        self.output = self.tree / "dist" / "artifacts"
        self.failed: dict[str, Any] = {}
        sections = (
            f"# component: {heading}\n" + "".join(f"{name}\n" for name in names)
            for heading, names in LISTED.items()
        )
        (self.tree / "images.txt").write_text("\n".join(sections))
        self.layout = Layout.open(self.cache / "store")
        for name in EVERY:
            put_image(self.layout, name, [(layer({"name": name.encode() * 50}), "gzip")])

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run the command with --json; an error of ours leaves it as it is."""
        where = ("--tree", self.tree, "--json")
        done = invoked(command, *where, *arguments, cache=self.cache)
        if isinstance(done.exception, PackError):
            self.failed = json.loads(done.stdout) if done.stdout else {}
            raise done.exception
        assert done.exit_code == 0, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def names(self) -> list[str]:
        return sorted(path.name for path in self.output.iterdir()) if self.output.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def files_of(groups: tuple[str, ...], arch: str, *endings: str) -> set[str]:
    return {f"{group}.linux-{arch}.{ending}" for group in groups for ending in endings}


def test_every_component_and_platform_has_its_archive_list_and_checksum(bench: Bench) -> None:
    document = bench.run()
    expected = files_of(AMD64, "amd64", "tar.zst", "txt") | files_of(
        ARM64, "arm64", "tar.zst", "txt"
    )
    expected |= {f"rke2-images-all.linux-{arch}.txt" for arch in ("amd64", "arm64")}
    assert set(bench.names()) == expected | {"sha256sum-amd64.txt", "sha256sum-arm64.txt"}
    assert {Path(each["path"]).name for each in document["artifacts"]} == expected
    for each in document["artifacts"]:
        data = Path(each["path"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert each["status"] == "built"


def test_checksums_are_what_sha256sum_reads(bench: Bench) -> None:
    bench.run()
    lines = (bench.output / "sha256sum-arm64.txt").read_text().splitlines()
    names = [line[66:] for line in lines]
    assert names == sorted(names)
    assert set(names) == {name for name in bench.names() if "arm64" in name} - {
        "sha256sum-arm64.txt"
    }
    for line in lines:
        data = (bench.output / line[66:]).read_bytes()
        assert line == f"{hashlib.sha256(data).hexdigest()}  {line[66:]}"


def test_lists_have_each_image_once(bench: Bench) -> None:
    bench.run()

    def lines(name: str) -> list[str]:
        return (bench.output / f"{name}.linux-amd64.txt").read_text().splitlines()

    assert lines("rke2-images") == [*LISTED["core"], "docker.io/example/canal:v1"]
    assert lines("rke2-images-canal") == list(LISTED["canal"])
    assert sorted(lines("rke2-images-all")) == EVERY


def test_second_run_finds_everything_unchanged(bench: Bench) -> None:
    bench.run("--format", "zst", "--format", "gz")
    before = {path: path.stat().st_mtime_ns for path in bench.output.iterdir()}
    document = bench.run("--format", "zst", "--format", "gz")
    assert {each["status"] for each in document["artifacts"]} == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in bench.output.iterdir()} == before


WINDOWS = {"1809": "10.0.17763", "ltsc2022": "10.0.20348"}
PAUSE, RUNTIME = "docker.io/example/pause:1", "docker.io/example/runtime:v1-windows-amd64"


@pytest.fixture
def windows(bench: Bench) -> Bench:
    """The bench with a component for Windows: one image for every release, one for each."""
    path = bench.tree / "charts-manifest" / "components.yaml"
    components = json.loads(path.read_text())
    own = {"name": "windows", "platforms": ["windows/amd64"]}
    components |= {"windows": WINDOWS, "components": [*components["components"], own]}
    path.write_text(json.dumps(components))
    with (bench.tree / "images.txt").open("a") as listed:
        listed.write(f"\n# component: windows (windows/amd64)\n{RUNTIME}\n{PAUSE}\n")
    plain = layer({"rke2.exe": b"MZ"})
    put_image(bench.layout, RUNTIME, [(plain, "gzip")], platforms=["windows/amd64"])
    each = [f"windows({version}.999)/amd64" for version in WINDOWS.values()]

    def layers(platform: str) -> list[tuple[bytes, Any]]:
        return [(layer({"version": platform.encode()}), "gzip")]

    put_image(bench.layout, PAUSE, layers, platforms=["linux/amd64", *each])
    return bench


def test_windows_has_an_archive_for_every_release_and_one_list(windows: Bench) -> None:
    windows.run("--component", "windows", "--format", "gz")
    archives = {name: f"rke2-windows-{name}-amd64-images.tar.gz" for name in WINDOWS}
    one_list = "rke2-images.windows-amd64.txt"
    assert set(windows.names()) == {*archives.values(), one_list, "sha256sum-amd64.txt"}
    assert (windows.output / one_list).read_text() == f"{RUNTIME}\n{PAUSE}\n"
    for release, name in archives.items():
        data = gzip.decompress((windows.output / name).read_bytes())
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        versions = {
            entry["annotations"]["io.containerd.image.name"]: entry["platform"].get("os.version")
            for entry in index["manifests"]
        }
        assert versions == {RUNTIME: None, PAUSE: f"{WINDOWS[release]}.999"}


def test_windows_is_left_out_for_other_platforms(windows: Bench) -> None:
    windows.run("--platform", "linux/amd64")
    assert not [name for name in windows.names() if "windows" in name]


def test_release_of_windows_that_an_image_lacks_is_named(windows: Bench) -> None:
    put_image(
        windows.layout,
        PAUSE,
        [(layer({"version": b"1"}), "gzip")],
        platforms=["windows(10.0.17763.1)/amd64"],
    )
    with pytest.raises(NotFoundError, match=r"windows\(10.0.20348\)/amd64"):
        windows.run("--component", "windows")
    assert "rke2-windows-1809-amd64-images.tar.zst" in windows.names()
    assert "rke2-windows-ltsc2022-amd64-images.tar.zst" not in windows.names()


def test_one_component_for_one_platform(bench: Bench) -> None:
    bench.run("--component", "canal", "--platform", "linux/arm64", "--format", "gz")
    canal = {"rke2-images-canal.linux-arm64.tar.gz", "rke2-images-canal.linux-arm64.txt"}
    assert set(bench.names()) == canal | {"sha256sum-arm64.txt"}
    data = gzip.decompress((bench.output / "rke2-images-canal.linux-arm64.tar.gz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
    assert {each["platform"]["architecture"] for each in index["manifests"]} == {"arm64"}
    bench.run("--component", "core", "--platform", "linux/arm64")
    sums = (bench.output / "sha256sum-arm64.txt").read_text()
    assert "rke2-images-canal.linux-arm64.tar.gz" in sums, "what is still there stays listed"
    assert "rke2-images-core.linux-arm64.tar.zst" in sums


def test_bundles_can_be_chosen(bench: Bench) -> None:
    bench.run("--bundle", "mine=core,vsphere", "--platform", "linux/amd64")
    assert "mine.linux-amd64.tar.zst" in bench.names()
    assert "rke2-images.linux-amd64.tar.zst" not in bench.names()
    with pytest.raises(ConfigError, match="nothing: no such component"):
        bench.run("--bundle", "mine=core,nothing")


def test_large_archives_come_in_parts(bench: Bench) -> None:
    document = bench.run("--component", "core", "--platform", "linux/amd64", "--max-size", "1kB")
    parts = [Path(each["path"]) for each in document["artifacts"] if ".part" in each["path"]]
    assert len(parts) > 1
    assert all(path.stat().st_size <= 1000 for path in parts)
    assert "rke2-images-core.linux-amd64.tar.zst" not in bench.names()
    sums = (bench.output / "sha256sum-amd64.txt").read_text()
    assert all(path.name in sums for path in parts)
    joined = b"".join(path.read_bytes() for path in parts)
    bench.run("--component", "core", "--platform", "linux/amd64")
    assert (bench.output / "rke2-images-core.linux-amd64.tar.zst").read_bytes() == joined
    assert not [name for name in bench.names() if ".part" in name]
    assert ".part" not in (bench.output / "sha256sum-amd64.txt").read_text()


def test_every_missing_image_is_named_and_its_archives_are_not_written(bench: Bench) -> None:
    bench.layout.untag(frozenset({"docker.io/example/canal:v1", "docker.io/example/shared:v1"}))
    with pytest.raises(NotFoundError) as caught:
        bench.run()
    assert caught.value.message == "airgap: 2 images are missing, 6 archives not built"
    assert caught.value.hint == "run it with --pull, or 'rke2pack pull' before"
    assert sorted(caught.value.details) == sorted(
        f"docker.io/example/{name}:v1: not in {bench.layout.root} (linux/{arch})"
        for name in ("canal", "shared")
        for arch in ("amd64", "arm64")
    )
    assert caught.value.exit_code == 4
    assert bench.failed["missing"] == list(caught.value.details)
    assert len(bench.failed["incomplete"]) == 6
    assert {Path(each["path"]).name for each in bench.failed["artifacts"]} == {
        "rke2-images-all.linux-amd64.txt",
        "rke2-images-all.linux-arm64.txt",
        "rke2-images-vsphere.linux-amd64.tar.zst",
        "rke2-images-vsphere.linux-amd64.txt",
    }
    assert [name for name in bench.names() if "tar" in name] == [
        "rke2-images-vsphere.linux-amd64.tar.zst"
    ]


def test_one_missing_image_is_the_error(bench: Bench) -> None:
    bench.layout.untag(frozenset({"docker.io/example/vsphere:v1"}))
    with pytest.raises(NotFoundError, match=r"vsphere:v1: not in .* \(linux/amd64\)"):
        bench.run()


def test_damaged_image_does_not_keep_the_others_from_being_built(bench: Bench) -> None:
    manifest = put_image(
        bench.layout, "docker.io/example/vsphere:v1", [(layer({"a": b"1"}), "gzip")]
    )["linux/amd64"]
    path = bench.layout.path(manifest.layers[0].digest)
    path.write_bytes(bytes([31, 139]) + bytes(path.stat().st_size - 2))
    with pytest.raises(IntegrityError, match="damaged"):
        bench.run()
    archives = {name for name in bench.names() if name.endswith("zst")}
    vsphere = "rke2-images-vsphere.linux-amd64.tar.zst"
    expected = files_of(AMD64, "amd64", "tar.zst") | files_of(ARM64, "arm64", "tar.zst")
    assert archives == expected - {vsphere}


def test_one_damaged_layer_of_several_archives_is_one_image(bench: Bench) -> None:
    manifest = put_image(
        bench.layout, "docker.io/example/canal:v1", [(layer({"a": b"1"}), "gzip")]
    )["linux/amd64"]
    path = bench.layout.path(manifest.layers[0].digest)
    path.write_bytes(bytes([31, 139]) + bytes(path.stat().st_size - 2))
    with pytest.raises(IntegrityError) as caught:
        bench.run("--platform", "linux/amd64")
    assert caught.value.message == (
        "airgap: 1 image is damaged, missing or not locked so, 2 archives not built"
    )
    assert len(caught.value.details) == 1
    assert caught.value.hint == "run 'rke2pack cache verify', then pull"


def test_frames_are_proven_for_each_archive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between one archive and the next, hours may pass and the cache's disk may fail."""
    own = Packer.pack

    def pack(packer: Packer, path: Path, images: Iterable[Found]) -> tuple[Artifact, ...]:
        made = own(packer, path, images)
        for frames in bench.cache.glob("frames/*/*.frames"):
            frames.write_bytes(frames.read_bytes()[:-1] + b"!")
        return made

    bench.run("--platform", "linux/amd64")
    expected = {path.name: path.read_bytes() for path in bench.output.glob("*.zst")}
    shutil.rmtree(bench.output)
    shutil.rmtree(bench.cache / "frames")
    monkeypatch.setattr(Packer, "pack", pack)
    bench.run("--platform", "linux/amd64")
    assert {path.name: path.read_bytes() for path in bench.output.glob("*.zst")} == expected


def test_dry_run_writes_nothing(bench: Bench) -> None:
    document = bench.run("--dry-run")
    assert {each["status"] for each in document["artifacts"]} == {"planned"}
    assert len(document["artifacts"]) == len(AMD64) + len(ARM64)
    assert bench.names() == []
    bench.run()
    document = bench.run("--dry-run")
    assert {each["status"] for each in document["artifacts"]} == {"unchanged"}


def test_fast_tells_which_digests_it_cannot_keep(bench: Bench) -> None:
    tars = [layer({"a": b"1"}), layer({"b": b"1"})]
    put_image(bench.layout, "docker.io/example/vsphere:v1", [(tars[0], "zstd"), (tars[1], "gzip")])
    document = bench.run("--profile", "fast")
    assert [(each["subject"], each["check"]) for each in document["findings"]] == [
        ("docker.io/example/vsphere:v1", "digest-changed")
    ]
    assert bench.run("--profile", "small")["findings"] == []


def test_wrong_words_are_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"nothing: .*images\.txt has no such component"):
        bench.run("--component", "nothing")
    with pytest.raises(ConfigError, match="linux/s390x: the tree has no such platform"):
        bench.run("--platform", "linux/s390x")
    with pytest.raises(NotFoundError, match="no image store"):
        bench.run("--store", str(bench.root / "none"))
    for wrong in ("0MB", "2", "2 GB", "2gb", "-1MB", "99999999999999GB"):
        with pytest.raises(AssertionError, match="is no size; write it as 1900MB or 2GiB"):
            bench.run("--max-size", wrong)
    with pytest.raises(AssertionError, match="is no bundle; write it as rke2-images=core,canal"):
        bench.run("--bundle", "a=")


def test_images_can_come_under_another_registrys_name(bench: Bench) -> None:
    for name in LISTED["core"]:
        other = name.replace("docker.io", "registry.example.com")
        put_image(bench.layout, other, [(layer({"name": name.encode()}), "gzip")])
    bench.run("--component", "core", "--registry", "registry.example.com")
    lines = (bench.output / "rke2-images-core.linux-amd64.txt").read_text().splitlines()
    assert lines == [name.replace("docker.io", "registry.example.com") for name in LISTED["core"]]
