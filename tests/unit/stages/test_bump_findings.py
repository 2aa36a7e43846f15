"""What bump finds in the new version and in the old one, and where it stops."""

from __future__ import annotations

from pathlib import Path

from tests.unit.stages.bumping import CHART, bundle
from tests.unit.stages.conftest import (
    Rke2pack,
    chart,
    contents,
    write_repository,
    write_tree,
)


def test_a_violated_annotation_is_a_finding_and_the_bump_goes_on(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    annotation = {"catalog.cattle.io/kube-version": ">= 1.23.0-0 < 1.27.0-0"}
    repository = write_repository(
        tmp_path / "repo",
        chart("a", "1.0.000", image="x/a:1"),
        chart("a", "1.1.000", image="x/a:2", annotations=annotation),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository)
    answer = rke2pack("bump", "a", "latest", *where, "--json")
    assert answer.code == 0
    assert answer.json["findings"] == [
        {
            "severity": "warning",
            "check": "kube-version-annotation",
            "subject": "a 1.1.000",
            "expected": "catalog.cattle.io/kube-version that allows v1.32.4",
            "got": ">= 1.23.0-0 < 1.27.0-0",
        }
    ]
    assert answer.json["images"]["core"]["added"] == ["docker.io/x/a:2"]


def test_a_violated_kube_version_stops_the_bump(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(
        tmp_path / "repo",
        chart("a", "1.0.000", image="x/a:1"),
        chart("a", "1.1.000", image="x/a:2", kubeVersion=">= 1.33.0-0"),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    before = contents(tree)
    answer = rke2pack("bump", "a", "latest", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 7
    assert "a 1.1.000: needs Kubernetes >= 1.33.0-0, the tree is for v1.32.4" in answer.err
    assert contents(tree) == before


def test_a_list_that_was_stale_before_is_reported(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    path.write_text(
        path.read_text().replace("harvester-csi-driver:v0.2.2", "harvester-csi-driver:v9")
    )
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.10", *where, "--json").json
    assert {f["check"] for f in document["findings"]} == {"stale-list"}
    assert [f["got"] for f in document["findings"]] == ["it was missing", "it was listed"]
    assert "harvester-csi-driver:v0.2.2" in path.read_text()


def test_a_bundled_version_that_nobody_has_is_a_finding(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(tmp_path / "repo", chart("a", "1.1.000", image="x/a:2"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    (tree / "charts-manifest/a.yaml").write_text("# none yet\n")
    where = ("--tree", tree, "--charts-repo", repository)
    answer = rke2pack("bump", "a", "latest", *where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["diff"] is None
    assert [f["check"] for f in answer.json["findings"]] == ["old-version"]


def test_a_bundled_version_that_does_not_render_can_be_left(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    broken = {**chart("a", "1.0.000"), "templates/main.yaml": '{{ fail "not in this form" }}'}
    repository = write_repository(tmp_path / "repo", broken, chart("a", "1.1.000", image="x/a:2"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("charts", "--references", *where).code == 0
    report = tmp_path / "report.md"
    answer = rke2pack("bump", "a", "latest", *where, "--report", report, "--json")
    assert answer.code == 0, answer.err
    assert [f["check"] for f in answer.json["findings"]] == ["old-version", "old-list"]
    assert "not in this form" in answer.json["findings"][0]["got"]
    assert "cannot be explained: `a 1.0.000 does not render" in report.read_text()


def crd(name: str) -> str:
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata:\n  name: {name}\nspec: {{versions: []}}\n"
    )


def test_a_definition_that_no_chart_has_any_more_is_a_finding(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    old = {**chart("a", "1.0.000"), "templates/one.yaml": crd("ones.x.io")}
    old["templates/two.yaml"] = crd("twos.x.io")
    other = {**chart("b", "1.0.000"), "crds/two.yaml": crd("twos.x.io")}
    new = chart("a", "1.1.000", image="x/a:2"), chart("a-crd", "1.1.000")
    repository = write_repository(tmp_path / "repo", old, other, *new)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000", "b": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository)
    found = rke2pack("bump", "a", "latest", *where, "--json").json["findings"]
    assert [(each["check"], each["expected"]) for each in found] == [
        ("missing-companion", "a-crd of the same version in chart_versions.yaml"),
        ("removed-crd", "ones.x.io in a bundled chart, as in 1.0.000"),
    ]
