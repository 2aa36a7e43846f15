"""Simulated chart repositories, the lab's charts, and a copy of the tree that fits them."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack import http as door
from rke2pack.files import Cache
from rke2pack.helm.repository import Access, ChartRepository, open_repository
from rke2pack.http import Fetcher, new_session
from rke2pack.lab import repository
from tests.contract.simulator import Simulator, serving
from tests.contract.workbench import CHART, Bump, Open, chart_archive, make_tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA of the test's own, and a server that it vouches for."""

    ca_file: Path
    server: ssl.SSLContext


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with serving() as running:
        yield running


@pytest.fixture
def other_host() -> Iterator[Simulator]:
    with serving(host="127.0.0.2") as running:
        yield running


@pytest.fixture(scope="session")
def authority(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], NoReturn]
) -> Authority:
    if shutil.which("openssl") is None:
        missing("openssl", "openssl is not on PATH")
    folder = tmp_path_factory.mktemp("ca")
    make = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]
    make += ["-pkeyopt", "ec_paramgen_curve:prime256v1"]
    ca = ["-subj", "/CN=Test Authority", "-keyout", "ca.key", "-out", "ca.pem"]
    ca += ["-addext", "keyUsage=critical,keyCertSign"]
    server = ["-subj", "/CN=charts", "-keyout", "server.key", "-out", "server.pem"]
    server += ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"]
    server += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for arguments in (ca, server):
        subprocess.run([*make, *arguments], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return Authority(ca_file=folder / "ca.pem", server=context)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait nowhere: no pause between attempts, short timeouts."""
    monkeypatch.setattr(door, "_wait", lambda _: 0.0)
    monkeypatch.setattr(door, "_TIMEOUT", (1.0, 0.3))
    monkeypatch.setattr(door, "_DEADLINE", 0.5)


@pytest.fixture(scope="session")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's charts as a folder repository; only read."""
    return repository.build(tmp_path_factory.mktemp("charts") / "repository")


@pytest.fixture(scope="session")
def pristine(
    project: Path, charts: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A tree whose manifests name the lab's archives, and a cache that knows them; only copied."""
    return make_tree(project, charts, tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def tree(pristine: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine[0], tmp_path / "tree"))


@pytest.fixture
def cache(pristine: tuple[Path, Path], tmp_path: Path) -> Path:
    """A cache with what earlier commands learned."""
    return Path(shutil.copytree(pristine[1], tmp_path / "cache"))


@pytest.fixture
def bump(tree: Path, charts: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> Bump:
    capsys.readouterr()
    return Bump(tree=tree, source=str(charts), cache=cache, capsys=capsys)


@pytest.fixture
def served(simulator: Simulator, charts: Path, bump: Bump) -> Simulator:
    """The lab's charts behind a simulator, which is the bump's chart repository."""
    for path in charts.rglob("*"):
        if path.is_file():
            simulator.files[f"/{path.relative_to(charts)}"] = path.read_bytes()
    bump.source = simulator.url
    return simulator


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open a repository as a new process does, with one cache for all."""
    with ExitStack() as stack:

        def fetcher() -> Fetcher:
            return Fetcher(stack.enter_context(new_session()), sleep=lambda _: None)

        def start(source: str | Path, **options: bool) -> ChartRepository:
            access = Access(fetcher=fetcher, cache=Cache(tmp_path / "cache"), **options)
            return open_repository(str(source), access)

        yield start


@pytest.fixture
def archive(simulator: Simulator) -> bytes:
    data = chart_archive()
    simulator.add(CHART, "0.2.1100", data)
    return data
