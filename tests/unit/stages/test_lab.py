from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.stages.conftest import Rke2pack, contents

CHART = "harvester-cloud-provider"


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    """A copy of the project's tree as it is committed."""
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    shutil.copyfile(project / "images.txt", root / "images.txt")
    return root


def tracked(root: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(root).items() if not path.startswith("dist/")}


def test_the_first_line_says_that_it_is_the_lab(tree: Path, rke2pack: Rke2pack) -> None:
    before = tracked(tree)
    answer = rke2pack("bump", CHART, "0.2.10", "--lab", "--tree", tree)
    assert answer.code == 0, answer.err
    assert answer.err.splitlines()[0] == (
        f"lab: built-in charts, on a copy of the tree in {tree}/dist/lab/tree; "
        "nothing else is touched"
    )
    assert f"{CHART}: 0.2.900 -> 0.2.1000  (upstream 0.2.10)" in answer.err
    assert tracked(tree) == before
    scratch = (tree / "dist/lab/tree/charts-manifest/chart_versions.yaml").read_text()
    assert "version: 0.2.1000\n" in scratch


def test_every_lab_run_starts_from_the_tree(tree: Path, rke2pack: Rke2pack) -> None:
    answers = [rke2pack("bump", CHART, "0.2.10", "--lab", "--tree", tree, "--json") for _ in "ab"]
    documents = [answer.json for answer in answers]
    for document in documents:
        document.pop("source")  # the port differs
    assert documents[0] == documents[1]
    assert documents[0]["from"] == "0.2.900"


def test_the_lab_does_not_mix_with_another_repository(tree: Path, rke2pack: Rke2pack) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--lab", "--charts-repo", "x", "--tree", tree)
    assert answer.code == 2
    assert "--lab brings its own chart repository" in answer.err


def test_a_dry_run_in_the_lab_shows_the_patch(tree: Path, rke2pack: Rke2pack) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--lab", "--dry-run", "--tree", tree)
    assert answer.code == 0, answer.err
    assert "+  - version: 0.2.1000\n" in answer.out


def test_the_lab_writes_nothing_where_there_is_no_tree(tmp_path: Path, rke2pack: Rke2pack) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = rke2pack("bump", CHART, "0.2.10", "--lab", "--tree", empty)
    assert answer.code == 2
    assert f"error: {empty}: not a tree" in answer.err
    assert list(empty.iterdir()) == []
