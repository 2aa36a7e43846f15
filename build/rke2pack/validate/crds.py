"""CustomResourceDefinitions: what an API server asks of them, and their schemas for resources.

A structural schema (Kubernetes, "Specifying a structural schema") is turned
into JSON schema: unknown fields are errors unless they are preserved, a
resource's own apiVersion, kind and metadata are always allowed. CEL rules
(``x-kubernetes-validations``) are left to the API server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack.validate import syntax
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.schemas import LIST_KEYS, Kind, compiled, violations

MAX_DEPTH = 100
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean"})
_VERSION = re.compile(r"v[0-9]+(?:(?:alpha|beta)[0-9]+)?\Z")
_COPIED = (
    *("type", "enum", "pattern", "format", "minimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "multipleOf", "required"),
    "uniqueItems",
)
_JUNCTIONS = ("allOf", "anyOf", "oneOf")
_OWN_FIELDS: Mapping[str, Any] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A definition as a chart ships it: group, kind and schema per served version."""

    group: str
    kind: str
    schemas: Mapping[str, Mapping[str, Any]]
    is_preserving: bool

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Definition | None:
        """Read a definition, None where it has no group, kind or versions."""
        spec = _mapping(body.get("spec"))
        group, kind = spec.get("group"), _mapping(spec.get("names")).get("kind")
        if not isinstance(group, str) or not isinstance(kind, str):
            return None
        served = [v for v in _mappings(spec.get("versions")) if v.get("served") is not False]
        schemas = {
            str(version.get("name")): _mapping(
                _mapping(version.get("schema")).get("openAPIV3Schema")
            )
            for version in served
        }
        return cls(
            group=group,
            kind=kind,
            schemas=schemas,
            is_preserving=spec.get("preserveUnknownFields") is True,
        )

    def problems(self, body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
        """Yield what the definition says of one of its resources."""
        version = Kind.of(body).version
        if version not in self.schemas:
            yield Problem(
                check="custom-resource",
                subject=subject,
                expected=f"a served version: {', '.join(self.schemas)}",
                got=version,
            )
            return
        try:
            validator = compiled(self._resource_schema(version))
        except (ValueError, RecursionError) as exc:
            yield Problem(
                check="custom-resource",
                subject=subject,
                expected=f"a definition of {self.kind} that can be compiled",
                got=short(exc),
            )
            return
        yield from violations(validator, body, subject, check="custom-resource")

    def _resource_schema(self, version: str) -> dict[str, Any]:
        schema = _json_schema(self.schemas[version], is_strict=not self.is_preserving)
        schema["properties"] = {**schema.get("properties", {}), **_OWN_FIELDS}
        schema["required"] = _with(_listed(schema.get("required", [])), *_OWN_FIELDS)
        return schema


def check(body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    """Yield what an API server refuses in a definition although its own schema allows it."""
    spec = _mapping(body.get("spec"))
    names = _mapping(spec.get("names"))
    expected = f"{names.get('plural')}.{spec.get('group')}"
    name = _mapping(body.get("metadata")).get("name")
    if name != expected:
        yield _problem(subject, f"metadata.name {expected}", short(name))
    if not syntax.SUBDOMAIN.allows(str(spec.get("group"))):
        yield _problem(subject, "a group that is a DNS subdomain", short(spec.get("group")))
    versions = _mappings(spec.get("versions"))
    stored = [str(version.get("name")) for version in versions if version.get("storage") is True]
    if len(stored) != 1:
        yield _problem(subject, "one version that is stored", ", ".join(stored) or "none")
    seen: set[str] = set()
    for version in versions:
        yield from _version(version, subject, seen)
        seen.add(str(version.get("name")))


def _version(version: Mapping[str, Any], subject: str, seen: set[str]) -> Iterator[Problem]:
    name = str(version.get("name"))
    if not _VERSION.match(name) and not syntax.LABEL.allows(name):
        yield _problem(subject, "a version such as v1 or v1beta1", short(name))
    if name in seen:
        yield _problem(subject, "every version once", f"{name} twice")
    schema = _mapping(version.get("schema")).get("openAPIV3Schema")
    if not isinstance(schema, dict):
        yield _problem(subject, f"a schema for version {name}", "none")
        return
    if schema.get("type") != "object":
        yield _problem(subject, f"version {name}: type object", short(schema.get("type")))
    for path, reason in _unstructural(schema, "", 0):
        yield _problem(subject, "a structural schema", short(f"{name}{path}: {reason}"))


def _unstructural(schema: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield where a schema breaks the rules for structural schemas."""
    if depth > MAX_DEPTH:
        yield path, f"nested deeper than {MAX_DEPTH} levels"
        return
    is_free = schema.get("x-kubernetes-int-or-string") is True or schema.get(_PRESERVE) is True
    kind = schema.get("type")
    if kind not in _TYPES and not (is_free and kind is None):
        yield path, f"type {kind!r}"
    properties, more = schema.get("properties"), schema.get("additionalProperties")
    if properties and more:
        yield path, "properties and additionalProperties together"
    if kind == "array" and not isinstance(schema.get("items"), dict):
        yield path, "an array without items"
    for name, child in _mapping(properties).items():
        yield from _unstructural(_mapping(child), f"{path}.{name}", depth + 1)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _unstructural(schema[key], f"{path}.{key}", depth + 1)


def _json_schema(schema: Mapping[str, Any], *, is_strict: bool, depth: int = 0) -> dict[str, Any]:
    """Turn a structural schema into JSON schema; raises RecursionError where it is too deep."""
    if depth > MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise RecursionError(msg)

    def inner(child: object) -> dict[str, Any]:
        return _json_schema(_mapping(child), is_strict=is_strict, depth=depth + 1)

    made = _values(schema, depth)
    if "properties" in schema:
        properties = _mapping(schema["properties"])
        made["properties"] = {name: inner(child) for name, child in properties.items()}
    if schema.get("x-kubernetes-embedded-resource") is True:
        made["properties"] = {**made.get("properties", {}), **_OWN_FIELDS}
        made["required"] = _with(_listed(made.get("required", [])), "apiVersion", "kind")
    if isinstance(schema.get("items"), dict):
        made["items"] = inner(schema["items"])
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        made["additionalProperties"] = inner(more)
    elif is_strict and _is_closed(schema):
        made["additionalProperties"] = False
    if schema.get("x-kubernetes-list-type") == "set":
        made["uniqueItems"] = True
    elif schema.get("x-kubernetes-list-type") == "map":
        made[LIST_KEYS] = schema.get(LIST_KEYS, [])
    return made


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an API server drops fields that an object's schema does not name."""
    return (
        schema.get("type") == "object"
        and schema.get(_PRESERVE) is not True
        and schema.get("additionalProperties") is not True
    )


def _values(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return the part of a schema that says which values are valid, closing nothing."""
    if depth > MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise RecursionError(msg)
    made = {key: schema[key] for key in _COPIED if key in schema}
    if schema.get("x-kubernetes-int-or-string") is True:
        made["type"] = ["integer", "string"]
    for bound in ("Minimum", "Maximum"):
        if schema.get(f"exclusive{bound}") is True and bound.lower() in made:
            made[f"exclusive{bound}"] = made.pop(bound.lower())
    if schema.get("nullable") is True:
        for key, null in (("type", "null"), ("enum", None)):
            if key in made:
                made[key] = [*_listed(made[key]), null]
    junctions = [key for key in _JUNCTIONS if isinstance(schema.get(key), list)]
    for key in junctions:
        made[key] = [_condition(child, depth + 1) for child in _mappings(schema[key])]
    if isinstance(schema.get("not"), dict):
        made["not"] = _condition(schema["not"], depth + 1)
    return made


def _condition(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Turn a schema inside allOf, anyOf, oneOf or not, which never closes an object."""
    made = _values(schema, depth)
    if "properties" in schema:
        made["properties"] = {
            name: _condition(_mapping(child), depth + 1)
            for name, child in _mapping(schema["properties"]).items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            made[key] = _condition(schema[key], depth + 1)
    return made


def _problem(subject: str, expected: str, got: str) -> Problem:
    return Problem(check="crd", subject=subject, expected=expected, got=got)


def _with(names: list[Any], *more: str) -> list[Any]:
    return [*names, *(name for name in more if name not in names)]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
