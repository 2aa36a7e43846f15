"""What a bump tells: lines for a terminal, Markdown for a pull request, JSON for programs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rke2pack import templates, wording
from rke2pack.patch import unified_diff
from rke2pack.stages.bump.model import FileChange, ImageChange, Move, Plan
from rke2pack.tree.versions import BundledChart

MAX_LINES = 6  # of an area in the summary; the areas below are never cut
WHOLE_AREAS = ("app version", "kube version", "rbac", "crds: removed", "your values")


def lines(plan: Plan, *, is_full: bool) -> Iterator[str]:
    """Yield the summary for people; without ``is_full`` long areas of a difference are cut."""
    for move in plan.moves:
        yield _headline(move)
        if move.new is not None:
            yield f"  digest  {move.digest}"
            yield f"  source  {move.source}"
        if move.diff is not None:
            yield from _difference(move, move.diff.summary(), is_full=is_full)
    for change in plan.images:
        yield from _image_lines(change)
    for file in plan.files:
        if file.is_changed and file.is_tracked:
            yield f"changed  {file.path.name}"


def message(plan: Plan) -> str:
    """Return a commit message."""
    main = plan.moves[0]
    what = "remove" if main.new is None else f"bump {main.entry.version} to {main.version}"
    body = [line for change in plan.images for line in _image_lines(change)]
    moves = [f"{_headline(move)}\n  {move.digest}".rstrip() for move in plan.moves]
    return "\n".join([f"{main.entry.name}: {what}", "", *moves, *body])


def _headline(move: Move) -> str:
    if move.new is None:
        return f"{move.entry.name}: {move.entry.version} -> removed"
    upstream = f"upstream {move.version.upstream}"
    return f"{move.entry.name}: {move.entry.version} -> {move.version}  ({upstream})"


def _difference(move: Move, summary: tuple[str, ...], *, is_full: bool) -> Iterator[str]:
    """Indent a difference's lines; cut what is long and neither grants, removes nor moves."""
    cut = 0
    for area, found in itertools.groupby(summary, key=lambda line: line.partition(":")[0]):
        group = tuple(found)
        vital = [line for line in group if is_full or _is_vital(line)]
        rest = [line for line in group if line not in vital]
        yield from (f"  {line}" for line in (*vital, *rest[:MAX_LINES]))
        if len(rest) > MAX_LINES:
            cut += len(rest) - MAX_LINES
            yield f"  {area}: ... {len(rest) - MAX_LINES} more"
    if cut:
        command = f"rke2pack diff {move.entry.name} {move.entry.version} {move.version}"
        yield f"  see all with -v or '{command}'"


def _is_vital(line: str) -> bool:
    """Permissions, removed definitions, and defaults that move: what a cluster notices."""
    return line.startswith(WHOLE_AREAS) or (
        line.startswith("values:") and not line.startswith(("values: added", "values: removed"))
    )


def _image_lines(change: ImageChange) -> Iterator[str]:
    if not change.added and not change.removed:
        images = wording.count(len(change.proofs), "image")
        yield f"images of {change.component}: no change ({images})"
    for reference in change.removed:
        yield f"images of {change.component}: - {reference}"
    for reference in change.added:
        yield f"images of {change.component}: + {reference}  ({change.proofs[reference][0]})"


def patch(plan: Plan, root: Path) -> str:
    """Return the unified diff of all tracked files."""
    return "".join(_patch(file, root) for file in plan.files if file.is_tracked and file.is_changed)


def _patch(file: FileChange, root: Path) -> str:
    old = (file.old or b"").decode()
    return unified_diff(old, file.new.decode(), path=file.path.relative_to(root).as_posix())


def document(plan: Plan, root: Path, *, commit: str | None) -> dict[str, Any]:
    """Return the document of ``--json``; the keys are part of the command's contract."""
    main, *companions = plan.moves
    return {
        **_move(main),
        "rule": plan.resolution.rule,
        "other_matches": [str(version) for version in plan.resolution.others],
        "companions": [_move(move) for move in companions],
        "files": [
            {"path": file.path.relative_to(root).as_posix(), "changed": file.is_changed}
            for file in plan.files
        ],
        "images": {
            c.component: {"added": list(c.added), "removed": list(c.removed)} for c in plan.images
        },
        "findings": [finding.to_json() for finding in plan.findings],
        "commit": commit,
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "chart": move.entry.name,
        "from": str(move.entry.version),
        "to": str(move.version),
        "upstream": move.version.upstream,
        "digest": move.digest or None,
        "source": move.source or None,
        "diff": move.diff.to_json() if move.diff is not None else None,
    }


def nothing_to_do(entry: BundledChart, rule: str) -> dict[str, Any]:
    """Return the document of ``--json`` for a version that is bundled already."""
    version = entry.version
    same = {"chart": entry.name, "from": str(version), "to": str(version)}
    return {
        **same,
        "upstream": version.upstream,
        "digest": None,
        "source": None,
        "diff": None,
        "rule": rule,
        "other_matches": [],
        "companions": [],
        "files": [],
        "images": {},
        "findings": [],
        "commit": None,
    }


def markdown(plan: Plan, root: Path, *, kube_version: str) -> str:
    """Return the text of a pull request (template report.md.j2)."""
    return templates.markdown(
        "rke2pack.stages.bump",
        code=_code,
        count=wording.count,
        plan=plan,
        main=plan.moves[0],
        kube_version=kube_version,
        files=[
            f.path.relative_to(root).as_posix() for f in plan.files if f.is_changed and f.is_tracked
        ],
    )


def _code(text: object) -> str:
    """Return a Markdown code span that its content cannot leave."""
    content = " ".join(str(text).split()).replace("`", "'")
    return f"`{content}`"
