"""What charts and chart repositories are read by: versions, indexes, archives, manifests."""

from __future__ import annotations

import contextlib
import gzip

from rke2pack import safeyaml
from rke2pack.errors import PackError
from rke2pack.helm.archive import pack, unpack
from rke2pack.helm.chart import Chart
from rke2pack.helm.constraint import Constraint, KubeConstraint
from rke2pack.helm.diff.usersettings import UserValues, judge
from rke2pack.helm.index import ChartIndex
from rke2pack.helm.manifest import ChartReference, bound_metadata, is_removed
from rke2pack.helm.version import ChartVersion, Rke2Version, resolve

NAME, VERSION = "example", "1.2.300"


def text(data: bytes) -> str:
    """The bytes as the text that a file of UTF-8 holds."""
    return data.decode(errors="ignore")


def version(data: bytes) -> None:
    """The first line is asked for among the versions of the others."""
    request, *lines = text(data).split("\n")
    found = [ChartVersion.parse(line) for line in lines]
    for each in found:
        assert str(ChartVersion.parse(str(each))) == str(each)
    if request.startswith("v1."):
        release = Rke2Version.parse(request)
        assert not release < Rke2Version.parse(str(release))
        assert release.revision >= 0
        return
    resolved = resolve(request, found, chart=NAME)
    assert resolved.version in found
    assert list(resolved.others) == sorted(resolved.others, reverse=True)


def constraint(data: bytes) -> None:
    """The first line is a range, the second a version of Kubernetes."""
    range_text, _, kube = text(data).partition("\n")
    Constraint.parse(range_text).allows((1, 2, 3), "rc1")
    KubeConstraint.parse(range_text).is_satisfied_by(kube)


def index(data: bytes) -> None:
    """An index.yaml, which the cache keeps as JSON and reads back the same."""
    found = ChartIndex.parse(text(data), what="index.yaml")
    assert ChartIndex.from_json(found.to_json()) == found
    for chart in found.charts:
        versions = [entry.chart_version for entry in found.entries(chart)]
        assert sorted(sorted(versions), reverse=True) == sorted(versions, reverse=True)


def cached_index(data: bytes) -> None:
    """What the cache keeps of an index, damaged."""
    found = ChartIndex.from_json(data)
    if found is not None:
        found.to_json()


def chart_archive(data: bytes) -> None:
    """An archive, or the tar in one: gzip's checksum would hide it from the fuzzer."""
    packed = data if data.startswith(b"\x1f\x8b") else gzip.compress(data, 1, mtime=0)
    members = unpack(packed, what="example.tgz")
    assert unpack(pack(members), what="again.tgz") == members
    chart = Chart.open(packed, name=NAME, version=VERSION)
    _ = chart.values, chart.sources, chart.subcharts, chart.missing_dependencies
    _ = chart.annotations, chart.app_version
    if chart.kube_version:
        KubeConstraint.parse(chart.kube_version)
    judge(UserValues(values={"replicas": 2}), chart, chart)
    bound_metadata(chart, kube_version="v1.32.4")


def helm_chart(data: bytes) -> None:
    """A HelmChart in reference form, which is written as it was read."""
    found = ChartReference.parse(text(data), what="manifest")
    is_removed(text(data))
    try:
        again = ChartReference.parse(str(found), what="again")
    except PackError as exc:
        raise AssertionError(exc.message) from exc
    assert again == found, (again, found)


def user_values(data: bytes) -> None:
    """A user's values, or a HelmChartConfig."""
    UserValues.parse(text(data), "values.yaml", chart=NAME)


def yaml(data: bytes) -> None:
    """Any YAML, with scalars as YAML 1.1 and as text."""
    for scalars in (True, False):
        with contextlib.suppress(PackError):
            list(safeyaml.load_all(text(data), what="x", scalars=scalars))


TARGETS = {
    "version": version,
    "constraint": constraint,
    "index": index,
    "cached-index": cached_index,
    "chart-archive": chart_archive,
    "helm-chart": helm_chart,
    "user-values": user_values,
    "yaml": yaml,
}
