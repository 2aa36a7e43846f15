"""What every test can rely on: its own home, no network in unit tests, tiers as markers."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import hypothesis
import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
TIERS: Final = ("unit", "contract", "upstream", "integration", "kind")
# Read before `isolated_env` takes them away from the tests.
REQUIRED: Final = frozenset(os.environ.get("RKE2PACK_REQUIRE", "").replace(",", " ").split())
REFERENCE_DATA: Final = Path(os.environ.get("RKE2PACK_REFERENCE_DATA", ROOT.parent / "shared"))
REFERENCE_FOLDERS: Final = ("replay", "rke2-charts", "rke2-releases")

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def tier(path: Path) -> str | None:
    """Name the tier whose folder under tests/ holds ``path``."""
    parts = path.relative_to(ROOT / "tests").parts
    return parts[0] if parts[0] in TIERS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, which is the folder that it stands in."""
    for item in items:
        name = tier(item.path)
        if name:
            item.add_marker(name)
        if "reference_data" in getattr(item, "fixturenames", ()):
            item.add_marker("reference")


@pytest.fixture(scope="session")
def missing() -> Callable[[str, str], NoReturn]:
    """Skip for lack of something; fail instead where RKE2PACK_REQUIRE names it.

    ``missing("skopeo", "skopeo is not on PATH")``.
    """

    def report(name: str, reason: str) -> NoReturn:
        if name in REQUIRED:
            pytest.fail(f"RKE2PACK_REQUIRE has {name}: {reason}", pytrace=False)
        pytest.skip(reason)

    return report


@pytest.fixture(scope="session")
def reference_data(missing: Callable[[str, str], NoReturn]) -> Path:
    """Folder with rke2-charts/, rke2-releases/ and replay/, only ever read."""
    absent = [name for name in REFERENCE_FOLDERS if not (REFERENCE_DATA / name).is_dir()]
    if absent:
        missing("reference-data", f"no {', '.join(absent)} in {REFERENCE_DATA}")
    return REFERENCE_DATA


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the project's tree, only ever read."""
    return ROOT


@pytest.fixture(autouse=True)
def isolated_env(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the test a home of its own and no setting of the user or of a CI service."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("RKE2PACK_", "GITHUB_", "GIT_")):
            monkeypatch.delenv(name)
    for name in ("CI", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.com")
    return home


def is_loopback(host: object) -> bool:
    """Say whether ``host``, a name or an address, is this machine without asking anyone."""
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the unit test that resolves a name or connects anywhere but loopback.

    The failure is no Exception, so code under test cannot turn it into an error of its own.
    """
    if tier(request.path) != "unit":
        return

    def guarded(real: Callable[..., Any], host_of: Callable[..., object]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passes on what it is given
            host = host_of(*args, **kwargs)
            if not is_loopback(host):
                pytest.fail(f"unit test reaches for {host!r}; only loopback is allowed")
            return real(*args, **kwargs)

        return call

    def peer(sock: socket.socket, address: Any) -> object:  # noqa: ANN401 - as socket.connect
        return address[0] if sock.family in {socket.AF_INET, socket.AF_INET6} else None

    for method in ("connect", "connect_ex"):
        monkeypatch.setattr(
            socket.socket, method, guarded(getattr(socket.socket, method), peer), raising=True
        )
    lookup = guarded(socket.getaddrinfo, lambda host, *_, **__: host)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
