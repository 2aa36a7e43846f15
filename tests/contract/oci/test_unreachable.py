"""A host that cannot be reached costs its tries once, not once an image."""

from __future__ import annotations

import socket

import pytest

from rke2pack.errors import RegistryError
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.client import Registry
from rke2pack.oci.registry.keychain import Keychain
from tests.contract.oci import images
from tests.contract.oci.simulator import serving


def registry_at(host: str) -> Registry:
    access = Access(keychain=Keychain({}), endpoints={host: f"http://{host}"})
    return access.registry(host)


@pytest.fixture
def closed() -> str:
    """An address at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_second_image_of_a_host_that_refuses_is_tried_once(closed: str, waits: list[float]) -> None:
    registry = registry_at(closed)
    with pytest.raises(RegistryError, match="not reachable: Connection refused"):
        registry.head_manifest("a/first", "v1")
    assert (registry.wire.sent["HEAD"], len(waits)) == (6, 5)
    with pytest.raises(RegistryError, match="a/second:v1: not reachable: Connection refused"):
        registry.head_manifest("a/second", "v1")
    with pytest.raises(RegistryError, match="a/third:v1: not reachable: Connection refused"):
        registry.get_manifest("a/third", "v1")
    assert (registry.wire.sent.total(), len(waits)) == (8, 5)


def test_host_that_is_back_is_asked_as_often_as_any(closed: str, waits: list[float]) -> None:
    registry = registry_at(closed)
    with pytest.raises(RegistryError, match="not reachable"):
        registry.head_manifest("a/b", "v1")
    made = images.manifest()
    with serving(port=int(closed.rpartition(":")[2])) as simulator:
        simulator.push("a/b", made, "v1")
        assert registry.head_manifest("a/b", "v1").digest == made.digest
        before = len(waits)
        simulator.statuses = [(500, {}), (500, {})]
        assert registry.head_manifest("a/b", "v1").digest == made.digest
    assert len(waits) > before


def test_busy_host_is_asked_again_for_every_image(waits: list[float]) -> None:
    with serving() as simulator:
        registry = registry_at(simulator.host)
        simulator.statuses = [(503, {})] * 12
        for name in ("a/b", "a/c"):
            with pytest.raises(RegistryError, match="503"):
                registry.get_manifest(name, "v1")
        assert len(simulator.requests) == 12
    assert len(waits) == 10
