"""ci.yml and kind.yml: every tier; and what holds for all workflows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.archives.conftest import Consumer
from tests.integration.container.conftest import socket
from tests.integration.workflows import steps
from tests.integration.workflows.runner import Ran, Runner

TESTED = {"bump.yml", "ci.yml", "kind.yml", "locks.yml", "release.yml"}


@pytest.mark.timeout(900)
def test_every_tier_is_run(
    runner: Runner, engine: Consumer, base_image: str, wheels: Path, tmp_path: Path
) -> None:
    assert wheels
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    # A small image in place of the Dockerfile's, which tests/integration/container builds.
    real = engine.command[0]
    small = (
        f"printf 'FROM {base_image}\\nENTRYPOINT [\"python3\"]\\n' | {real} build --tag rke2pack -"
    )
    docker.write_text(f'#!/bin/sh\nif [ "$1" = build ]; then {small}; exit; fi\nexec {real} "$@"\n')
    docker.chmod(0o755)
    path = f"{docker.parent}:{runner.environment['PATH']}"
    # The action is run with --lab, which brings a network of its own.
    own = {n: t for n, t in runner.environment.items() if not n.startswith("RKE2PACK_")}
    machine = replace(runner, environment=own)
    ran = machine.run("ci.yml", "push", PATH=path, DOCKER_HOST=socket(engine))
    assert (ran.code, ran.failed, ran.left(runner.repository, "ci.yml")) == (0, {}, {}), ran.output


def test_step_that_fails_or_is_left_out_is_seen(runner: Runner) -> None:
    workflow = runner.repository / ".github/workflows/ci.yml"
    workflow.write_text(
        "on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo here\n      - run: 'false'\n      - run: echo never\n"
    )
    ran = runner.run("ci.yml", "push")
    assert ran.code == 1
    assert set(ran.failed) == {("one", ("1",))}
    left = {("one", ("1",)): "false", ("one", ("2",)): "echo never"}
    assert ran.left(runner.repository, "ci.yml") == left
    assert Ran(code=0).left(runner.repository, "ci.yml").keys() > left.keys()


def test_every_workflow_has_such_a_test(project: Path) -> None:
    assert {path.name for path in (project / ".github/workflows").iterdir()} == TESTED


def test_actions_of_others_are_named_by_commit(project: Path) -> None:
    named = steps.actions(project)
    assert named
    assert [name for name in named if len(name.partition("@")[2]) != 40] == []


def test_no_step_has_an_expression_in_its_text(project: Path) -> None:
    runs = [run for name in TESTED for run in steps.of_workflow(project, name).values()]
    for path in steps.own_actions(project):
        runs += [step["run"] for step in steps.read(path)["runs"]["steps"] if "run" in step]
    assert runs
    assert [run for run in runs if "${{" in run] == []
