"""Two registries, images in the first, and mirror between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.mirror.mirroring import MirrorCall
from tests.contract.oci.runner import Answer, run
from tests.contract.oci.simulator import Simulator, serving


@pytest.fixture(autouse=True)
def quick(waits: list[float]) -> None:
    """Let no client wait."""
    assert waits == []


@pytest.fixture
def target() -> Iterator[Simulator]:
    """Take no manifest before what it names, as real registries do."""
    with serving(address="127.0.0.2") as running:
        running.is_strict = True
        yield running


@pytest.fixture
def made(registry: Simulator) -> dict[str, Made]:
    """Three images on one base layer; gamma is Docker's and for amd64 alone."""
    found = {
        "alpha": images.multi(1, 60_000),
        "beta": images.multi(2, 60_000),
        "gamma": images.manifest(AMD64, [b"base", b"gamma"], is_docker=True),
    }
    for name, image in found.items():
        registry.push(f"rancher/{name}", image, "v1")
    return found


@pytest.fixture
def mirror(registry: Simulator, target: Simulator, tmp_path: Path) -> MirrorCall:
    def call(
        *arguments: str | Path, to: str = "", environment: dict[str, str] | None = None
    ) -> Answer:
        own: list[str | Path] = ["--endpoint", f"docker.io=http://{registry.host}", "--json"]
        own += ["--cache-dir", tmp_path / "cache", "--tree", tmp_path]
        own += ["--endpoint", f"{target.host}=http://{target.host}"]
        for each in (registry, target):
            each.requests.clear()
        return run(["mirror", f"{target.host}{to}", *arguments, *own], environment or {})

    return call
