"""Default values of a chart and its subcharts, and how they changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rke2pack import safeyaml
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.plain import (
    Path,
    Plain,
    canonical,
    dotted,
    is_same,
    leaves,
    mappings,
    plain_mapping,
    shown,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A default that moved."""

    path: Path
    old: Plain
    new: Plain

    @property
    def items_added(self) -> tuple[Plain, ...]:
        """For a list: the items that only the new default has."""
        return _items_only_in(self.new, self.old)

    @property
    def items_removed(self) -> tuple[Plain, ...]:
        """For a list: the items that only the old default has."""
        return _items_only_in(self.old, self.new)

    @property
    def is_list(self) -> bool:
        """Whether both defaults are lists."""
        return isinstance(self.old, list) and isinstance(self.new, list)

    def to_json(self) -> dict[str, Plain]:
        """Return path, old and new; for lists also the items added and removed."""
        found: dict[str, Plain] = {"path": dotted(self.path), "old": self.old, "new": self.new}
        if self.is_list:
            found |= {
                "items_added": list(self.items_added),
                "items_removed": list(self.items_removed),
            }
        return found

    def __str__(self) -> str:
        if not self.is_list or not (self.items_added or self.items_removed):
            return f"{dotted(self.path)}: {shown(self.old)} -> {shown(self.new)}"
        parts = [f"+ {shown(item)}" for item in self.items_added]
        parts += [f"- {shown(item)}" for item in self.items_removed]
        return f"{dotted(self.path)}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesDiff:
    """Defaults changed, added (with the new default) and removed (with the old one)."""

    changed: tuple[ValueChange, ...] = ()
    added: tuple[tuple[Path, Plain], ...] = ()
    removed: tuple[tuple[Path, Plain], ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no default differs."""
        return not (self.changed or self.added or self.removed)

    def to_json(self) -> dict[str, Plain]:
        """Return changed, added and removed, each sorted by path."""
        return {
            "changed": [change.to_json() for change in self.changed],
            "added": [{"path": dotted(path), "new": value} for path, value in self.added],
            "removed": [{"path": dotted(path), "old": value} for path, value in self.removed],
        }

    def lines(self) -> Iterator[str]:
        """Yield one line a value."""
        yield from (f"values: {change}" for change in self.changed)
        for path, value in self.added:
            yield f"values: added {dotted(path)}: {shown(value)}"
        for path, value in self.removed:
            yield f"values: removed {dotted(path)} (was {shown(value)})"


def compare_values(old: dict[str, Plain], new: dict[str, Plain]) -> ValuesDiff:
    """Compare two trees of defaults; lists count as a whole."""
    changed: list[ValueChange] = []
    added: list[tuple[Path, Plain]] = []
    removed: list[tuple[Path, Plain]] = []

    def walk(left: dict[str, Plain], right: dict[str, Plain], path: Path) -> None:
        for key in sorted({*left, *right}):
            here = (*path, key)
            if key not in left:
                added.extend(leaves(right[key], here))
            elif key not in right:
                removed.extend(leaves(left[key], here))
            else:
                before, after = left[key], right[key]
                if isinstance(before, dict) and isinstance(after, dict):
                    walk(before, after, here)
                elif not is_same(before, after):
                    changed.append(ValueChange(path=here, old=before, new=after))

    walk(old, new, ())
    return ValuesDiff(changed=tuple(changed), added=tuple(added), removed=tuple(removed))


def effective_defaults(chart: Chart) -> dict[str, Plain]:
    """Return the defaults of a chart with those of its subcharts below their names.

    A subchart stands below its alias where Chart.yaml gives one. What the
    parent says wins and its null removes the subchart's default (Helm,
    ``pkg/chart/common/util/coalesce.go``). Subcharts that a condition disables
    are included: their defaults count once somebody enables them.
    """
    what = f"{chart.name} {chart.version}"
    return _coalesced(dict(chart.files), what=what)


def subchart_files(files: Mapping[str, bytes], *, what: str) -> dict[str, dict[str, bytes]]:
    """Return the files of each direct subchart by the name its values stand below."""
    folders: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        parts = path.split("/", 2)
        if parts[0] != "charts" or parts[-1].startswith((".", "_")):
            continue
        if len(parts) == 3:  # noqa: PLR2004 - charts, folder, rest
            folders.setdefault(parts[1], {})[parts[2]] = data
        elif path.endswith(".tgz"):
            members = archive.unpack(data, what=f"{what}: {path}")
            folders[path] = {m.path.partition("/")[2]: m.data for m in members}
    charts: dict[str, dict[str, bytes]] = {}
    for folder, content in folders.items():
        if "Chart.yaml" in content:
            name = str(_yaml(content, "Chart.yaml", what=f"{what}: {folder}").get("name") or folder)
            charts[name] = content
    return _aliased(charts, _yaml(files, "Chart.yaml", what=what))


def merge_values(under: Mapping[str, Plain], over: Mapping[str, Plain]) -> dict[str, Plain]:
    """Lay ``over`` on ``under``: mappings merge, everything else replaces, null included."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[key] = merge_values(below, value)
        else:
            merged[key] = value
    return merged


def lookup(values: Plain, path: Path) -> tuple[bool, Plain]:
    """Return whether ``path`` exists in a tree of values, and its value."""
    for step in path:
        if not isinstance(values, dict) or step not in values:
            return False, None
        values = values[str(step)]
    return True, values


def _coalesced(files: Mapping[str, bytes], *, what: str) -> dict[str, Plain]:
    values = _yaml(files, "values.yaml", what=what)
    for name, content in subchart_files(files, what=what).items():
        defaults = _coalesced(content, what=f"{what}: {name}")
        parent = values.get(name)
        if parent is None:
            values[name] = defaults
        elif isinstance(parent, dict):
            values[name] = _without_nulls_of(merge_values(defaults, parent), defaults, parent)
    return values


def _without_nulls_of(
    merged: dict[str, Plain], defaults: dict[str, Plain], parent: dict[str, Plain]
) -> dict[str, Plain]:
    """Drop the defaults that the parent set to null."""
    found: dict[str, Plain] = {}
    for key, value in merged.items():
        below, above = defaults.get(key), parent.get(key)
        if key in defaults and key in parent and above is None:
            continue
        if isinstance(value, dict) and isinstance(below, dict) and isinstance(above, dict):
            found[key] = _without_nulls_of(value, below, above)
        else:
            found[key] = value
    return found


def _aliased(
    charts: dict[str, dict[str, bytes]], metadata: dict[str, Plain]
) -> dict[str, dict[str, bytes]]:
    named: dict[str, dict[str, bytes]] = {}
    declared = mappings(metadata.get("dependencies"))
    for dependency in declared:
        name = str(dependency.get("name"))
        if name in charts:
            named[str(dependency.get("alias") or name)] = charts[name]
    names = {str(dependency.get("name")) for dependency in declared}
    named |= {name: content for name, content in charts.items() if name not in names}
    return dict(sorted(named.items()))


def _yaml(files: Mapping[str, bytes], path: str, *, what: str) -> dict[str, Plain]:
    text = files.get(path, b"").decode(errors="replace")
    return plain_mapping(safeyaml.load(text, what=f"{what}: {path}"))


def _items_only_in(left: Plain, right: Plain) -> tuple[Plain, ...]:
    if not isinstance(left, list) or not isinstance(right, list):
        return ()
    known = {canonical(item) for item in right}
    return tuple(item for item in left if canonical(item) not in known)
