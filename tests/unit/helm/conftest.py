"""Small charts built in memory and the real renderer."""

from __future__ import annotations

import pytest

from rke2pack.helm.render import SdkRenderer


@pytest.fixture(scope="session")
def sdk() -> SdkRenderer:
    return SdkRenderer()
