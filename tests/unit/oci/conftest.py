"""An empty layout, and what packs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.oci.store.layout import Layout
from tests.unit.oci.workshop import Workshop


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path / "store")


@pytest.fixture
def workshop(layout: Layout, tmp_path: Path) -> Workshop:
    return Workshop(layout, tmp_path / "cache")
