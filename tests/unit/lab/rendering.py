"""The lab's charts rendered as the product renders, with the values that bring out everything."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import RenderedObject, SdkRenderer, render
from rke2pack.lab import repository

KUBE_VERSION: Final = "v1.32.4"
CHARTS: Final = {(found.name, found.version): found for found in repository.releases()}
IDS: Final = [f"{name}-{version}" for name, version in CHARTS]
# What a chart needs to render at all.
BASE: Final[Mapping[str, Mapping[str, Any]]] = {
    "rke2-coredns": {"global": {"clusterDNS": "10.43.0.10"}},
    "rancher-vsphere-csi": {"vCenter": {"clusterId": "x"}},
}
# Beside the defaults, the values that together switch on every workload.
VARIANTS: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "rke2-coredns": ({"nodelocal": {"enabled": True}},),
    "rke2-cilium": (
        {
            "eni": {"enabled": True},
            "envoy": {"enabled": True},
            "hubble": {
                "enabled": True,
                "relay": {"enabled": True},
                "ui": {"enabled": True},
                "tls": {"auto": {"method": "cronJob"}},
            },
            "clustermesh": {"useAPIServer": True},
            "cluster": {"name": "c1"},
        },
        {"azure": {"enabled": True}},
    ),
    "rke2-multus": (
        {
            "thickPlugin": {"enabled": True},
            "dynamicNetworksController": {"enabled": True},
            "rke2-whereabouts": {"enabled": True},
            "manifests": {"dhcpDaemonSet": True},
        },
    ),
    "rke2-metrics-server": ({"addonResizer": {"enabled": True}},),
    "rancher-vsphere-csi": (
        {
            "csiController": {"csiResizer": {"enabled": True}},
            "blockVolumeSnapshot": {"enabled": True},
        },
    ),
}


def rendered(
    name: str, version: str, values: Mapping[str, Any], *, kube_version: str = KUBE_VERSION
) -> tuple[RenderedObject, ...]:
    """Render with ``values`` on top of what the chart needs."""
    given = merged(BASE.get(name, {}), values)
    return render(_renderer(), _chart(name, version), given, kube_version=kube_version)


def everything(
    name: str, version: str, values: Mapping[str, Any] | None = None
) -> Iterator[RenderedObject]:
    """Render the defaults and each variant, all with ``values``."""
    for variant in ({}, *VARIANTS.get(name, ())):
        yield from rendered(name, version, merged(variant, values or {}))


def containers(objects: Iterator[RenderedObject]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each container with the name of its list: containers or initContainers."""
    for found in objects:
        yield from _containers(found.body)


def images(objects: Iterator[RenderedObject]) -> set[str]:
    """Return the image of every container."""
    return {container["image"] for _, container in containers(objects)}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values as Helm does: mappings by key, everything else replaced."""
    result = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def _containers(node: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"containers", "initContainers"}:
                yield from ((key, container) for container in value)
            else:
                yield from _containers(value)
    elif isinstance(node, list):
        for item in node:
            yield from _containers(item)


@functools.cache
def _renderer() -> SdkRenderer:
    return SdkRenderer()


@functools.cache
def _chart(name: str, version: str) -> Chart:
    data = archive.pack(CHARTS[name, version].members)
    return Chart.open(data, name=name, version=version)
