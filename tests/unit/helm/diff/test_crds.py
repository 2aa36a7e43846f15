from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2pack.helm.diff import ChartDiff

CRD = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: things.example.com, annotations: {{by: '{by}'}}}}
spec:
  group: example.com
  scope: {scope}
  names: {{kind: Thing, plural: things}}
  versions:
  - name: v1
    served: {served}
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {spec}
{more}
"""
OLD_SPEC = (
    "{type: object, required: [a], properties: {a: {type: string, enum: [x, y]},"
    " n: {type: integer}, free: {type: string},"
    " gone: {type: object, properties: {deep: {type: string}}},"
    " l: {type: array, items: {type: object, properties: {p: {type: string}}}}}}"
)
NEW_SPEC = (
    "{type: object, required: [a, n, fresh], properties: {a: {type: string, enum: [y]},"
    " n: {x-kubernetes-int-or-string: true}, free: {type: string, enum: [k]},"
    " fresh: {type: object, properties: {deep: {type: string}}},"
    " l: {type: array, items: {type: object, required: [p], properties: {p: {type: string}}}}}}"
)


def crd(
    spec: str = OLD_SPEC,
    *,
    served: str = "true",
    scope: str = "Namespaced",
    more: str = "",
    by: str = "1",
) -> str:
    return CRD.format(spec=spec, served=served, scope=scope, more=more, by=by)


@pytest.mark.parametrize("path", ["crds/thing.yaml", "templates/thing.yaml"])
def test_fields_types_and_requirements_are_told_by_path(
    compare: Callable[..., ChartDiff], path: str
) -> None:
    found = compare({path: crd()}, {path: crd(NEW_SPEC)})
    assert [line for line in found.summary() if line.startswith("crds")] == [
        'crds: things.example.com: v1 spec.a enum values removed: ["x"]',
        'crds: things.example.com: v1 spec.free newly an enum: ["k"]',
        "crds: things.example.com: v1 spec.fresh newly required",
        "crds: things.example.com: v1 spec.gone field removed",
        "crds: things.example.com: v1 spec.l[].p newly required",
        'crds: things.example.com: v1 spec.n type: "integer" -> "int-or-string"',
        "crds: things.example.com: v1 spec.n newly required",
        "crds: things.example.com: v1 1 field added",
    ]
    assert found.objects.is_empty
    harmless = [fact.change for fact in found.crds.changed[0].facts if not fact.is_breaking]
    assert harmless == ["field added"]


def test_versions_and_scope_are_told(compare: Callable[..., ChartDiff]) -> None:
    v2 = "  - {name: v2, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}"
    found = compare(
        {"crds/thing.yaml": crd()},
        {"crds/thing.yaml": crd(served="false", scope="Cluster", more=v2)},
    )
    (change,) = found.crds.changed
    assert change.to_json()["changes"] == [
        {
            "version": version,
            "change": what,
            "path": "",
            "old": old,
            "new": new,
            "breaking": breaking,
        }
        for version, what, old, new, breaking in (
            ("", "scope", "Namespaced", "Cluster", True),
            ("v1", "served", True, False, True),
            ("v2", "version added", None, None, False),
        )
    ]


def test_definitions_come_and_go(compare: Callable[..., ChartDiff]) -> None:
    other = crd().replace("things", "others")
    found = compare({"crds/a.yaml": crd()}, {"crds/a.yaml": other})
    assert found.crds.to_json() == {
        "added": ["others.example.com"],
        "removed": ["things.example.com"],
        "changed": [],
    }


def test_annotations_of_a_definition_do_not_count(compare: Callable[..., ChartDiff]) -> None:
    assert compare({"crds/a.yaml": crd()}, {"crds/a.yaml": crd(by="2")}).crds.is_empty


def test_the_old_api_keeps_one_schema_for_all_versions(compare: Callable[..., ChartDiff]) -> None:
    old = """apiVersion: apiextensions.k8s.io/v1beta1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  version: v1
  validation: {openAPIV3Schema: {properties: {spec: {type: %s}}}}
"""
    found = compare({"crds/a.yaml": old % "object"}, {"crds/a.yaml": old % "string"})
    assert 'crds: things.example.com: v1 spec type: "object" -> "string"' in found.summary()
