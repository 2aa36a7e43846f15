from __future__ import annotations

from typing import Any

import pytest

from rke2pack.validate import crds
from rke2pack.validate.crds import Definition
from tests.unit.validate.objects import changed, definition, thing

SPEC = "spec.versions.0.schema.openAPIV3Schema.properties.spec"


def parsed(body: dict[str, Any]) -> Definition:
    found = Definition.parse(body)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"port": 80},
        {"port": "http"},
        {"mode": None},
        {"tags": ["a", "b"]},
        {"rules": [{"name": "a"}, {"name": "b"}]},
        {"free": {"anything": [1]}},
        {"closed": {}},
        {"inner": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "y"}}},
        {"labels": {"a": "b"}},
    ],
)
def test_good_resource_has_no_problem(fields: dict[str, Any]) -> None:
    assert list(parsed(definition()).problems(thing(**fields), "Thing/x")) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"size": "1"},
        {"other": 1},
        {"port": True},
        {"mode": "c"},
        {"tags": ["a", "a"]},
        {"rules": [{"name": "a"}, {"name": "a"}]},
        {"rules": [{"nam": "a"}]},
        {"closed": {"a": 1}},
        {"inner": {"kind": "X"}},
        {"labels": {"a": 1}},
    ],
)
def test_bad_resource_is_a_problem(fields: dict[str, Any]) -> None:
    (found,) = parsed(definition()).problems(thing(**fields), "Thing/x")
    assert (found.check, found.subject) == ("custom-resource", "Thing/x")


def test_required_field_and_unknown_version_are_problems() -> None:
    whole = parsed(definition())
    assert len(list(whole.problems(changed(thing(), "spec.size", ...), "Thing/x"))) == 1
    (found,) = whole.problems(changed(thing(), "apiVersion", "example.com/v2"), "Thing/x")
    assert (found.expected, found.got) == ("a served version: v1", "v2")


@pytest.mark.parametrize("enum", [[10**60, {}, []], [None, "", "x"]])
def test_enumeration_of_anything_is_told(enum: list[object]) -> None:
    body = changed(definition(), f"{SPEC}.properties.size.enum", enum)
    (found,) = parsed(body).problems(thing(), "Thing/x")
    assert found.expected.startswith("one of ")


def test_definition_that_requires_metadata_itself_can_be_compiled() -> None:
    path = "spec.versions.0.schema.openAPIV3Schema.required"
    whole = parsed(changed(definition(), path, ["metadata", "spec"]))
    assert list(whole.problems(thing(), "Thing/x")) == []
    assert len(list(whole.problems(changed(thing(), "spec", ...), "Thing/x"))) == 1


def test_definition_that_preserves_unknown_fields_allows_them() -> None:
    body = changed(definition(), "spec.preserveUnknownFields", value=True)
    assert list(parsed(body).problems(thing(other=1), "Thing/x")) == []


def test_condition_closes_no_object() -> None:
    body = changed(definition(), f"{SPEC}.anyOf", [{"required": ["port"]}, {"required": ["mode"]}])
    whole = parsed(body)
    assert list(whole.problems(thing(port=1), "Thing/x")) == []
    assert len(list(whole.problems(thing(), "Thing/x"))) == 1


@pytest.mark.parametrize(
    ("path", "value", "got"),
    [
        (f"{SPEC}.properties.size", {"minimum": 1}, ".spec.size: type None"),
        (f"{SPEC}.properties.tags", {"type": "array"}, ".spec.tags: an array without items"),
        (f"{SPEC}.additionalProperties", {"type": "string"}, "together"),
        (f"{SPEC}.properties.size.type", "int", "type 'int'"),
    ],
)
def test_schema_that_is_not_structural_is_a_problem(path: str, value: object, got: str) -> None:
    found = list(crds.check(changed(definition(), path, value), "x"))
    assert [each.check for each in found] == ["crd"]
    assert got in found[0].got


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{SPEC}.properties.size.pattern", "("),
        (f"{SPEC}.properties.size.required", "size"),
        (f"{SPEC}.properties.size.enum", 3),
        (f"{SPEC}.properties.size.pattern", "(?:a{1000}){1000}" * 20),
    ],
)
def test_schema_that_cannot_be_compiled_is_a_problem(path: str, value: object) -> None:
    body = changed(definition(), path, value)
    (found,) = parsed(body).problems(thing(), "Thing/x")
    assert found.expected == "a definition of Thing that can be compiled"
    assert len(found.got) < 500


def test_schema_that_is_nested_too_deep_is_a_problem() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(crds.MAX_DEPTH + 5):
        schema = {"type": "object", "properties": {"a": schema}}
    body = changed(definition(), f"{SPEC}.properties.free", schema)
    assert any("nested deeper" in each.got for each in crds.check(body, "x"))
    (found,) = parsed(body).problems(thing(), "Thing/x")
    assert "nested deeper" in found.got


def test_what_is_no_definition_is_none() -> None:
    assert Definition.parse({}) is None
    assert Definition.parse({"spec": {"group": 1}}) is None
