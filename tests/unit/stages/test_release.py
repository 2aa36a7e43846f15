"""The command: what a release's folder holds, the same bytes again, and everything it refuses."""

from __future__ import annotations

import errno
import json
import os

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from rke2pack.digest import Digest
from tests.unit.release.benches import ARCHIVE, IMAGES, TAG, Bench, bench, made

__all__ = ["bench", "made"]
MADE = {"sbom.cdx.json", "release-notes.md", "provenance.json"}


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
