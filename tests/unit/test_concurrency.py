"""docs/concurrency.md: each row names its tests, and they are there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.test_security import functions

_TEST = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)`")


def test_every_row_names_tests_that_are_there(project: Path) -> None:
    text = (project / "docs/concurrency.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?!at once|---).*", text, flags=re.MULTILINE)
    assert len(rows) > 25
    assert [row for row in rows if not _TEST.search(row)] == []
    named = _TEST.findall(text)
    assert [each for each in named if each[1] not in functions(project / each[0])] == []


def test_every_test_of_races_has_its_row(project: Path) -> None:
    text = (project / "docs/concurrency.md").read_text(encoding="utf-8")
    folder = project / "tests/integration/concurrency"
    written = {
        f"tests/integration/concurrency/{path.name}::{name}"
        for path in folder.glob("test_*.py")
        for name in functions(path)
        if name.startswith("test_")
    }
    assert written
    assert [each for each in sorted(written) if f"`{each}`" not in text] == []
