from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rke2pack.errors import ConfigError, ToolError
from rke2pack.vcs.checkout import Checkout


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name in ("a.txt", "b.txt", "sub/c.txt", "we[i]rd.txt"):
        (folder / name).write_text("old\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def commit(
    folder: Path, *names: str, branch: str | None = None, is_signed_off: bool = False
) -> str:
    paths = [folder / name for name in names]
    return Checkout(folder).commit(
        paths, message="second\n\nwhy", branch=branch, is_signed_off=is_signed_off
    )


def changed_files(folder: Path, revision: str) -> list[str]:
    return git(folder, "show", "--name-only", "--format=", revision).split()


def test_exactly_the_named_files_are_committed(checkout: Path) -> None:
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        (checkout / name).write_text("new\n")
    (checkout / "new.txt").write_text("new\n")
    git(checkout, "add", "b.txt")
    revision = commit(checkout, "a.txt", "new.txt")
    assert git(checkout, "rev-parse", "HEAD").strip() == revision
    assert changed_files(checkout, revision) == ["a.txt", "new.txt"]
    assert git(checkout, "status", "--porcelain") == "M  b.txt\n M sub/c.txt\n"
    assert git(checkout, "log", "-1", "--format=%B").strip() == "second\n\nwhy"


def test_folder_that_rke2pack_runs_in_does_not_matter(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "sub" / "c.txt").write_text("new\n")
    monkeypatch.chdir(checkout / "sub")
    opened = Checkout(Path())
    with pytest.raises(ConfigError, match=r"^sub/c.txt: has local changes"):
        opened.refuse_local_changes([Path("c.txt")])
    revision = opened.commit([Path("c.txt")], message="m", branch=None, is_signed_off=False)
    assert changed_files(checkout, revision) == ["sub/c.txt"]


def test_checkout_behind_a_symlink_is_the_same(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(checkout)
    (checkout / "a.txt").write_text("new\n")
    revision = commit(tmp_path / "link", "a.txt")
    assert changed_files(checkout, revision) == ["a.txt"]


def test_names_are_no_patterns(checkout: Path) -> None:
    for name in ("we[i]rd.txt", "weird.txt"):
        (checkout / name).write_text("new\n")
    revision = commit(checkout, "we[i]rd.txt")
    assert changed_files(checkout, revision) == ["we[i]rd.txt"]


def test_branch_is_made(checkout: Path) -> None:
    (checkout / "a.txt").write_text("new\n")
    revision = commit(checkout, "a.txt", branch="bump/a")
    assert git(checkout, "branch", "--show-current").strip() == "bump/a"
    assert git(checkout, "rev-parse", "bump/a").strip() == revision
    assert git(checkout, "rev-parse", "main").strip() != revision


def test_sign_off_is_added(checkout: Path) -> None:
    (checkout / "a.txt").write_text("new\n")
    commit(checkout, "a.txt", is_signed_off=True)
    body = git(checkout, "log", "-1", "--format=%B")
    assert body.endswith("\n\nSigned-off-by: A Tester <tester@example.com>\n\n")


@pytest.mark.parametrize("is_staged", [True, False])
def test_local_changes_are_refused(checkout: Path, *, is_staged: bool) -> None:
    for name in ("a.txt", "b.txt", "new.txt"):
        (checkout / name).write_text("mine\n")
    if is_staged:
        git(checkout, "add", ".")
    opened = Checkout(checkout)
    with pytest.raises(ConfigError) as error:
        opened.refuse_local_changes([checkout / n for n in ("a.txt", "b.txt", "new.txt")])
    assert error.value.message == "a.txt: has local changes, which --commit would take along"
    assert error.value.hint == "commit or stash them first"
    assert error.value.details == ("b.txt", "new.txt")
    opened.refuse_local_changes([checkout / "sub" / "c.txt", checkout / "not-yet.txt"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("main", "branch main exists already"),
        ("topic/a", "branch topic/a exists already"),
        ("topic", "branch topic cannot stand beside the branch topic/a"),
        ("main/a", "branch main/a cannot stand beside the branch main"),
    ],
)
def test_branch_that_cannot_be_made_is_refused(checkout: Path, name: str, message: str) -> None:
    git(checkout, "branch", "topic/a")
    with pytest.raises(ConfigError) as error:
        Checkout(checkout).refuse_branch(name)
    assert error.value.message == message
    assert error.value.hint == "choose another name with --branch, or delete that branch"


@pytest.mark.parametrize("name", ["a b", "-x", "a..b", "a.lock", ""])
def test_branch_with_an_impossible_name_is_refused(checkout: Path, name: str) -> None:
    with pytest.raises(ToolError, match=r"^git check-ref-format: fatal: "):
        Checkout(checkout).refuse_branch(name)


def test_free_branch_is_accepted(checkout: Path) -> None:
    Checkout(checkout).refuse_branch("bump/harvester-0.2.1000")


def test_folder_outside_a_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        Checkout(tmp_path)
    assert error.value.message == f"{tmp_path}: not in a git checkout"
    assert error.value.hint == "clone it with git, or leave out what commits"
    git(tmp_path, "init", "--quiet", "--bare")
    with pytest.raises(ConfigError, match="a bare repository has no files to change"):
        Checkout(tmp_path)


def test_committer_without_a_name_is_said_before_anything(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    git(checkout, "config", "user.useConfigOnly", "true")
    assert Checkout(checkout).top == checkout.resolve()  # reading needs no name
    with pytest.raises(ToolError) as error:
        Checkout(checkout, commits=True)
    assert error.value.message == "git does not know who commits (author)"
    assert error.value.hint == "set user.name and user.email with 'git config'"


def test_open_merge_is_said_before_anything(checkout: Path) -> None:
    git(checkout, "switch", "--quiet", "--create", "other")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "other")
    git(checkout, "switch", "--quiet", "main")
    git(checkout, "merge", "--quiet", "--no-ff", "--no-commit", "other")
    with pytest.raises(ConfigError, match="a merge is not finished") as error:
        Checkout(checkout, commits=True)
    assert error.value.hint == "finish the merge, or end it with 'git merge --abort'"


def test_failing_hook_is_quoted(checkout: Path) -> None:
    hook = checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no tests >&2\nexit 1\n")
    hook.chmod(0o755)
    (checkout / "a.txt").write_text("new\n")
    with pytest.raises(ToolError, match=r"^git commit: no tests$"):
        commit(checkout, "a.txt")


def test_missing_git_is_named(checkout: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from rke2pack.vcs.checkout import Checkout\n"
        "from rke2pack.errors import ToolError\n"
        "try: Checkout(Path(sys.argv[1]))\n"
        "except ToolError as exc: print(exc.message, exc.hint, sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, checkout],
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "git: no such program|install git, or leave out what commits\n"
