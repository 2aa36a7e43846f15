"""docs/dependencies.md: each package that we need was looked at, and is where it says."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest

from tests.unit.test_layering import HOMES

# Read as data, and imported nowhere.
DATA: Final = {"kubernetes-validate": ("validate.schemas",)}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def rows(project: Path) -> dict[str, list[str]]:
    """Package -> the cells of its row."""
    text = (project / "docs/dependencies.md").read_text(encoding="utf-8")
    cells = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    found = {row[0].strip().strip("`"): [cell.strip() for cell in row] for row in cells}
    assert len(found) == len(cells)
    return found


def test_each_dependency_has_a_row_and_each_row_is_one(
    rows: dict[str, list[str]], project: Path
) -> None:
    document = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [_NAME.match(text) for text in document["project"]["dependencies"]]
    assert sorted(rows) == sorted(match[0] for match in asked if match)


def test_each_row_says_all(rows: dict[str, list[str]]) -> None:
    assert [name for name, row in rows.items() if len(row) != 7 or not all(row)] == []


def test_versions_of_the_table_were_released_once(rows: dict[str, list[str]]) -> None:
    wrong = {name: row[4] for name, row in rows.items()
             if not re.fullmatch(r"\d+(\.\d+)+, 20\d\d-\d\d-\d\d", row[4])}  # fmt: skip
    assert wrong == {}


def test_each_package_is_in_the_modules_that_its_row_names(rows: dict[str, list[str]]) -> None:
    names: dict[str, set[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            names.setdefault(canonical(package), set()).add(module)
    for package, row in rows.items():
        said = tuple(re.findall(r"`([^`]+)`", row[1].partition(": ")[2]))
        # What this Python has no need of is not installed: its name is the module's.
        imported = names.get(canonical(package), {package.partition(".")[0]})
        homes = {HOMES[name] for name in imported if name in HOMES}
        assert {said} == (homes or {DATA[package]}), package
