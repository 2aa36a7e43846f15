"""The history of a checkout, audited change by change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.lists.audit import Gap
from rke2pack.stages.audit import state
from rke2pack.tree.rke2 import FILES, Rke2Tree
from rke2pack.vcs.checkout import Checkout, Commit
from rke2pack.workspace import Workspace

_Key = tuple[str, str, str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a commit did to the lists: gaps that it opened and closed."""

    commit: Commit
    opened: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "commit": self.commit.id,
            "date": self.commit.date,
            "subject": self.commit.subject,
            "opened": [gap.to_json() for gap in self.opened],
            "closed": [gap.to_json() for gap in self.closed],
            "problem": self.problem or None,
        }


def run(workspace: Workspace, tree: Rke2Tree, console: Console, since: str) -> state.Audit:
    """Audit the state after every commit since a revision; tells what each one changed.

    Returns the last state that could be read.
    """
    checkout = Checkout(tree.root)
    last = state.audit(workspace, state.at(tree, since), since)
    known = _gaps(last)
    at_start = len(known)
    steps: list[Step] = []
    root = tree.root.resolve()
    commits = checkout.history(since, [root / name for name in FILES])
    for commit in commits:
        step, found = _step(workspace, tree, commit, known)
        last = found or last
        known = _gaps(last)
        if step.opened or step.closed or step.problem:
            steps.append(step)
            _tell(console, step)
    first = wording.count(at_start, "gap")
    changes = wording.count(len(commits), "change")
    console.line(f"{since}: {first}; {changes} since; now {len(known)}")
    console.document(
        {
            "since": since,
            "commits": len(commits),
            "steps": [step.to_json() for step in steps],
            "gaps": [gap.to_json() for gap in known.values()],
        }
    )
    return last


def _step(
    workspace: Workspace, tree: Rke2Tree, commit: Commit, before: dict[_Key, Gap]
) -> tuple[Step, state.Audit | None]:
    try:
        found = state.audit(workspace, state.at(tree, commit.id), commit.id)
    except ConfigError as exc:  # a state that cannot be read is told, the next ones follow
        return Step(commit=commit, opened=(), closed=(), problem=exc.message), None
    after = _gaps(found)
    problem = "; ".join(f"{name}: {why}" for name, why in found.unknown.items())
    step = Step(
        commit=commit,
        opened=tuple(gap for key, gap in after.items() if key not in before),
        closed=tuple(gap for key, gap in before.items() if key not in after),
        problem=problem,
    )
    return step, found


def _gaps(found: state.Audit) -> dict[_Key, Gap]:
    return {(*gap.site, gap.image, gap.is_missing): gap for gap in found.gaps}


def _tell(console: Console, step: Step) -> None:
    console.line(f"{step.commit.id[:10]} {step.commit.date} {step.commit.subject}")
    if step.problem:
        console.line(f"  ? {step.problem}")
    for gap in step.opened:
        console.data(f"  opened {gap}\n")
    for gap in step.closed:
        console.data(f"  closed {gap}\n")
