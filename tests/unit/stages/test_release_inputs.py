"""What a release is made with: a validation, git, notes, keys, and where it goes."""

from __future__ import annotations

import json

import pytest

from rke2pack.release import offlinekey
from tests.unit.release.benches import TAG, Bench, bench, made, wrong

__all__ = ["bench", "made"]


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
    assert (
        "v9: neither the folder of a tree nor a revision"
        in wrong(bench, "--since", "v9")["message"]
    )


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
