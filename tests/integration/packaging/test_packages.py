"""Wheel and sdist: the same bytes each time, and all that a machine needs which has nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

pytestmark = pytest.mark.slow
RULES = "build/rke2pack/tree/rules"
EPOCH = "1735689600"


def build(source: Path, target: Path, *kinds: str) -> None:
    command = (sys.executable, "-m", "hatchling", "build", "-d", str(target))
    options = [part for kind in kinds for part in ("-t", kind)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run([*command, *options], cwd=source, env=environment, check=True)


@pytest.fixture(scope="module")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of the checkout."""
    folder = tmp_path_factory.mktemp("built")
    build(project, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist as somebody finds it who takes it out of its archive."""
    folder = tmp_path_factory.mktemp("unpacked")
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


def test_two_builds_have_the_same_bytes(built: Path, project: Path, tmp_path: Path) -> None:
    build(project, tmp_path)
    first, second = ({p.name: p.read_bytes() for p in f.iterdir()} for f in (built, tmp_path))
    assert sorted(first) == sorted(second)
    assert len(first) == 2
    assert [name for name, data in first.items() if second[name] != data] == []


def test_sdist_has_files_where_git_has_links(built: Path, unpacked: Path, project: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert [member.name for member in archive if not member.isreg()] == []
    links = sorted((project / RULES).iterdir())
    assert links
    for link in links:
        assert (unpacked / RULES / link.name).read_bytes() == link.read_bytes()


def test_wheel_of_the_sdist_is_the_wheel_of_the_checkout(
    wheel: Path, unpacked: Path, tmp_path: Path
) -> None:
    build(unpacked, tmp_path, "wheel")
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


# ---- an empty environment


@pytest.fixture(scope="module")
def installed(
    wheel: Path,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    missing: Callable[[str, str], NoReturn],
) -> Iterator[Path]:
    """The bin folder of an environment with the wheel and its locked requirements, offline."""
    wheels = project / ".nox/wheels"
    if not any(wheels.glob("*.whl")):
        missing("wheels", "no wheels in .nox/wheels: fetch them with 'nox -s wheels'")
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    pip = (str(folder / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
    offline = ("--no-index", "--no-deps", "--no-compile")
    locked = ("--require-hashes", "--requirement", "requirements/runtime.txt")
    links = ("--find-links", str(wheels))
    for what in ((*links, *locked), (str(wheel),)):
        subprocess.run([*pip, "install", *offline, *what], cwd=project, check=True)
    yield folder / "bin"
    shutil.rmtree(folder)


@pytest.fixture
def call(installed: Path, unpacked: Path, tmp_path: Path) -> Callable[..., str]:
    """Run the installed program in a copy of the sdist's tree, with no variable of ours."""
    tree = Path(shutil.copytree(unpacked, tmp_path / "tree"))

    def run(*words: str) -> str:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        environment = {"HOME": str(home), "PATH": f"{installed}:/usr/bin:/bin", "NO_COLOR": "1"}
        done = subprocess.run(
            words, cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_lock_is_all_that_the_wheel_asks_for(call: Callable[..., str]) -> None:
    assert "No broken requirements" in call("python", "-m", "pip", "check")


def test_installed_program_shows_its_words(call: Callable[..., str]) -> None:
    assert "Package RKE2's charts and images" in call("rke2pack", "--help")
    assert call("rke2pack", "--version").startswith("rke2pack")


def test_installed_program_makes_the_lists_of_the_lab(call: Callable[..., str]) -> None:
    document = json.loads(call("rke2pack", "images", "--lab", "--json"))
    assert document


def test_installed_program_plans_a_bump(call: Callable[..., str]) -> None:
    words = ("bump", "harvester-cloud-provider", "0.2.10", "--lab", "--dry-run", "--json")
    document = json.loads(call("rke2pack", *words))
    assert document["chart"] == "harvester-cloud-provider"
