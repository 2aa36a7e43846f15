"""A docker engine without a network, in which a container can be started, and a base image."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.integration.archives.conftest import Consumer, started
from tests.integration.container import base

Missing = Callable[[str, str], NoReturn]
BASE: Final = "example/python"


@pytest.fixture(scope="session")
def engine(missing: Missing) -> Iterator[Consumer]:
    """The client of the engine; its socket is the second word's end."""
    if os.geteuid() != 0:
        missing("root", "dockerd needs root")
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = {name: shutil.which(name, path=path) for name in ("docker", "dockerd")}
    docker, dockerd = (
        each or missing(name, f"{name} is not there") for name, each in found.items()
    )
    with tempfile.TemporaryDirectory(prefix="r2i-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        host = f"unix://{folder}/d.sock"
        command = [
            *(dockerd, "--host", host, "--bridge=none", "--iptables=false", "--ip6tables=false"),
            *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
            *("--pidfile", f"{folder}/pid", "--storage-driver", "overlay2"),
        ]
        client = (docker, "--host", host)
        with started(command, [*client, "info"], folder / "dockerd.log"):
            yield Consumer(command=client)


@pytest.fixture(scope="session")
def base_image(engine: Consumer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an image with this machine's Python and a shell."""
    archive = tmp_path_factory.mktemp("base") / "base.tar"
    base.write(archive)
    engine.run("import", archive, BASE)
    return BASE


@pytest.fixture(scope="session")
def wheels(project: Path, missing: Missing) -> Path:
    """The wheels of the runtime lock."""
    folder = project / ".nox/wheels"
    if not any(folder.glob("*.whl")):
        missing("wheels", "no wheels in .nox/wheels: fetch them with 'nox -s wheels'")
    return folder


def socket(engine: Consumer) -> str:
    """Return what DOCKER_HOST has to be."""
    return engine.command[-1]


def succeeded(command: list[str], folder: Path) -> str:
    """Run a program in a folder; it must succeed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
