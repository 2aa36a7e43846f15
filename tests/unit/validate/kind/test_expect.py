"""validate-kind.yaml, and the values with which a chart is tried."""

from __future__ import annotations

from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.helm.chart import Chart
from rke2pack.validate.kind import checks
from rke2pack.validate.kind.expect import Expectation, Expectations

TEXT = """\
charts:
  cloud:
    reaches: started
    hooks: skip
    ci: skip
    leaves: [Secret kube-system/cloud]
    reason: its API server is not there
    values: {replicas: 1}
    objects:
      - {apiVersion: v1, kind: Secret, metadata: {name: cloud-config, namespace: kube-system}}
"""


def chart(**files: str) -> Chart:
    content = {path.replace("__", "/"): text.encode() for path, text in files.items()}
    return Chart(name="cloud", version="1", digest=Digest.of(b""), data=b"", files=content)


def test_file_says_how_far_a_chart_gets_and_the_report_repeats_it() -> None:
    found = Expectations.parse(TEXT, what="f", known=("cloud",))
    assert found.of("cloud").told == (
        "reaches started: its API server is not there",
        "installed without its hooks",
        "installed with its defaults, not its ci values: its API server is not there",
        "given values: replicas",
        "given object: Secret cloud-config",
        "leaves Secret kube-system/cloud: its API server is not there",
    )
    assert found.of("other") == Expectation()
    assert found.of("other").told == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("charts: {other: {}}", "f: charts.other: no component has other"),
        ("charts: {cloud: {reaches: far}}", "f: charts.cloud: reaches must be one of accepted"),
        ("charts: {cloud: {reaches: started}}", "f: charts.cloud: has no reason"),
        ("charts: {cloud: {hooks: skip}}", "f: charts.cloud: has no reason"),
        ("charts: {cloud: {ci: skip}}", "f: charts.cloud: has no reason"),
        ("charts: {cloud: {leaves: [Secret a/b]}}", "f: charts.cloud: has no reason"),
        ("charts: {cloud: {objects: [{kind: Secret}]}}", "objects[0]: not an object of Kubernetes"),
        ("charts: {cloud: {wait: 3}}", "f: charts.cloud: unknown key 'wait'"),
    ],
)
def test_bad_file_is_refused_by_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Expectations.parse(text, what="f", known=("cloud",))
    assert message in caught.value.message


def test_chart_is_tried_once_per_values_file() -> None:
    files = {"ci/kind-values.yaml": "a: 1", "ci/b-values.yaml": "", "ci/README.md": "x"}
    found = dict(checks.value_sets(chart(**files)))
    assert found == {"b": {}, "kind": {"a": 1}}


def test_chart_may_be_tried_without_its_values_files() -> None:
    found = chart(**{"ci/kind-values.yaml": "a: 1"})
    assert dict(checks.value_sets(found, uses_ci=False)) == {"defaults": {}}


def test_chart_without_values_files_is_tried_with_its_defaults() -> None:
    assert dict(checks.value_sets(chart())) == {"defaults": {}}


def test_values_file_without_a_mapping_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"^cloud 1: ci/a-values.yaml: expected a mapping$"):
        list(checks.value_sets(chart(**{"ci/a-values.yaml": "- 1"})))


@pytest.mark.parametrize(
    ("more", "result"),
    [
        ({"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": 3}, {"a": 3}),
        ({"d": 4}, {"a": {"b": 1}, "d": 4}),
    ],
)
def test_values_are_laid_over_others_as_helm_does(
    more: dict[str, Any], result: dict[str, Any]
) -> None:
    assert checks.over({"a": {"b": 1}}, more) == result
