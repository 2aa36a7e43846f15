"""bump --commit: exactly its own files, or nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.stages.bumping import CHART
from tests.unit.stages.conftest import Rke2pack, contents


def committed(tree: Path) -> list[str]:
    """Commit a whole tree in a repository of its own; return how to call git there."""
    git = ["git", "-C", str(tree)]
    subprocess.run(["git", "init", "-q", "-b", "main", tree], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    return git


def test_a_commit_that_git_refuses_leaves_everything_as_it_was(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / ".gitignore").write_text("/dist/\n/.rke2pack/\n")
    git = committed(lab_tree)
    hook = lab_tree / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho no such day >&2\nexit 1\n")
    hook.chmod(0o755)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.11", *where, "--commit", "--branch", "bump")
    assert answer.code == 6
    assert "error: git commit: no such day\n" in answer.err
    shown = subprocess.run(
        [*git, "status", "--porcelain", "--branch"], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "## main\n"
    branches = subprocess.run([*git, "branch"], check=True, capture_output=True, text=True)
    assert branches.stdout == "* main\n"


def test_commit_and_report_name_no_local_folder(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    git = committed(lab_tree)
    report = tmp_path / "report.md"
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where, "--commit", "--report", report).code == 0
    text = subprocess.run([*git, "log", "-1"], check=True, capture_output=True, text=True).stdout
    for each in (text, report.read_text()):
        assert str(lab_charts) not in each
        assert "file:" not in each


def test_options_of_a_commit_need_a_commit(lab_tree: Path, rke2pack: Rke2pack) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, "--branch", "b")
    assert answer.code == 2
    assert "--branch, --message and --signoff go with --commit" in answer.err


def test_commit_holds_exactly_the_touched_files(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    (lab_tree / ".gitignore").write_text("/dist/\n/.rke2pack/\n")
    git = committed(lab_tree)
    (lab_tree / "other.txt").write_text("mine\n")
    subprocess.run([*git, "add", "other.txt"], check=True)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--commit", "--branch", "bump", "--signoff")
    assert answer.code == 0, answer.err
    shown = subprocess.run(
        [*git, "show", "--format=%s%n%b", "--name-only", "bump"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert shown.startswith(f"{CHART}: bump 0.2.900 to 0.2.1000\n")
    assert "Signed-off-by: " in shown
    assert shown.splitlines()[-2:] == [
        "charts-manifest/chart_versions.yaml",
        f"charts-manifest/{CHART}.yaml",
    ]
    status = subprocess.run(
        [*git, "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout == "A  other.txt\n"


def test_commit_refuses_files_with_local_changes(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    committed(lab_tree)
    path = lab_tree / "charts-manifest/chart_versions.yaml"
    path.write_text(path.read_text() + "# mine\n")
    before = contents(lab_tree / "charts-manifest")
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--commit")
    assert answer.code == 2
    assert "charts-manifest/chart_versions.yaml: has local changes" in answer.err
    assert contents(lab_tree / "charts-manifest") == before
