"""`validate --level kind` with the real charts: the example bump, and all that is bundled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2pack.cli import run
from rke2pack.helm.chart import Chart
from rke2pack.validate.kind import checks, expect
from rke2pack.validate.kind.expect import Expectations
from rke2pack.workspace import Workspace
from tests.kind import standins
from tests.settings import settings

NAME = "harvester-cloud-provider"


@pytest.fixture
def tree(docker: list[str], project: Path, tmp_path: Path) -> Path:
    """A copy of the project's tree."""
    assert docker
    made = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", made / "charts-manifest")
    shutil.copyfile(project / "images.txt", made / "images.txt")
    return made


@pytest.fixture
def bumped(tree: Path, reference_data: Path) -> Path:
    """The same after the example bump."""
    options = ("--charts-repo", str(reference_data / "rke2-charts"), "--tree", str(tree))
    cache = ("--cache-dir", str(tree.parent / "cache"))
    assert run(["bump", NAME, "0.2.1000", *options, *cache]) == 0
    return tree


@pytest.mark.timeout(900)
def test_example_bump_installs_upgrades_and_leaves_nothing(
    bumped: Path, reference_data: Path, capsys: pytest.CaptureFixture[str], helm: str
) -> None:
    folder = bumped.parent
    capsys.readouterr()
    charts = []
    for version in ("0.2.900", "0.2.1000"):
        data = (reference_data / f"rke2-charts/assets/{NAME}/{NAME}-{version}.tgz").read_bytes()
        chart = Chart.open(data, name=NAME, version=version)
        charts += [(chart, values) for _, values in checks.value_sets(chart)]
    archive = standins.write(folder / "images.linux-amd64.tar", charts)
    code = run(
        [
            *("validate", "--level", "kind", str(archive), "--chart", NAME, "--json"),
            *("--tree", str(bumped)),
            *("--charts-repo", str(reference_data / "rke2-charts")),
            *("--cache-dir", str(folder / "cache"), "--row", "community-2.11"),
            *("--old", f"{NAME}=0.2.900", "--helm", helm),
        ]
    )
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    assert (code, document["findings"]) == (0, []), captured.err
    found = {each["check"]: each["detail"] for each in document["results"] if "0.2.1000" in
             each["subject"]}  # fmt: skip
    assert set(found) == {"install", "image", "pull", "state", "upgrade", "remove"}
    assert found["state"] == "kind: 2 pods"
    assert found["upgrade"] == "kind: 0.2.900 to 0.2.1000"


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "rke2-ingress-nginx-admission", "namespace": "kube-system"},
}


@pytest.mark.timeout(1500)
def test_every_bundled_chart_gets_as_far_as_its_entry_says(
    tree: Path, reference_data: Path, capsys: pytest.CaptureFixture[str], helm: str
) -> None:
    cache = tree.parent / "cache"
    place = tree / "charts-manifest" / expect.NAME
    entries = yaml.safe_load(place.read_text())
    # The hook that makes this secret is a program that stands in for the real one here.
    ingress = entries["charts"]["rke2-ingress-nginx"]
    del ingress["leaves"]
    ingress["objects"] = [SECRET]
    place.write_text(json.dumps(entries))
    repository = reference_data / "rke2-charts"
    charts = list(bundled(tree, repository, cache))
    archive = standins.write(tree.parent / "images.linux-amd64.tar", charts)
    capsys.readouterr()
    code = run(
        [
            *("validate", "--level", "kind", str(archive), "--tree", str(tree), "--json"),
            *("--charts-repo", str(repository), "--cache-dir", str(cache)),
            *("--row", "community-2.11", "--helm", helm),
        ]
    )
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    assert (code, document["findings"]) == (0, []), captured.err
    tried = {
        each["subject"].split()[1] for each in document["results"] if each["check"] == "install"
    }
    assert tried == {chart.name for chart, _ in charts}
    counted = {
        each["subject"].split()[1]: int(each["detail"].split()[1])
        for each in document["results"]
        if each["check"] == "state" and each["status"] == "passed"
    }
    without = {"rke2-runtimeclasses", *(name for name in tried if name.endswith("-crd"))}
    assert {name for name, pods in counted.items() if not pods} == without


def bundled(tree: Path, repository: Path, cache: Path) -> Iterator[tuple[Chart, Mapping[str, Any]]]:
    """Every bundled chart with each set of values that it is tried with."""
    own = settings(tree, charts_repo=str(repository), cache_dir=cache)
    workspace = Workspace(settings=own)
    versions = workspace.bundled()
    text = workspace.tree.path(expect.NAME).read_text()
    entries = Expectations.parse(text, what=expect.NAME, known=versions)
    for name, version in versions.items():
        chart, entry = workspace.chart(name, version), entries.of(name)
        for _, values in checks.value_sets(chart, uses_ci=entry.uses_ci):
            yield chart, checks.over(entry.values, values)
