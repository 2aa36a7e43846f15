"""`validate --level kind` with the real charts: the example bump on its row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rke2pack.cli import run
from rke2pack.helm.chart import Chart
from rke2pack.validate.kind import checks
from tests.kind import standins
from tests.kind.conftest import Missing, program

NAME = "harvester-cloud-provider"


@pytest.fixture
def bumped(docker: list[str], reference_data: Path, project: Path, tmp_path: Path) -> Path:
    """A copy of the project's tree after the example bump."""
    assert docker
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    options = ("--charts-repo", str(reference_data / "rke2-charts"), "--tree", str(tree))
    assert run(["bump", NAME, "0.2.1000", *options, "--cache-dir", str(tmp_path / "cache")]) == 0
    return tree


@pytest.fixture
def helm(missing: Missing) -> str:
    return program("helm", missing)


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
