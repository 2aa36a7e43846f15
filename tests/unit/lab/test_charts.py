from __future__ import annotations

from typing import Any

import pytest

from rke2pack import safeyaml
from rke2pack.errors import ValidationError
from rke2pack.helm.render import RenderedObject
from tests.unit.lab.rendering import CHARTS, IDS, containers, everything, images, rendered

HARVESTER = "harvester-cloud-provider"
OLD_PATH = "/etc/kubernetes/cloud-config"
NEW_PATH = "/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"
WORKLOADS = {"Deployment", "DaemonSet"}
each_chart = pytest.mark.parametrize(("name", "version"), CHARTS, ids=IDS)


def document(version: str, path: str) -> Any:  # noqa: ANN401 - YAML holds anything
    members = {member.path: member.data for member in CHARTS[HARVESTER, version].members}
    return safeyaml.load(members[f"{HARVESTER}/{path}"].decode(), what=path)


@each_chart
def test_chart_renders_named_objects(name: str, version: str) -> None:
    objects = list(everything(name, version))
    assert objects
    assert [
        found
        for found in objects
        if not (found.kind and found.body.get("apiVersion") and found.name)
    ] == []


@each_chart
def test_every_image_follows_the_registry(name: str, version: str) -> None:
    key = "systemDefaultRegistry"
    registry = "registry.example.com:5000"
    values = {"global": {key: registry, "cattle": {key: registry}}}
    plain = images(everything(name, version))
    moved = images(everything(name, version, values))
    assert moved == {f"{registry}/{image}" for image in plain}


@each_chart
def test_selectors_match_their_pods(name: str, version: str) -> None:
    for found in everything(name, version):
        if found.kind in WORKLOADS:
            spec = found.body["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"].items() <= labels.items()


@each_chart
def test_service_accounts_are_part_of_the_chart(name: str, version: str) -> None:
    objects = list(everything(name, version))
    accounts = {found.name for found in objects if found.kind == "ServiceAccount"}
    used = {account for found in objects if (account := account_of(found.body))}
    assert used <= accounts


def account_of(body: Any) -> str | None:  # noqa: ANN401 - any object
    spec = body.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: str | None = spec.get("template", {}).get("spec", {}).get("serviceAccountName")
    return found


@each_chart
def test_mounts_have_their_volumes(name: str, version: str) -> None:
    for found in everything(name, version):
        if found.kind in WORKLOADS:
            pod = found.body["spec"]["template"]["spec"]
            volumes = {volume["name"] for volume in pod.get("volumes", ())}
            mounted = {
                mount["name"]
                for _, container in containers(iter([found]))
                for mount in container.get("volumeMounts", ())
            }
            assert mounted == volumes


@each_chart
def test_one_image_can_stand_for_all(name: str, version: str) -> None:
    for found in everything(name, version):
        for group, container in containers(iter([found])):
            assert "command" not in container
            assert not {"livenessProbe", "readinessProbe", "startupProbe"} & container.keys()
            ends = group == "initContainers" or found.kind in {"Job", "CronJob"}
            assert (container["args"][0] == "once") is ends


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("rke2-coredns", "1.39.201", "global.clusterDNS must be the address of the DNS service"),
        ("rancher-vsphere-csi", "3.3.1-rancher900", "vCenter.clusterId must name the cluster"),
    ],
)
def test_chart_says_which_value_it_needs(name: str, version: str, message: str) -> None:
    empty = {"global": {"clusterDNS": ""}, "vCenter": {"clusterId": ""}}
    with pytest.raises(ValidationError, match=message):
        rendered(name, version, empty)


def test_cloud_config_path_is_all_that_moves() -> None:
    old, new = document("0.2.900", "values.yaml"), document("0.2.1000", "values.yaml")
    assert old.pop("cloudConfigPath") == OLD_PATH
    assert new.pop("cloudConfigPath") == NEW_PATH
    assert old == new


def test_questions_follow_the_values() -> None:
    for version in ("0.2.900", "0.2.1000", "0.2.1100"):
        (question,) = document(version, "questions.yml")["questions"]
        assert question["variable"] == "cloudConfigPath"
        assert question["default"] == document(version, "values.yaml")["cloudConfigPath"]


def by_label(version: str) -> dict[str, RenderedObject]:
    return {found.label: found for found in rendered(HARVESTER, version, {})}


def test_cloud_config_path_moves_one_volume() -> None:
    old, new = by_label("0.2.900"), by_label("0.2.1000")
    changed = {label for label in old if old[label].body != new[label].body}
    assert old.keys() == new.keys()
    assert changed == {"Deployment/harvester-cloud-provider"}
    (label,) = changed
    paths = [
        side[label].body["spec"]["template"]["spec"]["volumes"][0]["hostPath"]["path"]
        for side in (old, new)
    ]
    assert paths == [OLD_PATH, NEW_PATH]


def test_later_harvester_changes_images_and_rules() -> None:
    old, new = by_label("0.2.1000"), by_label("0.2.1100")
    assert images(iter(new.values())) == {
        "rancher/harvester-cloud-provider:v0.2.5",
        "rancher/mirrored-kube-vip-kube-vip-iptables:v0.9.2",
    }
    assert images(iter(old.values())).isdisjoint(images(iter(new.values())))
    added = [
        rule
        for rule in new["ClusterRole/kube-vip"].body["rules"]
        if rule not in old["ClusterRole/kube-vip"].body["rules"]
    ]
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]} in added


def test_kube_vip_can_be_left_out() -> None:
    objects = rendered(HARVESTER, "0.2.1000", {"kube-vip": {"enabled": False}})
    assert images(iter(objects)) == {"rancher/harvester-cloud-provider:v0.2.4"}


def test_kind_values_name_a_file_of_a_kind_node() -> None:
    values = document("0.2.1000", "ci/kind-values.yaml")
    assert values == {"cloudConfigPath": "/etc/kubernetes/kubelet.conf"}


def test_prime_has_images_of_its_own() -> None:
    usual = images(iter(rendered("rke2-ingress-nginx", "4.12.101", {})))
    prime = {"global": {"prime": {"enabled": True}}}
    assert images(iter(rendered("rke2-ingress-nginx", "4.12.101", prime))).isdisjoint(usual)


@pytest.mark.parametrize(
    ("kube_version", "image"),
    [
        ("v1.32.4", "rancher/mirrored-cloud-provider-vsphere:v1.32.1"),
        ("v1.31.8", "rancher/mirrored-cloud-provider-vsphere:v1.31.1"),
        ("v1.30.12", "rancher/mirrored-cloud-provider-vsphere-cpi-release-manager:v1.30.1"),
    ],
)
def test_vsphere_image_follows_kubernetes(kube_version: str, image: str) -> None:
    objects = rendered("rancher-vsphere-cpi", "1.10.000", {}, kube_version=kube_version)
    assert images(iter(objects)) == {image}


def test_calico_names_the_tag_of_what_its_operator_starts() -> None:
    members = {m.path: m.data for m in CHARTS["rke2-calico", "v3.29.300"].members}
    values = safeyaml.load(members["rke2-calico/values.yaml"].decode(), what="values.yaml")
    assert values["calicoctl"]["tag"] == "v3.29.3"
