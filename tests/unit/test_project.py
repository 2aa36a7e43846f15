"""What the tree itself promises: a package under build/, its sizes, its words, its locks."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest

from rke2pack import cli

LINES_PER_MODULE = 500
LINES_PER_FUNCTION = 60
SDIST = {
    *("CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md", ".gitignore", "pyproject.toml"),
    *("SECURITY.md", "hatch_build.py"),
    *("benchmarks", "build", "charts-manifest", "docs", "images.txt", "noxfile.py"),
    *("requirements", "tests"),
}


def hides_build(line: str) -> bool:
    """Say whether a line of .gitignore matches a folder called build at the root."""
    pattern = line.strip().removeprefix("**/").strip("/").removesuffix("/**").removesuffix("/*")
    return not line.startswith(("#", "!")) and bool(pattern) and fnmatch("build", pattern)


def test_gitignore_does_not_hide_build(project: Path) -> None:
    lines = (project / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if hides_build(line)] == []


@pytest.mark.parametrize("line", ["build", "build/", "/build/", "/build/*", "**/build", "b*/"])
def test_line_that_hides_build_is_found(line: str) -> None:
    assert hides_build(line)


def test_build_is_no_package(project: Path) -> None:
    assert not (project / "build" / "__init__.py").exists()


def modules(project: Path) -> list[Path]:
    found = sorted((project / "build" / "rke2pack").rglob("*.py"))
    assert found
    return found


def test_no_module_is_over_500_lines(project: Path) -> None:
    sizes = {path: path.read_text(encoding="utf-8").count("\n") for path in modules(project)}
    assert {str(path): size for path, size in sizes.items() if size > LINES_PER_MODULE} == {}


def test_no_function_is_over_60_lines(project: Path) -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in modules(project)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LINES_PER_FUNCTION
    ]
    assert long == []


def test_nox_sessions_and_commands_are_the_same_words(project: Path) -> None:
    words = set(literal(project / "noxfile.py", "WORDS"))
    assert words == set(cli.WORDS)
    assert words == set(cli.cli.list_commands(click.Context(cli.cli)))


def literal(path: Path, name: str) -> Any:  # noqa: ANN401 - whatever literal is assigned
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    pytest.fail(f"{path} assigns no {name}")


def test_locks_name_no_place(project: Path) -> None:
    locks = sorted((project / "requirements").glob("*.txt"))
    assert len(locks) >= len(("bench", "lint", "runtime", "tests"))
    assert [path.name for path in locks if "://" in path.read_text(encoding="utf-8")] == []


@pytest.fixture(scope="module")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    command = (sys.executable, "-m", "hatchling", "build", "-d", str(folder))
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return folder


@pytest.mark.slow
def test_wheel_has_every_file_of_the_package_and_no_other(built: Path, project: Path) -> None:
    source = project / "build"
    expected = {
        str(path.relative_to(source))
        for path in (source / "rke2pack").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "rke2pack/py.typed" in names
    assert any(name.startswith("rke2pack/lab/charts/") for name in names)


@pytest.mark.slow
def test_sdist_has_only_what_the_project_is(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    assert {name.split("/")[0] for name in names} <= SDIST
    assert {name.split("/")[1] for name in names if name.startswith("build/")} == {"rke2pack"}
    assert "build/rke2pack/__init__.py" in names
