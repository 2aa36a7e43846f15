"""Proxies of the environment are used, NO_PROXY and loopback are not sent through them."""

from __future__ import annotations

import pytest

from rke2pack.errors import RegistryError
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from tests.contract.oci import images
from tests.contract.oci.simulator import Simulator

HOST = "registry.example.com"


def access() -> Access:
    return Access(
        keychain=Keychain({}), endpoints={HOST: f"http://{HOST}"}, insecure=frozenset({HOST})
    )


def test_proxy_is_asked(registry: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    made = images.manifest()
    registry.push("rancher/demo", made, "v1")
    monkeypatch.setenv("HTTP_PROXY", f"http://{registry.host}")
    monkeypatch.setenv("http_proxy", f"http://{registry.host}")
    head = access().registry(HOST).head_manifest("rancher/demo", "v1")
    assert head.digest == made.digest
    assert registry.requests[0].target == f"http://{HOST}/v2/rancher/demo/manifests/v1"


def test_no_proxy_is_heeded(
    registry: Simulator, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("http_proxy", f"http://{registry.host}")
    monkeypatch.setenv("no_proxy", ".example.com")
    with pytest.raises(RegistryError, match="not reachable"):
        access().registry(HOST).head_manifest("rancher/demo", "v1")
    assert registry.requests == []
    assert waits


def test_loopback_needs_no_proxy(registry: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.push("rancher/demo", images.manifest(), "v1")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = Access(keychain=Keychain({})).registry(registry.host)
    assert client.base == f"http://{registry.host}"
    assert client.head_manifest("rancher/demo", "v1").size
    assert [r.target for r in registry.requests] == ["/v2/rancher/demo/manifests/v1"]
