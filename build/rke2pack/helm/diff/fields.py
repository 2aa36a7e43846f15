"""Which fields differ between two versions of one object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from rke2pack.helm.diff.plain import Item, Path, Plain, canonical, dotted, is_same, shown

VERSION_LABELS = frozenset({"app.kubernetes.io/version", "chart", "helm.sh/chart"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field with its value on both sides, None where it is absent or null."""

    path: Path
    old: Plain
    new: Plain

    @property
    def is_noise(self) -> bool:
        """Whether this is a label that only repeats the version of the chart."""
        return len(self.path) > 1 and self.path[-2] == "labels" and self.path[-1] in VERSION_LABELS

    def to_json(self) -> dict[str, Plain]:
        """Return path, old, new and noise."""
        return {
            "path": dotted(self.path),
            "old": self.old,
            "new": self.new,
            "noise": self.is_noise,
        }

    def __str__(self) -> str:
        if self.old is None:
            return f"{dotted(self.path)} added: {shown(self.new)}"
        if self.new is None:
            return f"{dotted(self.path)} removed (was {shown(self.old)})"
        return f"{dotted(self.path)}: {shown(self.old)} -> {shown(self.new)}"


def compare(old: Plain, new: Plain) -> tuple[FieldChange, ...]:
    """Return the fields in which two values differ, in the order of their keys.

    A field that is null counts as absent, as Kubernetes reads it. List items
    are matched by ``name`` where every item of both lists has its own, else by
    position after aligning what is equal; items that only changed their place
    in a list matched by name are no difference.
    """
    return tuple(_changes(old, new, ()))


def _changes(old: Plain, new: Plain, path: Path) -> Iterator[FieldChange]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, path)
    elif not is_same(old, new):
        yield FieldChange(path=path, old=old, new=new)


def _list_changes(old: list[Plain], new: list[Plain], path: Path) -> Iterator[FieldChange]:
    old_by_name, new_by_name = _by_name(old), _by_name(new)
    if old_by_name is None or new_by_name is None:
        yield from _aligned_changes(old, new, path)
        return
    for name in sorted({*old_by_name, *new_by_name}):
        yield from _changes(old_by_name.get(name), new_by_name.get(name), (*path, Item(name)))


def _aligned_changes(old: list[Plain], new: list[Plain], path: Path) -> Iterator[FieldChange]:
    matcher = SequenceMatcher(
        None, [canonical(item) for item in old], [canonical(item) for item in new], autojunk=False
    )
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        paired = min(old_end - old_start, new_end - new_start)
        for offset in range(paired):
            step = Item(new_start + offset)
            yield from _changes(old[old_start + offset], new[new_start + offset], (*path, step))
        for index in range(old_start + paired, old_end):
            yield FieldChange(path=(*path, Item(index)), old=old[index], new=None)
        for index in range(new_start + paired, new_end):
            yield FieldChange(path=(*path, Item(index)), old=None, new=new[index])


def _by_name(items: list[Plain]) -> dict[str, Plain] | None:
    """Return the items by their ``name``, None where one has none or shares it."""
    found: dict[str, Plain] = {}
    for item in items:
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or name in found:
            return None
        found[name] = item
    return found
