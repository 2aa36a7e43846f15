"""Changes of the page: charts and images compared with an earlier release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack import files
from rke2pack.errors import ConfigError, PackError, ResolutionError, ValidationError
from rke2pack.helm.diff import diff
from rke2pack.helm.version import ChartVersion
from rke2pack.lists import text
from rke2pack.lists.text import Section
from rke2pack.page import changerows
from rke2pack.page.changerows import ChangeRow
from rke2pack.page.images import renamed
from rke2pack.tree.native import FOLDER, IMAGES
from rke2pack.tree.versions import ChartVersions
from rke2pack.workspace import Workspace

_RELEASE = re.compile(r"^RKE2_VERSION=(\S+)$", re.MULTILINE)
MAX_ROWS = 1500
_LEAST_ROWS = 40
_VERSIONS = f"{FOLDER}/chart_versions.yaml"
_LIST = re.compile(r"rke2-images-(?P<component>[a-z0-9-]+)\.[a-z]+-\w+\.txt\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """An earlier release; ``versions`` is None where only its lists are known."""

    title: str
    versions: Mapping[str, ChartVersion] | None
    images: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartChange:
    """One chart that moved, came (``old`` is empty) or went; ``problem``: not compared, and why.

    ``left_out`` rows are more than the page holds.
    """

    name: str
    component: str
    old: str
    new: str
    rows: tuple[ChangeRow, ...] = ()
    left_out: int = 0
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "chart": self.name,
            "component": self.component or None,
            "from": self.old or None,
            "to": self.new or None,
            "rows": [row.to_json() for row in self.rows],
            "left_out": self.left_out,
            "problem": self.problem or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What a component's list gained and lost."""

    component: str
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Removed beside added, the same repository in one line, an empty text for none."""
        return tuple(changerows.paired(self.removed, self.added))

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "component": self.component,
            "added": list(self.added),
            "removed": list(self.removed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs from the release ``against``; ``note`` tells what was not compared."""

    against: str
    charts: tuple[ChartChange, ...]
    images: tuple[ImageChange, ...]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "against": self.against,
            "charts": [each.to_json() for each in self.charts],
            "images": [each.to_json() for each in self.images],
            "note": self.note or None,
        }


def read(tree: Path, against: str) -> Before:
    """Read an earlier release: a tree's folder, a folder of lists, or ``tree`` at a git revision.

    Raises ConfigError where it is none of them.
    """
    folder = Path(against)
    if (folder / _VERSIONS).is_file():
        images = folder / IMAGES
        listed = files.read_text(images) if images.is_file() else ""
        return _tree(_name(folder), files.read_text(folder / _VERSIONS), listed)
    if folder.is_dir():
        return _lists(folder)
    from rke2pack.vcs import history  # noqa: PLC0415 - git is slow to import

    versions = history.read_at(tree, against, _VERSIONS)
    return _tree(against, versions, history.read_at(tree, against, IMAGES))


def _name(folder: Path) -> str:
    """Return what a tree is called: its release, or else its folder, which no path tells."""
    found = folder / FOLDER / "versions.env"
    match = _RELEASE.search(files.read_text(found)) if found.is_file() else None
    return match[1] if match else folder.resolve().name


def _tree(title: str, versions: str, images: str) -> Before:
    parsed = ChartVersions.parse(versions, what=f"{title}:{_VERSIONS}")
    sections = text.parse(images, what=f"{title}:{IMAGES}")
    return Before(
        title=title,
        versions={c.name: c.version for c in parsed.charts if not c.version.is_removed},
        images={section.component: section.references for section in sections},
    )


def _lists(folder: Path) -> Before:
    found: dict[str, dict[str, None]] = {}
    with files.reported("read", folder):
        names = sorted(folder.iterdir())
    for path in names:
        match = _LIST.match(path.name)
        if match and match["component"] != "all":
            lines = files.read_text(path).split()
            found.setdefault(match["component"], {}).update(dict.fromkeys(lines))
    if not found:
        msg = f"{folder}: neither a tree nor a folder with lists of a release"
        raise ConfigError(msg, hint="name a tree, a folder that airgap wrote, or a git tag")
    images = {component: tuple(lines) for component, lines in found.items()}
    return Before(title=folder.resolve().name, versions=None, images=images)


def compare(
    workspace: Workspace, before: Before, sections: Iterable[Section], *, with_charts: bool
) -> Changes:
    """Compare the tree with an earlier release; the charts only ``with_charts``."""
    settings = workspace.settings
    images = _images(before, sections, settings.registry, whole=not settings.components)
    if before.versions is None:
        note = f"{before.title} has lists only: charts are not compared"
        return Changes(against=before.title, charts=(), images=images, note=note)
    charts = _moved(workspace, before.versions)
    note = "" if with_charts else "the charts were not read (--no-charts): versions only"
    if with_charts:
        limit = max(MAX_ROWS // max(len(charts), 1), _LEAST_ROWS)
        charts = tuple(_compared(workspace, each, limit) for each in charts)
    return Changes(against=before.title, charts=charts, images=images, note=note)


def _images(
    before: Before, sections: Iterable[Section], registry: str | None, *, whole: bool
) -> tuple[ImageChange, ...]:
    now = {section.component: section.references for section in sections}
    names = dict.fromkeys((*now, *(before.images if whole else ())))
    found = []
    for name in names:
        old, new = renamed(before.images.get(name, ()), registry), now.get(name, ())
        added = tuple(sorted(set(new) - set(old)))
        removed = tuple(sorted(set(old) - set(new)))
        if added or removed:
            found.append(ImageChange(component=name, added=added, removed=removed))
    return tuple(found)


def _moved(workspace: Workspace, before: Mapping[str, ChartVersion]) -> tuple[ChartChange, ...]:
    now, components = workspace.bundled(), workspace.tree.components
    found = []
    for name in dict.fromkeys((*now, *before)):
        old, new = before.get(name), now.get(name)
        own = components.of_chart(name)
        asked = workspace.settings.components
        if old == new or (asked and (own is None or own.name not in asked)):
            continue
        found.append(
            ChartChange(
                name=name,
                component=own.name if own else "",
                old=old.text if old else "",
                new=new.text if new else "",
            )
        )
    return tuple(found)


def _compared(workspace: Workspace, moved: ChartChange, limit: int) -> ChartChange:
    if not (moved.old and moved.new):
        return moved
    try:
        found = changerows.rows(
            diff(
                workspace.chart(moved.name, ChartVersion.parse(moved.old)),
                workspace.chart(moved.name, ChartVersion.parse(moved.new)),
                workspace.renderer,
                kube_version=workspace.tree.kube_version,
                base=workspace.tree.components.rules(moved.name).base,
            )
        )
    except (ResolutionError, ValidationError) as exc:
        return _replaced(moved, problem=exc)
    return _replaced(moved, rows=found[:limit], left_out=max(len(found) - limit, 0))


def _replaced(
    moved: ChartChange,
    *,
    rows: tuple[ChangeRow, ...] = (),
    left_out: int = 0,
    problem: PackError | None = None,
) -> ChartChange:
    return ChartChange(
        name=moved.name,
        component=moved.component,
        old=moved.old,
        new=moved.new,
        rows=rows,
        left_out=left_out,
        problem=problem.message if problem else "",
    )
