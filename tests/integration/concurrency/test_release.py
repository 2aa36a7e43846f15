"""Releases, pages and labs made at once: one folder is one release's, and no size is lost."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from rke2pack.settings import Settings
from tests.chaos.scenarios import TAG, Bench, digests
from tests.integration.concurrency.benches import Benches, words
from tests.integration.concurrency.racing import again, alone, bytes_below, race

pytestmark = pytest.mark.slow
ROUNDS = 3
PART = ("--component", "harvester", "--component", "flannel")
AIRGAP = ("airgap", *PART, "--profile")
RELEASE = ("release", TAG, *PART, "--without-validation")


@pytest.fixture(scope="module")
def benches(lab: Settings, tmp_path_factory: pytest.TempPathFactory) -> Benches:
    before = [("pull", *PART), (*AIRGAP, "fast"), ("charts",)]
    return Benches(lab, tmp_path_factory.mktemp("benches"), before)


def release(bench: Bench, *more: str) -> tuple[str, ...]:
    return words(bench, *RELEASE, "--since", str(bench.tree), *more)


def check(bench: Bench) -> None:
    alone("verify", "--quiet", bench.tree / "dist/release")


def test_one_release_twice_at_once(benches: Benches, chance: random.Random) -> None:
    first = benches.filled()
    alone(*release(first))
    expected = digests(first.tree / "dist/release")
    for _ in range(ROUNDS):
        bench = benches.filled()
        ended = race([release(bench)] * 2, chance)
        assert any(each.is_done for each in ended)
        assert digests(bench.tree / "dist/release") == expected
        again(ended)
        assert digests(bench.tree / "dist/release") == expected
        check(bench)


def test_different_releases_in_one_folder(benches: Benches, chance: random.Random) -> None:
    """One has a file more than the other, which would not be in the other's provenance."""
    for _ in range(ROUNDS):
        bench = benches.filled()
        ended = race([release(bench), release(bench, "--spdx")], chance)
        assert any(each.is_done for each in ended)
        check(bench)
        plan = json.loads((bench.tree / "dist/release-plan.json").read_bytes())
        assert {each["name"] for each in plan["assets"]} == {*digests(bench.tree / "dist/release")}


def test_a_release_beside_archives_that_are_written_anew(
    benches: Benches, chance: random.Random
) -> None:
    for _ in range(ROUNDS):
        bench = benches.filled()
        ended = race([release(bench), words(bench, *AIRGAP, "default")], chance, longest=0.5)
        assert ended[1].is_done, ended[1].err
        if ended[0].is_done:
            check(bench)
        alone(*release(bench))
        check(bench)


def test_reports_of_two_releases_keep_both_sizes(benches: Benches, chance: random.Random) -> None:
    for _ in range(ROUNDS):
        bench = benches.filled()
        other = Bench(root=bench.root / "other", lab=bench.lab)
        shutil.copytree(bench.tree, other.tree)
        shutil.copytree(bench.cache, other.cache)
        versions = other.tree / "charts-manifest/versions.env"
        versions.write_text(versions.read_text().replace("+rke2r1", "+rke2r2"))
        history = bench.root / "history.json"
        pages = [words(each, "report", "--history", str(history)) for each in (bench, bench, other)]
        ended = race(pages, chance)
        assert all(each.is_done for each in ended)
        found = [each["release"] for each in json.loads(history.read_bytes())["releases"]]
        assert sorted(found) == [TAG, TAG.replace("rke2r1", "rke2r2")]
        for words_of in (pages[0], pages[2]):
            alone(*words_of)
        page = (bench.tree / "dist/report.html").read_bytes()
        alone(*pages[0])
        assert (bench.tree / "dist/report.html").read_bytes() == page


def test_two_labs_in_one_tree(project: Path, tmp_path: Path, chance: random.Random) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    words_of = ("bump", "harvester-cloud-provider", "0.2.10", "--lab", "--quiet", "--tree", tree)
    alone(*words_of)
    expected = bytes_below(tree / "dist/lab/tree")
    ended = race([words_of, words_of], chance)
    assert any(each.is_done for each in ended)
    assert bytes_below(tree / "dist/lab/tree") == expected
    again(ended)
    assert bytes_below(tree / "dist/lab/tree") == expected


def test_commits_of_two_bumps_in_one_checkout(
    lab: Settings, tmp_path: Path, chance: random.Random
) -> None:
    bench = Bench(root=tmp_path, lab=lab)
    shutil.copytree(lab.tree / "charts-manifest", bench.tree / "charts-manifest")
    shutil.copyfile(lab.tree / "images.txt", bench.tree / "images.txt")
    for git in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *git], cwd=bench.tree, check=True)
    calls = [
        words(bench, "bump", "harvester-cloud-provider", version, "--commit")
        for version in ("0.2.10", "0.2.11")
    ]
    ended = race(calls, chance)
    assert any(each.is_done for each in ended)
    status = subprocess.run(
        ["git", "status", "--porcelain", "charts-manifest", "images.txt"],
        cwd=bench.tree,
        check=True,
        capture_output=True,
    )
    assert status.stdout == b""
