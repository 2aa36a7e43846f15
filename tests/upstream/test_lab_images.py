"""The lab's charts against the released lists: the same images, chart by chart, no other."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from rke2pack import safeyaml
from tests.unit.lab.rendering import CHARTS, everything, images

RELEASE: Final = "v1.32.4+rke2r1"
COMPONENTS: Final = {
    "calico": ("rke2-calico", "rke2-calico-crd"),
    "canal": ("rke2-canal",),
    "cilium": ("rke2-cilium",),
    "core": (
        "rke2-coredns",
        "rke2-ingress-nginx",
        "rke2-metrics-server",
        "rke2-runtimeclasses",
        "rke2-snapshot-controller",
        "rke2-snapshot-controller-crd",
    ),
    "flannel": ("rke2-flannel",),
    "harvester": ("harvester-cloud-provider", "harvester-csi-driver"),
    "multus": ("rke2-multus",),
    "traefik": ("rke2-traefik", "rke2-traefik-crd"),
    "vsphere": ("rancher-vsphere-cpi", "rancher-vsphere-csi"),
}
IN_NO_CHART: Final = {
    "hardened-etcd",
    "hardened-kubernetes",
    "klipper-helm",
    "klipper-lb",
    "mirrored-pause",
    "rke2-cloud-provider",
    "rke2-runtime",
}
# Started by the operator in the cluster, all with calicoctl's tag.
CALICO_TAG: Final = "v3.29.3"
STARTED_BY_OPERATOR: Final = 9
REGISTRY: Final = "docker.io"


@pytest.fixture(scope="module")
def versions(reference_data: Path) -> dict[str, str]:
    path = reference_data / "rke2-releases" / RELEASE / "chart_versions.yaml"
    document = safeyaml.load(path.read_text(encoding="utf-8"), what=path.name, scalars=False)
    return {
        Path(entry["filename"]).stem: entry["version"]
        for entry in document["charts"]
        if entry["version"] != "0.0.0"
    }


def released(reference_data: Path, component: str) -> set[str]:
    folder = reference_data / "rke2-releases" / RELEASE / "amd64"
    return set((folder / f"images-{component}.txt").read_text(encoding="utf-8").split())


def name_of(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[0]


def test_lab_has_every_chart_of_the_release(versions: dict[str, str]) -> None:
    assert len(versions) == 18
    assert versions.items() <= set(CHARTS)
    assert versions.keys() == {chart for charts in COMPONENTS.values() for chart in charts}


@pytest.mark.parametrize("component", COMPONENTS)
def test_images_are_those_of_the_release(
    reference_data: Path, versions: dict[str, str], component: str
) -> None:
    key = "systemDefaultRegistry"
    values = {"global": {key: REGISTRY, "cattle": {key: REGISTRY}}}
    found = {
        image
        for chart in COMPONENTS[component]
        for image in images(everything(chart, versions[chart], values))
    }
    expected = {i for i in released(reference_data, component) if name_of(i) not in IN_NO_CHART}
    if component == "calico":
        started = {image for image in expected if image.endswith(f":{CALICO_TAG}")}
        assert len(started) == STARTED_BY_OPERATOR
        expected -= started
    assert found == expected
