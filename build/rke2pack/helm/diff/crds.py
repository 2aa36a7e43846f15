"""What became of a chart's CustomResourceDefinitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rke2pack import wording
from rke2pack.helm.diff.plain import (
    Plain,
    canonical,
    is_same,
    mapping,
    mappings,
    plain_mapping,
    shown,
)
from rke2pack.helm.diff.schema import Field, schema_fields
from rke2pack.helm.render import RenderedObject

_BREAKING = frozenset(
    {
        "enum values removed",
        "field removed",
        "group",
        "newly an enum",
        "newly required",
        "scope",
        "type",
        "version removed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdFact:
    """One difference: ``change`` is a stable phrase such as ``field removed``.

    ``version`` is empty for what concerns the whole definition, ``path`` for
    what is no field.
    """

    change: str
    version: str = ""
    path: str = ""
    old: Plain = None
    new: Plain = None

    @property
    def is_breaking(self) -> bool:
        """Whether custom resources that were valid before can be refused or lose content."""
        return self.change in _BREAKING or (self.change == "served" and self.new is False)

    def to_json(self) -> dict[str, Plain]:
        """Return version, change, path, old, new and breaking."""
        return {
            "version": self.version,
            "change": self.change,
            "path": self.path,
            "old": self.old,
            "new": self.new,
            "breaking": self.is_breaking,
        }

    def __str__(self) -> str:
        text = " ".join(part for part in (self.version, self.path, self.change) if part)
        if self.old is None and self.new is None:
            return text
        if self.old is None or self.new is None:
            return f"{text}: {shown(self.new if self.old is None else self.old)}"
        return f"{text}: {shown(self.old)} -> {shown(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdChange:
    """One definition that exists on both sides, with what differs."""

    name: str
    facts: tuple[CrdFact, ...]

    def to_json(self) -> dict[str, Plain]:
        """Return name and changes."""
        return {"name": self.name, "changes": [fact.to_json() for fact in self.facts]}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdsDiff:
    """Definitions by name, sorted."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[CrdChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no definition differs in what it accepts."""
        return not (self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Plain]:
        """Return added, removed and changed."""
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [change.to_json() for change in self.changed],
        }

    def lines(self) -> Iterator[str]:
        """Yield one line a difference; fields added are counted."""
        yield from (f"crds: added {name}" for name in self.added)
        yield from (f"crds: removed {name}" for name in self.removed)
        for change in self.changed:
            facts = [fact for fact in change.facts if fact.change != "field added"]
            yield from (f"crds: {change.name}: {fact}" for fact in facts)
            counts = Counter(f.version for f in change.facts if f.change == "field added")
            for version, number in counts.items():
                yield f"crds: {change.name}: {version} {wording.count(number, 'field')} added"


def compare_crds(old: Iterable[RenderedObject], new: Iterable[RenderedObject]) -> CrdsDiff:
    """Compare the definitions of two renders: versions, fields, types, requirements.

    Descriptions, printer columns and metadata do not count. A field that comes
    or goes with its parent is told through the parent.
    """
    old_texts = {item.text: item for item in old if item.is_crd}
    new_texts = {item.text: item for item in new if item.is_crd}
    before = _by_name(old_texts[text] for text in old_texts if text not in new_texts)
    after = _by_name(new_texts[text] for text in new_texts if text not in old_texts)
    same = _names(old_texts[text] for text in old_texts if text in new_texts)
    changes = (
        CrdChange(name=name, facts=tuple(_facts(before[name], after[name])))
        for name in sorted(before.keys() & after.keys())
    )
    return CrdsDiff(
        added=tuple(sorted(after.keys() - before.keys() - same)),
        removed=tuple(sorted(before.keys() - after.keys() - same)),
        changed=tuple(change for change in changes if change.facts),
    )


def _by_name(items: Iterable[RenderedObject]) -> dict[str, dict[str, Plain]]:
    return {item.name: plain_mapping(item.body.get("spec")) for item in items}


def _facts(old: dict[str, Plain], new: dict[str, Plain]) -> Iterator[CrdFact]:
    for attribute in ("group", "scope"):
        if not is_same(old.get(attribute), new.get(attribute)):
            yield CrdFact(change=attribute, old=old.get(attribute), new=new.get(attribute))
    before, after = _versions(old), _versions(new)
    for version in sorted({*before, *after}):
        if version not in after:
            yield CrdFact(change="version removed", version=version)
        elif version not in before:
            yield CrdFact(change="version added", version=version)
        else:
            yield from _version_facts(version, before[version], after[version])


def _versions(spec: dict[str, Plain]) -> dict[str, dict[str, Plain]]:
    """Return the versions by name; apiextensions/v1beta1 keeps one schema beside them."""
    shared = mapping(spec.get("validation"))
    single = spec.get("version")
    listed = mappings(spec.get("versions")) or (
        ({"name": single, "served": True, "storage": True},) if single else ()
    )
    return {str(item.get("name")): {"schema": shared, **item} for item in listed}


def _version_facts(version: str, old: dict[str, Plain], new: dict[str, Plain]) -> Iterator[CrdFact]:
    for attribute in ("served", "storage", "deprecated"):
        before, after = bool(old.get(attribute)), bool(new.get(attribute))
        if before != after:
            yield CrdFact(change=attribute, version=version, old=before, new=after)
    before_fields, after_fields = _schema(old), _schema(new)
    for path in sorted({*before_fields, *after_fields}):
        before_field, after_field = before_fields.get(path), after_fields.get(path)
        if before_field is None and after_field is not None:
            yield from _added(version, after_field, before_fields)
        elif after_field is None and before_field is not None:
            if _has(after_fields, before_field.parent):
                yield CrdFact(change="field removed", version=version, path=path)
        elif before_field is not None and after_field is not None:
            yield from _field_facts(version, before_field, after_field)


def _schema(version: dict[str, Plain]) -> dict[str, Field]:
    return schema_fields(mapping(version.get("schema")).get("openAPIV3Schema"))


def _added(version: str, field: Field, before: dict[str, Field]) -> Iterator[CrdFact]:
    if _has(before, field.parent):
        yield CrdFact(change="field added", version=version, path=field.path)
        if field.is_required:
            yield CrdFact(change="newly required", version=version, path=field.path)


def _field_facts(version: str, old: Field, new: Field) -> Iterator[CrdFact]:
    if old.type != new.type:
        yield CrdFact(change="type", version=version, path=new.path, old=old.type, new=new.type)
    if new.is_required and not old.is_required:
        yield CrdFact(change="newly required", version=version, path=new.path)
    if new.allowed and not old.allowed:
        allowed = list(new.allowed)
        yield CrdFact(change="newly an enum", version=version, path=new.path, new=allowed)
    elif new.allowed:
        known = {canonical(value) for value in new.allowed}
        gone = [value for value in old.allowed if canonical(value) not in known]
        if gone:
            yield CrdFact(change="enum values removed", version=version, path=new.path, old=gone)


def _has(fields: dict[str, Field], path: str) -> bool:
    return not path or path in fields


def _names(items: Iterable[RenderedObject]) -> set[str]:
    return {item.name for item in items}
