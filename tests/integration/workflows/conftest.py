"""What stands in for GitHub's machines: act, a Python with nox, the lab's network, a repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.container.conftest import base_image, engine, wheels
from tests.integration.workflows import repository as repositories
from tests.integration.workflows.repository import Network
from tests.integration.workflows.runner import STANDINS, Runner

__all__ = ["base_image", "engine", "wheels"]
Missing = Callable[[str, str], NoReturn]
SESSIONS = ("env", "lint", "tests")
STAMP = "installed.sha256"
INSTALL = f"nox -s {' '.join(SESSIONS)} --install-only"
MADE = ("containerd", "kind", "wheels")


@pytest.fixture(scope="session")
def act(missing: Missing) -> str:
    """The program act, of the tests' own environment."""
    found = shutil.which("act", path=sysconfig.get_path("scripts"))
    return found or missing("act", "act is not in this environment: the lock of tests has it")


@pytest.fixture(scope="session")
def sessions(project: Path, missing: Missing, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to the environments that nox has made; without them it would need a network."""
    absent = [name for name in SESSIONS if not (project / ".nox" / name / STAMP).is_file()]
    if absent:
        missing("sessions", f"no {', '.join(absent)} in .nox: make it with '{INSTALL}'")
    if shutil.which("node") is None:
        missing("node", "node is not on PATH: act needs it for hashFiles")
    folder = tmp_path_factory.mktemp("sessions")
    for name in SESSIONS:
        (folder / name).mkdir()
        for path in (project / ".nox" / name).iterdir():
            if path.name != STAMP:
                (folder / name / path.name).symlink_to(path)
        # A job must never install anything anew: that would be into the real environment.
        shutil.copyfile(project / ".nox" / name / STAMP, folder / name / STAMP)
    for name in MADE:
        if (project / ".nox" / name).is_dir():
            (folder / name).symlink_to(project / ".nox" / name)
    return folder


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip that has all that this one has: pip finds nox there already."""
    folder = tmp_path_factory.mktemp("python") / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", folder], check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + os.linesep)
    (folder / "bin/nox").symlink_to(Path(sysconfig.get_path("scripts")) / "nox")
    return folder


@pytest.fixture(scope="module")
def network(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The lab's charts and images."""
    with repositories.network(project, tmp_path_factory.mktemp("network")) as found:
        yield found


@pytest.fixture(scope="module")
def made(project: Path, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository and its remote, never changed."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "A Tester")
            patch.setenv(f"GIT_{role}_EMAIL", "tester@example.com")
        repositories.make(project, folder, network)
    return folder


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    """A copy of the repository and its remote for one test."""
    shutil.copytree(made, tmp_path / "work", symlinks=True)
    root = tmp_path / "work/repository"
    repositories.git(root, "remote", "set-url", "origin", str(tmp_path / "work/remote.git"))
    return root


@pytest.fixture
def machine(sessions: Path, python: Path) -> dict[str, str]:
    """The environment of a machine without a network, before any job."""
    config = (sessions / "env/pyvenv.cfg").read_text(encoding="utf-8")
    kept = {n: text for n, text in os.environ.items() if not n.startswith(("PIP_", "UV_", "NOX"))}
    return {
        **kept,
        "PATH": f"{STANDINS / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NOX_DEFAULT_VENV_BACKEND": "uv" if "\nuv = " in config else "virtualenv",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(sessions / "wheels"),
        "UV_OFFLINE": "1",
        "STANDIN_PYTHON": str(python),
        "STANDIN_SESSIONS": str(sessions),
    }


@pytest.fixture
def current(made: Path, machine: dict[str, str], missing: Missing) -> dict[str, str]:
    """The same where the environments are those of the locks; else nox would install them."""
    folder = Path(machine["STANDIN_SESSIONS"])
    own = made / "repository/.nox"
    own.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if not (own / path.name).exists():
            (own / path.name).symlink_to(path)
    stamps = {folder / name / STAMP: (folder / name / STAMP).read_text() for name in SESSIONS}
    nox = [f"{machine['STANDIN_PYTHON']}/bin/nox", *INSTALL.split()[1:]]
    dry = {**machine, "GOFLAGS": "-n", "PIP_DRY_RUN": "1", "UV_DRY_RUN": "1"}
    told = subprocess.run(nox, cwd=own.parent, env=dry, capture_output=True, text=True, check=False)
    stale = [path.parent.name for path, text in stamps.items() if path.read_text() != text]
    for path, text in stamps.items():
        path.write_text(text)
    if stale or told.returncode:
        missing("sessions", f"not of these locks: {', '.join(stale)} in .nox; run '{INSTALL}'")
    return machine


@pytest.fixture
def runner(
    act: str, current: dict[str, str], network: Network, repository: Path, tmp_path: Path
) -> Runner:
    """act, on such machines."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    own = {"STANDIN_ARTIFACTS": str(artifacts), "TMPDIR": str(tmp_path)}
    environment = {**current, **network.environment(), **own}
    return Runner(program=act, repository=repository, environment=environment)
