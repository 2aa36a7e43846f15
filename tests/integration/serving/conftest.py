"""``rke2pack serve`` as a process, over plain HTTP and over TLS with a password."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rke2pack.oci.store.layout import Layout
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.integration.archives.conftest import (
    containerd,
    containerd_socket,
    docker,
    program,
    short_folder,
)
from tests.integration.oci.conftest import HTPASSWD, USER, Certificates, certificates, skopeo

__all__ = [
    "certificates", "containerd", "containerd_socket", "docker", "program", "short_folder",
    "skopeo",
]  # fmt: skip
OWN = "registry.example.com/rancher/alpha:v1"


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server, and how its clients get in."""

    host: str
    authority: Path | None = None


@pytest.fixture(scope="session")
def made() -> dict[str, Made]:
    """Images by full name; two hosts have the same path."""
    return {
        "docker.io/rancher/alpha:v1": images.multi(1, 3_000_000),
        "docker.io/rancher/beta:v2": images.multi(2, 500_000),
        "docker.io/rancher/dockers:v3": images.manifest(AMD64, [b"base", b"own"], is_docker=True),
        OWN: images.multi(3, 1000),
    }


@pytest.fixture(scope="session")
def store(made: dict[str, Made], tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return images.write(tmp_path_factory.mktemp("served") / "store", made)


@contextlib.contextmanager
def serving(*arguments: str | Path) -> Iterator[str]:
    """Run the program for the length of a block; give its HOST:PORT."""
    command = [sys.executable, "-m", "rke2pack", "serve", "--json", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) and line != b"}\n":
            lines.append(line)
        host: str = json.loads(b"".join([*lines, b"}"]))["registry"]
        yield host
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.fixture(scope="session")
def plain(store: Layout) -> Iterator[Served]:
    with serving("--store", store.root) as host:
        yield Served(host=host)


@pytest.fixture(scope="session")
def private(
    store: Layout, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    users = tmp_path_factory.mktemp("users") / "htpasswd"
    users.write_text(f"{USER}:{HTPASSWD}\n")
    pair: list[str | Path] = [
        "--tls-cert",
        certificates.file("server.pem"),
        "--tls-key",
        certificates.file("server.key"),
    ]
    with serving("--store", store.root, *pair, "--htpasswd", users) as host:
        yield Served(host=host, authority=certificates.file("ca.pem"))


@pytest.fixture(params=["plain", "private"])
def served(request: pytest.FixtureRequest) -> Served:
    found: Served = request.getfixturevalue(request.param)
    return found
