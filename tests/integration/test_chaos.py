"""A short campaign; the long one is ``nox -s chaos``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.campaign import Campaign, opened
from tests.chaos.scenarios import SCENARIOS, Scenario

EVENTS = 3


@pytest.fixture(scope="module")
def campaign(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with opened(project, tmp_path_factory.mktemp("chaos"), seed=11) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_hurt_runs_leave_what_was_or_what_will_be_and_the_next_one_ends_as_ever(
    campaign: Campaign, scenario: Scenario
) -> None:
    for _ in range(EVENTS):
        campaign.event(scenario)
    assert campaign.told[scenario.name] == EVENTS
