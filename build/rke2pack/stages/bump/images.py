"""What a bump does to the image lists of the components that it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rke2pack.errors import PackError
from rke2pack.finding import Finding
from rke2pack.helm.version import ChartVersion
from rke2pack.lists import text
from rke2pack.lists.model import ImageList, ImageLists
from rke2pack.stages.bump.model import ImageChange
from rke2pack.workspace import Workspace


def build(
    workspace: Workspace, components: Iterable[str], versions: Mapping[str, ChartVersion]
) -> ImageLists:
    """Build the lists of the affected components for the new versions."""
    bundled = workspace.component_charts(components)
    rules = workspace.tree.components
    wanted = {
        name: tuple(c for c in rules.get(name).charts if c in versions) for name in components
    }
    return workspace.builder(versions).build({**bundled, **wanted})


def stale(workspace: Workspace, components: Iterable[str]) -> list[Finding]:
    """Find where images.txt was not what the bundled versions need, before this bump."""
    available = {
        name: version
        for name, version in workspace.bundled().items()
        if workspace.is_published(name, version)
    }
    charts = workspace.component_charts(components)
    known = {c: names for c, names in charts.items() if all(n in available for n in names)}
    try:
        before = workspace.builder(available).build(known)
    except PackError as exc:
        return [
            Finding(
                severity="warning",
                check="old-list",
                subject=", ".join(components),
                expected="the bundled charts to render, to compare images.txt with them",
                got=exc.message,
            )
        ]
    written = _written(workspace)
    return [
        Finding(
            severity="warning",
            check="stale-list",
            subject=f"images.txt, component {each.component}",
            expected=f"before this bump {'' if is_missing else 'no '}{reference}",
            got="it was missing" if is_missing else "it was listed",
        )
        for each in before.lists
        for reference, is_missing in _differences(each, written.get(each.component, ()))
    ]


def _differences(images: ImageList, written: tuple[str, ...]) -> list[tuple[str, bool]]:
    missing = [(r, True) for r in images.references if r not in written]
    return missing + [(r, False) for r in written if r not in images.references]


def _written(workspace: Workspace) -> Mapping[str, tuple[str, ...]]:
    tree = workspace.tree
    return {
        s.component: s.references for s in text.parse(tree.images_text, what=str(tree.images_path))
    }


def changes(workspace: Workspace, lists: ImageLists) -> tuple[ImageChange, ...]:
    """Return what each section of images.txt gains and loses."""
    written = _written(workspace)
    found = []
    for each in lists.lists:
        has = written.get(each.component, ())
        proofs = {str(image.reference): image.proofs for image in each.images}
        found.append(
            ImageChange(
                component=each.component,
                added=tuple(r for r in each.references if r not in has),
                removed=tuple(r for r in has if r not in each.references),
                proofs=proofs,
            )
        )
    return tuple(found)
