from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.cli import run
from tests.contract.github.simulator import REPOSITORY, TOKEN, Simulator

Git = Callable[..., str]
BUMP = "bump/demo-1.0"


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return path


@pytest.fixture
def git(tmp_path: Path, remote: Path) -> Git:
    """A checkout with two release lines and a bump on each; runs git in it."""
    folder = tmp_path / "checkout"
    folder.mkdir()

    def call(*arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        words = ["git", *who, *arguments]
        return subprocess.run(
            words, cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    call("init", "--quiet", "--initial-branch", "release-1.31")
    call("commit", "--quiet", "--allow-empty", "--message", "begin")
    call("branch", "release-1.32")
    call("remote", "add", "origin", str(remote))
    for line in ("release-1.31", "release-1.32"):
        call("switch", "--quiet", "--create", f"{BUMP}/{line}", line)
        text = f"demo: bump for {line}\n\nbody of {line}"
        call("commit", "--quiet", "--allow-empty", "--message", text)
    call("switch", "--quiet", "release-1.31")
    return call


@pytest.fixture
def propose(git: Git, tmp_path: Path) -> Callable[..., int]:
    assert git("branch")

    def call(*arguments: str) -> int:
        return run(["propose", *arguments, "--tree", str(tmp_path / "checkout")])

    return call


def pushed(remote: Path) -> list[str]:
    words = ["git", "-C", str(remote), "branch", "--format=%(refname:short)"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()


def test_every_line_is_pushed_and_gets_a_pull_request_against_it(
    propose: Callable[..., int],
    remote: Path,
    github: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    there = ["--repo", REPOSITORY, "--api", github.url]
    assert propose(BUMP, *there, "--json") == 0
    out, err = capsys.readouterr()
    assert pushed(remote) == [f"{BUMP}/release-1.31", f"{BUMP}/release-1.32"]
    owner = REPOSITORY.partition("/")[0]
    assert [(p["head"], p["base"], p["title"], p["body"]) for p in github.pulls] == [
        (
            f"{owner}:{BUMP}/{line}",
            line,
            f"[{line}] demo: bump for {line}",
            f"body of {line}",
        )
        for line in ("release-1.31", "release-1.32")
    ]
    proposals = json.loads(out)["proposals"]
    assert [p["pull_request"] for p in proposals] == [p["html_url"] for p in github.pulls]
    assert TOKEN not in out + err


def test_second_run_finds_the_pull_requests_that_are_open(
    propose: Callable[..., int], github: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    there = ["--repo", REPOSITORY, "--api", github.url]
    assert propose(BUMP, *there) == propose(BUMP, *there) == 0
    assert len(github.pulls) == 2


def test_report_is_the_text_and_a_fork_the_head(
    propose: Callable[..., int],
    github: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    (tmp_path / "release-1.32.md").write_text("# what changes\n")
    options = ["--repo", REPOSITORY, "--api", github.url, "--head-owner", "fork"]
    assert propose(f"{BUMP}/release-1.32", *options, "--reports", str(tmp_path)) == 0
    (pull,) = github.pulls
    assert (pull["head"], pull["body"]) == (f"fork:{BUMP}/release-1.32", "# what changes")


def test_dry_run_pushes_nothing_and_asks_nobody(
    propose: Callable[..., int], remote: Path, github: Simulator
) -> None:
    assert propose(BUMP, "--repo", REPOSITORY, "--api", github.url, "--dry-run") == 0
    assert pushed(remote) == []
    assert github.requests == []


def test_without_a_token_nothing_is_pushed(
    propose: Callable[..., int], remote: Path, github: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose(BUMP, "--repo", REPOSITORY, "--api", github.url) == 2
    assert "GITHUB_TOKEN" in capsys.readouterr().err
    assert pushed(remote) == []


def test_token_without_rights_is_said(
    propose: Callable[..., int],
    github: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    github.may_write = False
    assert propose(BUMP, "--repo", REPOSITORY, "--api", github.url) == 8
    assert "not accessible" in capsys.readouterr().err


def test_push_is_all_or_none(
    propose: Callable[..., int], remote: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = remote / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in */release-1.32) exit 1;; esac\n')
    hook.chmod(0o755)
    assert propose(BUMP) == 6
    assert pushed(remote) == []
    assert "git push" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("branch", "said"), [("bump/none", "no branch"), ("release-1.31", "ends in no release line")]
)
def test_branch_that_no_bump_made_is_refused(
    branch: str, said: str, propose: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert propose(branch) == 2
    assert said in capsys.readouterr().err
