from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.github.simulator import Simulator, simulated


@pytest.fixture
def github() -> Iterator[Simulator]:
    with simulated() as state:
        yield state
