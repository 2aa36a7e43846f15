from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from rke2pack.helm.chart import Chart
from tests.unit.stages.conftest import Rke2pack, chart, contents, write_repository, write_tree

CHART = "harvester-cloud-provider"
URL = f"https://rke2-charts.rancher.io/assets/{CHART}/{CHART}-0.2.900.tgz"


@pytest.fixture
def where(lab_tree: Path, lab_charts: Path) -> tuple[str, ...]:
    return ("--tree", str(lab_tree), "--charts-repo", str(lab_charts))


def test_two_builds_give_the_same_bytes(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    for folder in ("one", "two"):
        assert rke2pack("charts", "--output", tmp_path / folder, *where).code == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 19


def test_a_second_build_writes_nothing(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    first = rke2pack("charts", *where, "--json").json["manifests"]
    second = rke2pack("charts", *where, "--json").json["manifests"]
    assert {each["status"] for each in first} == {"built"}
    assert {each["status"] for each in second} == {"unchanged"}
    assert [each["sha256"] for each in first] == [each["sha256"] for each in second]


def test_the_content_is_the_chart_bound_to_the_kubernetes_version(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    assert rke2pack("charts", CHART, *where).code == 0
    lines = (lab_tree / f"dist/charts/{CHART}.yaml").read_text().splitlines()
    assert lines[:-1] == [
        "apiVersion: helm.cattle.io/v1",
        "kind: HelmChart",
        "metadata:",
        f'  name: "{CHART}"',
        '  namespace: "kube-system"',
        "  annotations:",
        f'    helm.cattle.io/chart-url: "{URL}"',
        '    rke2.cattle.io/inject-cluster-config: "true"',
        "spec:",
        "  bootstrap: true",
    ]
    key, content = lines[-1].split(": ")
    assert key == "  chartContent"
    built = Chart.open(base64.b64decode(content), name=CHART, version="0.2.900")
    assert built.kube_version == ">= v1.32.4"
    assert built.annotations["fleet.cattle.io/bundle-id"] == "rke2"


def test_spec_keys_come_from_the_release_line_and_from_the_chart(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    folder = lab_tree / "charts-manifest"
    rules = folder / "components.yaml"
    spec = "helmChartSpec: {forceConflicts: true, failurePolicy: retry, takeOwnership: false}"
    rules.write_text(rules.read_text().replace("helmChartSpec: {}", spec))
    versions = folder / "chart_versions.yaml"
    last = "    filename: /charts/rke2-runtimeclasses.yaml\n"
    versions.write_text(versions.read_text().replace(last, f"{last}    takeOwnership: true\n"))
    assert rke2pack("charts", "--references", *where).code == 0
    assert rke2pack("charts", *where).code == 0
    for name, own in (("rke2-runtimeclasses", "true"), (CHART, "false")):
        lines = (lab_tree / f"dist/charts/{name}.yaml").read_text().splitlines()
        start = lines.index("spec:")
        assert [line.strip() for line in lines[start + 1 : -1]] == [
            "forceConflicts: true",
            "failurePolicy: retry",
            f"bootstrap: {'true' if name == CHART else 'false'}",
            f"takeOwnership: {own}",
        ]


def test_a_removed_chart_is_one_comment(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    name = "rke2-snapshot-validation-webhook"
    assert rke2pack("charts", name, *where).code == 0
    built = (lab_tree / f"dist/charts/{name}.yaml").read_text()
    assert built == f"# {name} has been removed\n"


def test_a_manifest_for_another_version_is_an_error(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / f"charts-manifest/{CHART}.yaml"
    path.write_text(path.read_text().replace("0.2.900", "0.2.800"))
    answer = rke2pack("charts", CHART, *where)
    assert answer.code == 2
    assert (
        f"error: {path}: does not fit {CHART} 0.2.900 of chart_versions.yaml: "
        "its version is 0.2.800\n"
    ) in answer.err


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f"name: {CHART}\n", "name: another\n", "its name is another"),
        ("bootstrap: true", "bootstrap: false", "its bootstrap is false"),
        ("spec:\n", "spec:\n  failurePolicy: retry\n", "its spec has {'failurePolicy': 'retry'}"),
    ],
)
def test_a_manifest_that_disagrees_is_an_error(  # noqa: PLR0917 - parameters and fixtures
    old: str, new: str, why: str, where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / f"charts-manifest/{CHART}.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    answer = rke2pack("charts", CHART, *where)
    assert answer.code == 2
    assert f"of chart_versions.yaml: {why}\n" in answer.err


def test_removed_and_bundled_do_not_mix(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    removed = lab_tree / "charts-manifest/rke2-snapshot-validation-webhook.yaml"
    bundled = lab_tree / f"charts-manifest/{CHART}.yaml"
    texts = removed.read_text(), bundled.read_text()
    bundled.write_text(texts[0])
    answer = rke2pack("charts", CHART, *where)
    assert (answer.code, "it says that the chart was removed" in answer.err) == (2, True)
    removed.write_text(texts[1])
    answer = rke2pack("charts", "rke2-snapshot-validation-webhook", *where)
    assert (answer.code, "it names version 0.2.900" in answer.err) == (2, True)


def test_dry_run_builds_and_writes_nothing(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    answer = rke2pack("charts", "--dry-run", *where, "--json")
    assert {each["status"] for each in answer.json["manifests"]} == {"built"}
    assert contents(lab_tree) == before


def test_other_bytes_than_reviewed_are_refused(
    where: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / f"charts-manifest/{CHART}.yaml"
    text = path.read_text()
    start = text.index("sha256:") + len("sha256:")
    path.write_text(text[:start] + "0" * 64 + text[start + 64 :])
    answer = rke2pack("charts", CHART, *where)
    assert answer.code == 5
    assert f"the tree's manifest says sha256:{'0' * 64}" in answer.err
    assert not (lab_tree / "dist/charts").exists()


def test_content_beyond_a_config_map_is_an_error(tmp_path: Path, rke2pack: Rke2pack) -> None:
    noise = "".join(f"{random_line(number)}\n" for number in range(14000))
    files = {**chart("a", "1.0.000"), "noise.txt": noise}
    repository = write_repository(tmp_path / "repo", files)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("charts", "--references", *where).code == 0
    answer = rke2pack("charts", *where)
    assert answer.code == 7
    assert "a ConfigMap holds fewer than 1048576" in answer.err
    assert "hint: split the chart's CRDs" in answer.err


def random_line(number: int) -> str:
    """A line that does not compress, the same each time."""
    return base64.b85encode(hashlib.sha512(str(number).encode()).digest()).decode()
