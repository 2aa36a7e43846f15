"""Every archive of the real chart repository: digest, content, metadata, bound form."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack import safeyaml
from rke2pack.digest import Digest
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.constraint import KubeConstraint
from rke2pack.helm.manifest import BUNDLE_ANNOTATION, bound_archive, bound_metadata
from tests.upstream import real

KUBE_VERSION = "v1.32.4"


@pytest.mark.slow
def test_every_archive_has_the_digest_of_the_index_and_opens(reference_data: Path) -> None:
    count = 0
    for entry in real.entries(reference_data):
        data = real.archive_bytes(reference_data, entry)
        assert Digest.of(data) == entry.checked_digest
        chart = Chart.open(data, name=entry.chart, version=entry.version)
        if chart.kube_version:
            KubeConstraint.parse(chart.kube_version)
        count += 1
    assert count == 1222


@pytest.mark.slow
def test_every_chart_yaml_is_bound_and_nothing_else_in_it_changes(reference_data: Path) -> None:
    for entry in real.entries(reference_data):
        chart = real.open_chart(reference_data, entry)
        altered = bound_metadata(chart, kube_version=KUBE_VERSION)
        after = safeyaml.load(altered, what=entry.version, scalars=False)
        assert after.pop("kubeVersion") == ">= v1.32.4"
        assert after["annotations"].pop(BUNDLE_ANNOTATION) == "rke2"
        before = {**chart.text_metadata, "annotations": dict(chart.annotations)}
        before.pop("kubeVersion", None)
        before["annotations"].pop(BUNDLE_ANNOTATION, None)
        assert after == before


def test_newest_archives_are_repacked_with_only_chart_yaml_altered(reference_data: Path) -> None:
    for entry in real.newest(reference_data):
        chart = real.open_chart(reference_data, entry)
        data = bound_archive(chart, kube_version=KUBE_VERSION)
        built = Chart.open(data, name=entry.chart, version=entry.version)
        assert list(built.files) == list(chart.files)
        assert [p for p in chart.files if built.files[p] != chart.files[p]] == ["Chart.yaml"]


def test_repacking_is_reproducible(reference_data: Path) -> None:
    for entry in real.newest(reference_data, count=1):
        chart = real.open_chart(reference_data, entry)
        members = [archive.Member(f"{entry.chart}/{p}", d) for p, d in chart.files.items()]
        assert archive.unpack(archive.pack(members), what=entry.chart) == tuple(members)
