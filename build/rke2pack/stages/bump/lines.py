"""``bump --lines``: the same bump on several release lines, a branch each, all or none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rke2pack import files
from rke2pack.console import Console
from rke2pack.errors import ConfigError, PackError
from rke2pack.settings import Settings
from rke2pack.stages.bump import plan as planning
from rke2pack.stages.bump import report, writing
from rke2pack.stages.bump.model import Plan, Wish
from rke2pack.validate import matrix
from rke2pack.vcs.checkout import Checkout
from rke2pack.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line with its planned bump; no plan where the version is bundled there already."""

    name: str
    branch: str
    base: str
    kube_version: str
    bundled: str
    plan: Plan | None
    root: Path
    commit: str | None = None


def run(
    settings: Settings,
    console: Console,
    wish: Wish,
    names: tuple[str, ...],
    reports: Path | None,
) -> tuple[Line, ...]:
    """Plan, and without ``--dry-run`` commit, the bump on every line; nothing is checked out here.

    Each line gets a branch ``<branch>/<line>`` with one commit on top of it, and a
    report ``<line>.md`` in the folder ``reports``.
    Raises the first line's error with those of the others; then no branch is made.
    """
    workspace = Workspace(settings=settings)
    checkout = Checkout(settings.tree, commits=not settings.is_dry_run)
    lines = matrix.in_full(workspace.any_tree, names)
    bases = {name: checkout.line(name) for name in lines}
    for name in lines:
        checkout.refuse_branch(_branch(wish, name))
    below = settings.tree.resolve().relative_to(checkout.top)
    with contextlib.ExitStack() as stack:
        planned: list[Line] = []
        errors: list[tuple[str, PackError]] = []
        for name, base in bases.items():
            console.step(f"line {name}: {wish.chart} {wish.version}")
            root = stack.enter_context(checkout.worktree(base)) / below
            try:
                planned.append(_planned(settings, wish, name, base=base, root=root))
            except PackError as exc:
                errors.append((name, exc))
        if errors:
            raise _together(errors)
        if reports is not None:
            _write_reports(planned, reports)
        if settings.is_dry_run:
            return tuple(planned)
        done = tuple(_committed(settings, wish, line) for line in planned)
        made = {line.branch: line.commit for line in done if line.commit is not None}
        if made:
            checkout.create_branches(made)
        return done


def _planned(settings: Settings, wish: Wish, name: str, *, base: str, root: Path) -> Line:
    workspace = Workspace(settings=replace(settings, tree=root))
    entry, resolution = planning.choose(workspace, wish.chart, wish.version)
    plan = None
    if resolution.version != entry.version:
        plan = planning.make(workspace, entry, resolution, wish)
    return Line(
        name=name,
        branch=_branch(wish, name),
        base=base,
        kube_version=workspace.any_tree.kube_version,
        bundled=str(entry.version),
        plan=plan,
        root=root,
    )


def _write_reports(lines: Iterable[Line], folder: Path) -> None:
    for line in lines:
        if line.plan is not None:
            text = report.markdown(line.plan, line.root, kube_version=line.kube_version)
            name = line.name.replace("/", "-")
            files.write(folder / f"{name}.md", text.encode())


def _committed(settings: Settings, wish: Wish, line: Line) -> Line:
    if line.plan is None:
        return line
    workspace = Workspace(settings=replace(settings, tree=line.root))
    with workspace.locked():
        commit = writing.commit(workspace, line.plan, Checkout(line.root), wish, branch=None)
    return replace(line, commit=commit)


def _together(errors: list[tuple[str, PackError]]) -> PackError:
    name, first = errors[0]
    others = tuple(f"{other}: {exc.message}" for other, exc in errors[1:])
    first.message = f"line {name}: {first.message}"
    first.details = (*first.details, *others)
    first.hint = first.hint or "leave that line out of --lines, or make the bump possible there"
    return first


def _branch(wish: Wish, line: str) -> str:
    """Return the new branch for a line; ranges of versions have no place in a name."""
    own = re.sub(r"[^A-Za-z0-9._/-]+", "-", f"bump/{wish.chart}-{wish.version}").strip("-.")
    return f"{wish.branch or own}/{line}"


def split(text: str) -> tuple[str, ...]:
    """Return the names of ``--lines``; raises ConfigError for none."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        msg = "--lines names no line"
        raise ConfigError(msg, hint="write --lines release-1.31,release-1.32, or supported")
    return names


def tell(console: Console, lines: tuple[Line, ...], *, is_dry_run: bool) -> None:
    """Say what every line gets, as a table with what differs from line to line."""
    rows = [_row(line) for line in lines]
    header = ("line", "kubernetes", "from", "to", "images", "findings", "branch")
    console.table(header, rows)
    for line in lines:
        if line.plan is None:
            continue
        for change in line.plan.images:
            for sign, images in (("-", change.removed), ("+", change.added)):
                for image in images:
                    console.line(f"{line.name}: {change.component}: {sign} {image}")
        for finding in line.plan.findings:
            console.line(f"{line.name}: {finding}")
    if is_dry_run:
        console.line("dry run: no branch was made")
        return
    made = (line.branch.removesuffix(f"/{line.name}") for line in lines if line.commit)
    for branch in dict.fromkeys(made):
        console.line(f"next: rke2pack propose {branch} --repo OWNER/NAME")


def _row(line: Line) -> tuple[str, ...]:
    if line.plan is None:
        return (line.name, line.kube_version, line.bundled, "as it is", "", "", "")
    plan = line.plan
    added = sum(len(change.added) for change in plan.images)
    removed = sum(len(change.removed) for change in plan.images)
    images = f"+{added} -{removed}" if added or removed else "same"
    to = str(plan.moves[0].version)
    branch = line.branch
    counted = str(len(plan.findings))
    return (line.name, line.kube_version, line.bundled, to, images, counted, branch)


def document(lines: tuple[Line, ...], wish: Wish) -> dict[str, Any]:
    """Return the document of ``--json``; each line's ``bump`` is as without ``--lines``."""
    return {
        "chart": wish.chart,
        "version": wish.version,
        "lines": [
            {
                "line": line.name,
                "base": line.base,
                "kube_version": line.kube_version,
                "branch": line.branch if line.plan is not None else None,
                "commit": line.commit,
                "bump": report.document(line.plan, line.root, commit=line.commit)
                if line.plan is not None
                else None,
            }
            for line in lines
        ],
    }
