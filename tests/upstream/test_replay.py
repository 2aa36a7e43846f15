from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.lists import text
from tests.upstream.replay import Bump, after, replay

CLOUD_PROVIDER = "rancher/harvester-cloud-provider"
CSI_DRIVER = "rancher/harvester-csi-driver"
# What the committed lists lacked although a chart of the tree renders it, and what they
# held although none does. The first two were new with the record's own bump.
OMISSIONS = {
    ("2024-02-13", "0.1.1700"): ({f"{CSI_DRIVER}:v0.1.5"}, {f"{CSI_DRIVER}:v0.1.6"}),
    ("2024-04-13", "0.2.300"): (
        {f"{CLOUD_PROVIDER}:v0.2.0", f"{CSI_DRIVER}:v0.1.5"},
        {f"{CLOUD_PROVIDER}:v0.2.1", f"{CSI_DRIVER}:v0.1.6"},
    ),
    ("2024-05-24", "0.2.400"): ({f"{CSI_DRIVER}:v0.1.5"}, {f"{CSI_DRIVER}:v0.1.6"}),
}


def test_every_harvester_bump_gives_the_recorded_versions_and_lists(
    reference_data: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bumps = [
        bump
        for bump in Bump.read_all(reference_data)
        if any(name.startswith("harvester-") for name in bump.moves)
    ]
    assert len(bumps) == 11
    seen = {}
    for number, bump in enumerate(bumps):
        root = tmp_path / str(number)
        charts_repo = reference_data / "rke2-charts"
        before = _versions_after(bump)
        assert replay(bump, root, charts_repo=charts_repo, project=project) == 0, bump.moves
        document = json.loads(capsys.readouterr().out)
        assert (root / "charts-manifest/chart_versions.yaml").read_text() == before
        ours, theirs = _list(root), after(bump, "harvester")
        if ours != theirs:
            seen[bump.date, document["to"]] = (ours - theirs, theirs - ours)
    assert seen == OMISSIONS


def _versions_after(bump: Bump) -> str:
    """chart_versions.yaml with exactly the recorded moves."""
    versions = {**bump.charts, **{name: new for name, (_, new) in bump.moves.items()}}
    return "charts:\n" + "".join(
        f"  - version: {version}\n    filename: /charts/{name}.yaml\n    bootstrap: true\n"
        for name, version in versions.items()
    )


def _list(root: Path) -> set[str]:
    sections = text.parse((root / "images.txt").read_text(), what="images.txt")
    harvester = next(s for s in sections if s.component == "harvester")
    return {reference.removeprefix("docker.io/") for reference in harvester.references}
