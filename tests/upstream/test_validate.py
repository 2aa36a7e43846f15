"""Level static on the real charts: nothing unexplained, and what history missed is found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rke2pack.cli import run
from rke2pack.files import Cache
from rke2pack.helm.render import SdkRenderer
from rke2pack.helm.version import ChartVersion
from rke2pack.validate.examine import Examiner
from tests.upstream import real, releases
from tests.upstream.replay import Bump, after, write_tree

CERTGEN = "rke2-cilium 1.17.300: rancher/mirrored-cilium-certgen:v0.2.1"
RANCHER = "harvester-csi-driver 0.1.2300: catalog.cattle.io/rancher-version"
CALICO = "rke2-calico v3.29.300: Installation/default"
OMITTED = {
    "0.1.1700": {f"docker.io/rancher/harvester-csi-driver:{tag}" for tag in ("v0.1.5", "v0.1.6")},
    "0.2.300": {
        *(f"docker.io/rancher/harvester-csi-driver:{tag}" for tag in ("v0.1.5", "v0.1.6")),
        *(f"docker.io/rancher/harvester-cloud-provider:{tag}" for tag in ("v0.2.0", "v0.2.1")),
    },
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def validate(
    tree: Path, reference_data: Path, cache: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    repository = str(reference_data / "rke2-charts")
    options = ["--tree", str(tree), "--charts-repo", repository, "--cache-dir", str(cache)]
    code = run(["validate", *options, "--json", "--quiet", "--dry-run", *more])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, document


def test_project_has_nothing_unexplained_on_the_three_rows(
    project: Path, reference_data: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, document = validate(project, reference_data, cache, capsys, "--fail-on", "warning")
    assert code == 0, document["findings"]
    assert {each["subject"] for each in document["explained"]} == {CERTGEN, RANCHER, CALICO}
    # vSphere's chart picks its image by the Kubernetes version; the list is for one of them.
    assert {each["subject"].partition(":")[0] for each in document["findings"]} == {
        "rancher-vsphere-cpi 1.10.000"
    }
    assert {each["severity"] for each in document["findings"]} == {"info"}
    results = document["results"]
    assert {each["status"] for each in results} == {"passed", "manual", "skipped"}
    passed = [each for each in results if each["status"] == "passed"]
    assert len({each["subject"] for each in passed}) == 3 * (18 + 10)  # charts and components
    assert sum("objects" in each["detail"] for each in passed if each["check"] == "schema") == 54


@pytest.mark.parametrize("release", releases.NAMES)
def test_release_has_nothing_unexplained(
    project: Path,
    reference_data: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    release: str,
) -> None:
    tree = releases.write_tree(reference_data, release, tmp_path / "tree", project)
    code, document = validate(tree, reference_data, cache, capsys, "--fail-on", "warning")
    assert code == 0, document["findings"]
    assert {each["severity"] for each in document["findings"]} == {"info"}
    assert len(document["results"]) > 700


def test_images_that_committed_lists_lacked_are_found(
    project: Path,
    reference_data: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = {}
    for bump in Bump.read_all(reference_data):
        version = next((new for _, new in bump.moves.values() if new in OMITTED), None)
        if version is None or not any(name.startswith("harvester-") for name in bump.moves):
            continue
        tree = tmp_path / version
        _write_committed(bump, tree, project, reference_data)
        code, document = validate(tree, reference_data, cache, capsys, "--component", "harvester")
        assert code == 7
        seen[version] = _of_images(document["findings"])
    assert seen == OMITTED


def _of_images(findings: list[Mapping[str, str]]) -> set[str]:
    """The images of findings: needed and not listed (an error), or the other way (a warning)."""
    own = [each for each in findings if each["check"] == "image" and each["severity"] != "info"]
    assert {each["severity"] for each in own} == {"error", "warning"}
    return {each["subject"].rpartition(": ")[2] for each in own}


def _write_committed(bump: Bump, tree: Path, project: Path, reference_data: Path) -> None:
    """Write the state that was committed: versions moved, lists as the maintainers left them."""
    write_tree(bump, tree, project)
    folder = tree / "charts-manifest"
    versions = folder / "chart_versions.yaml"
    text = versions.read_text()
    for name, (old, new) in bump.moves.items():
        filename = f"\n    filename: /charts/{name}.yaml"
        text = text.replace(f"version: {old}{filename}", f"version: {new}{filename}")
    versions.write_text(text)
    lines = "".join(f"docker.io/{image}\n" for image in sorted(after(bump, "harvester")))
    (tree / "images.txt").write_text(f"# component: harvester\n{lines}")
    rows = [{"name": "then", "rke2": f"{bump.kube_version}+rke2r1"}]
    (folder / "support-matrix.yaml").write_text(json.dumps({"rows": rows}))
    repository = str(reference_data / "rke2-charts")
    arguments = ["charts", "--references", "--tree", str(tree), "--charts-repo", repository]
    assert run([*arguments, "--quiet"]) == 0


def test_example_bump_is_an_upgrade_that_a_cluster_takes(
    project: Path, reference_data: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--chart", "harvester-cloud-provider", "--old", "harvester-cloud-provider=0.2.800")
    code, document = validate(project, reference_data, cache, capsys, *arguments)
    assert code == 0
    steps = [each for each in document["results"] if each["check"] == "upgrade"]
    assert [each["status"] for each in steps] == ["passed"] * 3
    assert {each["detail"] for each in steps} == {"from 0.2.800"}


@pytest.mark.parametrize(
    ("name", "version", "subject", "check"),
    [
        # Helm refuses it too: a template that is left over from a merge.
        ("rke2-traefik", "41.1.100", "templates/NOTES.txt.orig", "schema"),
        (
            *("rke2-snapshot-controller-crd", "5.2.002"),
            *("CustomResourceDefinition/volumegroupsnapshots.groupsnapshot.storage.k8s.io",),
            "duplicate",
        ),
    ],
)
def test_chart_that_was_published_broken_is_found(
    reference_data: Path, cache: Path, *, name: str, version: str, subject: str, check: str
) -> None:
    entry = real.index(reference_data).entry(name, ChartVersion(version))
    examiner = Examiner(renderer=SdkRenderer(), cache=Cache(cache))
    chart = real.open_chart(reference_data, entry)
    found = examiner.examine(chart, {"default": {}}, kube_version="v1.32.5")
    assert {(p.check, p.subject) for _, p in found.problems} == {(check, subject)}


@pytest.mark.slow
def test_newest_version_of_every_chart_has_no_wrong_object(
    reference_data: Path, cache: Path
) -> None:
    examiner = Examiner(renderer=SdkRenderer(), cache=Cache(cache))
    base = {"global": {"clusterDNS": "10.43.0.10"}, "vCenter": {"clusterId": "x"}}
    wrong, objects = {}, 0
    for entry in real.newest(reference_data, 1):
        if entry.chart.startswith("rke2-sriov"):
            continue  # wants another chart in the same cluster
        chart = real.open_chart(reference_data, entry)
        found = examiner.examine(chart, {"default": base}, kube_version="v1.34.2")
        objects += found.objects
        if found.problems:
            wrong[entry.chart] = {problem.check for _, problem in found.problems}
    assert objects > 200
    assert wrong == {}
