"""The lab, open: a chart repository and a registry that several processes ask at once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2pack.settings import Settings
from tests.chaos.campaign import opened


@pytest.fixture(scope="session")
def lab(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with opened(project, tmp_path_factory.mktemp("lab"), seed=7) as campaign:
        yield campaign.lab


@pytest.fixture
def chance() -> random.Random:
    return random.Random(7)  # noqa: S311 - moments, no secrets
