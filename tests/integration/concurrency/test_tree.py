"""Two runs on one tree: neither loses what the other has written."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.integration.concurrency.racing import Ended, again, alone, bytes_below, race
from tests.unit.stages import checkouts
from tests.unit.stages.checkouts import git, write_lines
from tests.unit.stages.conftest import chart, write_repository, write_tree

pytestmark = pytest.mark.slow
ROUNDS = 6


class Bench:
    """A tree with three charts, of which a newer version is there."""

    def __init__(self, root: Path, charts: Path) -> None:
        self.root, self.charts = root, charts
        self.tree = root / "tree"
        self.options = (
            *("--quiet", "--tree", self.tree, "--cache-dir", root / "cache"),
            *("--charts-repo", charts),
        )

    def call(self, *words: str) -> tuple[str | Path, ...]:
        return (*words, *self.options)

    def versions(self) -> dict[str, str]:
        lines = (self.tree / "charts-manifest/chart_versions.yaml").read_text().splitlines()
        found = [line.split(": ")[1] for line in lines[1:] if ": " in line]
        return {found[n + 1][8:-5]: found[n] for n in range(0, len(found), 3)}

    def check(self) -> None:
        alone(*self.call("images", "--check"))
        alone(*self.call("charts"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("tree")
    charts = [
        chart(name, f"1.{n}.000", image=f"x/{name}:{n + 1}") for name in "abc" for n in (0, 1)
    ]
    write_repository(folder / "charts", *charts)
    bench = Bench(folder / "pristine", folder / "charts")
    write_tree(bench.tree, dict.fromkeys("abc", "1.0.000"))
    alone(*bench.call("charts", "--references"))
    alone(*bench.call("images"))
    for name in "abc":  # what charts render to is known then, and the work is the writing
        alone(*bench.call("bump", name, "1.1.0", "--dry-run"))
    return bench


def copied(pristine: Bench, name: str) -> Bench:
    root = Path(tempfile.mkdtemp(dir=pristine.root.parent)) / name
    shutil.copytree(pristine.root, root)
    return Bench(root, pristine.charts)


def in_turn(pristine: Bench, *calls: tuple[str, ...]) -> dict[str, bytes]:
    """Return the tree after these command lines, one after the other."""
    bench = copied(pristine, "in-turn")
    for call in calls:
        alone(*bench.call(*call))
    return bytes_below(bench.tree)


def test_bumps_of_different_charts_keep_both_lines(pristine: Bench, chance: random.Random) -> None:
    one, other = ("bump", "a", "1.1.0"), ("bump", "b", "1.1.0")
    expected = in_turn(pristine, one, other)
    for number in range(ROUNDS):
        bench = copied(pristine, f"two{number}")
        ended = race([bench.call(*one), bench.call(*other)], chance)
        assert any(each.is_done for each in ended)
        moved = {each.words[1] for each in ended if each.is_done}
        found = bench.versions()
        assert {name for name in "abc" if found[name] == "1.1.000"} == moved
        again(ended)
        assert bytes_below(bench.tree) == expected
    bench.check()


def test_bumps_of_one_chart_end_as_one(pristine: Bench, chance: random.Random) -> None:
    one = ("bump", "a", "1.1.0")
    expected = in_turn(pristine, one)
    for number in range(ROUNDS):
        bench = copied(pristine, f"same{number}")
        ended = race([bench.call(*one)] * 3, chance)
        assert any(each.is_done for each in ended)
        assert bytes_below(bench.tree) == expected
    bench.check()


def test_a_bump_and_lists_made_meanwhile_fit(pristine: Bench, chance: random.Random) -> None:
    bump, images = ("bump", "c", "1.1.0"), ("images",)
    expected = in_turn(pristine, bump, images)
    for number in range(ROUNDS):
        bench = copied(pristine, f"lists{number}")
        again(race([bench.call(*bump), bench.call(*images)], chance))
        assert bytes_below(bench.tree) == expected
    bench.check()


@pytest.mark.parametrize("word", ["images --check", "charts", "diff a 1.0.0 1.1.0"])
def test_who_reads_while_a_bump_writes_sees_one_state(
    pristine: Bench, chance: random.Random, word: str
) -> None:
    expected = in_turn(pristine, ("bump", "a", "1.1.0"), ("charts",))
    for number in range(ROUNDS):
        bench = copied(pristine, f"{word.replace(' ', '')}{number}")
        calls = [bench.call("bump", "a", "1.1.0"), bench.call(*word.split())]
        again(race(calls, chance))
        alone(*bench.call("charts"))
        assert bytes_below(bench.tree) == expected


def test_manifests_are_built_by_several_at_once(pristine: Bench, chance: random.Random) -> None:
    expected = in_turn(pristine, ("charts",))
    for number in range(ROUNDS):
        bench = copied(pristine, f"charts{number}")
        shutil.rmtree(bench.root / "cache")
        ended = race([bench.call("charts")] * 3, chance)
        assert all(each.is_done for each in ended)
        assert bytes_below(bench.tree) == expected


def test_the_same_branches_are_made_once(tmp_path: Path, chance: random.Random) -> None:
    charts = checkouts.charts(tmp_path / "charts")
    root = write_lines(tmp_path / "rke2", old="v1.31.8", new="v1.32.4")
    options = ("--tree", root, "--charts-repo", charts, "--cache-dir", tmp_path / "cache")
    call = ("bump", "a", "1.1.0", "--lines", "line-old,line-new", "--quiet", *options)
    for _ in range(ROUNDS // 2):
        there = "error: branch bump/.* exists already\nhint: choose another name with --branch"
        ended = race([call, call], chance, may_say=there)
        assert any(each.is_done for each in ended)
        for line in ("line-old", "line-new"):
            branch = f"bump/a-1.1.0/{line}"
            assert git(root, "rev-parse", f"{branch}^") == git(root, "rev-parse", line)
            git(root, "branch", "--quiet", "--delete", "--force", branch)
        assert len(git(root, "worktree", "list").splitlines()) == 1


def test_bumps_of_release_lines_in_one_repository(tmp_path: Path, chance: random.Random) -> None:
    charts = checkouts.charts(tmp_path / "charts")
    for number in range(ROUNDS // 2):
        root = write_lines(tmp_path / f"rke2-{number}", old="v1.31.8", new="v1.32.4")
        options = ("--tree", root, "--charts-repo", charts, "--cache-dir", tmp_path / "cache")
        calls = [
            ("bump", chart_name, "1.1.0", "--lines", "line-old,line-new", "--quiet", *options)
            for chart_name in ("a", "b")
        ]
        ended: list[Ended] = list(race(calls, chance))
        again(ended)
        for name in ("a", "b"):
            for line in ("line-old", "line-new"):
                branch = f"bump/{name}-1.1.0/{line}"
                assert git(root, "rev-parse", f"{branch}^") == git(root, "rev-parse", line)
        assert len(git(root, "worktree", "list").splitlines()) == 1
        git(root, "fsck", "--strict")
