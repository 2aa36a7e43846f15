"""What Chart.yaml says of the clusters that a chart is for, against a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rke2pack.errors import ConfigError
from rke2pack.helm.chart import KUBE_VERSION_ANNOTATION, Chart
from rke2pack.helm.constraint import KubeConstraint
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.matrix import Row

RANCHER_VERSION_ANNOTATION = "catalog.cattle.io/rancher-version"


def problems(chart: Chart, row: Row) -> Iterator[Problem]:
    """Yield what excludes the row, or a range that cannot be read.

    Helm obeys kubeVersion; the annotations steer what Rancher offers, so they are warnings.
    """
    kube = row.kube_version

    def allows(text: str) -> bool:
        return KubeConstraint.parse(text).is_satisfied_by(kube)

    if chart.kube_version:
        yield from _range("kube-version", "kubeVersion", chart.kube_version, kube, allows)
    annotated = chart.annotations.get(KUBE_VERSION_ANNOTATION)
    if annotated:
        yield from _range("kube-version", KUBE_VERSION_ANNOTATION, annotated, kube, allows)
    wanted = chart.annotations.get(RANCHER_VERSION_ANNOTATION)
    if wanted and row.rancher is not None:
        version = str(row.rancher)
        check = row.rancher.satisfies
        yield from _range("rancher", RANCHER_VERSION_ANNOTATION, wanted, version, check)


def _range(
    check: str, key: str, text: str, version: str, allows: Callable[[str], bool]
) -> Iterator[Problem]:
    try:
        if allows(text):
            return
        got = text
    except ConfigError as exc:
        got = exc.message
    yield Problem(
        check=check,
        subject=key,
        expected=f"a range that allows {version}",
        got=short(got),
        severity="error" if key == "kubeVersion" else "warning",
    )
