from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stages.conftest import Rke2pack

CHART = "harvester-cloud-provider"
OLD = "/etc/kubernetes/cloud-config"
NEW = "/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"


@pytest.fixture
def where(lab_tree: Path, lab_charts: Path) -> tuple[str, ...]:
    return ("--tree", str(lab_tree), "--charts-repo", str(lab_charts))


def test_diff_says_what_the_example_means(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("diff", CHART, "0.2.9", "0.2.10", *where)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[:3] == [
        f'values: cloudConfigPath: "{OLD}" -> "{NEW}"',
        "images: no changes",
        f'questions: cloudConfigPath: default "{OLD}" -> "{NEW}"',
    ]


def test_diff_of_a_version_with_itself_is_empty(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    document = rke2pack("diff", CHART, "0.2.10", "0.2.1000", *where, "--json").json["diff"]
    assert document["values"] == {"changed": [], "added": [], "removed": []}
    assert document["objects"] == {"added": [], "removed": [], "changed": []}


def test_a_helm_chart_config_shows_what_a_user_will_see(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "apiVersion: helm.cattle.io/v1\n"
        "kind: HelmChartConfig\n"
        f"metadata: {{name: {CHART}, namespace: kube-system}}\n"
        "spec:\n"
        "  valuesContent: |-\n"
        f"    cloudConfigPath: {OLD}\n"
        "    noSuchValue: 1\n"
    )
    answer = rke2pack("diff", CHART, "0.2.9", "0.2.10", "--values", config, *where, "--json")
    assert answer.code == 0, answer.err
    verdicts = {each["path"]: each["verdict"] for each in answer.json["diff"]["user"]}
    assert verdicts["cloudConfigPath"] == "overrides-moved-default"
    assert "noSuchValue" in verdicts
    deployments = [
        each
        for each in answer.json["diff"]["objects_with_user_values"]["changed"]
        if each["kind"] == "Deployment" and not each["version_label_only"]
    ]
    assert deployments == []


def test_a_config_for_another_chart_is_refused(
    where: tuple[str, ...], tmp_path: Path, rke2pack: Rke2pack
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: rke2-canal}\n"
    )
    answer = rke2pack("diff", CHART, "0.2.9", "0.2.10", "--values", config, *where)
    assert answer.code == 2
    assert "rke2-canal" in answer.err


def test_an_unknown_version_names_the_nearest(where: tuple[str, ...], rke2pack: Rke2pack) -> None:
    answer = rke2pack("diff", CHART, "0.2.9", "0.3.1", *where)
    assert answer.code == 3
    assert (
        f"error: {CHART}: no version matches '0.3.1'; nearest: 0.2.1100 (upstream 0.2.11), "
        "0.2.1000 (upstream 0.2.10), 0.2.900 (upstream 0.2.9)\n"
    ) in answer.err
