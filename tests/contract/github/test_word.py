"""The command from a tree to a published release: signed twice, sent, proved, and found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.contract.github.sigstore import IDENTITY, ISSUER, running
from tests.contract.github.simulator import REPOSITORY, TOKEN, Exchange, Simulator, cut_upload
from tests.unit.release.benches import TAG, Bench, bench, made

__all__ = ["bench", "made"]


def as_usual(_: Exchange) -> bool:
    return False


@pytest.fixture
def publish(bench: Bench, github: Simulator) -> tuple[str, ...]:
    """The options that publish, with the token where it belongs."""
    bench.monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    return ("--publish", "--repo", REPOSITORY, "--api", github.url)


def test_release_is_published_as_it_is_here(
    bench: Bench, github: Simulator, publish: tuple[str, ...]
) -> None:
    answer = bench.release(*publish, "--json", "-v")
    assert answer.code == 0, answer.err
    (release,) = github.releases
    assert not release.is_draft
    assert {name: each.data for name, each in release.assets.items()} == bench.files()
    assert release.document["body"] == bench.files()["release-notes.md"].decode()
    assert answer.json["address"].endswith(f"/releases/{release.id}")
    assert {each["state"] for each in answer.json["assets"]} == {"published"}
    assert TOKEN not in answer.out + answer.err
    for path in bench.tree.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()


def test_upload_that_broke_off_is_taken_up_by_the_same_command(
    bench: Bench, github: Simulator, publish: tuple[str, ...]
) -> None:
    github.fail("POST upload", as_usual, times=3)
    github.fail("POST upload", cut_upload(10), times=4)
    answer = bench.release(*publish)
    assert answer.code == 8
    assert "hint: run the same command again: what is there is kept" in answer.err
    plan = json.loads((bench.tree / "dist/release-plan.json").read_text())
    states = [each["state"] for each in plan["assets"]]
    assert states[:4] == ["uploaded"] * 3 + ["planned"]
    first = plan["assets"][0]["name"]
    assert bench.release(*publish).code == 0
    assert github.sent(first) == 1
    assert not github.releases[0].is_draft


def test_dry_run_tells_and_writes_nothing_anywhere(
    bench: Bench, github: Simulator, publish: tuple[str, ...]
) -> None:
    answer = bench.release(*publish, "--dry-run")
    assert answer.code == 0, answer.err
    assert "would send " in answer.err
    assert github.releases == []
    assert not bench.output.exists()


def test_tree_of_another_commit_than_the_tag_is_not_published(
    bench: Bench, github: Simulator, publish: tuple[str, ...]
) -> None:
    commit = bench.commit("release", TAG)
    answer = bench.release(*publish)
    assert answer.code == 8
    assert f"this release is of {commit}" in answer.err
    github.tags[TAG] = commit
    assert bench.release(*publish).code == 0


def test_keyless_release_is_proved_by_the_workflows_name(bench: Bench, tmp_path: Path) -> None:
    root = tmp_path / "trusted-root.json"
    with running() as sigstore:
        config = tmp_path / "trust-config.json"
        config.write_text(json.dumps(sigstore.trust_config()))
        root.write_text(json.dumps(sigstore.trusted_root()))
        bench.monkeypatch.setenv("GITHUB_ACTIONS", "true")
        bench.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        bench.monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/token?x=1")
        for _ in range(2):
            answer = bench.release("--keyless", "--trust-config", config)
            assert answer.code == 0, answer.err
        signed = bench.files()["provenance.sigstore.json"]
        assert bench.release("--keyless", "--trust-config", config).code == 0
        assert bench.files()["provenance.sigstore.json"] == signed
    options = ("--identity", IDENTITY, "--issuer", ISSUER, "--trusted-root", root)
    assert bench.verify(bench.output, *options).code == 0
    wrong = bench.verify(bench.output, "--identity", "x", *options[2:], "--json")
    assert wrong.code == 5
    path = bench.output / "provenance.sigstore.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    answer = bench.verify(bench.output, *options, "--json")
    failed = {e["subject"] for e in answer.json["results"] if e["status"] == "failed"}
    assert (answer.code, failed) == (5, {"provenance.sigstore.json"})
