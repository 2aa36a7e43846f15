"""A docker engine of the tests' own, with the node image that session kind-node made."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.integration.archives.conftest import started
from tests.kind.node.places import BIN, NAME, NODE
from tests.kind.node.programs import STANDIN

Missing = Callable[[str, str], NoReturn]
SECONDS: Final = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count a test's own time alone: another process may have the engine for long."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            asked = item.get_closest_marker("timeout")
            seconds = asked.args[0] if asked else SECONDS
            item.add_marker(pytest.mark.timeout(seconds, func_only=True), append=False)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Wait until no other process of this machine is in such a block.

    Two engines with networks take each other's iptables rules away when they start.
    """
    with (Path(tempfile.gettempdir()) / f"rke2pack-{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def program(name: str, missing: Missing) -> str:
    """Return a program's path, or skip."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name, path=path) or missing(name, f"{name} is not on PATH")


@pytest.fixture(scope="session")
def node_image(missing: Missing) -> Path:
    """The node image's file."""
    for path in (NODE, BIN / STANDIN):
        if not path.is_file():
            missing("node-image", f"no {path.name} in .nox/kind: make it with 'nox -s kind-node'")
    return NODE


@pytest.fixture(scope="session")
def engine_folder() -> Iterator[Path]:
    """A folder with a short name: it holds a socket."""
    with tempfile.TemporaryDirectory(prefix="r2k-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def docker_host(engine_folder: Path, node_image: Path, missing: Missing) -> Iterator[str]:
    """An engine whose containers may be privileged as far as this host allows; has the image."""
    if os.geteuid() != 0:
        missing("root", "dockerd needs root")
    host = f"unix://{engine_folder}/d.sock"
    command = [
        *(program("dockerd", missing), "--host", host, "--bridge=none"),
        *("--data-root", f"{engine_folder}/data", "--exec-root", f"{engine_folder}/exec"),
        *("--pidfile", f"{engine_folder}/pid", "--storage-driver", "overlay2"),
        *("--add-runtime", f"node={BIN / 'runtime'}", "--default-runtime", "node"),
    ]
    client = [program("docker", missing), "--host", host]
    log = engine_folder / "dockerd.log"
    with alone("dockerd"), started(command, [*client, "info"], log):
        subprocess.run([*client, "load", "--input", str(node_image)], check=True)
        yield host


@pytest.fixture
def docker(docker_host: str, monkeypatch: pytest.MonkeyPatch, missing: Missing) -> list[str]:
    """The client program; kind and rke2pack reach the same engine."""
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    return [program("docker", missing)]


@pytest.fixture
def helm(missing: Missing) -> str:
    """The program helm."""
    return program("helm", missing)


@pytest.fixture
def node(docker: list[str]) -> Iterator[str]:
    """A node's container with a running containerd, in no cluster."""
    name = "node-alone"
    options = (
        *("--name", name, "--hostname", name, "--detach", "--tty", "--privileged"),
        *("--network", "none", "--cgroupns=private", "--tmpfs", "/run"),
        *("--volume", "/var", "--security-opt", "seccomp=unconfined"),
    )
    subprocess.run([*docker, "run", *options, NAME], check=True)
    try:
        ready = "until systemctl is-active --quiet node-images; do sleep 0.2; done"
        inside = ("exec", name, "timeout", "60", "sh", "-c", ready)
        subprocess.run([*docker, *inside], check=True)
        yield name
    finally:
        subprocess.run([*docker, "rm", "--force", "--volumes", name], check=True)
