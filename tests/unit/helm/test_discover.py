from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.helm.discover import (
    MARKER,
    ImageUse,
    discover,
    merged,
    registry_values,
)
from rke2pack.helm.render import RenderedObject
from rke2pack.oci.reference import Reference

POD: dict[str, Any] = {
    "initContainers": [{"name": "i", "image": "demo/init:v1"}],
    "containers": [{"name": "a", "image": f"{MARKER}/demo/app:v2"}, {"name": "b", "image": "c:v3"}],
    "ephemeralContainers": [{"name": "e", "image": "demo/debug:v4"}],
    "volumes": [{"name": "v", "image": {"reference": "demo/volume:v5", "pullPolicy": "Always"}}],
}
IMAGES = {"demo/init:v1", "demo/app:v2", "c:v3", "demo/debug:v4", "demo/volume:v5"}
TEMPLATE = {"template": {"metadata": {"labels": {"image": "web"}}, "spec": POD}}
WORKLOADS: dict[str, Any] = {
    "Pod": POD,
    "Deployment": TEMPLATE,
    "DaemonSet": TEMPLATE,
    "StatefulSet": TEMPLATE,
    "ReplicaSet": TEMPLATE,
    "ReplicationController": TEMPLATE,
    "Job": TEMPLATE,
    "CronJob": {"jobTemplate": {"spec": TEMPLATE}},
    "PodTemplate": TEMPLATE,
    "Prometheus": {"podSpecs": [{"deep": [TEMPLATE]}]},
}


def uses(document: Any) -> tuple[ImageUse, ...]:  # noqa: ANN401 - an object of any form
    text = yaml.safe_dump(document)
    objects = [RenderedObject(chart="demo 1.0.000", template="templates/a.yaml", text=text)]
    return discover(objects, chart="demo", version="1.0.000", variant="default")


def required(document: Any) -> set[str]:  # noqa: ANN401 - an object of any form
    return {use.image for use in uses(document) if use.is_required}


def mentioned(text: str) -> list[str]:
    found = uses({"kind": "ConfigMap", "data": {"image.conf": text}})
    assert not any(use.is_required for use in found)
    return [use.image for use in found]


@pytest.mark.parametrize("kind", WORKLOADS)
def test_every_container_of_every_workload_is_found(kind: str) -> None:
    document = {"kind": kind, "metadata": {"name": "x"}, "spec": WORKLOADS[kind]}
    assert required(document) == IMAGES
    assert not [use for use in uses(document) if not use.is_required]


def test_use_is_a_proof_and_the_marker_is_removed() -> None:
    found = {
        use.image: use for use in uses({"kind": "Pod", "metadata": {"name": "x"}, "spec": POD})
    }
    assert found["demo/app:v2"].follows_registry
    assert not found["c:v3"].follows_registry
    assert str(found["demo/app:v2"]) == (
        "demo 1.0.000 (variant default), templates/a.yaml: Pod/x spec.containers[0].image"
    )
    assert found["demo/volume:v5"].path == "spec.volumes[0].image.reference"


def test_image_field_of_a_custom_resource_is_required() -> None:
    assert required({"kind": "Thing", "spec": {"agents": {"image": " demo/agent:v1 "}}}) == {
        "demo/agent:v1"
    }


def test_empty_and_structured_image_fields_name_none() -> None:
    spec = {"a": {"image": ""}, "b": {"image": " "}, "c": {"image": {"repository": "demo/x"}}}
    assert uses({"kind": "Thing", "spec": spec | {"d": {"image": None}, "e": {"image": 5}}}) == ()


@pytest.mark.parametrize(
    "where", ["labels", "annotations", "matchLabels", "nodeSelector", "data", "stringData"]
)
def test_key_named_image_among_peoples_own_keys_is_no_container(where: str) -> None:
    document = {"kind": "X", "a": {where: {"image": "web", "x": "demo/real:v1"}}}
    assert [(use.image, use.is_required) for use in uses(document)] == [("demo/real:v1", False)]


def test_reference_outside_an_image_volume_is_no_image() -> None:
    assert uses({"kind": "X", "spec": {"image": {"reference": "demo/x"}}}) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("env", [{"name": "RELATED", "value": "demo/helper:v1.2"}]),
        ("args", ["--image=demo/helper:v1.2"]),
        ("args", ["--image", "demo/helper:v1.2"]),
        ("command", ["sh", "-c", "run 'demo/helper:v1.2' now"]),
        ("env", [{"name": "RELATED", "value": f"{MARKER}/demo/helper:v1.2"}]),
    ],
)
def test_image_in_environment_and_arguments_is_mentioned(field: str, value: object) -> None:
    spec = {"containers": [{"name": "c", "image": "demo/app:v1", field: value}]}
    found = [use for use in uses({"kind": "Pod", "spec": spec}) if not use.is_required]
    assert [use.image for use in found] == ["demo/helper:v1.2"]
    assert found[0].path.startswith(f"spec.containers[0].{field}[")


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("image: demo/a:v1\nother: [demo/b:latest, 'c.example.com/d:1.0']", 3),
        ("x=registry.example.com:5000/a/b/c:v1.2-rc1_x", 1),
        ("localhost/a/b:v1", 1),
        ('{"image":"demo/a:v1"}', 1),
        (f"demo/a:v1@sha256:{'a' * 64}", 1),
        (f"prefix {MARKER}/pause:3 and {MARKER}/demo/x suffix", 2),
        ("demo/a:v1,demo/b:v2;demo/c:v3", 3),
    ],
)
def test_images_inside_text_are_mentioned(text: str, images: int) -> None:
    found = mentioned(text)
    assert len(found) == images
    for image in found:
        assert str(Reference.parse(image))


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a/b:v1",
        "http://example.com:8080/path",
        "oci://example.com/charts/demo:v1.0",
        "example.com:8443",
        "10.0.0.1:443",
        "a/b:80",
        "host/path:8080",
        "system:serviceaccount:kube-system/x",
        "system:serviceaccount:kube-system:x",
        "/var/lib/x:/var/lib/y",
        "/etc/ssl/certs/ca.crt:ro",
        "user@example.com/a:v1",
        "a/b",
        "a:v1",
        "app.kubernetes.io/name",
        "key/with:words",
        "A/B:v1",
        "demo/a:v1/b",
        "demo/a:v1:ro",
        "unix:///run/x.sock",
        "2024/01/02:10",
    ],
)
def test_what_is_no_image_stays_out(text: str) -> None:
    assert mentioned(text) == []


@settings(max_examples=100)
@given(st.text(alphabet="ab1.:/-_@ \n", max_size=60))
def test_every_mention_is_a_reference(text: str) -> None:
    for image in mentioned(f"image {text}"):
        reference = Reference.parse(image)
        assert reference.tag


@pytest.mark.parametrize("unit", ["a", "a.", "a-", "a/", "a:", "a/b:", "a.b/", "- "])
@pytest.mark.timeout(60)  # a search that goes back over the text takes hours
def test_long_text_is_searched_to_its_end(unit: str) -> None:
    text = "image " + unit * (500_000 // len(unit)) + " demo/last:v1"
    assert "demo/last:v1" in mentioned(text)


def test_custom_resource_definitions_are_not_searched() -> None:
    document = {"kind": "CustomResourceDefinition", "spec": {"image": "demo/x:v1"}}
    assert uses(document) == ()


@pytest.mark.parametrize(
    ("hooks", "found"),
    [("test", set()), ("test-success,test-failure", set()), ("test,post-install", IMAGES)],
)
def test_objects_of_helm_test_alone_are_not_searched(hooks: str, found: set[str]) -> None:
    metadata = {"name": "x", "annotations": {"helm.sh/hook": hooks}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": POD}
    assert required(pod) == found


def test_same_place_in_two_objects_is_two_uses() -> None:
    text = yaml.safe_dump({"kind": "Pod", "metadata": {"name": "x"}, "spec": POD})
    objects = [RenderedObject(chart="demo 1", template=t, text=text) for t in ("b", "a", "a")]
    found = discover(objects, chart="demo", version="1", variant="default")
    assert len(found) == 2 * len(IMAGES)
    assert list(found) == sorted(found)


def test_registry_is_set_under_both_names_that_charts_read() -> None:
    assert registry_values() == {
        "global": {"systemDefaultRegistry": MARKER, "cattle": {"systemDefaultRegistry": MARKER}}
    }


def test_later_values_win_and_mappings_are_merged() -> None:
    first: dict[str, Any] = {"a": {"b": 1, "c": [1]}, "d": {"e": 1}}
    assert merged(first, {"a": {"c": [2]}, "d": 5}, {"f": {}}) == {
        "a": {"b": 1, "c": [2]},
        "d": 5,
        "f": {},
    }
    assert first == {"a": {"b": 1, "c": [1]}, "d": {"e": 1}}
