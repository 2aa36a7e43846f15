"""What a runtime tells of an archive, held against what the archive has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ToolError
from rke2pack.files import Cache
from rke2pack.lists.lock import Lock, LockedPlatform, locked
from rke2pack.oci.intake import archivefile
from rke2pack.oci.pack import delta
from rke2pack.oci.pack.delta import DeltaMaker
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.layout import Layout
from rke2pack.validate.report import Report
from rke2pack.validate.runtime import archive as archives
from rke2pack.validate.runtime import ctr, trial
from rke2pack.validate.runtime.archive import Archive
from rke2pack.validate.runtime.checks import CHECKS, Checking
from rke2pack.validate.runtime.level import Import
from rke2pack.validate.runtime.trial import Kept, Trial
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.packing import pack

NAME = "docker.io/example/app:v1"
OTHER = f"sha256:{'0' * 64}"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout.open(tmp_path / "store")
    put_image(made, NAME, [(layer({"a": b"a"}), "gzip"), (layer({"b": b"b"}), "gzip")])
    return made


@pytest.fixture
def archive(layout: Layout, tmp_path: Path) -> Archive:
    path = pack(layout, tmp_path / "a.linux-amd64.tar.zst", "fast")
    return archives.read([archivefile.find(path)])[0]


def as_expected(archive: Archive) -> Trial:
    """What a runtime tells of an archive when all is well."""
    made = Trial(expected=archive.images)
    for reference, images in archive.images.items():
        image = images[0]
        assert image.root is not None
        target = str(image.root.digest)
        made.names = {**made.names, str(reference): target}
        made.kept.append(
            Kept(
                expected=image,
                target=target,
                manifest=target,
                identity=str(image.config),
                platform=image.platform,
                diff_ids=tuple(str(each.diff_id) for each in image.layers),
                still_packed="",
            )
        )
        made.tags[reference] = {"docker.io/example/app@" + target: target}
    return made


def wrong(archive: Archive, made: Trial, lock: Lock | None = None) -> dict[str, tuple[str, str]]:
    """Check -> what was expected and what there is, of what is wrong."""
    checking = Checking(archive=archive, trial=made, lock=lock)
    found = {}
    for check, _, problems in checking.run():
        assert check in CHECKS
        for each in problems:
            found[check] = (each.expected, each.got)
    return found


def test_all_is_well(archive: Archive) -> None:
    made = as_expected(archive)
    assert wrong(archive, made) == {}
    checking = Checking(archive=archive, trial=made, lock=None)
    assert [check for check, *_ in checking.run()] == [each for each in CHECKS if each != "lock"]
    assert checking.skipped() == {"lock": "there is no images.lock"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"target": OTHER}, {"digest"}),
        ({"identity": OTHER}, {"config"}),
        ({"unreadable": "no JSON"}, {"config"}),
        ({"diff_ids": (OTHER,)}, {"config"}),
        ({"platform": Platform(os="linux", architecture="arm64")}, {"platform"}),
        ({"lacks": (OTHER,)}, {"layers"}),
        ({"still_packed": "wrong diff id"}, {"unpack"}),
        ({"still_packed": None}, set()),
        ({"target": ""}, set()),
    ],
)
def test_each_thing_that_differs_has_its_check(
    archive: Archive, change: dict[str, Any], expected: set[str]
) -> None:
    made = as_expected(archive)
    made.kept = [replace(made.kept[0], **change)]
    assert set(wrong(archive, made)) == expected


def test_names_that_did_not_come_are_told(archive: Archive) -> None:
    made = as_expected(archive)
    target = made.names[NAME]
    made.tags = {Reference.parse(NAME): {"registry.example.com/example/app:v1": ""}}
    assert wrong(archive, made)["tags"] == (f"{target}, as {NAME}", "no such image")
    made.tags, made.unpinned = {}, [NAME]
    assert wrong(archive, made)["tags"][0] == "a pinned image"
    made.names, made.kept, made.unpinned = {}, [], []
    assert wrong(archive, made) == {"name": ("to be there after the import", "no such image")}


def test_archive_that_was_refused_has_no_further_checks(archive: Archive) -> None:
    made = Trial(refused="invalid tar header", expected=archive.images)
    assert wrong(archive, made) == {"import": ("the archive to be taken", "invalid tar header")}
    skipped = Checking(archive=archive, trial=made, lock=None).skipped()
    assert set(skipped) == {each for each in CHECKS if each != "import"}


def test_images_are_held_against_the_lock(archive: Archive, layout: Layout) -> None:
    image = archive.images[Reference.parse(NAME)][0]
    assert image.descriptor is not None
    platform = LockedPlatform(
        platform=Platform.parse("linux/amd64"),
        manifest=image.descriptor.digest,
        config=image.config,
        blobs=3,
        size=1,
    )
    root = next(each.descriptor for each in layout.entries())
    made = as_expected(archive)

    def held(own: LockedPlatform) -> dict[str, tuple[str, str]]:
        return wrong(archive, made, Lock(images=(locked(Reference.parse(NAME), root, [own]),)))

    assert held(platform) == {}
    moved = Digest.parse(OTHER)
    assert f"images.lock has {OTHER}" in held(replace(platform, config=moved))["lock"][1]
    assert f"images.lock has {OTHER}" in held(replace(platform, manifest=moved))["lock"][1]
    assert wrong(archive, made, Lock(images=()))["lock"][1] == "images.lock does not lock it"
    left_out = Lock(images=(), unlocked=(Reference.parse(NAME),))
    assert wrong(archive, made, left_out) == {}
    skipped = Checking(archive=archive, trial=made, lock=left_out).skipped()
    assert skipped == {"lock of unlocked images": f"images.lock leaves out {NAME}"}


def test_base_of_a_delta_is_found_among_what_is_given(layout: Layout, tmp_path: Path) -> None:
    base = pack(layout, tmp_path / "old" / "a.linux-amd64.tar.zst")
    put_image(layout, "docker.io/example/new:v1", [(layer({"n": b"n"}), "gzip")])
    new = pack(layout, tmp_path / "new" / "a.linux-amd64.tar.zst")
    maker = DeltaMaker(output=tmp_path, cache=Cache(tmp_path / "cache"), form="zst")
    made = maker.make(
        delta.read_base(archivefile.find(base)), archivefile.find(new), tmp_path / "scratch"
    )
    small, whole = archivefile.find(made.files[0].path), archivefile.find(base)
    alone = archives.read([small])[0]
    assert alone.base is None
    beside = archives.read([small, whole])
    assert beside[0].base is not None
    assert beside[0].base.file.path == base
    assert beside[1].base is None
    named = archives.read([small], [whole])
    assert [each.base is not None for each in named] == [True]
    base.write_bytes(base.read_bytes()[:-100])
    with pytest.raises(IntegrityError):
        archives.read([small], [archivefile.find(base)])


@dataclass(kw_only=True)
class Fake:
    """A runtime that takes everything as it is."""

    passed_over: str = ""
    tried: list[str] = field(default_factory=list)

    title = "fake 1.0"

    def passes_over(self, archive: Archive) -> str:
        assert archive.name
        return self.passed_over

    @contextlib.contextmanager
    def trial(self, archive: Archive, *, registry: str | None, report: Report) -> Iterator[Trial]:
        assert (registry, report.level) == (None, "import")
        self.tried.append(archive.name)
        yield as_expected(archive)


def report_of(archive: Archive, fake: Fake) -> Report:
    report = Report(level="import", checks=CHECKS, columns=[fake.title])
    level = Import(runtimes=[fake], registry=None, lock=None, report=report, tell=lambda _: None)
    level.run([archive])
    return report


def test_level_makes_a_result_of_each_check(archive: Archive) -> None:
    report = report_of(archive, Fake())
    assert report.failing == ()
    states = {each.check: each.status for each in report.results}
    assert states == {**dict.fromkeys(CHECKS, "passed"), "lock": "skipped"}
    assert {each.subject for each in report.results} == {"fake 1.0: a.linux-amd64.tar.zst"}


def test_archive_that_is_passed_over_is_skipped_with_the_reason(archive: Archive) -> None:
    fake = Fake(passed_over="not for it")
    results = report_of(archive, fake).results
    assert {(each.status, each.detail) for each in results} == {("skipped", "not for it")}
    assert fake.tried == []


def test_damaged_archive_is_given_to_no_runtime(layout: Layout, tmp_path: Path) -> None:
    path = pack(layout, tmp_path / "a.linux-amd64.tar.zst")
    path.write_bytes(path.read_bytes()[:-2000])
    fake = Fake()
    report = report_of(archives.read([archivefile.find(path)])[0], fake)
    assert fake.tried == []
    assert [each.problem.check for each in report.failing] == ["import"]


@pytest.mark.parametrize("name", ["docker.io/x/y:v1\nz", "--all", "docker.io/x/y:v1 x"])
def test_name_that_could_fake_another_is_given_to_no_runtime(archive: Archive, name: str) -> None:
    image = archive.verified.images[0]
    archive.verified.view.images[:] = [image, replace(image, name=name)]
    assert archive.problem == f"names an image {name!r}"


def test_full_disk_is_told_from_what_a_runtime_says() -> None:
    trial.check_room("invalid tar header", title="docker 1", archive="a.tar")
    with pytest.raises(ToolError) as error:
        trial.check_room("write /x:\nNo space left on device", title="docker 1", archive="a.tar")
    assert error.value.message == (
        "a.tar: docker 1 has no room left: write /x: No space left on device"
    )


def test_snapshot_is_named_by_the_whole_stack() -> None:
    assert ctr.chain_id([]) == ""
    assert ctr.chain_id([OTHER]) == OTHER
    two = str(Digest.of(f"{OTHER} {OTHER}".encode()))
    assert ctr.chain_id([OTHER, OTHER]) == two
    assert ctr.chain_id([OTHER] * 3) == str(Digest.of(f"{two} {OTHER}".encode()))
