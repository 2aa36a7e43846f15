"""The fields of a CustomResourceDefinition's OpenAPI schema, by dotted path.

Items of a list are written ``[]``, the values of a free map ``.*``:
``spec.ports[].name``, ``spec.labels.*``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rke2pack.helm.diff.plain import Plain, mapping, texts


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: its type, whether its parent requires it, and its allowed values."""

    path: str
    parent: str
    type: str
    is_required: bool
    allowed: tuple[Plain, ...]
    """``enum``, empty where any value is allowed."""


def schema_fields(schema: Plain) -> dict[str, Field]:
    """Return every field below the root of an ``openAPIV3Schema`` by its path."""
    return {field.path: field for field in _fields(mapping(schema), "")}


def _fields(schema: dict[str, Plain], path: str) -> Iterator[Field]:
    required = frozenset(texts(schema.get("required")))
    for name, child in mapping(schema.get("properties")).items():
        here = f"{path}.{name}" if path else name
        yield from _field(child, here, parent=path, is_required=name in required)
    for keyword, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(keyword), dict):
            yield from _field(schema[keyword], f"{path}{suffix}", parent=path, is_required=False)


def _field(schema: Plain, path: str, *, parent: str, is_required: bool) -> Iterator[Field]:
    found = mapping(schema)
    allowed = found.get("enum")
    yield Field(
        path=path,
        parent=parent,
        type=_type(found),
        is_required=is_required,
        allowed=tuple(allowed) if isinstance(allowed, list) else (),
    )
    yield from _fields(found, path)


def _type(schema: dict[str, Plain]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    return str(schema.get("type") or "any")
