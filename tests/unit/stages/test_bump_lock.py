from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.lists import files, lockdiff
from rke2pack.tree.native import NativeTree
from tests.unit.lists.locking import image, lock
from tests.unit.stages.bumping import CHART
from tests.unit.stages.conftest import Rke2pack


@pytest.fixture
def where(lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack) -> tuple[str, ...]:
    """A tree with a lock of its images."""
    found = ("--tree", str(lab_tree), "--charts-repo", str(lab_charts))
    assert rke2pack("images", *found).code == 0
    tree = NativeTree.open(lab_tree)
    wanted = lockdiff.wanted(tree.components, files.written(tree))
    entries = (image(str(each), *map(str, names)) for each, names in wanted.items())
    (lab_tree / "images.lock").write_text(str(lock(*entries)))
    return found


def test_a_bump_with_new_images_leaves_the_lock_and_says_what_it_lacks(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    before = (lab_tree / "images.lock").read_bytes()
    answer = rke2pack("bump", CHART, "0.2.11", *where, "--json")
    assert answer.code == 0, answer.err
    change = answer.json["images"]["harvester"]
    (finding,) = [each for each in answer.json["findings"] if each["check"] == "stale-lock"]
    assert finding["severity"] == "warning"
    assert finding["expected"].endswith("run 'rke2pack images --lock'")
    assert finding["got"] == (
        f"lacks {', '.join(change['added'])}; has {', '.join(change['removed'])}"
    )
    assert (lab_tree / "images.lock").read_bytes() == before
    checked = rke2pack("images", "--check", *where, "--json")
    assert checked.code == 7
    assert "run 'rke2pack images --lock' and commit images.lock" in checked.err


def test_a_bump_without_new_images_says_nothing_of_the_lock(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["findings"] == []


def test_a_tree_without_a_lock_needs_none(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / "images.lock").unlink()
    answer = rke2pack("bump", CHART, "0.2.11", *where, "--json")
    assert "stale-lock" not in {each["check"] for each in answer.json["findings"]}
