"""The page of a real release: real charts and lists, against the real release before it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.cli import run
from rke2pack.stages.report import MAX_BYTES
from tests.upstream.releases import write_tree


@pytest.mark.slow
def test_a_real_release_is_one_small_page(
    reference_data: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = "v1.32.4+rke2r1", "v1.32.5+rke2r1"
    for release in (old, new):
        write_tree(reference_data, release, tmp_path / release, project)
    where = ("--tree", str(tmp_path / new), "--charts-repo", str(reference_data / "rke2-charts"))
    cache = ("--cache-dir", str(tmp_path / "cache"))
    capsys.readouterr()
    assert run(["report", *where, *cache, "--against", str(tmp_path / old), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["release"] == new
    assert len(document["images"]) > 55
    unproven = [each["reference"] for each in document["images"] if not each["proofs"]]
    assert unproven == []
    changes = document["changes"]
    assert changes["against"] == old
    charts = {each["chart"]: each for each in changes["charts"]}
    bump = charts["harvester-cloud-provider"]
    assert (bump["from"], bump["to"]) == ("0.2.900", "0.2.1000")
    assert [(row["subject"], row["old"]) for row in bump["rows"] if row["area"] == "values"] == [
        ("cloudConfigPath", '"/etc/kubernetes/cloud-config"')
    ]
    assert [each["chart"] for each in charts.values() if each["problem"]] == []
    assert "core" in {each["component"] for each in changes["images"]}
    assert (tmp_path / new / "dist/report.html").stat().st_size < MAX_BYTES
