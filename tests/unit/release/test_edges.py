"""Edges of a release: what GitHub does not take, parts, foreign archives, long notes."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ReleaseError
from rke2pack.oci.intake import archivefile
from rke2pack.release import contents, sums
from rke2pack.release.asset import Asset
from rke2pack.release.uploadplan import MAX_ASSETS, MAX_SIZE, UploadPlan
from rke2pack.stages.release import notes
from tests.unit.release.benches import ARCHIVE, Bench, bench, made

__all__ = ["bench", "made"]


def asset(name: str, size: int = 1) -> Asset:
    path = Path("dist/release") / name
    return Asset(name=name, kind="attached", path=path, size=size, digest=Digest("a" * 64))


@pytest.mark.parametrize(
    ("assets", "said"),
    [
        ((asset("a", MAX_SIZE + 1),), "a: larger than the 2147483647 bytes that GitHub takes"),
        ((asset("a", 0),), "a: empty, GitHub takes no empty file"),
        (tuple(asset(f"a{n}") for n in range(MAX_ASSETS + 1)), "1001 files, GitHub takes 1000"),
    ],
    ids=["large", "empty", "many"],
)
def test_what_github_does_not_take_is_refused_before_it_is_sent(
    assets: tuple[Asset, ...], said: str
) -> None:
    with pytest.raises(ReleaseError, match=said):
        UploadPlan(tag="v1", assets=assets).check()


def test_largest_file_that_github_takes_is_taken() -> None:
    UploadPlan(tag="v1", assets=(asset("a", MAX_SIZE),)).check()


def test_paths_of_the_plan_are_relative_to_it() -> None:
    plan = UploadPlan(tag="v1", assets=(asset("a"),), path=Path("dist/release-plan.json"))
    assert plan.to_json()["assets"][0]["path"] == "release/a"
    assert UploadPlan(tag="v1", assets=(asset("a"),)).to_json()["assets"][0]["path"] == (
        "dist/release/a"
    )


def tar_of(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ((("manifest.json", b"[]"),), "has no index.json at its start"),
        (tuple((f"blob{n}", b"x") for n in range(40)), "has no index.json at its start"),
        ((("index.json", b"[]"),), "not a JSON object"),
        (
            (
                (
                    "index.json",
                    b'{"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",'
                    b' "size": 1, "digest": "sha256:' + b"a" * 64 + b'"}]}',
                ),
            ),
            "not an image reference",
        ),
    ],
    ids=["docker", "late", "list", "nameless"],
)
def test_archive_that_airgap_did_not_write_is_refused(
    tmp_path: Path, members: tuple[tuple[str, bytes], ...], said: str
) -> None:
    path = tar_of(tmp_path / "x.tar", *members)
    with pytest.raises(IntegrityError, match=said):
        contents.read(archivefile.find(path))


def test_archive_in_parts_is_released_in_parts(bench: Bench) -> None:
    data = (bench.artifacts / ARCHIVE).read_bytes()
    for number, part in enumerate((data[:500], data[500:]), start=1):
        (bench.artifacts / f"{ARCHIVE}.part0{number}").write_bytes(part)
    bench.write_sums()
    answer = bench.release("--json")
    error = answer.json["error"]
    assert f"{ARCHIVE}.part02: {ARCHIVE} is there in one piece" in error["details"]
    (bench.artifacts / ARCHIVE).unlink()
    bench.write_sums()
    answer = bench.release("--json")
    assert answer.code == 0, answer.err
    kinds = {each["name"]: each["kind"] for each in answer.json["assets"]}
    assert kinds[f"{ARCHIVE}.part01"] == kinds[f"{ARCHIVE}.part02"] == "archive"


def test_both_formats_are_released_and_each_has_to_be_whole(bench: Bench) -> None:
    where = ("--tree", bench.tree, "--cache-dir", bench.root / "cache", "--quiet")
    assert bench.run("airgap", *where, "--format", "gz").code == 0
    bench.write_sums()
    assert bench.release().code == 0
    (bench.artifacts / ARCHIVE.replace("zst", "gz")).unlink()
    bench.write_sums()
    answer = bench.release()
    assert answer.code == 8
    assert f"{ARCHIVE.replace('zst', 'gz')}: no such file" in answer.err


def test_folders_that_are_not_there_are_named(bench: Bench) -> None:
    shutil.rmtree(bench.tree / "dist/charts")
    answer = bench.release()
    assert answer.code == 8
    assert "dist/charts: no such folder" in answer.err


def test_removed_chart_with_content_is_refused(bench: Bench) -> None:
    (bench.charts / "rke2-old.yaml").write_text("apiVersion: v1\n")
    answer = bench.release()
    assert answer.code == 8
    assert "charts/rke2-old.yaml: the chart is removed, this has content" in answer.err


def test_one_component_is_a_release_of_its_own(bench: Bench) -> None:
    (bench.artifacts / "rke2-images-all.linux-amd64.txt").unlink()
    (bench.artifacts / "rke2-images-all.linux-arm64.txt").unlink()
    bench.write_sums()
    assert bench.release("--component", "core").code == 0
    assert "rke2-old.yaml" not in bench.files()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense\n", "line 1 is no checksum"),
        (f"{'a' * 64}  x\n{'b' * 64}  x\n", "has two different checksums"),
    ],
)
def test_wrong_lines_of_a_checksum_list_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sha256sum-amd64.txt").write_text(text)
    assert [each.detail for each in sums.read(tmp_path).wrong] == [said]


def test_checksum_list_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "sha256sum-amd64.txt").write_bytes(b"\xff\xfe")
    (wrong,) = sums.read(tmp_path).wrong
    assert wrong.subject == "sha256sum-amd64.txt"


def test_long_notes_are_cut_at_a_line_for_github_alone() -> None:
    text = "a line of the notes\n" * 10_000
    short = notes.shortened(text)
    assert len(short) < 125_000
    assert short.endswith("a line of the notes\n\nThe rest stands in release-notes.md.\n")
    assert notes.shortened("short\n") == "short\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trust-config", "x.json"), "--trust-config: goes with --keyless"),
        (("--without-validation", "--validation", "x.json"), "--without-validation: cannot go"),
        (("--sign-key", "nowhere.key"), "nowhere.key: no such file"),
        (("--bundle", "x"), "is no bundle"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    bench: Bench, options: tuple[str, ...], said: str
) -> None:
    answer = bench.release(*options)
    assert answer.code == 2
    assert said in answer.err


def test_attached_file_has_to_be_there(bench: Bench) -> None:
    answer = bench.release("--attach", "nowhere.html")
    assert answer.code == 8
    assert "nowhere.html: no such file" in answer.err
