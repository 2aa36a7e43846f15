"""The project's own tree against the real chart repository: manifests in both forms."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rke2pack import safeyaml
from rke2pack.helm.chart import Chart
from rke2pack.helm.manifest import ChartReference, with_content
from rke2pack.helm.version import ChartVersion
from rke2pack.tree.native import NativeTree
from tests.upstream import real

SPEC = {"forceConflicts": True, "failurePolicy": "retry", "takeOwnership": True}


@pytest.fixture(scope="module")
def bundled(reference_data: Path, project: Path) -> list[tuple[Chart, ChartReference]]:
    tree = NativeTree(root=project)
    found = []
    for chart in tree.versions.charts:
        reference = tree.reference(chart.name)
        if reference is None:
            continue
        entry = real.index(reference_data).entry(chart.name, ChartVersion(reference.version))
        found.append((real.open_chart(reference_data, entry), reference))
    return found


def test_every_reference_names_the_archive_that_the_repository_serves(
    bundled: list[tuple[Chart, ChartReference]],
) -> None:
    assert len(bundled) == 18
    for chart, reference in bundled:
        assert chart.digest == reference.digest
        assert reference.url.endswith(f"/{chart.name}-{chart.version}.tgz")


def test_content_of_the_whole_release_is_the_same_bytes_twice(
    bundled: list[tuple[Chart, ChartReference]],
) -> None:
    for chart, reference in bundled:
        first = with_content(chart, reference, kube_version="v1.32.4")
        again = Chart.open(chart.data, name=chart.name, version=chart.version)
        assert with_content(again, reference, kube_version="v1.32.4") == first


def test_content_form_has_upstreams_form_and_only_chart_yaml_differs(
    bundled: list[tuple[Chart, ChartReference]],
) -> None:
    for chart, reference in bundled:
        text = with_content(chart, reference.with_spec(SPEC), kube_version="v1.32.4")
        document = safeyaml.load(text, what=chart.name)
        assert list(document) == ["apiVersion", "kind", "metadata", "spec"]
        assert list(document["metadata"]) == ["name", "namespace", "annotations"]
        assert list(document["metadata"]["annotations"]) == [
            "helm.cattle.io/chart-url",
            "rke2.cattle.io/inject-cluster-config",
        ]
        assert list(document["spec"]) == [
            *("forceConflicts", "failurePolicy", "bootstrap", "takeOwnership", "chartContent")
        ]
        data = base64.b64decode(document["spec"]["chartContent"], validate=True)
        built = Chart.open(data, name=chart.name, version=chart.version)
        assert built.kube_version == ">= v1.32.4"
        assert built.annotations["fleet.cattle.io/bundle-id"] == "rke2"
        differing = [path for path in chart.files if built.files[path] != chart.files[path]]
        assert differing == ["Chart.yaml"]
