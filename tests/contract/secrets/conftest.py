"""Every test of this folder hears what is started."""

from __future__ import annotations

import pytest

from tests.contract.secrets import witness


@pytest.fixture(autouse=True)
def hearing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write down the arguments of every program."""
    witness.listen(monkeypatch)
