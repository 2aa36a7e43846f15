"""Good objects for the checks, and ways to break them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rke2pack.helm.chart import Chart
from rke2pack.helm.render import RenderedObject
from rke2pack.validate.issue import Problem
from rke2pack.validate.objects import Checker, Reader
from rke2pack.validate.schemas import KubeSchemas

KUBE = "v1.32.5"
_EMPTY = Chart(name="c", version="1.0.000", digest=None, data=b"", files={})  # type: ignore[arg-type]


def deployment() -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "docker.io/x/y:v1",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "A_B", "value": "x"}],
        "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": 1}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    template = {
        "metadata": {"labels": {"app": "x"}},
        "spec": {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x", "labels": {"app.kubernetes.io/name": "x"}},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
    }


def service() -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"type": "ClusterIP", "selector": {"app": "x"}, "ports": ports},
    }


def job() -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x/y:1"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "x"},
        "spec": {"template": {"spec": spec}},
    }


def role() -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:x:y"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }


def definition() -> dict[str, Any]:
    spec = {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "port": {"x-kubernetes-int-or-string": True},
            "mode": {"type": "string", "enum": ["a", "b"], "nullable": True},
            "tags": {
                "type": "array",
                "x-kubernetes-list-type": "set",
                "items": {"type": "string"},
            },
            "rules": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "closed": {"type": "object"},
            "inner": {"type": "object", "x-kubernetes-embedded-resource": True},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    schema = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def thing(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of any type
    return {
        "apiVersion": "example.com/v1",
        "kind": "Thing",
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": {"size": 1, **spec},
    }


def changed(body: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with another value at ``a.b.0.c``; ``...`` removes it."""
    made = copy.deepcopy(dict(body))
    node: Any = made
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in steps:
        node = node[step]
    if value is ...:
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value
    return made


def rendered(body: Mapping[str, Any], text: str = "") -> RenderedObject:
    """The object as a template's output; ``text`` instead, where it is given."""
    lines = (f"{key}: {json.dumps(value)}\n" for key, value in body.items())
    return RenderedObject(chart="c 1.0.000", template="t.yaml", text=text or "".join(lines))


def problems(body: Mapping[str, Any], kube_version: str = KUBE) -> tuple[Problem, ...]:
    """Everything that is said of one object."""
    checker = Checker(KubeSchemas.of(kube_version))
    return checker.problems(Reader().read(_EMPTY, rendered(body)))


def words(found: Iterator[Problem] | tuple[Problem, ...]) -> list[str]:
    return [problem.check for problem in found]
