"""What validate writes and shows."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.unit.stages.conftest import Rke2pack, chart
from tests.unit.stages.validate.validating import IMAGE, Build, Validate, with_objects
from tests.unit.validate import objects
from tests.unit.validate.objects import changed


def test_reports_say_what_was_checked_by_hand_and_not_at_all(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    tree = build(with_objects("a", changed(objects.service(), "metadata.name", "x\u0007|`")))
    answer = validate()
    folder = tree / "dist/validate"
    document = json.loads((folder / "report.json").read_text())
    assert document["results"] == answer.json["results"]
    assert [row["name"] for row in document["rows"]] == ["old", "new"]
    root = ET.fromstring((folder / "report.xml").read_text())  # noqa: S314 - our own file
    assert [suite.get("name") for suite in root] == ["old", "new"]
    assert [suite.get("failures") for suite in root] == ["1", "1"]
    assert len(root.findall(".//failure")) == 2
    assert any("manual: looked at" in str(each.get("message")) for each in root.iter("skipped"))
    text = (folder / "report.md").read_text()
    assert "## Checked by hand\n\n- [ ] `looked at`: old\n" in text
    assert "## Not checked" in text
    assert "| value | 1 failed | 1 failed |" in text
    other = tmp_path / "elsewhere"
    validate("--output", other)
    assert sorted(path.name for path in other.iterdir()) == [
        *("report.json", "report.md", "report.xml"),
    ]


def test_dry_run_writes_no_report(build: Build, validate: Validate) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    assert validate("--dry-run").code == 0
    assert not (tree / "dist/validate").exists()


def test_terminal_shows_one_table(build: Build, rke2pack: Rke2pack, tmp_path: Path) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    answer = rke2pack("validate", "--tree", tree, "--charts-repo", tmp_path / "charts")
    lines = answer.err.splitlines()
    assert lines[0] == "validate: level static on old, new"
    assert lines[1].split() == ["checked", "by", "us", "old", "new"]
    assert lines[2].split() == ["render", "1", "passed", "1", "passed"]
    assert "  looked at  (old)" in lines
    assert any(line.startswith("seconds  charts ") for line in lines)
