"""The lab's charts pass every check on every row of the project's matrix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.cli import run


def test_lab_has_nothing_unexplained(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    for source in (*(project / "charts-manifest").iterdir(), project / "images.txt"):
        target = tree / source.relative_to(project)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    code = run(
        ["validate", "--lab", "--tree", str(tree), "--fail-on", "warning", "--json", "--quiet"]
    )
    document = json.loads(capsys.readouterr().out)
    assert code == 0, document
    assert document["explained"] == []
    assert {each["severity"] for each in document["findings"]} <= {"info"}
    passed = [each for each in document["results"] if each["status"] == "passed"]
    assert len({each["subject"] for each in passed}) == 3 * (18 + 10)  # charts and components
    assert (tree / "dist/lab/tree/dist/validate/report.md").is_file()
    assert not (tree / "dist/validate").exists()
