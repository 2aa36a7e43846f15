"""SECURITY.md: each claim names tests, and they are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_TEST = re.compile(r"`(tests/[\w/.-]+\.py)::(\w+)`")
_PATH = re.compile(r"`((?:tests|docs|requirements|charts-manifest)/[\w/.*-]*)`|\]\((\S+?)\)")
_TRUST = "What is trusted"


@pytest.fixture
def text(project: Path) -> str:
    return (project / "SECURITY.md").read_text(encoding="utf-8")


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def claims(text: str) -> list[str]:
    """Every list entry with the lines below it, but those of what is trusted."""
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    kept = "\n\n".join(each for each in sections if not each.startswith(_TRUST))
    return re.findall(r"^- .*(?:\n  .*)*", kept, flags=re.MULTILINE)


def test_every_test_that_it_names_is_there(text: str, project: Path) -> None:
    named = _TEST.findall(text)
    assert len(named) > 50
    files = {path for path, _ in named if (project / path).is_file()}
    there = {(path, name) for path in files for name in functions(project / path)}
    assert [f"{path}::{name}" for path, name in named if (path, name) not in there] == []
    assert [name for _, name in named if not name.startswith("test_")] == []


def test_every_claim_names_a_test(text: str) -> None:
    found = claims(text)
    assert len(found) > 30
    assert [each for each in found if not _TEST.search(each)] == []


def test_every_path_is_there(text: str, project: Path) -> None:
    named = [quoted or linked for quoted, linked in _PATH.findall(text)]
    assert named
    assert [name for name in named if not any(project.glob(name.rstrip("/")))] == []


def test_each_kind_of_attacker_is_there(text: str) -> None:
    heads = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    wanted = ("chart repository", "registry", "archive", "cache folder", "network", "pull request",
              "environment")  # fmt: skip
    assert [each for each in wanted if not any(each in head for head in heads)] == []
