"""Writing a planned bump: the files, and the commit of exactly them."""

from __future__ import annotations

from pathlib import Path

from rke2pack import journal
from rke2pack.errors import ToolError
from rke2pack.stages.bump import report
from rke2pack.stages.bump.model import Plan, Wish
from rke2pack.vcs.checkout import Checkout
from rke2pack.workspace import Workspace


def write(workspace: Workspace, plan: Plan) -> None:
    """Write every file that changes, all or none; the caller holds the tree's lock."""
    changes = {file.path: file.new for file in plan.files if file.is_changed}
    journal.apply(workspace.any_tree.root, changes)


def touched(plan: Plan) -> list[Path]:
    """Return the files that a commit of the bump has."""
    return [file.path for file in plan.files if file.is_changed and file.is_tracked]


def open_checkout(workspace: Workspace, plan: Plan, branch: str | None) -> Checkout:
    """Open the checkout and refuse what a commit could not do, before anything is written."""
    checkout = Checkout(workspace.any_tree.root, commits=True)
    checkout.refuse_local_changes(touched(plan))
    if branch is not None:
        checkout.refuse_branch(branch)
    return checkout


def commit(
    workspace: Workspace,
    plan: Plan,
    checkout: Checkout,
    wish: Wish,
    *,
    branch: str | None,
) -> str:
    """Write and commit, on a new branch where one is named; returns the commit's id.

    Where git refuses (a hook, a signature), the old files are put back.
    """
    write(workspace, plan)
    try:
        return checkout.commit(
            touched(plan),
            message=wish.message or report.message(plan),
            branch=branch,
            is_signed_off=wish.is_signed_off,
        )
    except ToolError as exc:
        changed = [file for file in plan.files if file.is_changed]
        kept = {file.path: file.old for file in changed if file.old is not None}
        journal.apply(workspace.any_tree.root, kept)
        for file in changed:
            if file.old is None:
                file.path.unlink()
        exc.hint = exc.hint or "find out why git refuses; the tree is as it was"
        raise
