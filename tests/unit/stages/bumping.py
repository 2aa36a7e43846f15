"""What tests of bump share: the example's chart, and trees with all that a bump changes."""

from __future__ import annotations

from pathlib import Path

from tests.unit.stages.conftest import (
    Rke2pack,
)

CHART = "harvester-cloud-provider"


def bundle(root: Path, rke2pack: Rke2pack, repository: Path) -> None:
    """Write manifests and lists of a new tree."""
    for arguments in (["charts", "--references"], ["images"]):
        answer = rke2pack(*arguments, "--tree", root, "--charts-repo", repository)
        assert answer.code == 0, answer.err
