"""The command release refuses what is missing, too many, damaged or of another release."""

from __future__ import annotations

import os

import pytest

from tests.unit.release.benches import ARCHIVE, LIST, Bench, bench, made, wrong

__all__ = ["bench", "made"]


def test_tag_that_is_not_the_trees_version_is_refused(bench: Bench) -> None:
    error = wrong(bench, tag="v1.32.5+rke2r1")
    assert (error["kind"], error["exit_code"]) == ("ReleaseError", 8)
    assert error["message"] == "tag v1.32.5+rke2r1: the tree is of v1.32.4+rke2r1 (RKE2_VERSION)"


def test_tag_that_is_no_version_is_refused(bench: Bench) -> None:
    assert wrong(bench, tag="latest")["kind"] == "ConfigError"


def test_tree_without_a_time_is_refused(bench: Bench) -> None:
    bench.monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert wrong(bench)["hint"] == "set SOURCE_DATE_EPOCH, the seconds since 1970"


@pytest.mark.parametrize("text", ["yesterday", "-1", "99999999999999", "1e9", "\u0663"])
def test_strange_time_is_refused(bench: Bench, text: str) -> None:
    bench.monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert "not seconds since 1970" in wrong(bench)["message"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (ARCHIVE, f"{ARCHIVE}: no such file"),
        (LIST, f"{LIST}: no such file"),
        ("rke2-images-all.linux-arm64.txt", "rke2-images-all.linux-arm64.txt: no such file"),
        ("sha256sum-amd64.txt", f"{LIST}: sha256sum-amd64.txt has no line for it"),
    ],
)
def test_missing_artifact_is_named(bench: Bench, name: str, said: str) -> None:
    (bench.artifacts / name).unlink()
    error = wrong(bench)
    assert error["exit_code"] == 8
    assert said in [error["message"].removeprefix("release: "), *error["details"]]


def test_missing_chart_is_named(bench: Bench) -> None:
    (bench.charts / "rke2-coredns.yaml").unlink()
    assert wrong(bench)["message"] == "release: charts/rke2-coredns.yaml: no such file"


@pytest.mark.parametrize("folder", ["artifacts", "charts"])
def test_extra_file_is_named(bench: Bench, folder: str) -> None:
    (bench.tree / "dist" / folder / "rke2-images-older.linux-amd64.txt").write_text("x\n")
    assert wrong(bench)["message"] == (
        f"release: {folder}/rke2-images-older.linux-amd64.txt: does not belong to this release"
    )


def test_all_that_is_wrong_is_told_at_once(bench: Bench) -> None:
    (bench.artifacts / LIST).unlink()
    (bench.charts / "rke2-coredns.yaml").unlink()
    error = wrong(bench)
    assert error["message"] == "release: 3 files are missing, too many or wrong"
    assert f"{LIST}: no such file" in error["details"]
    assert f"sha256sum-amd64.txt: names {LIST}, which is not there" in error["details"]


@pytest.mark.parametrize("name", [ARCHIVE, LIST])
def test_checksum_that_does_not_fit_is_named(bench: Bench, name: str) -> None:
    path = bench.artifacts / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    error = wrong(bench)
    told = [error["message"], *error["details"]]
    listed = "sha256sum-amd64.txt has sha256:"
    assert [each for each in told if f"{name}: is sha256:" in each and listed in each]


def test_record_of_an_archive_is_not_believed_once_it_was_touched(bench: Bench) -> None:
    assert bench.release("--dry-run").code == 0
    path = bench.artifacts / ARCHIVE
    data, status = path.read_bytes(), path.stat()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert f"{ARCHIVE}: is sha256:" in wrong(bench)["message"]


def test_archive_of_other_images_is_refused(bench: Bench) -> None:
    text = (bench.tree / "images.txt").read_text().replace("dns:v1", "dns:v2")
    (bench.tree / "images.txt").write_text(text)
    details = wrong(bench)["details"]
    assert f"{ARCHIVE}: lacks docker.io/example/dns:v2" in details
    assert f"{ARCHIVE}: has docker.io/example/dns:v1, which images.txt has not" in details
    assert f"{LIST}: does not have the images of images.txt" in details


def test_file_that_is_no_archive_is_refused(bench: Bench) -> None:
    (bench.artifacts / ARCHIVE).write_bytes(b"not a tar")
    bench.write_sums()
    error = wrong(bench)
    assert ARCHIVE in " ".join([error["message"], *error["details"]])


def test_chart_of_another_version_is_refused(bench: Bench) -> None:
    path = bench.charts / "rke2-coredns.yaml"
    path.write_text(path.read_text().replace("-1.39.201.tgz", "-1.40.000.tgz"))
    assert "charts/rke2-coredns.yaml: is not of " in wrong(bench)["message"]


def test_strange_file_in_the_folder_is_refused(bench: Bench) -> None:
    assert bench.release().code == 0
    (bench.output / "notes.pdf").write_text("?")
    answer = bench.release()
    assert answer.code == 8
    assert "notes.pdf does not belong to the release" in answer.err


def test_what_an_earlier_release_left_is_removed(bench: Bench) -> None:
    page = bench.root / "report.html"
    page.write_text("<!doctype html>\n")
    assert bench.release("--attach", page).code == 0
    assert bench.release().code == 0
    assert "report.html" not in bench.files()


def test_two_files_of_one_name_are_refused(bench: Bench) -> None:
    other = bench.root / "rke2-coredns.yaml"
    other.write_text("x\n")
    assert "two files of the release have this name" in wrong(bench, "--attach", other)["message"]


@pytest.mark.parametrize("name", ["my report.html", "r\u00e9sum\u00e9.pdf"])
def test_name_that_github_would_change_is_refused(bench: Bench, name: str) -> None:
    path = bench.root / name
    path.write_text("x\n")
    assert "no name for a file of a release" in wrong(bench, "--attach", path)["message"]
