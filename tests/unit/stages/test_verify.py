"""The command: release folders, lists, checksums, locks, exit codes and what it says."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError, ValidationError
from rke2pack.lists.lock import Lock, LockedImage, LockedPlatform
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.scan import Scan
from rke2pack.stages.verify import command
from tests.unit.oci.archives import OWN, image_files, tar, write
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.packing import pack
from tests.unit.stages.invoking import invoked

NAMES = ("docker.io/example/one:v1", "docker.io/example/two:v2")
STEM = "rke2-images-core.linux-amd64"
ARCHIVE = f"{STEM}.tar.zst"


class Bench:
    """A release folder as airgap writes it, and the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "artifacts"
        self.folder.mkdir()
        self.failed: dict[str, Any] = {}
        self.stderr = ""
        self.layout = Layout.open(root / "store")
        self.manifests: dict[str, Manifest] = {}
        for name in NAMES:
            tars = [(OWN, "gzip"), (layer({"n": name.encode()}), "gzip")]
            self.manifests[name] = put_image(self.layout, name, tars)["linux/amd64"]  # type: ignore[arg-type]

    def release(self, profile: Any = "default", **options: Any) -> Path:  # noqa: ANN401 - of pack
        path = pack(self.layout, self.folder / ARCHIVE, profile, **options)
        (self.folder / f"{STEM}.txt").write_text("".join(f"{name}\n" for name in NAMES))
        self.write_sums()
        return path

    def write_sums(self) -> None:
        files = sorted(p for p in self.folder.iterdir() if not p.name.startswith("sha256sum"))
        lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
        (self.folder / "sha256sum-amd64.txt").write_text("".join(lines))

    def run(self, *arguments: str | Path, is_json: bool = True) -> dict[str, Any]:
        form = ("--json",) if is_json else ()
        done = invoked(command, *arguments, *form, cache=self.root / "cache")
        self.stderr = done.stderr
        document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        if isinstance(done.exception, PackError):
            self.failed = document
            raise done.exception
        assert done.exit_code == 0, done.output
        return document

    def lock(self, **changes: Digest) -> Path:
        """An images.lock of the images; ``changes`` are of the first one."""
        images = []
        for number, (name, manifest) in enumerate(self.manifests.items()):
            pins = {"manifest": manifest.descriptor.digest, "config": manifest.config.digest}
            pins |= changes if number == 0 else {}
            locked = LockedPlatform(
                platform=Platform.parse("linux/amd64"),
                manifest=pins["manifest"],
                config=pins["config"],
                blobs=3,
                size=1,
            )
            root = self.layout.find(name)
            assert isinstance(root, Descriptor)
            images.append(
                LockedImage(reference=Reference.parse(name), root=root, platforms=(locked,))
            )
        path = self.root / "images.lock"
        path.write_text(str(Lock(images=tuple(images))))
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def states(document: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["subject"], each["check"]): each["status"] for each in document["results"]}


def wrong(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (each["subject"], each["check"], each["detail"])
        for each in document["results"]
        if each["status"] == "failed"
    ]


@pytest.mark.parametrize("profile", ["fast", "default"])
@pytest.mark.parametrize("form", ["zst", "gz"])
def test_release_folder_of_ours_is_proved(bench: Bench, profile: str, form: str) -> None:
    pack(bench.layout, bench.folder / f"{STEM}.tar.{form}", profile, form=form)  # type: ignore[arg-type]
    (bench.folder / f"{STEM}.txt").write_text("".join(f"{name}\n" for name in NAMES))
    bench.write_sums()
    document = bench.run(bench.folder)
    assert wrong(document) == []
    assert document["findings"] == []
    found = states(document)
    assert found[f"{STEM}.tar.{form}", "list"] == "passed"
    assert found[f"{STEM}.tar.{form}", "checksum"] == "passed"
    assert found[f"{STEM}.txt", "checksum"] == "passed"
    assert {each["name"] for each in document["imports"]} == set(NAMES)


def test_parts_are_one_archive_with_a_checksum_each(bench: Bench) -> None:
    bench.release(max_size=1500)
    parts = sorted(path.name for path in bench.folder.glob("*.part*"))
    assert len(parts) > 1
    document = bench.run(bench.folder)
    assert wrong(document) == []
    assert {subject for (subject, check) in states(document) if check == "checksum"} == {
        *parts,
        f"{STEM}.txt",
    }
    assert [each["check"] for each in document["findings"]] == ["parts"]
    once = bench.run(bench.folder / parts[0], bench.folder / parts[1])
    assert [each["check"] for each in once["results"]].count("readable") == 1
    (bench.folder / parts[-1]).unlink()
    with pytest.raises(IntegrityError, match=r"verify: \d checks of 2 files failed"):
        bench.run(bench.folder)
    found = {(subject, check) for subject, check, _ in wrong(bench.failed)}
    assert (ARCHIVE, "readable") in found
    assert (parts[-1], "checksum") in found


def test_list_must_equal_the_names_inside(bench: Bench) -> None:
    bench.release()
    listed = bench.folder / f"{STEM}.txt"
    listed.write_text(f"{NAMES[0]}\ndocker.io/example/three:v1\n")
    bench.write_sums()
    with pytest.raises(ValidationError) as caught:
        bench.run(bench.folder)
    assert caught.value.message == (
        f"verify: {ARCHIVE}: list: {STEM}.txt: docker.io/example/three:v1 is not in the archive; "
        f"{NAMES[1]} is not in the list"
    )
    listed.write_text("no reference at all\n")
    with pytest.raises(IntegrityError, match="2 checks of 2 files failed"):
        bench.run(bench.folder)
    assert [check for _, check, _ in wrong(bench.failed)] == ["list", "checksum"]


def test_archives_of_windows_have_one_list(bench: Bench) -> None:
    layout = Layout.open(bench.root / "windows")
    put_image(layout, NAMES[0], [(OWN, "gzip")], platforms=("windows/amd64",))
    path = bench.folder / "rke2-windows-ltsc2022-amd64-images.tar.zst"
    pack(layout, path, platform="windows/amd64")
    listed = bench.folder / "rke2-images.windows-amd64.txt"
    listed.write_text(f"{NAMES[0]}\n")
    assert states(bench.run(path))[path.name, "list"] == "passed"
    listed.write_text(f"{NAMES[1]}\n")
    with pytest.raises(ValidationError, match=r"list: rke2-images\.windows-amd64\.txt: "):
        bench.run(path)


def test_checksums_of_everything_are_compared(bench: Bench) -> None:
    bench.release()
    sums = bench.folder / "sha256sum-amd64.txt"
    good = sums.read_text()
    sums.write_text(good.replace(good[:4], "0000", 1))
    with pytest.raises(IntegrityError, match="checksum: is sha256:"):
        bench.run(bench.folder)
    sums.write_text(good + f"{'0' * 64}  gone.txt\nnonsense\n{'1' * 64}  {ARCHIVE}\n")
    with pytest.raises(IntegrityError):
        bench.run(bench.folder)
    assert {(subject, detail) for subject, _, detail in wrong(bench.failed)} == {
        ("gone.txt", "sha256sum-amd64.txt names it, it is not there"),
        ("sha256sum-amd64.txt", "line 4 is no checksum"),
        (ARCHIVE, "has two different checksums"),
    }
    sums.write_text("")
    document = bench.run(bench.folder)
    assert [(each["check"], each["subject"]) for each in document["findings"]] == [
        ("not-listed", ARCHIVE)
    ]
    sums.unlink()
    assert states(bench.run(bench.folder))[ARCHIVE, "checksum"] == "skipped"


def test_every_archive_is_tried_and_all_failures_are_listed(bench: Bench) -> None:
    bench.release()
    good = (bench.folder / ARCHIVE).read_bytes()
    (bench.folder / "a.linux-amd64.tar.zst").write_bytes(good[:-50])
    (bench.folder / "b.linux-arm64.tar.zst").write_bytes(good)
    (bench.folder / "c.tar.zst").write_bytes(b"BZh9")
    bench.write_sums()
    with pytest.raises(IntegrityError) as caught:
        bench.run(bench.folder, bench.root / "none.tar", is_json=False)
    assert caught.value.message == "verify: 5 checks of 4 files failed"
    assert [detail.partition(": ")[0] for detail in caught.value.details] == [
        "a.linux-amd64.tar.zst",
        "b.linux-arm64.tar.zst",
        "b.linux-arm64.tar.zst",
        "c.tar.zst",
        "none.tar",
    ]
    assert f"{ARCHIVE:<48} 14 passed" in bench.stderr
    assert "  failed   platform     docker.io/example/one:v1: not for linux/arm64" in bench.stderr


def test_wrong_ending_is_wrong_content(bench: Bench) -> None:
    path = bench.release()
    with pytest.raises(ValidationError, match=r"ending: packed with zstd; nodes take a \.tar for"):
        bench.run(path.rename(path.with_name(f"{STEM}.tar")))


def test_interrupt_stops_the_scan_that_is_under_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [bench.folder / name for name in ("a.tar", "b.tar", "c.tar")]
    for path in given:
        write(path, tar(image_files(OWN).items()))
    begun, ended = threading.Event(), []

    def scan(file: ArchiveFile, stop: threading.Event) -> Scan:
        if file.path.name == "a.tar":
            begun.wait(60)
            raise KeyboardInterrupt
        begun.set()
        ended.append((file.path.name, stop.wait(60)))
        raise CancelledError

    monkeypatch.setattr(scans, "scan", scan)
    with pytest.raises(AssertionError, match="Aborted"):
        bench.run(bench.folder)
    assert ended == [("b.tar", True)]


def test_one_archive_that_is_not_there_is_its_own_error(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"none\.tar: no such file"):
        bench.run(bench.root / "none.tar")
    with pytest.raises(ConfigError, match="holds no archive"):
        bench.run(bench.folder)
    with pytest.raises(ConfigError, match="an image store, not a release folder"):
        bench.run(bench.layout.root)
    with pytest.raises(AssertionError):
        bench.run()


@pytest.mark.parametrize(("profile", "kept"), [("fast", 2), ("default", 0)])
def test_lock_pins_the_manifest_or_of_a_repacked_image_the_config(
    bench: Bench, profile: str, kept: int
) -> None:
    path = bench.release(profile)
    document = bench.run(path, "--against", bench.lock())
    (detail,) = [each["detail"] for each in document["results"] if each["check"] == "lock"]
    assert detail == f"2 images as in {bench.root}/images.lock, {kept} with the registry's digest"
    other = Digest.of(b"other")
    with pytest.raises(ValidationError, match=f"{NAMES[0]}: its config is sha256:"):
        bench.run(path, "--against", bench.lock(config=other))
    if kept:
        with pytest.raises(ValidationError, match=f"{NAMES[0]}: its manifest is sha256:"):
            bench.run(path, "--against", bench.lock(manifest=other))
    else:
        bench.run(path, "--against", bench.lock(manifest=other))


def test_image_that_the_lock_leaves_out_is_skipped_by_name(bench: Bench) -> None:
    path = bench.release()
    lock = Lock.parse(bench.lock().read_text(), what="x")
    left = Reference.parse(NAMES[0])
    images = tuple(each for each in lock.images if each.reference != left)
    (bench.root / "images.lock").write_text(str(Lock(images=images, unlocked=(left,))))
    document = bench.run(path, "--against", bench.root / "images.lock")
    found = {
        each["status"]: each["detail"] for each in document["results"] if each["check"] == "lock"
    }
    assert found["skipped"].startswith(f"{NAMES[0]}: ")
    assert found["passed"].startswith("1 image as in ")


def test_lock_is_taken_for_the_registry_of_the_archive(bench: Bench) -> None:
    path = bench.release()
    lock = Lock.parse(bench.lock().read_text(), what="x")
    home = Reference.parse(NAMES[0]).registry
    moved = lock.in_registry("registry.example.com")
    (bench.root / "images.lock").write_text(str(moved))
    with pytest.raises(ValidationError, match="2 checks of 1 file failed"):
        bench.run(path, "--against", bench.root / "images.lock")
    bench.run(path, "--against", bench.root / "images.lock", "--registry", home)


def test_what_the_lock_does_not_have_fails(bench: Bench, tmp_path: Path) -> None:
    bench.release()
    lock = bench.lock()
    with pytest.raises(ConfigError, match="no such file"):
        bench.run(bench.folder, "--against", tmp_path / "none.lock")
    name = "docker.io/example/app:v1"
    path = write(tmp_path / "a.tar", tar(image_files(OWN).items()))
    with pytest.raises(ValidationError, match=f"{name}: .*images.lock does not lock it"):
        bench.run(path, "--against", lock)
    files = image_files(OWN, name=NAMES[0], platform={"os": "linux", "architecture": "s390x"})
    files["index.json"] = files["index.json"].replace(b"amd64", b"s390x")
    path = write(tmp_path / "a.tar", tar(files.items()))
    with pytest.raises(ValidationError, match="does not lock it for linux/s390x"):
        bench.run(path, "--against", lock)


def test_names_on_the_nodes_are_told(bench: Bench) -> None:
    path = bench.release()
    document = bench.run(path, "--system-default-registry", "registry.example.com")
    first = document["imports"][0]
    assert first["archive"] == ARCHIVE
    assert first["tags"] == [
        NAMES[0],
        f"docker.io/example/one@{first['digest']}",
        "registry.example.com/example/one:v1",
    ]
    bench.run(path, "-v", is_json=False)
    assert f"  on a node: {NAMES[0]} = docker.io/example/one@" in bench.stderr
    assert "  passed   digests" in bench.stderr


def test_base_that_cannot_be_read_is_an_error(bench: Bench) -> None:
    path = bench.release()
    broken = bench.root / "broken.tar.zst"
    broken.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match=r"broken\.tar\.zst"):
        bench.run(path, "--base", broken)
