"""The `run:` steps of a workflow, those of the actions of this repository included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import yaml

# A job, and the ids (or numbers) of a step and of the steps of actions inside it.
Step: TypeAlias = tuple[str, tuple[str, ...]]


def of_workflow(root: Path, workflow: str) -> dict[Step, str]:
    """Return what every step runs."""
    document = read(root / ".github/workflows" / workflow)
    return {
        (job, ids): run
        for job, content in document["jobs"].items()
        for ids, run in _of_steps(root, content["steps"])
    }


def actions(root: Path) -> frozenset[str]:
    """Return the actions of others that workflows and own actions use, with their commits."""
    found = set()
    for path in (*root.glob(".github/workflows/*.yml"), *own_actions(root)):
        document = read(path)
        jobs = document["jobs"].values() if "jobs" in document else [document["runs"]]
        found |= {step["uses"] for job in jobs for step in job["steps"] if "uses" in step}
    return frozenset(name for name in found if not name.startswith("./"))


def own_actions(root: Path) -> tuple[Path, ...]:
    """Return the files of the actions that the repository has."""
    return (root / "action.yml", *root.glob(".github/actions/*/action.yml"))


def read(path: Path) -> dict[str, Any]:
    """Read a file; what stands under ``on`` is not asked for."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def _of_steps(
    root: Path, steps: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[tuple[str, ...], str]]:
    for number, step in enumerate(steps):
        own = str(step.get("id", number))
        if "run" in step:
            yield (own,), step["run"]
        elif step["uses"].startswith("./"):
            inner = read(root / step["uses"] / "action.yml")["runs"]["steps"]
            yield from (((own, *ids), run) for ids, run in _of_steps(root, inner))
