from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest

from rke2pack.validate import upgrade
from rke2pack.validate.issue import Problem
from rke2pack.validate.upgrade import Sides
from tests.unit.validate import objects
from tests.unit.validate.objects import changed, rendered

STATEFUL = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "x"},
    "spec": {
        "serviceName": "x",
        "replicas": 1,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": []}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "x"},
    "spec": {"storageClassName": "a", "resources": {"requests": {"storage": "1Gi"}}},
}
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "x"},
    "provisioner": "a",
    "parameters": {"a": "b"},
}
BINDING = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "x"},
    "roleRef": {"kind": "ClusterRole", "name": "a"},
    "subjects": [],
}
FROZEN = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "x"},
    "immutable": True,
    "data": {"a": "b"},
}


def step(
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None,
    *,
    defined: Collection[str] = (),
    used: Collection[str] = (),
) -> list[Problem]:
    sides = Sides(
        old="1",
        new="2",
        before=(rendered(old),) if old else (),
        after=(rendered(new),) if new else (),
    )
    return list(upgrade.problems(sides, defined=defined, used=used))


@pytest.mark.parametrize(
    ("body", "path", "value"),
    [
        (objects.deployment(), "spec.selector.matchLabels.app", "y"),
        (objects.job(), "spec.template.spec.containers.0.image", "x/y:2"),
        (objects.service(), "spec.clusterIP", "None"),
        (STATEFUL, "spec.serviceName", "y"),
        (STATEFUL, "spec.volumeClaimTemplates.0.metadata.name", "other"),
        (CLAIM, "spec.storageClassName", "b"),
        (CLASS, "parameters.a", "c"),
        (CLASS, "reclaimPolicy", "Retain"),
        (BINDING, "roleRef.name", "b"),
        (FROZEN, "data.a", "c"),
        (FROZEN, "immutable", ...),
        (objects.definition(), "spec.scope", "Cluster"),
    ],
)
def test_change_of_an_immutable_field_is_an_error(
    body: dict[str, Any], path: str, value: object
) -> None:
    found = step(body, changed(body, path, value))
    assert [(each.check, each.severity) for each in found][:1] == [("upgrade", "error")]
    assert found[0].subject.endswith(body["metadata"]["name"])
    assert "->" in found[0].got
    assert step(body, body) == []


@pytest.mark.parametrize(
    ("body", "path", "value"),
    [
        (objects.deployment(), "spec.template.spec.containers.0.image", "x/y:2"),
        (objects.service(), "spec.type", "NodePort"),
        (STATEFUL, "spec.replicas", 3),
        (STATEFUL, "spec.template.spec", {}),
        (CLAIM, "spec.resources.requests.storage", "2Gi"),
        (CLASS, "reclaimPolicy", "Delete"),  # what it was by default
        (CLASS, "allowVolumeExpansion", True),
        (BINDING, "subjects", [{"kind": "Group", "name": "a"}]),
        (changed(FROZEN, "immutable", value=False), "data.a", "c"),
    ],
)
def test_change_that_the_api_server_takes_is_none(
    body: dict[str, Any], path: str, value: object
) -> None:
    assert step(body, changed(body, path, value)) == []


def test_hook_is_made_anew_and_may_change() -> None:
    hook = changed(objects.job(), "metadata.annotations", {"helm.sh/hook": "post-install"})
    assert step(hook, changed(hook, "spec.template.spec.containers.0.image", "x/y:2")) == []


@pytest.mark.parametrize("is_reverse", [False, True])
def test_object_that_becomes_a_hook_or_stops_being_one_is_a_warning(*, is_reverse: bool) -> None:
    hook = changed(objects.job(), "metadata.annotations", {"helm.sh/hook": "post-install"})
    sides = (hook, objects.job()) if is_reverse else (objects.job(), hook)
    assert [each.severity for each in step(*sides)] == ["warning"]


def test_definition_that_left_is_an_error_where_resources_of_it_are_made() -> None:
    crd = objects.definition()
    assert step(crd, None, defined=["example.com/Thing"]) == []
    assert [each.severity for each in step(crd, None)] == ["warning"]
    (found,) = step(crd, None, used=["example.com/Thing"])
    assert (found.severity, found.subject) == (
        "error",
        "CustomResourceDefinition/things.example.com",
    )


def test_definition_that_refuses_older_resources_is_a_warning() -> None:
    crd = objects.definition()
    path = "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.size.type"
    assert [each.severity for each in step(crd, changed(crd, path, "string"))] == ["warning"]


def test_changes_of_a_definition_are_one_problem_that_counts_them() -> None:
    crd = objects.definition()
    path = "spec.versions.0.schema.openAPIV3Schema.properties.spec.properties"
    (found,) = step(crd, changed(crd, path, {"size": {"type": "integer"}}))
    assert found.got.count("field removed") == 3
    assert found.got.endswith(" more")


def test_secret_does_not_show_its_data() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "immutable": True}
    (found,) = step(secret | {"data": {"a": "old"}}, secret | {"data": {"a": "new"}})
    assert found.got == "data: (hidden) -> (hidden)"
