from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stages import checkouts
from tests.unit.stages.checkouts import LISTS, SCRIPT, git, write_checkout, write_lines
from tests.unit.stages.conftest import Rke2pack
from tests.unit.tree.scripts import PULL, document


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkouts.charts(tmp_path_factory.mktemp("charts"))


def test_lists_as_they_should_be(tmp_path: Path, repository: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2")
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert answer.json == {
        "audits": [
            {
                "line": None,
                "kube_version": "v1.32.4",
                "charts": 3,
                "images": 3,
                "gaps": [],
                "unknown": {},
                "assumed": [],
            }
        ]
    }


def test_a_missing_image_fails_and_is_named(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", versions={"a": "1.1.000"})
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 7
    missing, stale = answer.out.splitlines()
    assert missing.startswith("  + core: x/a:2  (a 1.1.000 (variant default), templates/main.yaml:")
    assert stale == "  - core: x/a:1  (the charts need x/a:2)"
    assert "1 image is missing from the lists" in answer.err


def test_a_stale_image_alone_is_told(tmp_path: Path, repository: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2", lists=LISTS.replace("x/c:1", "x/c:1\n    x/q:1"))
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 0, answer.err
    assert answer.out == "  - extra: x/q:1  (no bundled chart and no rule names it)\n"


def test_a_chart_that_tells_nothing_is_named(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", versions={"c": "1.9.000"})
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository, "--json")
    (audit,) = answer.json["audits"]
    assert list(audit["unknown"]) == ["c"]
    assert audit["gaps"] == []


def test_a_condition_that_cannot_be_told_is_named(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    lists = f"{LISTS}if [ -f x ]; then\n{document('x/a:1', name='core', head=PULL)}fi\n"
    tree = write_checkout(tmp_path / "rke2", lists=lists)
    line = (tree / SCRIPT).read_text().splitlines().index("if [ -f x ]; then") + 1
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 0, answer.err
    assert f"? {SCRIPT}, line {line}: a condition that cannot be told" in answer.err


def test_no_chart_repository_is_an_error(tmp_path: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2")
    (tmp_path / "empty").mkdir()
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", tmp_path / "empty")
    assert answer.code != 0
    assert "gaps" not in answer.err


def test_release_lines_are_audited_without_a_checkout(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    root = write_lines(tmp_path / "rke2", old="v1.31.8")
    git(root, "switch", "--quiet", "line-old")
    write_checkout(root, versions={"a": "1.1.000"}, kube="v1.31.8")
    checkouts.commit(root, "version without its image")
    git(root, "switch", "--quiet", "main")
    words = ("audit", "--tree", root, "--charts-repo", repository, "--json")
    answer = rke2pack(*words, "--lines", "main,line-old")
    assert answer.code == 7
    found = {
        audit["line"]: [(gap["kind"], gap["image"]) for gap in audit["gaps"]]
        for audit in answer.json["audits"]
    }
    assert found == {"main": [], "line-old": [("missing", "x/a:2"), ("stale", "x/a:1")]}


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A tree below the top of a repository, and its commits by what they did."""
    top = tmp_path / "top"
    tree = top / "sub"
    tree.mkdir(parents=True)
    git(top, "init", "--quiet", "--initial-branch=main")
    done = {}
    write_checkout(tree)
    done["start"] = checkouts.commit(top, "start")
    write_checkout(tree, versions={"a": "1.1.000"})
    done["opened"] = checkouts.commit(top, "version alone")
    (top / "readme").write_text("not of the tree\n")
    done["other"] = checkouts.commit(top, "other")
    write_checkout(tree, versions={"a": "1.1.000"}, lists="if [ a = b ]; then\n")
    done["broken"] = checkouts.commit(top, "broken")
    write_checkout(tree, versions={"a": "1.1.000"}, lists=LISTS.replace("x/a:1", "x/a:2"))
    done["closed"] = checkouts.commit(top, "image \x0c too")
    return tree, done


def test_history_tells_which_change_made_which_gap(
    history: tuple[Path, dict[str, str]], repository: Path, rke2pack: Rke2pack
) -> None:
    tree, done = history
    words = ("audit", "--tree", tree, "--charts-repo", repository, "--json")
    answer = rke2pack(*words, "--since", done["start"])
    assert answer.code == 0, answer.err
    document = answer.json
    assert (document["commits"], document["gaps"]) == (3, [])
    by_commit = {step["commit"]: step for step in document["steps"]}
    assert list(by_commit) == [done["opened"], done["broken"], done["closed"]]
    assert [gap["image"] for gap in by_commit[done["opened"]]["opened"]] == ["x/a:2", "x/a:1"]
    assert "not understood as a shell script" in by_commit[done["broken"]]["problem"]
    assert [gap["image"] for gap in by_commit[done["closed"]]["closed"]] == ["x/a:2", "x/a:1"]
    assert by_commit[done["opened"]]["problem"] is None
    assert set(by_commit[done["opened"]]) == {
        *("commit", "date", "subject", "opened", "closed", "problem")
    }


def test_history_since_an_unknown_revision(
    history: tuple[Path, dict[str, str]], repository: Path, rke2pack: Rke2pack
) -> None:
    answer = rke2pack(
        "audit", "--tree", history[0], "--charts-repo", repository, "--since", "--output=x"
    )
    assert answer.code == 2
    assert "error: --output=x: git knows no such revision" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--since", "HEAD", "--lines", "main"), "--since and --lines do not go together"),
        (("--lines", ","), "--lines names no line"),
    ],
)
def test_wishes_that_make_no_sense(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack, words: tuple[str, ...], message: str
) -> None:
    tree = write_checkout(tmp_path / "rke2")
    answer = rke2pack("audit", "--tree", tree, "--charts-repo", repository, *words)
    assert answer.code == 2
    assert message in answer.err


def test_a_native_tree_is_refused(lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack) -> None:
    answer = rke2pack("audit", "--tree", lab_tree, "--charts-repo", lab_charts)
    assert answer.code == 2
    assert f"error: {lab_tree}: not a checkout of rancher/rke2\n" in answer.err
    assert "hint: check the lists of this tree with 'rke2pack images --check'" in answer.err
