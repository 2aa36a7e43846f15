"""What a shell completes, and that it never says anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack import cli, completion

Ask = Callable[..., list[str]]
# What a completion would make slow, or what would ask a network or write.
NOT_NEEDED = ("requests", "urllib3", "git", "helm_python", "jinja2", "rich", "ruamel.yaml")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Complete the last of some words as bash does; return what is offered."""

    def complete(*words: str) -> list[str]:
        line = ["rke2pack", *words]
        monkeypatch.setenv("COMP_WORDS", " ".join(line))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        code = completion.answer(cli.cli, "bash_complete")
        shown = capsys.readouterr()
        assert (code, shown.err) == (0, "")
        return [each.removeprefix("plain,") for each in shown.out.split("\n") if each]

    return complete


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    data = tmp_path / "tree" / "charts-manifest"
    data.mkdir(parents=True)
    for name in ("components.yaml", "support-matrix.yaml"):
        text = (project / "charts-manifest" / name).read_text(encoding="utf-8")
        (data / name).write_text(text, encoding="utf-8")
    (tmp_path / "tree/images.txt").write_text("# component: a\ndocker.io/x/a:1\n\ndocker.io/y:2\n")
    return tmp_path / "tree"


def test_words_and_options_are_completed(ask: Ask) -> None:
    assert ask("") == list(cli.WORDS)
    assert ask("re") == ["release", "report"]
    assert ask("cache", "p") == ["pull", "push"]
    assert ask("validate", "--fai") == ["--fail-on"]
    assert ask("airgap", "--profile", "") == ["fast", "default", "small"]


def test_names_of_the_tree_are_completed(ask: Ask, tree: Path) -> None:
    where = ("--tree", str(tree))
    assert ask("bump", *where, "harv") == ["harvester-cloud-provider", "harvester-csi-driver"]
    assert ask("validate", *where, "--component", "har") == ["harvester"]
    assert ask("validate", *where, "--row", "com") == ["community-2.11"]
    assert ask("validate", *where, "--chart", "rke2-ci") == ["rke2-cilium"]
    assert ask("pull", *where, "--platform", "w") == ["windows/amd64"]
    assert ask("pull", *where, "docker.io/x") == ["docker.io/x/a:1"]
    assert ask("images", *where, "--explain", "") == ["docker.io/x/a:1", "docker.io/y:2"]
    assert ask("diff", *where, "rke2-cilium", "1.2.3", "l") == ["latest"]


def test_the_trees_own_names_go_before_those_that_come_with_rke2pack(ask: Ask, tree: Path) -> None:
    (tree / "charts-manifest/components.yaml").write_text(
        "registry: docker.io\nplatforms: [linux/riscv64]\n"
        "components:\n- {name: own, charts: [own-chart]}\n"
    )
    assert ask("bump", "--tree", str(tree), "") == ["own-chart"]
    assert ask("pull", "--tree", str(tree), "--platform", "") == ["linux/riscv64"]


def test_outside_of_a_tree_the_usual_names_are_completed(ask: Ask, tmp_path: Path) -> None:
    assert "harvester-cloud-provider" in ask("bump", "--tree", str(tmp_path), "harv")
    assert ask("pull", "--tree", str(tmp_path), "docker") == []


@pytest.mark.parametrize("text", ["{", "components: 3\n", "\x00", "a: &a [*a]\n"])
def test_what_cannot_be_read_completes_nothing_and_says_nothing(
    ask: Ask, tree: Path, text: str
) -> None:
    (tree / "charts-manifest/components.yaml").write_text(text)
    assert ask("bump", "--tree", str(tree), "h") == []
    assert ask("validate", "--tree", str(tree), "--row", "") == []


def test_a_shell_that_is_not_known_is_1_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.answer(cli.cli, "tcsh_source") == 1
    assert completion.answer(cli.cli, "bash_nonsense") == 1
    assert completion.answer(cli.cli, "bash_complete") == 1  # no COMP_WORDS
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_program_writes_what_a_shell_sources(shell: str) -> None:
    done = run({completion.VARIABLE: f"{shell}_source"}, "-m", "rke2pack")
    assert "rke2pack" in done.stdout
    assert f"{completion.VARIABLE}={shell}_complete" in done.stdout


@pytest.mark.parametrize("word", ["bump", "diff", "validate"])
def test_completing_a_chart_loads_nothing_slow_and_writes_nothing(
    word: str, tree: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    program = (
        "import sys; from rke2pack import cli, completion\n"
        "completion.answer(cli.cli, 'bash_complete')\n"
        f"print([m for m in {NOT_NEEDED} if m in sys.modules])"
    )
    line = {"COMP_WORDS": f"rke2pack {word} --tree {tree} harvester-cl", "COMP_CWORD": "4"}
    if word == "validate":
        line = {"COMP_WORDS": f"rke2pack {word} --tree {tree} --chart harvester-cl"}
        line["COMP_CWORD"] = "5"
    done = run(line, "-c", program)
    assert done.stdout.split("\n")[:2] == ["plain,harvester-cloud-provider", "[]"]
    assert sorted(tmp_path.rglob("*")) == before


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
