from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2pack.errors import ConfigError, PackError, ValidationError
from rke2pack.helm.diff import ChartDiff, UserValues

CONFIG = """apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: {name: %s, namespace: kube-system}
spec:
  valuesContent: |-
    port: 1
    deep: {a: 1}
"""
TEMPLATE = """apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  path: {{ .Values.path | quote }}
  mode: {{ .Values.mode | quote }}
  hidden: {{ .Values.hidden | default "no" | quote }}
  tag: {{ .Values.image.tag | default "app" | quote }}
  {{- with .Values.nodeSelector }}
  selector: {{ toJson . | quote }}
  {{- end }}
"""


def verdicts(found: ChartDiff) -> list[tuple[str, str]]:
    return [(finding.path, finding.verdict) for finding in found.user]


def test_plain_values_are_read() -> None:
    assert UserValues.parse("a: {b: 1}\n", "mine.yaml").values == {"a": {"b": 1}}
    assert UserValues.parse("# nothing\n", "mine.yaml").values == {}


def test_a_helm_chart_config_is_recognised() -> None:
    text = CONFIG % "demo" + "  values: {deep: {b: 2}}\n"
    assert UserValues.parse(text, "mine.yaml", chart="demo").values == {
        "port": 1,
        "deep": {"a": 1, "b": 2},
    }


def test_the_config_of_the_chart_is_taken_among_several() -> None:
    text = f"{CONFIG % 'other'}---\n{(CONFIG % 'demo').replace('port: 1', 'port: 2')}"
    assert UserValues.parse(text, "mine.yaml", chart="demo").values["port"] == 2


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            CONFIG % "other",
            ConfigError,
            "mine.yaml: is a HelmChartConfig for other, not for demo",
        ),
        (
            f"{CONFIG % 'demo'}---\n{CONFIG % 'demo'}",
            ConfigError,
            "mine.yaml: holds 2 HelmChartConfig objects for demo",
        ),
        (
            "apiVersion: helm.cattle.io/v1\nkind: HelmChart\n",
            ConfigError,
            "mine.yaml: is a HelmChart, expected values or a HelmChartConfig",
        ),
        (
            "a: 1\n---\nb: 1\n",
            ConfigError,
            "mine.yaml: holds 2 documents and none is a HelmChartConfig",
        ),
        ("- a\n", ConfigError, "mine.yaml: expected a mapping of values or a HelmChartConfig"),
        (
            "kind: HelmChartConfig\nmetadata: {name: demo}\nspec: {valuesContent: text}\n",
            ConfigError,
            "mine.yaml: spec.valuesContent is not a mapping",
        ),
        (
            "a: [\n",
            ValidationError,
            "mine.yaml: not YAML: line 2, column 1: did not find expected node content",
        ),
    ],
)
def test_what_is_no_values_file_for_the_chart_is_refused(
    text: str, kind: type[PackError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        UserValues.parse(text, "mine.yaml", chart="demo")
    assert str(caught.value) == message


def test_each_setting_gets_its_verdict(compare: Callable[..., ChartDiff]) -> None:
    old = "path: /a\nmode: x\ngone: 1\nsame: 1\nimage: {tag: v1}\nnodeSelector: {os: linux}\n"
    new = "path: /b\nmode: y\nsame: 1\nimage: {}\nnodeSelector: {os: linux}\nfree: {}\nnil:\n"
    user = UserValues(
        values={
            "path": "/mine",
            "mode": "y",
            "gone": 2,
            "same": 1,
            "image": {"tag": "v0"},
            "typo": {"deep": 1},
            "hidden": "yes",
            "nodeSelector": {"mine": "1"},
            "free": {"any": {"thing": 1}},
            "nil": {"any": 1},
        }
    )
    found = compare(
        {"values.yaml": old, "templates/a.yaml": TEMPLATE},
        {"values.yaml": new, "templates/a.yaml": TEMPLATE},
        user=user,
    )
    assert verdicts(found) == [
        ("gone", "unknown"),
        ("mode", "equals-default"),
        ("path", "overrides-moved-default"),
        ("typo.deep", "never-known"),
    ]
    assert [finding.detail for finding in found.user] == [
        "1.1.0 no longer knows it, 1.0.0 did",
        'the default moved to your value ("x" -> "y"), the setting can go',
        'the default moved ("/a" -> "/b"), your value stays',
        "neither 1.0.0 nor 1.1.0 knows it",
    ]
    assert f"your values: typo.deep: never-known: {found.user[-1].detail}" in found.summary()


def test_a_setting_that_only_templates_still_read_says_so(
    compare: Callable[..., ChartDiff],
) -> None:
    found = compare(
        {"values.yaml": "image: {repository: r, tag: v1}\n", "templates/a.yaml": TEMPLATE},
        {"values.yaml": "image: {repository: r}\n", "templates/a.yaml": TEMPLATE},
        user=UserValues(values={"image": {"tag": "v0"}}),
    )
    (finding,) = found.user
    assert finding.to_json() == {
        "path": "image.tag",
        "verdict": "unknown",
        "detail": "gone from values.yaml of 1.1.0, though its templates still read it",
    }


def test_a_subcharts_setting_is_looked_up_in_the_subchart(
    compare: Callable[..., ChartDiff],
) -> None:
    files = {
        "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
        "charts/sub/values.yaml": "a: 1\nb: 1\n",
        "charts/sub/templates/a.yaml": "kind: A\nx: {{ .Values.read | default 1 }}\n",
    }
    new = files | {"charts/sub/values.yaml": "a: 2\n"}
    user = UserValues(values={"sub": {"a": 3, "b": 2, "read": 5, "wrong": 1}})
    assert verdicts(compare(files, new, user=user)) == [
        ("sub.a", "overrides-moved-default"),
        ("sub.b", "unknown"),
        ("sub.wrong", "never-known"),
    ]


def test_what_enables_a_subchart_is_known(compare: Callable[..., ChartDiff]) -> None:
    files = {
        "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
        "charts/sub/charts/deep/Chart.yaml": "apiVersion: v2\nname: deep\nversion: 0.1.0\n",
        "charts/sub/charts/deep/templates/a.yaml": "kind: A\nx: {{ .Values.read }}\n",
    }
    metadata = "dependencies: [{name: sub, version: 0.1.0, condition: sub.enabled}]\n"
    user = UserValues(
        values={"sub": {"enabled": True, "deep": {"read": 1, "wrong": 1}}, "tags": {"t": True}}
    )
    found = compare(files, files, user=user, metadata=(metadata, metadata))
    assert verdicts(found) == [("sub.deep.wrong", "never-known")]


def test_the_effect_is_rendered_with_the_users_values(compare: Callable[..., ChartDiff]) -> None:
    old = {"values.yaml": "path: /a\nimage: {}\n", "templates/a.yaml": TEMPLATE}
    new = {"values.yaml": "path: /b\nimage: {}\n", "templates/a.yaml": TEMPLATE}
    found = compare(old, new, user=UserValues(values={"path": "/mine"}))
    assert not found.objects.is_empty
    assert found.objects_with_user_values is not None
    assert found.objects_with_user_values.is_empty


def test_the_users_values_lie_over_the_base(compare: Callable[..., ChartDiff]) -> None:
    template = 'kind: A\nx: {{ required "x" .Values.x }}\ny: {{ .Values.y }}\nmetadata: {name: a}\n'
    found = compare(
        {"values.yaml": "y: 1\n", "templates/a.yaml": template},
        {"values.yaml": "y: 2\n", "templates/a.yaml": template},
        {"x": 1},
        UserValues(values={"y": 5}),
    )
    assert found.objects_with_user_values is not None
    assert found.objects_with_user_values.is_empty
    assert "objects with your values: " not in "\n".join(found.summary())


def test_values_in_secrets_are_named_and_not_guessed(compare: Callable[..., ChartDiff]) -> None:
    text = CONFIG % "demo" + "  valuesSecrets: [{name: s, keys: [k]}]\n"
    user = UserValues.parse(text, "mine.yaml", chart="demo")
    found = compare(
        {"values.yaml": "port: 1\ndeep: {}\n"}, {"values.yaml": "port: 1\ndeep: {}\n"}, user=user
    )
    assert verdicts(found) == [("spec.valuesSecrets", "not-examined")]
