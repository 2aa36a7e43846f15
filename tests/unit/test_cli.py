from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import pytest

from rke2pack import __version__, cli, http, journal
from rke2pack.helm import repository as chart_repository
from rke2pack.lab import repository
from tests.contract.workbench import CHART, content, make_tree

HEAVY = ("requests", "urllib3", "git", "helm_python", "jinja2", "rich", "ruamel.yaml", "yaml")


@pytest.fixture(scope="module")
def bench(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Lay out a folder repository, a tree that fits it, and a cache; only copied."""
    folder = tmp_path_factory.mktemp("cli")
    charts = repository.build(folder / "charts")
    return charts, *make_tree(project, charts, folder)


@pytest.fixture
def tree(bench: tuple[Path, Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bench[1], tmp_path / "tree"))


@pytest.fixture
def options(bench: tuple[Path, Path, Path], tree: Path) -> list[str]:
    return ["--tree", str(tree), "--charts-repo", str(bench[0]), "--cache-dir", str(bench[2])]


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str], project: Path) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"rke2pack, version {__version__}\n"
    scripts = tomllib.loads((project / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"rke2pack": "rke2pack.cli:main"}


@pytest.mark.parametrize("word", [(), *((word,) for word in cli.WORDS)], ids=str)
def test_every_word_has_help(capsys: pytest.CaptureFixture[str], word: tuple[str, ...]) -> None:
    assert cli.run([*word, "--help"]) == 0
    assert f"Usage: rke2pack {word[0] if word else ''}" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from rke2pack.cli import run\n"
        f"code = run(['--help']); print([m for m in {HEAVY} if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_module_and_program_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rke2pack", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"rke2pack, version {__version__}\n"


# ---- exit codes, each for people and with --json


def code_and_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> tuple[int, str, str]:
    """Run twice; return the code, the message of --json and what people read."""
    capsys.readouterr()
    code = cli.run(arguments)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert cli.run([*arguments, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"error"}
    assert document["error"]["exit_code"] == code
    return code, document["error"]["message"], shown.err


@pytest.mark.parametrize(
    ("arguments", "message", "path"),
    [
        (["bump", CHART, "1", "--nonsense"], "No such option '--nonsense'.", "rke2pack bump"),
        (["bump", CHART, "1", "--branch", "b"], "--branch, --message and", "rke2pack bump"),
        (["diff", CHART, "1", "2", "--tree", __file__], "Invalid value for", "rke2pack diff"),
        (["bum"], "No such command 'bum'. Did you mean 'bump'?", "rke2pack"),
        (["zzz"], "No such command 'zzz'.", "rke2pack"),
        (["cache", "stat"], "No such command 'stat'. Did you mean 'stats'?", "rke2pack cache"),
    ],
)
def test_wrong_call_is_2_and_shown_as_any_other_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str, path: str
) -> None:
    code, said, shown = code_and_error(capsys, arguments)
    assert code == 2
    assert said.startswith(message)
    assert shown == f"error: {said}\nhint: see '{path} --help'\n"


def test_call_that_lacks_an_argument_shows_the_form_of_the_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said, shown = code_and_error(capsys, ["bump", CHART])
    assert code == 2
    assert said == "Missing argument 'VERSION'."
    assert "\n  Usage: rke2pack bump [OPTIONS] CHART VERSION\nhint: see " in shown


def test_wrong_call_is_annotated_on_github(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert cli.run(["bum"]) == 2
    assert "::error::No such command 'bum'." in capsys.readouterr().err


def test_no_word_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("Usage: rke2pack [OPTIONS] COMMAND")
    assert "error:" not in shown.err
    assert shown.out == ""


def test_wrong_tree_is_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, said, shown = code_and_error(capsys, ["images", "--tree", str(tmp_path)])
    assert code == 2
    assert said == f"{tmp_path}: not a tree, it has no charts-manifest/chart_versions.yaml"
    assert f"error: {said}\nhint: name the folder of the tree with --tree\n" in shown


@pytest.mark.parametrize("lab", [[], ["--lab"]], ids=str)
def test_this_folder_that_is_no_tree_is_told_whole(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    lab: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, _ = code_and_error(capsys, ["images", *lab])
    assert code == 2
    assert said == f"{tmp_path}: not a tree, it has no charts-manifest/chart_versions.yaml"


def test_unknown_version_is_3(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    code, said, _ = code_and_error(capsys, ["bump", CHART, "7.7.7", *options])
    assert code == 3
    assert said.startswith(f"{CHART}: ")


def test_unreachable_repository_is_4(
    capsys: pytest.CaptureFixture[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_wait", lambda _: 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    code, said, _ = code_and_error(
        capsys, ["bump", CHART, "latest", *options, "--charts-repo", address]
    )
    assert code == 4
    assert said == f"{address}/index.yaml: not reachable: Connection refused"


def test_wrong_digest_is_5(
    capsys: pytest.CaptureFixture[str], options: list[str], tree: Path, tmp_path: Path
) -> None:
    charts = repository.build(tmp_path / "charts")
    archive = charts / f"assets/{CHART}/{CHART}-0.2.1000.tgz"
    archive.write_bytes(archive.read_bytes() + b"\0")
    before = content(tree)
    arguments = ["bump", CHART, "0.2.1000", *options, "--charts-repo", str(charts)]
    code, said, _ = code_and_error(capsys, [*arguments, "--cache-dir", str(tmp_path / "c")])
    assert code == 5
    assert "content is sha256:" in said
    assert content(tree) == before


def test_taken_lock_is_6(
    capsys: pytest.CaptureFixture[str], options: list[str], tree: Path
) -> None:
    with journal.locked(tree):
        code, said, _ = code_and_error(capsys, ["bump", CHART, "latest", *options])
    assert code == 6
    assert "another rke2pack is changing this tree" in said


def test_stale_list_is_7(
    capsys: pytest.CaptureFixture[str], options: list[str], tree: Path
) -> None:
    text = (tree / "images.txt").read_text()
    (tree / "images.txt").write_text(text.replace("hardened-etcd", "etcd"))
    capsys.readouterr()
    assert cli.run(["images", "--check", "--json", *options]) == 7
    shown = capsys.readouterr()
    differences = json.loads(shown.out)["differences"]
    assert {d["missing"] for d in differences} == {True, False}
    assert f"error: {tree}/images.txt: {len(differences)} lines differ" in shown.err


def raising(exc: BaseException) -> Callable[..., NoReturn]:
    def raise_it(*_: object) -> NoReturn:
        raise exc

    return raise_it


def test_interrupt_is_130(
    capsys: pytest.CaptureFixture[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart_repository, "open_repository", raising(KeyboardInterrupt()))
    code, said, shown = code_and_error(capsys, ["bump", CHART, "latest", *options])
    assert (code, said) == (130, "interrupted")
    assert shown.endswith("interrupted\n")
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, b"interrupted\n"),
        (signal.SIGTERM, 143, b"ended by SIGTERM\n"),
        (signal.SIGHUP, 129, b"ended by SIGHUP\n"),
    ],
)
def test_signal_ends_a_waiting_process(
    options: list[str], tree: Path, number: signal.Signals, code: int, said: bytes
) -> None:
    before = content(tree)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "rke2pack", "bump", CHART, "latest", *options]
        command += ["--charts-repo", address]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as run, server.accept()[0]:
            run.send_signal(number)
            _, shown = run.communicate(timeout=20)
    assert run.returncode == code
    assert shown.endswith(said)
    assert content(tree) == before


def test_bug_is_70_with_a_traceback(
    capsys: pytest.CaptureFixture[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart_repository, "open_repository", raising(RuntimeError("boom")))
    code, said, shown = code_and_error(capsys, ["bump", CHART, "latest", *options])
    assert (code, said) == (70, "RuntimeError: boom")
    assert "Traceback" in shown
    assert "error: this is a bug in rke2pack; please report it with the lines above\n" in shown


# ---- options


def test_environment_sets_options(
    capsys: pytest.CaptureFixture[str],
    bench: tuple[Path, Path, Path],
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RKE2PACK_BUMP_CHARTS_REPO", str(bench[0]))
    monkeypatch.setenv("RKE2PACK_BUMP_TREE", str(tree))
    monkeypatch.setenv("RKE2PACK_BUMP_DRY_RUN", "1")
    before = content(tree)
    assert cli.run(["bump", CHART, "0.2.1100"]) == 0
    shown = capsys.readouterr()
    assert "\ndry run: " in shown.err
    assert "+  - version: 0.2.1100" in shown.out
    assert content(tree) == before


@pytest.mark.parametrize("word", cli.WORDS)
def test_every_option_has_the_variable_of_its_name(word: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), word)
    assert command is not None
    for path, each in commands(word, command):
        options = [param for param in each.params if isinstance(param, click.Option)]
        assert len(options) > 4
        for option in options:
            (name,) = (o for o in option.opts if o.startswith("--"))
            assert option.envvar == f"RKE2PACK_{path}_{name[2:]}".upper().replace("-", "_")


def commands(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    """The commands that run, with the words that lead to them."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    below = command.commands.items()
    return [found for name, each in below for found in commands(f"{path}_{name}", each)]


def test_repeatable_option_takes_several_values_of_a_variable(
    capsys: pytest.CaptureFixture[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKE2PACK_IMAGES_COMPONENT", "harvester canal")
    monkeypatch.setenv("RKE2PACK_IMAGES_JSON", "1")
    capsys.readouterr()
    assert cli.run(["images", "--check", *options]) == 0
    assert set(json.loads(capsys.readouterr().out)["components"]) == {"harvester", "canal"}


def test_json_is_the_only_thing_on_stdout(
    capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    for expected in ("0.2.900", "0.2.1100"):
        capsys.readouterr()
        assert cli.run(["bump", CHART, "0.2.1100", "--json", *options]) == 0
        document = json.loads(capsys.readouterr().out)
        keys = {"chart", "from", "to", "upstream", "digest", "source", "files", "images", "diff"}
        assert keys | {"findings"} <= set(document)
        assert (document["from"], document["to"]) == (expected, "0.2.1100")


def test_quiet_bump_says_nothing(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    capsys.readouterr()
    assert cli.run(["bump", CHART, "0.2.1100", "--quiet", *options]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("word", [["images"], ["charts"], ["diff", CHART, "0.2.900", "latest"]])
def test_every_word_writes_one_document(
    capsys: pytest.CaptureFixture[str], options: list[str], word: list[str]
) -> None:
    capsys.readouterr()
    assert cli.run([*word, "--json", *options]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
