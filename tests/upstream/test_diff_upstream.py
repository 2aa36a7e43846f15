"""What the difference of real chart versions says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from rke2pack import safeyaml
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff, UserValues, diff
from rke2pack.helm.render import SdkRenderer, render
from rke2pack.helm.version import ChartVersion

Open: TypeAlias = Callable[[str, str], Chart]
CLOUD_PROVIDER = "harvester-cloud-provider"
KUBE_VERSION = "v1.32.4"
OLD_PATH = "/etc/kubernetes/cloud-config"
NEW_PATH = "/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"
HELM_CHART_CONFIG = """apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: {name: harvester-cloud-provider, namespace: kube-system}
spec:
  valuesContent: |-
    cloudConfigPath: PATH
    nodeSelector: {zone: a}
"""
KUBE_VIP = "ServiceAccount kube-system/kube-vip"


@pytest.fixture(scope="module")
def archives(reference_data: Path) -> dict[str, dict[str, Path]]:
    """Path of each chart archive by chart and version, versions from old to new."""
    folder = reference_data / "rke2-charts"
    text = (folder / "index.yaml").read_text()
    entries = safeyaml.load(text, what="index.yaml", scalars=False)["entries"]
    return {
        name: {
            version["version"]: folder / version["urls"][0]
            for version in sorted(versions, key=lambda v: ChartVersion.parse(v["version"]))
        }
        for name, versions in entries.items()
    }


@pytest.fixture(scope="module")
def opened(archives: dict[str, dict[str, Path]]) -> Open:
    def call(name: str, version: str) -> Chart:
        return Chart.open(archives[name][version].read_bytes(), name=name, version=version)

    return call


@pytest.fixture(scope="module")
def renderer() -> SdkRenderer:
    return SdkRenderer()


@pytest.fixture(scope="module")
def cloud_provider(opened: Open, renderer: SdkRenderer) -> Callable[..., ChartDiff]:
    def call(old: str, new: str, user: UserValues | None = None) -> ChartDiff:
        return diff(
            opened(CLOUD_PROVIDER, old),
            opened(CLOUD_PROVIDER, new),
            renderer,
            kube_version=KUBE_VERSION,
            base={},
            user=user,
        )

    return call


def test_the_example_bump_moves_one_default_and_no_image(
    cloud_provider: Callable[..., ChartDiff],
) -> None:
    found = cloud_provider("0.2.900", "0.2.1000")
    document = found.to_json()
    assert document["images"] == {"added": [], "removed": [], "proofs": {}}
    assert document["values"] == {
        "changed": [{"path": "cloudConfigPath", "old": OLD_PATH, "new": NEW_PATH}],
        "added": [],
        "removed": [],
    }
    assert document["questions"] == {
        "changed": [
            {
                "variable": "cloudConfigPath",
                "field": "default",
                "old": OLD_PATH,
                "new": NEW_PATH,
            }
        ],
        "added": [],
        "removed": [],
    }
    assert found.rbac.is_empty
    assert found.crds.is_empty
    assert found.kube_version.is_empty
    moved = f'"{OLD_PATH}" -> "{NEW_PATH}"'
    deployment = f"Deployment kube-system/{CLOUD_PROVIDER}"
    assert found.summary() == (
        f"values: cloudConfigPath: {moved}",
        "images: no changes",
        f"questions: cloudConfigPath: default {moved}",
        f"objects: changed {deployment} (1 field, its pods are replaced)",
        f"objects:   spec.template.spec.volumes[cloud-config].hostPath.path: {moved}",
        "objects: 2 objects with new version labels only",
    )


def test_kube_vip_gains_and_loses_permissions(cloud_provider: Callable[..., ChartDiff]) -> None:
    found = cloud_provider("0.2.1000", "0.2.1100")
    via = "through ClusterRole kube-vip"
    assert found.rbac.gained == (
        f"{KUBE_VIP} may now list pods (core) {via}",
        f"{KUBE_VIP} may now patch nodes (core) {via}",
        f"{KUBE_VIP} may now get, list, watch, update endpointslices (discovery.k8s.io) {via}",
    )
    assert found.rbac.lost == (
        f"{KUBE_VIP} may no longer get, list, watch services/status (core) {via}",
    )
    assert found.images.removed == (
        "rancher/harvester-cloud-provider:v0.2.4",
        "rancher/mirrored-kube-vip-kube-vip-iptables:v0.8.7",
    )
    assert found.images.added == (
        "rancher/harvester-cloud-provider:v0.2.5",
        "rancher/mirrored-kube-vip-kube-vip-iptables:v0.9.2",
    )


def test_kube_vip_gets_a_role_on_secrets(cloud_provider: Callable[..., ChartDiff]) -> None:
    on_secrets = (
        f"{KUBE_VIP} may now get, list secrets (core) in namespace kube-system"
        " through Role kube-vip"
    )
    found = cloud_provider("0.2.1100", "0.2.1200")
    assert found.rbac.gained == (on_secrets,)
    assert found.rbac.lost == ()
    both = cloud_provider("0.2.1000", "0.2.1200").rbac
    first = cloud_provider("0.2.1000", "0.2.1100").rbac
    assert both.gained == (*first.gained, on_secrets)
    assert both.lost == first.lost


def test_the_tag_leaves_the_values_and_the_app_version_takes_over(
    cloud_provider: Callable[..., ChartDiff],
) -> None:
    found = cloud_provider("0.2.1200", "0.2.1500", UserValues(values={"image": {"tag": "v0.2.6"}}))
    assert found.to_json()["values"] == {
        "changed": [{"path": "kube-vip.image.tag", "old": "v1.1.2", "new": "v1.2.3"}],
        "added": [],
        "removed": [{"path": "image.tag", "old": "v0.2.6"}],
    }
    assert found.to_json()["app_version"] == {"old": "v0.2.6", "new": "v0.2.8"}
    assert [(finding.path, finding.verdict) for finding in found.user] == [("image.tag", "unknown")]
    assert "its templates still read it" in found.user[0].detail


def test_a_users_config_is_judged_and_its_effect_rendered(
    cloud_provider: Callable[..., ChartDiff],
) -> None:
    for path, verdict in ((NEW_PATH, "equals-default"), ("/own", "overrides-moved-default")):
        text = HELM_CHART_CONFIG.replace("PATH", path)
        user = UserValues.parse(text, "mine.yaml", chart=CLOUD_PROVIDER)
        found = cloud_provider("0.2.900", "0.2.1000", user)
        assert [(f.path, f.verdict) for f in found.user] == [("cloudConfigPath", verdict)]
        assert found.objects_with_user_values is not None
        changes = found.objects_with_user_values.changed
        assert all(change.is_version_label_only for change in changes)


def newest_pairs(
    archives: dict[str, dict[str, Path]], name: str, count: int | None = None
) -> Iterator[tuple[str, str]]:
    versions = list(archives[name])
    yield from pairwise(versions if count is None else versions[-count - 1 :])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [
        (CLOUD_PROVIDER, None),
        ("harvester-csi-driver", None),
        ("rke2-calico-crd", 10),
        ("rke2-traefik-crd", 10),
        ("rke2-cilium", 1),
    ],
)
def test_neighbouring_versions_can_be_compared(
    archives: dict[str, dict[str, Path]],
    opened: Open,
    renderer: SdkRenderer,
    name: str,
    count: int | None,
) -> None:
    pairs = list(newest_pairs(archives, name, count))
    assert pairs
    for old, new in pairs:
        found = diff(
            opened(name, old), opened(name, new), renderer, kube_version=KUBE_VERSION, base={}
        )
        document = found.to_json()
        assert document["app_version"] == {
            "old": opened(name, old).app_version,
            "new": opened(name, new).app_version,
        }
        assert any(line.startswith("images: ") for line in found.summary())


def test_calicos_definitions_lose_a_field(opened: Open, renderer: SdkRenderer) -> None:
    name = "rke2-calico-crd"
    old, new = opened(name, "v3.30.401"), opened(name, "v3.31.200")
    found = diff(old, new, renderer, kube_version=KUBE_VERSION, base={})
    felix = next(c for c in found.crds.changed if c.name.startswith("felixconfigurations."))
    assert [str(fact) for fact in felix.facts if fact.is_breaking] == [
        "v1 spec.bpfKubeProxyHealtzPort field removed"
    ]


def test_a_chart_with_random_certificates_does_not_differ_from_itself(
    opened: Open, renderer: SdkRenderer
) -> None:
    same = opened("rke2-snapshot-validation-webhook", "1.9.001")
    texts = [
        [item.text for item in render(renderer, same, {}, kube_version=KUBE_VERSION)] for _ in "12"
    ]
    assert texts[0] != texts[1]
    assert diff(same, same, renderer, kube_version=KUBE_VERSION, base={}).is_empty
