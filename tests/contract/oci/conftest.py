"""A simulated registry, another host, and clients that do not wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.pace import Pace
from rke2pack.oci.store.layout import Layout
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.simulator import Simulator, serving

MakeAccess = Callable[..., Access]


@pytest.fixture
def registry() -> Iterator[Simulator]:
    with serving() as running:
        yield running


@pytest.fixture
def made(registry: Simulator) -> dict[str, Made]:
    """Three images on one base layer; gamma is for amd64 alone."""
    found = {
        "alpha": images.multi(1),
        "beta": images.multi(2),
        "gamma": images.manifest(AMD64, [b"base", b"gamma"], is_docker=True),
    }
    for name, image in found.items():
        registry.push(f"rancher/{name}", image, "v1")
    return found


@pytest.fixture
def storage() -> Iterator[Simulator]:
    """Another host: its content is the test's to set."""
    with serving(address="127.0.0.2") as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait of a client, in seconds; none is waited for."""
    found: list[float] = []

    def pause(pace: Pace, seconds: float) -> None:
        found.append(seconds)
        pace._silent_until -= seconds
        pace.check()

    monkeypatch.setattr(Pace, "pause", pause)
    return found


@pytest.fixture
def make_access(registry: Simulator, waits: list[float]) -> MakeAccess:
    """Make clients for the simulator, which speaks plain HTTP."""
    assert waits == []

    def make(*environment: tuple[str, str], **options: object) -> Access:
        endpoints = {registry.host: f"http://{registry.host}"}
        settings = {"endpoints": endpoints, **options}
        return Access(keychain=Keychain(dict(environment)), **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.open(tmp_path / "store")
