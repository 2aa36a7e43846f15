"""bump.yml: every newer version is proposed once, a pull request for each release line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.github.simulator import Simulator, simulated
from tests.integration.workflows.repository import LINES, git
from tests.integration.workflows.runner import TOKEN, Ran, Runner

WORKFLOW = "bump.yml"
CHART = "harvester-cloud-provider"


@pytest.fixture
def github() -> Iterator[Simulator]:
    with simulated() as state:
        yield state


def by_schedule(runner: Runner, github: Simulator) -> Ran:
    lines = ("--var", f"BUMP_LINES={','.join(LINES)}")
    return runner.run(WORKFLOW, "schedule", *lines, RKE2PACK_PROPOSE_API=github.url)


def by_hand(runner: Runner, github: Simulator, version: str, chart: str = CHART) -> Ran:
    inputs = {"chart": chart, "version": version, "lines": LINES[0]}
    return runner.run(
        WORKFLOW, "workflow_dispatch", payload={"inputs": inputs}, RKE2PACK_PROPOSE_API=github.url
    )


def test_version_asked_for_is_proposed_on_its_lines(runner: Runner, github: Simulator) -> None:
    ran = by_hand(runner, github, "0.2.10")
    assert (ran.code, ran.failed, ran.left(runner.repository, WORKFLOW)) == (0, {}, {}), ran.output
    (pull,) = github.pulls
    assert pull["base"] == LINES[0]
    assert pull["head"].endswith(f"bump/{CHART}-0.2.1000/{LINES[0]}")
    assert CHART in pull["body"]
    assert "0.2.1000" in pull["body"]
    assert TOKEN not in ran.output


def test_schedule_proposes_each_newer_harvester_chart_once(
    runner: Runner, github: Simulator
) -> None:
    first = by_schedule(runner, github)
    assert (first.code, first.failed) == (0, {}), first.output
    proposed = {pull["head"].partition(":")[2] for pull in github.pulls}
    assert {name.rpartition("/")[2] for name in proposed} == set(LINES)
    assert any(name.startswith(f"bump/{CHART}-") for name in proposed)
    assert not any("latest" in name for name in proposed)
    git(runner.repository, "fetch", "--quiet", "origin")
    github.pulls.clear()
    second = by_schedule(runner, github)
    assert (second.code, github.pulls) == (0, []), second.output
    assert "proposed before" in second.output


def test_branch_without_a_pull_request_gets_one_by_hand(runner: Runner, github: Simulator) -> None:
    assert by_hand(runner, github, "0.2.10").code == 0
    git(runner.repository, "fetch", "--quiet", "origin")
    github.pulls.clear()
    again = by_hand(runner, github, "0.2.10")
    assert (again.code, len(github.pulls)) == (0, 1), again.output


def test_nothing_newer_is_no_failure(runner: Runner, github: Simulator) -> None:
    ran = by_hand(runner, github, "0.2.9")
    assert (ran.code, github.pulls) == (0, []), ran.output


@pytest.mark.parametrize(
    "chart", ["$(touch MARK)", '"; touch MARK; "', "a\nleft=b", '"]}} || touch MARK']
)
def test_what_is_typed_into_the_form_is_no_program(
    chart: str, runner: Runner, github: Simulator, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    typed = chart.replace("MARK", str(mark))
    ran = by_hand(runner, github, f"$(touch {mark})", typed)
    assert (ran.code, len(ran.failed)) == (1, 1), ran.output
    assert not mark.exists()
    assert github.requests == []
