from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stages import checkouts
from tests.unit.stages.checkouts import SCRIPT, VERSIONS, git, write_lines
from tests.unit.stages.conftest import Rke2pack


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkouts.charts(tmp_path_factory.mktemp("charts"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "rke2", old="v1.31.8", new="v1.32.4")


BOTH = "line-old,line-new"


def branches(root: Path) -> list[str]:
    return git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def worktrees(root: Path) -> int:
    return len(git(root, "worktree", "list").splitlines())


def test_every_line_gets_a_branch_with_one_commit(
    root: Path, repository: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    (root / SCRIPT).write_text("# mine\n")
    head = git(root, "rev-parse", "HEAD")
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", BOTH, "--json", "--report", tmp_path / "reports")
    assert answer.code == 0, answer.err
    assert [line["line"] for line in answer.json["lines"]] == ["line-old", "line-new"]
    assert [line["kube_version"] for line in answer.json["lines"]] == ["v1.31.8", "v1.32.4"]
    for line in answer.json["lines"]:
        name = f"bump/a-1.1.0/{line['line']}"
        assert line["branch"] == name
        assert git(root, "rev-parse", name) == line["commit"]
        assert git(root, "rev-parse", f"{name}^") == line["base"]
        assert git(root, "diff", "--name-only", f"{name}^", name).split() == [VERSIONS, SCRIPT]
        assert line["bump"]["to"] == "1.1.000"
        assert (tmp_path / "reports" / f"{line['line']}.md").is_file()
    assert git(root, "rev-parse", "HEAD") == head
    assert (root / SCRIPT).read_text() == "# mine\n"
    assert git(root, "status", "--porcelain") == f"M {SCRIPT}"
    assert worktrees(root) == 1


def test_dry_run_makes_no_branch(root: Path, repository: Path, rke2pack: Rke2pack) -> None:
    before = branches(root)
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository, "--dry-run")
    answer = rke2pack(*words, "--lines", BOTH)
    assert answer.code == 0, answer.err
    assert "dry run: no branch was made\n" in answer.err
    assert branches(root) == before
    assert worktrees(root) == 1


def test_one_line_that_cannot_move_stops_all(
    root: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    before = branches(root)
    words = ("bump", "a", "1.2.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", "line-new,line-old")
    assert answer.code == 7
    assert "error: line line-old: a 1.2.000: needs Kubernetes >= 1.32.0-0" in answer.err
    assert branches(root) == before
    assert worktrees(root) == 1


def test_a_hook_that_refuses_the_second_line_leaves_no_branch(
    root: Path, repository: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    hook = root / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    seen = tmp_path / "seen"
    hook.write_text(
        f'#!/bin/sh\nif [ -e "{seen}" ]; then echo not this one >&2; exit 1; fi\n: > "{seen}"\n'
    )
    hook.chmod(0o755)
    before = branches(root)
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", BOTH)
    assert answer.code == 6
    assert "not this one" in answer.err
    assert seen.exists()
    assert branches(root) == before
    assert worktrees(root) == 1


def test_a_line_that_has_the_version_gets_no_branch(
    root: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    git(root, "switch", "--quiet", "line-new")
    checkouts.write_checkout(root, versions={"a": "1.1.000"})
    checkouts.commit(root, "moved by hand")
    git(root, "switch", "--quiet", "--detach", "main")
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository, "--json")
    answer = rke2pack(*words, "--lines", BOTH)
    assert answer.code == 0, answer.err
    made = {line["line"]: line["branch"] for line in answer.json["lines"]}
    assert made == {"line-old": "bump/a-1.1.0/line-old", "line-new": None}
    assert git(root, "branch", "--show-current") == ""


def test_a_tree_below_the_top_is_found_on_every_line(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    top = tmp_path / "top"
    tree = top / "sub/rke2"
    tree.mkdir(parents=True)
    git(top, "init", "--quiet", "--initial-branch=main")
    checkouts.write_checkout(tree)
    checkouts.commit(top, "first")
    git(top, "branch", "line-a")
    words = ("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository)
    assert rke2pack(*words, "--lines", "line-a").code == 0
    changed = git(top, "diff", "--name-only", "main", "bump/a-1.1.0/line-a").split()
    assert changed == [f"sub/rke2/{VERSIONS}", f"sub/rke2/{SCRIPT}"]


def test_a_line_that_only_the_remote_has(
    root: Path, repository: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", "main", str(root), str(clone))
    words = ("bump", "a", "1.1.0", "--tree", clone, "--charts-repo", repository)
    assert rke2pack(*words, "--lines", "line-old", "--branch", "b").code == 0
    assert branches(clone) == ["b/line-old", "main"]
    assert git(clone, "rev-parse", "b/line-old^") == git(root, "rev-parse", "line-old")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("line-none", "line-none: no branch of this name, here or at a remote"),
        (",", "--lines names no line"),
    ],
)
def test_lines_that_are_none(
    root: Path, repository: Path, rke2pack: Rke2pack, lines: str, message: str
) -> None:
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", lines)
    assert answer.code == 2
    assert f"error: {message}\n" in answer.err


def test_an_existing_branch_is_refused_before_anything_is_done(
    root: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    git(root, "branch", "bump/a-1.1.0/line-new")
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", BOTH)
    assert answer.code == 2
    assert "error: branch bump/a-1.1.0/line-new exists already\n" in answer.err


def test_what_a_killed_run_left_is_no_hindrance(
    root: Path, repository: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    stale = tmp_path / "stale"
    git(root, "worktree", "add", "--quiet", "--detach", str(stale), "line-old")
    for path in sorted(stale.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    stale.rmdir()
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    assert rke2pack(*words, "--lines", BOTH).code == 0
    assert worktrees(root) == 1


def test_lines_commit_by_themselves(root: Path, repository: Path, rke2pack: Rke2pack) -> None:
    words = ("bump", "a", "1.1.0", "--tree", root, "--charts-repo", repository)
    answer = rke2pack(*words, "--lines", BOTH, "--commit")
    assert answer.code == 2
    assert "--lines commits by itself" in answer.err
