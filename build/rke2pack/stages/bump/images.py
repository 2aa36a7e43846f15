"""What a bump does to the image lists of the components that it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rke2pack.errors import PackError
from rke2pack.finding import Finding
from rke2pack.helm.version import ChartVersion
from rke2pack.lists import files, lockdiff, text
from rke2pack.lists import lock as locks
from rke2pack.lists.model import ImageLists
from rke2pack.stages.bump.model import ImageChange, ListChange, Move
from rke2pack.workspace import Workspace


def change(
    workspace: Workspace, moves: tuple[Move, ...], versions: Mapping[str, ChartVersion]
) -> ListChange:
    """Plan images.txt, the manifests and the lists per component of a native tree."""
    tree = workspace.tree
    owners = [tree.components.of_chart(move.entry.name) for move in moves]
    affected = dict.fromkeys(owner.name for owner in owners if owner is not None)
    lists = build(workspace, affected, versions)
    sections = files.merged(tree, lists)
    return ListChange(
        files={
            **{tree.manifest_path(move.entry.name): move.manifest.encode() for move in moves},
            tree.images_path: text.format_images(sections).encode(),
        },
        generated=files.list_files(tree, sections),
        images=changes(workspace, lists),
        findings=(*lists.findings, *stale(workspace, affected), *unlocked(workspace, lists)),
    )


def build(
    workspace: Workspace, components: Iterable[str], versions: Mapping[str, ChartVersion]
) -> ImageLists:
    """Build the lists of the affected components for the new versions."""
    rules = workspace.tree.components
    wanted = {
        name: tuple(c for c in rules.get(name).charts if c in versions) for name in components
    }
    return workspace.builder(versions).build(wanted)


def stale(workspace: Workspace, components: Iterable[str]) -> list[Finding]:
    """Find where images.txt was not what the bundled versions need, before this bump."""
    bundled = workspace.bundled()
    charts = workspace.component_charts(components)
    known = {
        component: names
        for component, names in charts.items()
        if all(workspace.is_published(name, bundled[name]) for name in names)
    }
    try:
        before = workspace.builder(bundled).build(known)
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
    return [
        Finding(
            severity="warning",
            check="stale-list",
            subject=f"images.txt, component {each.component}",
            expected=f"before this bump {'' if each.is_missing else 'no '}{each.reference}",
            got="it was missing" if each.is_missing else "it was listed",
        )
        for each in files.compare(before, files.written(workspace.tree))
    ]


def unlocked(workspace: Workspace, lists: ImageLists) -> list[Finding]:
    """Find what images.lock lacks or has too much once images.txt is written.

    A bump asks no registry, so it leaves the lock alone.
    """
    tree = workspace.tree
    lock = locks.read(tree.root / locks.NAME)
    if lock is None or not any(each.added or each.removed for each in changes(workspace, lists)):
        return []
    wanted = lockdiff.wanted(tree.components, files.merged(tree, lists))
    found = lockdiff.against(lock, wanted, is_whole=True)
    lacks = [str(each.reference) for each in found if each.kind != "removed"]
    stale = [str(each.reference) for each in found if each.kind == "removed"]
    told = [f"lacks {', '.join(lacks)}"] if lacks else []
    told += [f"has {', '.join(stale)}"] if stale else []
    if not told:
        return []
    return [
        Finding(
            severity="warning",
            check="stale-lock",
            subject=locks.NAME,
            expected="an entry for every image of images.txt: run 'rke2pack images --lock'",
            got="; ".join(told),
        )
    ]


def changes(workspace: Workspace, lists: ImageLists) -> tuple[ImageChange, ...]:
    """Return what each section of images.txt gains and loses."""
    differences = files.compare(lists, files.written(workspace.tree))
    return tuple(
        ImageChange(
            component=each.component,
            added=tuple(
                d.reference for d in differences if d.component == each.component and d.is_missing
            ),
            removed=tuple(
                d.reference
                for d in differences
                if d.component == each.component and not d.is_missing
            ),
            proofs={str(image.reference): image.proofs for image in each.images},
        )
        for each in lists.lists
    )
