"""bump takes a chart's companions along: its -crd chart and those of its package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stages.bumping import bundle
from tests.unit.stages.conftest import (
    Rke2pack,
    chart,
    contents,
    write_repository,
    write_tree,
)


@pytest.fixture
def pair(tmp_path: Path, rke2pack: Rke2pack) -> tuple[Path, Path]:
    """A tree with a chart, its -crd chart and a chart of the same package; and its repository."""
    names = ("a", "a-crd", "b")
    repository = write_repository(
        tmp_path / "repo",
        *(
            chart(n, v, image="x/a:1" if n == "a" else "")
            for n in names
            for v in ("1.0.000", "1.1.000")
        ),
        chart("a", "1.2.000"),
    )
    tree = write_tree(tmp_path / "tree", dict.fromkeys(names, "1.0.000"))
    path = tree / "charts-manifest/chart_versions.yaml"
    package = "    filename: /charts/b.yaml\n    package: a\n"
    path.write_text(path.read_text().replace("    filename: /charts/b.yaml\n", package))
    bundle(tree, rke2pack, repository)
    return tree, repository


def versions(tree: Path) -> list[str]:
    text = (tree / "charts-manifest/chart_versions.yaml").read_text()
    return [line.split()[-1] for line in text.splitlines() if "version:" in line]


def test_crd_and_package_companions_move_along(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert versions(tree) == ["1.1.000"] * 3
    assert [c["chart"] for c in answer.json["companions"]] == ["a-crd", "b"]


def test_a_crd_chart_takes_its_chart_along(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    assert rke2pack("bump", "a-crd", "1.1.0", "--tree", tree, "--charts-repo", repository).code == 0
    assert versions(tree) == ["1.1.000"] * 3


def test_only_leaves_companions_where_they_are(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("bump", "a", "1.1.0", "--only", *where).code == 0
    assert versions(tree) == ["1.1.000", "1.0.000", "1.0.000"]


def test_a_companion_without_that_version_stops_the_bump(
    pair: tuple[Path, Path], rke2pack: Rke2pack
) -> None:
    tree, repository = pair
    before = contents(tree)
    answer = rke2pack("bump", "a", "1.2.0", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 3
    assert "error: a-crd: the chart repository has no version 1.2.000\n" in answer.err
    assert "hint: pass --only to leave" in answer.err
    assert contents(tree) == before


def test_companions_may_leave_out_the_v(tmp_path: Path, rke2pack: Rke2pack) -> None:
    names = {"a": "v1.0.000", "a-crd": "1.0.000"}
    newer = chart("a", "v1.1.000", image="x/a:2"), chart("a-crd", "1.1.000")
    repository = write_repository(
        tmp_path / "repo", *(chart(n, v) for n, v in names.items()), *newer
    )
    tree = write_tree(tmp_path / "tree", names)
    bundle(tree, rke2pack, repository)
    assert rke2pack("bump", "a", "latest", "--tree", tree, "--charts-repo", repository).code == 0
    assert versions(tree) == ["v1.1.000", "1.1.000"]
