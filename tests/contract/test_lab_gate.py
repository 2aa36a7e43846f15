"""The lab's images pass the gate, for every platform of the tree."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rke2pack import cli
from rke2pack.lists import lock as locks


def test_the_lab_passes_the_gate_and_can_be_locked(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copy(project / "images.txt", tree)
    arguments = ["images", "--lab", "--json", "--tree", str(tree)]
    assert cli.run([*arguments, "--verify-registry"]) == 0
    gate = json.loads(capsys.readouterr().out)
    listed = {line for line in (tree / "images.txt").read_text().splitlines() if line[:1] != "#"}
    assert {each["reference"] for each in gate["results"]} == listed - {""}
    assert gate["totals"]["failed"] == 0
    assert gate["totals"]["passed"] == len(gate["results"])
    assert cli.run([*arguments, "--lock"]) == 0
    made = locks.read(tree / "dist/lab/tree/images.lock")
    assert made is not None
    assert {str(each.reference) for each in made.images} == listed - {""}
    assert not (tree / "images.lock").exists()
