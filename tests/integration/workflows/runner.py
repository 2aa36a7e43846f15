"""Runs workflows on this machine with act, without a network, and tells which steps it ran."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.integration.workflows import steps
from tests.integration.workflows.steps import Step

STANDINS: Final = Path(__file__).parent / "standins"
REPOSITORY: Final = "example/rke2-packaging"
TOKEN: Final = "token-of-a-tester"


@dataclass(kw_only=True)
class Ran:
    """What became of the steps; ``output`` is all that was said."""

    code: int
    done: set[Step] = field(default_factory=set)
    failed: dict[Step, str] = field(default_factory=dict)
    output: str = ""

    def left(self, root: Path, workflow: str) -> dict[Step, str]:
        """Return the steps of a workflow that were not run to a good end."""
        wanted = steps.of_workflow(root, workflow)
        return {step: run for step, run in wanted.items() if step not in self.done}

    def __or__(self, other: Ran) -> Ran:
        return Ran(
            code=self.code or other.code,
            done=self.done | other.done,
            failed=self.failed | other.failed,
            output=self.output + other.output,
        )


@dataclass(frozen=True, kw_only=True)
class Runner:
    """act in a repository; ``environment`` is the machine's."""

    program: str
    repository: Path
    environment: Mapping[str, str]

    def run(
        self,
        workflow: str,
        event: str,
        *options: str,
        payload: Mapping[str, Any] | None = None,
        **environment: str,
    ) -> Ran:
        """Run a workflow as an event of GitHub would; every job has a folder of its own."""
        told = self.repository.parent / f"{event}.json"
        told.write_text(json.dumps(payload or {}))
        command = [
            *(self.program, event, "--workflows", f".github/workflows/{workflow}"),
            *("--eventpath", str(told), "--json", "--platform", "ubuntu-24.04=-self-hosted"),
            *("--action-offline-mode", "--no-cache-server", "--concurrent-jobs", "2"),
            *("--secret", f"GITHUB_TOKEN={TOKEN}", "--env", f"GITHUB_REPOSITORY={REPOSITORY}"),
            *self._local_actions(),
            *options,
        ]
        done = subprocess.run(
            command, cwd=self.repository, env={**self.environment, **environment},
            capture_output=True, text=True, check=False, timeout=1500,
        )  # fmt: skip
        return _read(done)

    def _local_actions(self) -> list[str]:
        found = []
        for name in sorted(steps.actions(self.repository)):
            own = STANDINS / name.partition("@")[0].rpartition("/")[2]
            if own.is_dir():
                found += ["--local-repository", f"{name}={own}"]
            else:
                assert name.startswith("actions/checkout@"), f"no stand-in for {name}"
        return found


def _read(done: subprocess.CompletedProcess[str]) -> Ran:
    ran = Ran(code=done.returncode, output=done.stderr)
    said: dict[Step, list[str]] = {}
    for line in done.stdout.splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            ran.output += line + os.linesep
            continue
        ran.output += str(entry["msg"]).rstrip() + os.linesep
        if entry.get("stage") != "Main" or "stepID" not in entry:
            continue
        step = (entry["jobID"], tuple(entry["stepID"]))
        if entry.get("raw_output"):
            said.setdefault(step, []).append(entry["msg"])
        if entry.get("stepResult") == "success":
            ran.done.add(step)
        elif entry.get("stepResult") == "failure":
            ran.failed[step] = "".join(said.get(step, []))[-3000:]
    return ran
