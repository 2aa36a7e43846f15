from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff, diff
from rke2pack.helm.diff.generated import is_unstable, with_later_clock
from rke2pack.helm.diff.objects import HIDDEN
from rke2pack.helm.render import SdkRenderer, render

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {helm.sh/chart: "demo-{{ .Chart.Version }}"}
spec:
  template:
    spec:
      initContainers:
      - {name: init, image: "example.com/init:1"}
      containers:
      - name: web
        image: example.com/web:%s
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {a: '%s'}\n"
RANDOM = """apiVersion: v1
kind: Secret
metadata: {name: tls}
data:
  {{- $cert := genSelfSignedCert "x.example.com" nil nil 30 }}
  tls.crt: {{ $cert.Cert | b64enc }}
  fixed: {{ .Values.fixed | quote }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: agent
  annotations: {sum: "{{ randAlphaNum 12 | sha256sum }}", at: "{{ now | unixEpoch }}"}
spec: {template: {spec: {containers: [{name: a, image: "{{ .Values.image }}"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: "setup-{{ randAlphaNum 8 | lower }}"}
spec: {template: {spec: {containers: [{name: a, image: example.com/job}]}}}
"""


def test_objects_are_told_by_kind_namespace_and_name(compare: Callable[..., ChartDiff]) -> None:
    found = compare(
        {"templates/a.yaml": CONFIG % ("one", 1) + "---\n" + CONFIG % ("two", 1)},
        {"templates/b.yaml": CONFIG % ("two", 2) + "---\n" + CONFIG % ("three", 1)},
    )
    one = {"kind": "ConfigMap", "namespace": "kube-system", "name": "one"}
    assert found.objects.to_json() == {
        "added": [one | {"name": "three"}],
        "removed": [one],
        "changed": [
            one
            | {
                "name": "two",
                "fields": [{"path": "data.a", "old": "1", "new": "2", "noise": False}],
                "version_label_only": False,
                "restarts_pods": False,
            }
        ],
    }


def test_naming_the_releases_namespace_is_no_change(compare: Callable[..., ChartDiff]) -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r%s}\n"
    found = compare(
        {"templates/a.yaml": role % ""},
        {"templates/a.yaml": role % ", namespace: kube-system"},
    )
    assert found.objects.added == ()
    assert found.objects.removed == ()


def test_a_list_object_is_taken_apart(compare: Callable[..., ChartDiff]) -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: %s}}\n"
    )
    found = compare({"templates/a.yaml": text % "x"}, {"templates/a.yaml": text % "y"})
    assert [str(key) for key in found.objects.added] == ["Service kube-system/y"]


def test_an_object_rendered_twice_is_compared_twice(compare: Callable[..., ChartDiff]) -> None:
    twice = CONFIG % ("one", 1) + "---\n" + CONFIG % ("one", 2)
    changed = CONFIG % ("one", 1) + "---\n" + CONFIG % ("one", 3)
    found = compare({"templates/a.yaml": twice}, {"templates/a.yaml": changed})
    assert [str(f) for c in found.objects.changed for f in c.fields] == ['data.a: "2" -> "3"']


def test_version_labels_are_marked_and_left_out_of_the_summary(
    compare: Callable[..., ChartDiff],
) -> None:
    files = {"templates/a.yaml": DEPLOYMENT % "1"}
    found = compare(files, files)
    (change,) = found.objects.changed
    assert change.is_version_label_only
    assert not change.restarts_pods
    assert found.summary() == (
        "images: no changes",
        "objects: 1 object with new version labels only",
    )


def test_a_changed_image_names_its_object_and_path(compare: Callable[..., ChartDiff]) -> None:
    found = compare({"templates/a.yaml": DEPLOYMENT % "1"}, {"templates/a.yaml": DEPLOYMENT % "2"})
    assert found.images.to_json() == {
        "added": ["example.com/web:2"],
        "removed": ["example.com/web:1"],
        "proofs": {
            image: [
                {
                    "object": "Deployment kube-system/web",
                    "path": "spec.template.spec.containers[web].image",
                }
            ]
            for image in ("example.com/web:1", "example.com/web:2")
        },
    }
    assert "objects: changed Deployment kube-system/web (1 field, its pods are replaced)" in (
        found.summary()
    )


def test_an_image_key_outside_a_container_is_no_image(compare: Callable[..., ChartDiff]) -> None:
    text = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nspec: {image: not-one}\n"
    assert compare({}, {"templates/a.yaml": text}).images.is_empty


def test_a_secrets_content_is_never_shown(compare: Callable[..., ChartDiff]) -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s, labels: {a: '%s'}}\n"
        "stringData: {password: hunter%s}\n%s"
    )
    found = compare(
        {"templates/a.yaml": text % (1, 1, "data: {old: b2xk}\n")},
        {"templates/a.yaml": text % (2, 2, "data: {new: bmV3}\n")},
    )
    said = json.dumps(found.to_json()) + "\n".join(found.summary())
    assert not any(secret in said for secret in ("hunter", "b2xk", "bmV3"))
    assert [(f.path, f.old, f.new) for f in found.objects.changed[0].fields] == [
        (("data", "new"), None, HIDDEN),
        (("data", "old"), HIDDEN, None),
        (("metadata", "labels", "a"), "1", "2"),
        (("stringData", "password"), HIDDEN, HIDDEN),
    ]


def test_many_fields_are_counted_in_the_summary_and_all_in_the_json(
    compare: Callable[..., ChartDiff],
) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n"
    old = text + "".join(f"  k{i}: a\n" for i in range(25))
    found = compare({"templates/a.yaml": old}, {"templates/a.yaml": old.replace(": a", ": b")})
    assert found.summary()[-1] == "objects:   and 5 more fields"
    assert len(found.objects.changed[0].fields) == 25


def test_generated_content_is_no_change(chart: Callable[..., Chart], renderer: SdkRenderer) -> None:
    same = chart({"templates/a.yaml": RANDOM, "values.yaml": "fixed: f\nimage: example.com/i:1\n"})
    texts = [
        [item.text for item in render(renderer, same, {}, kube_version="v1.32.4")] for _ in "12"
    ]
    assert texts[0] != texts[1]
    assert diff(same, same, renderer, kube_version="v1.32.4", base={}).is_empty


def test_a_real_change_beside_generated_content_is_seen(
    compare: Callable[..., ChartDiff],
) -> None:
    found = compare(
        {"templates/a.yaml": RANDOM, "values.yaml": "fixed: f\nimage: example.com/i:1\n"},
        {"templates/a.yaml": RANDOM, "values.yaml": "fixed: g\nimage: example.com/i:2\n"},
    )
    fields = [str(field) for change in found.objects.changed for field in change.fields]
    assert fields == [
        'spec.template.spec.containers[a].image: "example.com/i:1" -> "example.com/i:2"',
        f'data.fixed: "{HIDDEN}" -> "{HIDDEN}"',
    ]
    assert found.objects.added == ()


def test_a_generated_name_is_shown_as_a_star(compare: Callable[..., ChartDiff]) -> None:
    found = compare({}, {"templates/a.yaml": RANDOM, "values.yaml": "fixed: f\nimage: i\n"})
    assert "objects: added Job kube-system/setup-*" in found.summary()


@pytest.mark.parametrize(
    "text", ['{{ genCA "x" 1 }}', "{{- uuidv4 }}", "{{- keys .Values.a }}", "{{ now | unixEpoch }}"]
)
def test_a_chart_that_generates_content_is_told_by_its_templates(
    chart: Callable[..., Chart], text: str
) -> None:
    assert is_unstable(chart({"templates/a.yaml": text}))
    assert is_unstable(chart({"values.yaml": f"evaluated: '{text}'\n"}))


@pytest.mark.parametrize(
    "text", ["genCA", "{{- /* uuidv4 */ -}}", "{{/* now */}}", "{{ .keysOf }}"]
)
def test_a_chart_that_only_mentions_such_functions_is_rendered_once(
    chart: Callable[..., Chart], text: str
) -> None:
    assert not is_unstable(chart({"templates/a.yaml": text, "README.md": "{{ genCA }}"}))


def test_the_templates_clock_moves_and_nothing_else(
    chart: Callable[..., Chart], renderer: SdkRenderer
) -> None:
    text = 'a: "{{ now | date "2006" }} now {{ "now" }} {{ .Values.now }} {{ `now` }}"\nkind: T\n'
    found = chart({"templates/a.yaml": text, "values.yaml": "now: v\n"})
    (early,) = render(renderer, found, {}, kube_version="v1.32.4")
    (late,) = render(renderer, with_later_clock(found), {}, kube_version="v1.32.4")
    assert int(str(late.body["a"]).split()[0]) - int(str(early.body["a"]).split()[0]) in {3, 4}
    assert str(late.body["a"]).split()[1:] == str(early.body["a"]).split()[1:]
    assert str(late.body["a"]).split()[1:] == ["now", "now", "v", "now"]
