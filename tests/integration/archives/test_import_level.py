"""`validate --level import` with docker and containerd themselves; nothing of it stays there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rke2pack.cli import run
from rke2pack.engine import Engine
from rke2pack.files import Cache
from rke2pack.oci.intake import archivefile
from rke2pack.oci.pack import delta
from rke2pack.oci.pack.delta import DeltaMaker
from rke2pack.oci.pack.recipes import Format, ProfileName
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from tests.compatibility import reads
from tests.integration.archives.conftest import PROFILES, Consumer, Made
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.packing import pack

Make = Callable[..., Made]
NAME = "docker.io/example/app:v1"
CHECKS = {"import", "name", "digest", "platform", "config", "layers", "unpack"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    code: int
    err: str
    document: dict[str, Any]

    def states(self, runtime: str) -> dict[str, str]:
        """Check -> how it ended in a runtime, the worst of all archives."""
        found: dict[str, str] = {}
        for each in self.document["results"]:
            if each["subject"].startswith(runtime) and found.get(each["check"]) != "failed":
                found[each["check"]] = each["status"]
        return found

    def wrong(self, runtime: str) -> dict[str, str]:
        """Check -> what is wrong in a runtime."""
        return {
            each["check"]: each["got"]
            for each in self.document["findings"]
            if each["severity"] == "error" and f"(rows {runtime}" in each["got"]
        }


@dataclass(frozen=True, kw_only=True)
class Place:
    """Both runtimes, and a tree without anything but what a test puts there."""

    tree: Path
    socket: Path
    docker: Consumer
    capsys: pytest.CaptureFixture[str]

    def validate(self, *arguments: str | Path) -> Answer:
        options = ("--tree", self.tree, "--containerd-address", self.socket, "--json")
        self.capsys.readouterr()
        code = run(["validate", "--level", "import", *map(str, (*options, *arguments))])
        captured = self.capsys.readouterr()
        return Answer(code=code, err=captured.err, document=json.loads(captured.out))

    def names(self) -> set[str]:
        """Names and ids of docker's images."""
        listed = self.docker.run("images", "--all", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
        return set(listed.splitlines())


@pytest.fixture
def ctr(containerd_socket: Path, program: Callable[[str], str]) -> Consumer:
    return Consumer(command=(program("ctr"), "--address", str(containerd_socket)))


@pytest.fixture
def place(
    docker: Consumer,
    ctr: Consumer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Place]:
    """The place; at the end nothing may be there that was not there before."""
    monkeypatch.setenv("DOCKER_HOST", docker.command[2])
    (tmp_path / "tree").mkdir()
    found = Place(tree=tmp_path / "tree", socket=Path(ctr.command[2]), docker=docker, capsys=capsys)
    before = found.names()
    yield found
    assert found.names() == before
    assert "rke2pack-" not in ctr.run("namespaces", "ls")


@pytest.fixture
def images(tmp_path: Path) -> Layout:
    """One small image for two platforms."""
    made = Layout.open(tmp_path / "store")
    own = {each: layer({"etc/for": each.encode() * 50}) for each in ("linux/amd64", "linux/arm64")}
    shared = layer({"bin/main": os.urandom(20_000)})
    put_image(made, NAME, lambda each: [(shared, "gzip"), (own[each], "gzip")])
    return made


@reads("docker load, by validate --level import", ".tar.zst", ".tar.gz")
@reads("ctr images import, by validate --level import", ".tar.zst", ".tar.gz")
@pytest.mark.parametrize("form", ["zst", "gz"])
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_passes_every_check_in_both_runtimes(
    make: Make, place: Place, profile: ProfileName, form: Format
) -> None:
    answer = place.validate(make(profile, form).path)
    assert answer.code == 0, answer.err
    assert answer.document["level"] == "import"
    containerd, docker = answer.states("containerd 1"), answer.states("docker 20")
    assert {check for check, state in containerd.items() if state == "passed"} == CHECKS | {"tags"}
    assert {check for check, state in docker.items() if state == "passed"} == CHECKS - {"digest"}
    skipped = (docker["digest"], docker["name@digest"], docker["tags"], containerd["lock"])
    assert skipped == ("skipped",) * 4
    steps = {"read", "containerd import", "containerd unpack", "docker load", "docker remove"}
    assert steps <= answer.document["timings"].keys()
    how = [r["detail"] for r in answer.document["results"] if r["check"] == "import"]
    is_told = "decompressed by rke2pack: docker before 23.0 reads no zstd" in how
    assert is_told == (form == "zst")


def test_archive_for_another_platform_passes(images: Layout, place: Place, tmp_path: Path) -> None:
    path = pack(images, tmp_path / "a.linux-arm64.tar.zst", platform="linux/arm64")
    answer = place.validate(path)
    assert answer.code == 0, answer.err
    for runtime in ("containerd", "docker"):
        assert (answer.states(runtime)["platform"], answer.states(runtime)["unpack"]) == (
            ("passed",) * 2
        )


def test_archive_with_the_images_of_another_platform_is_caught(
    images: Layout, place: Place, tmp_path: Path
) -> None:
    path = pack(images, tmp_path / "a.linux-arm64.tar.zst", platform="linux/amd64")
    answer = place.validate(path)
    assert answer.code == 7
    assert answer.wrong("containerd") == {"platform": f"linux/amd64 (rows {title(answer, 0)})"}
    assert answer.wrong("docker") == {"platform": f"linux/amd64 (rows {title(answer, 1)})"}
    expected = {each["expected"] for each in answer.document["findings"]}
    assert expected == {"linux/arm64, as a.linux-arm64.tar.zst is called"}
    assert "validate: 2 findings" in answer.err


def title(answer: Answer, place: int) -> str:
    """Name and version of containerd (0) or docker (1)."""
    subjects = {each["subject"].partition(":")[0] for each in answer.document["results"]}
    found: str = sorted(subjects)[place]
    return found


@pytest.mark.parametrize("profile", ["fast", "default"])
def test_delta_needs_its_base(
    images: Layout, place: Place, tmp_path: Path, profile: ProfileName
) -> None:
    base = pack(images, tmp_path / "old" / "a.linux-amd64.tar.zst", profile)
    shared = layer({"bin/new": b"new"})
    put_image(images, "docker.io/example/new:v1", [(shared, "gzip")])
    more = pack(images, tmp_path / "new" / "a.linux-amd64.tar.zst", profile)
    maker = DeltaMaker(output=tmp_path, cache=Cache(tmp_path / "cache"), form="zst")
    made = maker.make(
        delta.read_base(archivefile.find(base)), archivefile.find(more), tmp_path / "scratch"
    )
    alone = place.validate(made.files[0].path)
    assert alone.code == 7
    wrong = alone.wrong("containerd")
    assert set(wrong) == {"layers", "unpack"}
    assert "lacks sha256:" in wrong["layers"]
    with_base = place.validate(made.files[0].path, "--base", base)
    assert with_base.code == 0, with_base.err
    beside = place.validate(made.files[0].path, base, "--runtime", "containerd")
    assert beside.code == 0, beside.err
    assert beside.states("containerd")["unpack"] == "passed"


def test_what_is_not_as_locked_is_caught(images: Layout, place: Place, tmp_path: Path) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst", "fast")
    entries = {each.name: each.descriptor for each in images.entries()}
    write_lock(place.tree, images, entries[NAME].digest.hex)
    fine = place.validate(path)
    assert fine.code == 0, fine.err
    assert [fine.states(each)["lock"] for each in ("containerd", "docker")] == ["passed"] * 2
    write_lock(place.tree, images, entries[NAME].digest.hex, moved="0" * 64)
    moved = place.validate(path)
    assert moved.code == 7
    assert set(moved.wrong("containerd")) == set(moved.wrong("docker")) == {"lock"}
    assert f"has sha256:{'0' * 64}" in moved.wrong("containerd")["lock"]


def test_lock_of_the_tree_holds_for_images_of_another_registry(
    images: Layout, place: Place, tmp_path: Path
) -> None:
    entries = {each.name: each.descriptor for each in images.entries()}
    write_lock(place.tree, images, entries[NAME].digest.hex)
    elsewhere = Reference.parse(NAME).with_registry("registry.example.com")
    other = Layout.open(tmp_path / "other")
    shutil.copytree(images.root / "blobs", other.root / "blobs", dirs_exist_ok=True)
    other.tag({str(elsewhere): entries[NAME]})
    path = pack(other, tmp_path / "a.linux-amd64.tar.zst", "fast")
    unasked = place.validate(path, "--runtime", "containerd")
    assert "does not lock it" in unasked.wrong("containerd")["lock"]
    asked = place.validate(path, "--runtime", "containerd", "--registry", "registry.example.com")
    assert asked.code == 0, asked.err
    assert asked.states("containerd")["lock"] == "passed"


def write_lock(tree: Path, images: Layout, index: str, moved: str = "") -> None:
    """Lock the one image of a layout, by what its index lists."""
    children = json.loads((images.root / "blobs" / "sha256" / index).read_text())["manifests"]
    platforms = {}
    for child in children:
        digest = child["digest"].removeprefix("sha256:")
        manifest = json.loads((images.root / "blobs" / "sha256" / digest).read_text())
        platforms[f"linux/{child['platform']['architecture']}"] = {
            "manifest": child["digest"],
            "config": f"sha256:{moved}" if moved else manifest["config"]["digest"],
            "blobs": 3,
            "bytes": 1,
        }
    entry = {
        "digest": f"sha256:{index}",
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "size": 1,
        "platforms": platforms,
    }
    document = {"version": 1, "images": {NAME: entry}}
    (tree / "images.lock").write_text(json.dumps(document))


def test_names_under_the_system_default_registry_are_given_and_taken_away(
    images: Layout, place: Place, tmp_path: Path
) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    answer = place.validate(path, "--system-default-registry", "registry.example.com")
    assert answer.code == 0, answer.err
    assert answer.states("docker")["tags"] == answer.states("containerd")["tags"] == "passed"


def test_image_that_docker_had_before_stays(images: Layout, place: Place, tmp_path: Path) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.gz", form="gz")
    place.docker.run("load", "--input", path)
    try:
        before = place.names()
        answer = place.validate(path, "--runtime", "docker")
        assert answer.code == 0, answer.err
        assert [each["check"] for each in answer.document["findings"]] == ["collision"]
        assert place.names() == before
    finally:
        place.docker.run("image", "rm", NAME)


def test_name_of_another_image_in_docker_is_not_taken_from_it(
    images: Layout, place: Place, tmp_path: Path
) -> None:
    other = Layout.open(tmp_path / "other")
    put_image(other, NAME, [(layer({"other": b"other"}), "gzip")])
    place.docker.run("load", "--input", pack(other, tmp_path / "other.tar.gz", form="gz"))
    try:
        before = place.names()
        answer = place.validate(pack(images, tmp_path / "a.linux-amd64.tar.zst"))
        assert answer.code == 7
        assert answer.wrong("containerd") == {}
        assert f"{NAME} is another image there" in answer.wrong("docker")["import"]
        assert answer.states("docker")["unpack"] == "skipped"
        assert place.names() == before
    finally:
        place.docker.run("image", "rm", NAME)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_name_that_stands_for_several_platforms(
    images: Layout, place: Place, tmp_path: Path, *, is_sparse: bool
) -> None:
    """As other tools write archives; one platform may be left out of what the index lists."""
    if is_sparse:
        index = next(each.descriptor.digest.hex for each in images.entries())
        children = json.loads((images.root / "blobs" / "sha256" / index).read_text())["manifests"]
        gone = next(c for c in children if c["platform"]["architecture"] == "amd64")
        (images.root / "blobs" / "sha256" / gone["digest"].removeprefix("sha256:")).unlink()
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for each in ("oci-layout", "index.json", "blobs"):
            tar.add(images.root / each, each)
    answer = place.validate(path, "--runtime", "containerd")
    assert answer.code == 0, answer.err
    states = answer.states("containerd")
    assert {check for check, state in states.items() if state == "passed"} == CHECKS | {"tags"}


def test_docker_archive_alone_gets_its_digests_from_the_runtime(
    images: Layout, place: Place, tmp_path: Path
) -> None:
    """As docker save writes it: containerd makes the manifests."""
    path = tmp_path / "saved.tar"
    place.docker.run("load", "--input", pack(images, tmp_path / "a.tar.gz", form="gz"))
    try:
        place.docker.run("save", "--output", path, NAME)
    finally:
        place.docker.run("image", "rm", NAME)
    answer = place.validate(path)
    assert answer.code == 0, answer.err
    containerd = answer.states("containerd")
    assert (containerd["tags"], containerd["unpack"]) == ("passed", "passed")
    assert containerd["platform of the name"] == "skipped"


def test_cut_archive_is_given_to_no_runtime(images: Layout, place: Place, tmp_path: Path) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    path.write_bytes(path.read_bytes()[:-2000])
    answer = place.validate(path)
    assert answer.code == 7
    assert set(answer.wrong("containerd")) == set(answer.wrong("docker")) == {"import"}
    assert answer.states("docker")["name"] == "skipped"


def test_folder_is_tried_archive_by_archive(images: Layout, place: Place) -> None:
    folder = place.tree / "dist" / "artifacts"
    for each in ("amd64", "arm64"):
        pack(images, folder / f"a.linux-{each}.tar.zst", platform=f"linux/{each}")
    answer = place.validate()
    assert answer.code == 0, answer.err
    subjects = {r["subject"] for r in answer.document["results"] if r["check"] == "unpack"}
    assert len(subjects) == 4
    report = place.tree / "dist" / "validate"
    assert "| unpack | 2 passed | 2 passed |" in (report / "report.md").read_text()
    assert json.loads((report / "report.json").read_text())["level"] == "import"
    suites = ET.parse(report / "report.xml").getroot()  # noqa: S314 - our own
    cases = [each.get("name") for each in suites.iter("testcase")]
    assert (cases.count("unpack"), suites.find(".//failure")) == (4, None)


def test_runtime_that_was_asked_for_must_answer(
    images: Layout, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    asked = place.validate(path, "--runtime", "docker")
    assert asked.code == 6
    assert "hint: start it, or name it with DOCKER_HOST" in asked.err
    by_default = place.validate(path)
    assert by_default.code == 0, by_default.err
    assert [(f["check"], f["subject"]) for f in by_default.document["findings"]] == [
        ("runtime", "docker")
    ]
    nowhere = tmp_path / "none.sock"
    none = place.validate(path, "--containerd-address", nowhere)
    assert none.code == 6
    assert "error: validate: neither docker nor containerd can be reached" in none.err
    assert f"  containerd: no socket {nowhere}" in none.err


def test_interrupted_run_leaves_nothing(
    images: Layout, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rke2pack.validate.runtime import checks  # noqa: PLC0415 - to be patched here

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    monkeypatch.setattr(checks.Checking, "run", interrupted)
    for runtime in ("docker", "containerd"):
        assert place.validate(path, "--runtime", runtime).code == 130


@pytest.mark.parametrize("when", ["begun", "sent"])
def test_interrupt_in_the_middle_of_a_load_leaves_nothing(
    make: Make, place: Place, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """An engine that has all bytes goes on loading when nobody listens any more."""
    load = Engine.load

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def interrupted(engine: Engine, chunks: Iterable[bytes]) -> str:
        def through() -> Iterator[bytes]:
            for number, chunk in enumerate(chunks):
                yield chunk
                if when == "begun" and number == 0:
                    interrupt()
            if when == "sent":
                interrupt()

        return load(engine, through())

    monkeypatch.setattr(Engine, "load", interrupted)
    assert place.validate(make("fast", "gz").path, "--runtime", "docker").code == 130


def test_dry_run_gives_nothing_to_the_runtimes(
    images: Layout, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "load", None)
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    answer = place.validate(path, "--dry-run")
    assert answer.code == 0, answer.err
    results = answer.document["results"]
    assert {each["detail"] for each in results} == {"not tried, with --dry-run"}
    assert len({each["subject"] for each in results}) == 2
    assert not (place.tree / "dist").exists()


def client(folder: Path, real: str, on_import: str) -> Path:
    """A client program that does something else where it should import."""
    fake = folder / "ctr"
    lines = (
        "#!/bin/sh",
        f'case "$*" in *"images import"*--all-platforms*) {on_import};; esac',
        f'exec {real} "$@"',
    )
    fake.write_text("\n".join(lines))
    fake.chmod(0o755)
    return fake


def test_interrupt_in_the_middle_of_an_import_leaves_nothing(
    images: Layout, place: Place, tmp_path: Path, program: Callable[[str], str]
) -> None:
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    fake = client(tmp_path, program("ctr"), f"touch {tmp_path}/begun; exec sleep 600")
    command: list[str | Path] = [
        *(sys.executable, "-m", "rke2pack", "validate", "--level", "import", "--runtime"),
        *("containerd", "--containerd-address", place.socket, "--ctr", fake, path),
    ]
    process = subprocess.Popen(command, cwd=place.tree, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, err.splitlines()[-1]) == (130, "interrupted")


def test_full_disk_is_an_error_with_the_next_step(
    images: Layout, place: Place, tmp_path: Path, program: Callable[[str], str]
) -> None:
    """A client that says what containerd says then."""
    said = "cat >/dev/null; echo 'ctr: write /x: no space left on device' >&2; exit 1"
    fake = client(tmp_path, program("ctr"), said)
    path = pack(images, tmp_path / "a.linux-amd64.tar.zst")
    answer = place.validate(path, "--runtime", "containerd", "--ctr", fake)
    assert answer.code == 6
    assert "a.linux-amd64.tar.zst: containerd" in answer.err
    assert "has no room left: write /x: no space left on device" in answer.err
    assert "hint: free space where it keeps its images" in answer.err
