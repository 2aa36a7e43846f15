"""The command: what a release's folder holds, the same bytes again, and everything it refuses."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from rke2pack.digest import Digest
from rke2pack.release import offlinekey
from tests.unit.release.benches import IMAGES, TAG, Bench, bench, made

__all__ = ["bench", "made"]
ARCHIVE = "rke2-images-core.linux-amd64.tar.zst"
LIST = "rke2-images-core.linux-amd64.txt"
MADE = {"sbom.cdx.json", "release-notes.md", "provenance.json"}


def wrong(bench: Bench, *arguments: str | Path, tag: str = TAG) -> dict[str, Any]:
    """Release, which must fail and write nothing; return the error."""
    answer = bench.release("--json", *arguments, tag=tag)
    assert answer.code != 0
    assert not bench.output.exists()
    error: dict[str, Any] = answer.json["error"]
    assert error["exit_code"] == answer.code
    return error


def test_folder_has_what_dist_has_and_what_describes_it(bench: Bench) -> None:
    answer = bench.release("--json")
    assert answer.code == 0, answer.err
    artifacts = {path.name for path in bench.artifacts.glob("[!.]*")}
    charts = {"rke2-coredns.yaml", "rke2-old.yaml"}
    assert set(bench.files()) == artifacts | charts | MADE
    for each in answer.json["assets"]:
        data = bench.files()[each["name"]]
        assert (each["size"], each["sha256"]) == (len(data), Digest.of(data).hex)
        assert each["state"] == "planned"
    plan = json.loads((bench.tree / "dist/release-plan.json").read_text())
    assert plan["assets"][0]["path"].startswith("release/")


def test_same_tree_gives_the_same_bytes_with_a_cold_cache_too(bench: Bench) -> None:
    assert bench.release("--spdx").code == 0
    first = bench.files()
    for path in (bench.root / "cache/release").iterdir():
        path.unlink()
    for path in bench.output.iterdir():
        path.unlink()
    assert bench.release("--spdx").code == 0
    assert bench.files() == first


def test_second_run_writes_nothing(bench: Bench) -> None:
    assert bench.release().code == 0
    times = {path: path.stat().st_mtime_ns for path in bench.output.iterdir()}
    assert bench.release().code == 0
    assert {path: path.stat().st_mtime_ns for path in bench.output.iterdir()} == times


def test_file_system_without_second_names_gets_copies(bench: Bench) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    bench.monkeypatch.setattr(os, "link", refused)
    assert bench.release().code == 0
    copy = bench.output / ARCHIVE
    assert copy.read_bytes() == (bench.artifacts / ARCHIVE).read_bytes()
    assert not copy.samefile(bench.artifacts / ARCHIVE)
    before = copy.stat().st_mtime_ns
    assert bench.release().code == 0
    assert copy.stat().st_mtime_ns == before
    assert [path.name for path in bench.output.iterdir() if path.name.startswith(".")] == []


def test_links_become_files(bench: Bench) -> None:
    path = bench.artifacts / ARCHIVE
    path.rename(bench.root / "elsewhere")
    path.symlink_to(bench.root / "elsewhere")
    assert bench.release().code == 0
    assert not (bench.output / ARCHIVE).is_symlink()


def test_records_of_shards_do_not_matter(bench: Bench) -> None:
    (bench.artifacts / "shard-1-of-2.json").write_text("{}")
    assert bench.release().code == 0
    assert "shard-1-of-2.json" not in bench.files()


def test_dry_run_writes_nothing(bench: Bench) -> None:
    answer = bench.release("--dry-run", "--json")
    assert answer.code == 0
    assert len(answer.json["assets"]) > len(MADE)
    assert not bench.output.exists()
    assert not (bench.tree / "dist/release-plan.json").exists()


def test_checksums_have_an_architectures_own_files_and_those_of_all(bench: Bench) -> None:
    assert bench.release().code == 0
    lines = bench.files()["sha256sum-arm64.txt"].decode().splitlines()
    names = [line[66:] for line in lines]
    assert names == sorted(names)
    assert {"rke2-coredns.yaml", "sbom.cdx.json", "release-notes.md"} <= set(names)
    assert not [name for name in names if "amd64" in name]
    for line in lines:
        assert line[:64] == Digest.of(bench.files()[line[66:]]).hex


def test_sbom_is_cyclonedx_and_names_charts_images_and_digests(bench: Bench) -> None:
    assert bench.release().code == 0
    text = bench.files()["sbom.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["timestamp"] == "2025-01-01T00:00:00+00:00"
    found = {each["name"]: each for each in document["components"]}
    assert found["rke2-coredns"]["purl"].startswith("pkg:helm/rke2-coredns@1.39.201?")
    assert found["rke2-coredns"]["hashes"][0]["alg"] == "SHA-256"
    image = found["docker.io/example/dns"]
    assert image["version"] == "v1"
    notes = {each["name"]: each["value"] for each in image["properties"]}
    assert notes["rke2pack:manifest:linux/arm64"].startswith("sha256:")
    archive = found[ARCHIVE]["hashes"][0]["content"]
    assert archive == Digest.of(bench.files()[ARCHIVE]).hex
    held = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    assert held[f"file/{ARCHIVE}"] == sorted(f"image/{name}" for name in IMAGES)
    assert "rke2-old" not in found


def test_spdx_is_written_when_asked_for_and_valid(bench: Bench) -> None:
    assert bench.release().code == 0
    assert "sbom.spdx.json" not in bench.files()
    assert bench.release("--spdx").code == 0
    document = parse_file(str(bench.output / "sbom.spdx.json"))
    assert validate_full_spdx_document(document) == []
    assert {each.name for each in document.packages} >= {"rke2-coredns", "docker.io/example/dns"}


def test_provenance_is_slsa_and_names_every_other_file(bench: Bench) -> None:
    assert bench.release().code == 0
    statement = json.loads(bench.files()["provenance.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    files = {name: data for name, data in bench.files().items() if name != "provenance.json"}
    assert subjects == {name: Digest.of(data).hex for name, data in files.items()}
    predicate = statement["predicate"]
    assert predicate["buildDefinition"]["externalParameters"] == {"tag": TAG}
    assert predicate["runDetails"]["metadata"] == {"finishedOn": "2025-01-01T00:00:00Z"}
    names = {each["name"] for each in predicate["buildDefinition"]["resolvedDependencies"]}
    assert names == {"rke2-coredns", *IMAGES}


def test_on_github_the_workflow_is_the_builder(bench: Bench) -> None:
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.example.com",
        "GITHUB_REPOSITORY": "example/tree",
        "GITHUB_WORKFLOW_REF": "example/tree/.github/workflows/release.yml@refs/tags/v1",
        "GITHUB_RUN_ID": "77",
        "GITHUB_RUN_ATTEMPT": "3",
    }.items():
        bench.monkeypatch.setenv(name, value)
    assert bench.release().code == 0
    details = json.loads(bench.files()["provenance.json"])["predicate"]["runDetails"]
    assert details["builder"]["id"] == (
        "https://github.example.com/example/tree/.github/workflows/release.yml@refs/tags/v1"
    )
    assert details["metadata"]["invocationId"] == (
        "https://github.example.com/example/tree/actions/runs/77"
    )


def test_image_without_a_lock_is_a_finding(bench: Bench) -> None:
    (finding,) = bench.release("--json").json["findings"]
    assert finding["check"] == "not-locked"
    assert finding["got"].endswith(f"the first is {IMAGES[0]}")


def test_attached_file_belongs_to_the_release(bench: Bench) -> None:
    page = bench.root / "report.html"
    page.write_text("<!doctype html>\n")
    assert bench.release("--attach", page).code == 0
    assert bench.files()["report.html"] == page.read_bytes()
    assert b"  report.html\n" in bench.files()["sha256sum-amd64.txt"]


# What is refused


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


# Validation


def test_release_that_nobody_validated_is_refused(bench: Bench) -> None:
    bench.report.unlink()
    assert "nobody knows whether this release works" in wrong(bench)["message"]
    assert bench.release("--without-validation").code == 0
    assert b"This release was not validated." in bench.files()["release-notes.md"]


def test_failed_validation_is_refused(bench: Bench) -> None:
    subject = "prime-2.10: rke2-coredns 1.39.201"
    result = {"subject": subject, "check": "render", "status": "failed", "detail": "no"}
    bench.write_report(results=[result])
    assert wrong(bench)["message"] == f"{bench.report}: {subject}: render: no"


def test_validation_of_another_state_is_refused(bench: Bench) -> None:
    result = {"subject": "prime-2.10: rke2-coredns 1.38.000", "check": "render",
              "status": "passed", "detail": ""}  # fmt: skip
    bench.write_report(results=[result])
    assert "is of rke2-coredns 1.38.000, the tree bundles 1.39.201" in wrong(bench)["message"]


@pytest.mark.parametrize("text", ["", "[]", '{"results": 1}', '{"a": 1, "a": 2}'])
def test_report_that_is_none_is_refused(bench: Bench, text: str) -> None:
    bench.report.write_text(text)
    assert wrong(bench)["exit_code"] == 8


def test_matrix_and_findings_stand_in_the_notes(bench: Bench) -> None:
    finding = {"severity": "warning", "check": "x", "subject": "rke2-coredns",
               "expected": "one | thing", "got": "another`s"}  # fmt: skip
    bench.write_report(findings=[finding], explained=[{**finding, "reason": "it is so"}])
    assert bench.release().code == 0
    notes = bench.files()["release-notes.md"].decode()
    assert "| `prime-2.10` | `v1.31.9+rke2r1, Rancher Prime v2.10.6` | 1 | 0 | 0 |" in notes
    assert "- `prime-2.10`, by hand: `nodes of Example Linux`" in notes
    told = "`warning: rke2-coredns: expected one \\| thing, got another's"
    assert f"- {told}`" in notes
    assert f"- {told} (it is so)`" in notes


def test_notes_begin_with_what_people_wrote(bench: Bench) -> None:
    intro = bench.root / "intro.md"
    intro.write_text("Read **this** first.\n")
    assert bench.release("--notes", intro).code == 0
    assert bench.files()["release-notes.md"].decode().startswith(f"# {TAG}\n\nRead **this** first.")


# git


def test_time_and_source_are_those_of_the_commit(bench: Bench) -> None:
    bench.monkeypatch.delenv("SOURCE_DATE_EPOCH")
    commit = bench.commit("release", TAG)
    answer = bench.release("--json")
    assert answer.code == 0, answer.err
    assert [each["check"] for each in answer.json["findings"]] == ["not-locked"]
    predicate = json.loads(bench.files()["provenance.json"])["predicate"]
    assert predicate["runDetails"]["metadata"]["finishedOn"] == "2025-02-03T04:05:06Z"
    source = predicate["buildDefinition"]["resolvedDependencies"][0]
    assert source["digest"] == {"gitCommit": commit}


def test_commit_without_the_tag_is_a_finding(bench: Bench) -> None:
    bench.commit()
    assert "no-tag" in [each["check"] for each in bench.release("--json").json["findings"]]


def test_tag_of_another_commit_is_refused(bench: Bench) -> None:
    first = bench.commit("one", TAG)
    second = bench.commit("two")
    assert wrong(bench)["message"] == f"tag {TAG}: is {first}, checked out is {second}"


def test_local_changes_are_refused(bench: Bench) -> None:
    bench.commit("release", TAG)
    path = bench.tree / "charts-manifest/versions.env"
    path.write_text(path.read_text() + "# later\n")
    assert "charts-manifest/versions.env: has local changes" in wrong(bench)["message"]


def test_notes_compare_with_the_newest_tag_before(bench: Bench) -> None:
    env = bench.tree / "charts-manifest/versions.env"
    now, listed = env.read_text(), (bench.tree / "images.txt").read_text()
    for version, lines in (("v1.32.3+rke2r1", listed), ("v1.32.3+rke2r2", listed[:-1])):
        env.write_text(now.replace(TAG, version).replace("v1.32.4\n", "v1.32.3\n"))
        text = lines.replace("dns:v1", "dns:v0") + ("\n" if lines is not listed else "")
        (bench.tree / "images.txt").write_text(text)
        bench.commit(version, version)
    env.write_text(now)
    (bench.tree / "images.txt").write_text(listed)
    bench.commit("release", TAG, "v1.33.0+rke2r1", "nightly")
    answer = bench.release("-v")
    assert answer.code == 0, answer.err
    notes = bench.files()["release-notes.md"].decode()
    assert "## Changes since v1.32.3+rke2r2" in notes
    assert "| `RKE2_VERSION` | `v1.32.3+rke2r2` | `v1.32.4+rke2r1` |" in notes
    assert "| moved | `docker.io/example/dns` | `v0` | `v1` |" in notes


def test_release_before_can_be_named_and_has_to_be_there(bench: Bench) -> None:
    bench.commit("release", TAG)
    assert "v9: neither the folder of a tree nor a tag" in wrong(bench, "--since", "v9")["message"]


# Signing


def test_key_in_the_environment_signs_and_is_never_told(bench: Bench) -> None:
    private, public = offlinekey.generate()
    bench.monkeypatch.setenv("RKE2PACK_SIGNING_KEY", private.decode())
    answer = bench.release("-v")
    assert answer.code == 0
    secret = private.decode().splitlines()[1]
    assert secret not in answer.out + answer.err
    for path in bench.tree.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    key = bench.root / "release.pub"
    key.write_bytes(public)
    assert bench.verify(bench.output, "--key", key).code == 0


@pytest.mark.parametrize("pem", ["nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])  # fmt: skip  # noqa: E501
def test_key_that_is_none_is_refused_without_telling_it(bench: Bench, pem: str) -> None:
    bench.monkeypatch.setenv("RKE2PACK_SIGNING_KEY", pem)
    error = wrong(bench)
    assert error["message"].startswith("RKE2PACK_SIGNING_KEY: not an Ed25519 or ECDSA")
    assert "AAAA" not in json.dumps(error)


def test_keyless_needs_an_identity_of_the_machine(bench: Bench) -> None:
    nowhere = str(bench.root / "nowhere")
    bench.monkeypatch.setattr("id._internal.oidc.ambient._GCP_PRODUCT_NAME_FILE", nowhere)
    error = wrong(bench, "--keyless")
    assert error["message"] == "sigstore: this machine has no identity of its own"
    assert error["hint"] == "give the job 'id-token: write', or sign with --sign-key"


# Publishing, as far as it does not need a server


def test_publishing_needs_a_repository_and_a_token(bench: Bench) -> None:
    assert wrong(bench, "--publish")["message"] == "--publish: nothing says where"
    error = wrong(bench, "--publish", "--repo", "example/tree")
    assert error["message"] == "--publish: there is no token in GITHUB_TOKEN or GH_TOKEN"
