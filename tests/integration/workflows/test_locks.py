"""locks.yml: the one workflow whose steps ask the package index."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import pytest
import requests

from tests.integration.workflows import steps
from tests.integration.workflows.runner import Runner

ADVISORIES = "https://pypi.org/pypi/pip/25.0/json"
Missing = Callable[[str, str], NoReturn]


@pytest.fixture
def online(runner: Runner, missing: Missing, tmp_path: Path) -> Runner:
    """A machine that may ask the package index, as this one is told to."""
    offline = {"PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_OFFLINE"}
    kept = {name: text for name, text in runner.environment.items() if name not in offline}
    told = {name: text for name, text in os.environ.items() if name.startswith(("PIP_", "UV_"))}
    python = Path(runner.environment["STANDIN_PYTHON"]) / "bin/python"
    ask: list[str | Path] = [
        python,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        tmp_path / "asked",
    ]
    asked = subprocess.run([*ask, "packaging"], capture_output=True, text=True, check=False)
    if asked.returncode:
        missing("package-index", f"no package index: {asked.stderr.strip().splitlines()[-1:]}")
    return replace(runner, environment={**kept, **told})


@pytest.mark.timeout(600)
def test_locks_are_what_their_inputs_ask_for(online: Runner) -> None:
    ran = online.run("locks.yml", "push", "--job", "current")
    assert (ran.code, ran.failed) == (0, {}), ran.output


def test_both_jobs_have_such_a_test(project: Path) -> None:
    found = steps.of_workflow(project, "locks.yml")
    assert {job for job, _ in found} == {"current", "vulnerabilities"}


@pytest.mark.timeout(900)
def test_known_vulnerabilities_are_asked_for(online: Runner, missing: Missing) -> None:
    try:
        answer = requests.get(ADVISORIES, timeout=20)
    except requests.RequestException as exc:
        missing("advisories", f"{ADVISORIES}: {type(exc).__name__}")
    if answer.status_code != HTTPStatus.OK:
        missing("advisories", f"{ADVISORIES}: {answer.status_code}")
    ran = online.run("locks.yml", "push", "--job", "vulnerabilities")
    assert (ran.code, ran.failed) == (0, {}), ran.output
