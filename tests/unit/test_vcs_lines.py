from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack import filelock
from rke2pack.errors import ConfigError, ToolError
from rke2pack.vcs.checkout import Checkout
from tests.unit.stages.checkouts import git


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    change(folder, "sub/a.txt", "first")
    return folder


def change(folder: Path, name: str, subject: str) -> str:
    (folder / name).write_text(f"{subject}\n")
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "--allow-empty-message", "--message", subject)
    return git(folder, "rev-parse", "HEAD")


def clone(root: Path, target: Path) -> Path:
    git(root.parent, "clone", "--quiet", str(root), str(target))
    return target


def test_a_line_is_a_branch_here(root: Path) -> None:
    git(root, "branch", "release-1.30")
    git(root, "switch", "--quiet", "--detach")
    assert Checkout(root).line("release-1.30") == git(root, "rev-parse", "main")


def test_a_line_may_be_at_the_remote_only_and_the_branch_here_goes_first(
    root: Path, tmp_path: Path
) -> None:
    git(root, "branch", "line")
    copy = clone(root, tmp_path / "copy")
    assert Checkout(copy).line("line") == git(root, "rev-parse", "line")
    mine = change(copy, "b.txt", "mine")
    git(copy, "branch", "line", mine)
    assert Checkout(copy).line("line") == mine


def test_remotes_that_disagree_are_told(root: Path, tmp_path: Path) -> None:
    git(root, "branch", "line")
    copy, other = clone(root, tmp_path / "copy"), clone(root, tmp_path / "other")
    git(other, "switch", "--quiet", "line")
    git(copy, "remote", "add", "other", str(other))
    git(copy, "fetch", "--quiet", "other")
    assert Checkout(copy).line("line") == git(root, "rev-parse", "line")
    change(other, "b.txt", "second")
    git(copy, "fetch", "--quiet", "other")
    with pytest.raises(ConfigError, match=r"remotes have different branches .*origin/line, other"):
        Checkout(copy).line("line")


def test_a_tag_is_no_line(root: Path) -> None:
    git(root, "tag", "v1")
    with pytest.raises(ConfigError, match=r"^v1: no branch of this name, here or at a remote$"):
        Checkout(root).line("v1")


def test_worktrees_are_added_one_after_the_other(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git prunes the half-made worktree of another git."""
    monkeypatch.setattr("rke2pack.vcs.checkout._PAUSES", 1)
    place = root / ".git/rke2pack-worktrees.lock"
    with (
        filelock.held(place, busy="taken"),
        pytest.raises(ToolError, match="another rke2pack adds or removes a worktree"),
        Checkout(root).worktree(git(root, "rev-parse", "HEAD").strip()),
    ):
        pass
    with Checkout(root).worktree(git(root, "rev-parse", "HEAD").strip()) as folder:
        assert folder.is_dir()
        assert not place.exists()


def test_a_worktree_is_detached_and_goes_even_on_an_error(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")
    seen: list[Path] = []

    def work() -> None:
        with Checkout(root).worktree(commit) as folder:
            seen.append(folder)
            assert (folder / "sub/a.txt").read_text() == "first\n"
            assert git(folder, "branch", "--show-current") == ""
            (folder / "sub/a.txt").write_text("changed\n")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        work()
    assert not seen[0].exists()
    assert len(git(root, "worktree", "list").splitlines()) == 1
    assert git(root, "status", "--porcelain") == ""


def test_branches_are_made_all_or_none(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")
    checkout = Checkout(root)
    checkout.create_branches({"a/x": commit, "a/y": commit})
    with pytest.raises(ConfigError, match=r"^branch a/y exists already$"):  # since it was looked
        checkout.create_branches({"b/x": commit, "a/y": commit})
    with pytest.raises(ToolError):
        checkout.create_branches({"b/x": commit, "b/y": "0" * 39 + "1"})
    names = git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    assert names == ["a/x", "a/y", "main"]


def test_push_is_all_or_none(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    git(root, "clone", "--quiet", "--bare", str(root), str(bare))
    git(root, "remote", "add", "home", str(bare))
    commit = git(root, "rev-parse", "HEAD")
    checkout = Checkout(root)
    checkout.create_branches({"x": commit, "y": commit})
    checkout.push("home", ["x", "y"])
    assert git(bare, "rev-parse", "x") == git(bare, "rev-parse", "y") == commit
    git(root, "branch", "z", change(root, "z.txt", "z"))
    git(root, "branch", "--force", "x", git(root, "commit-tree", "HEAD^{tree}", "-m", "apart"))
    with pytest.raises(ToolError):
        checkout.push("home", ["z", "x"])
    assert git(bare, "branch", "--list", "z") == ""


def test_history_is_of_the_named_files_oldest_first(root: Path) -> None:
    start = git(root, "rev-parse", "HEAD")
    second = change(root, "sub/a.txt", "second \x0b \u2028 one")
    change(root, "b.txt", "other")
    third = change(root, "sub/a.txt", "")
    (root / "a.txt").write_text("x")
    found = Checkout(root / "sub").history(start, [root / "sub/a.txt"])
    assert [commit.id for commit in found] == [second, third]
    assert found[0].subject.startswith("second ")
    assert found[1].subject == ""
    assert len(found[0].date) == len("2025-06-16")
