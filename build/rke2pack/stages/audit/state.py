"""One state of a checkout, audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.lists import audit as auditing
from rke2pack.lists import needs
from rke2pack.lists.audit import Gap
from rke2pack.tree.rke2 import FILES, SCRIPT, Rke2Tree
from rke2pack.validate import matrix
from rke2pack.vcs.checkout import Checkout
from rke2pack.vcs.history import read_at
from rke2pack.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """``unknown`` are charts that tell none of their images, with the reason.

    ``assumed`` are lines of build-images with conditions that cannot be decided.
    """

    line: str
    kube_version: str
    charts: int
    images: int
    gaps: tuple[Gap, ...]
    unknown: Mapping[str, str]
    assumed: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``--json`` carries."""
        return {
            "line": self.line or None,
            "kube_version": self.kube_version,
            "charts": self.charts,
            "images": self.images,
            "gaps": [gap.to_json() for gap in self.gaps],
            "unknown": dict(self.unknown),
            "assumed": list(self.assumed),
        }


def audit(workspace: Workspace, tree: Rke2Tree, line: str) -> Audit:
    """Compare the lists of ``tree``, which may be another revision, with its charts."""
    places = tree.sources.places
    versions = {c.name: c.version for c in tree.versions.charts if not c.version.is_removed}
    found = workspace.needs(versions, tree=tree)
    homes = needs.homes((found,), versions, places, tree.components)
    needed = found.by_site(needs.sites(places), homes)
    unsure = needs.unsure(found, tree.components).values()
    return Audit(
        line=line,
        kube_version=tree.kube_version,
        charts=len(versions),
        images=len({place.image for place in places}),
        gaps=auditing.gaps(places, needed, tree.components, unsure),
        unknown=found.unknown,
        assumed=tree.sources.parsed.assumed,
    )


def of_lines(workspace: Workspace, tree: Rke2Tree, names: tuple[str, ...]) -> tuple[Audit, ...]:
    """Audit release lines, each from its branch; nothing is checked out.

    ``supported`` stands for the lines of the support matrix.
    """
    checkout = Checkout(tree.root)
    asked = matrix.in_full(tree, names)
    return tuple(audit(workspace, at(tree, checkout.line(name)), name) for name in asked)


def at(tree: Rke2Tree, revision: str) -> Rke2Tree:
    """Return the tree as it was at a revision; raises ConfigError."""
    texts = {name: read_at(tree.root, revision, name) for name in FILES}
    return Rke2Tree(root=tree.root, revision=texts)


def tell(console: Console, found: Audit) -> None:
    """Say what was found."""
    where = f"{found.line}: " if found.line else ""
    told = f"{wording.count(found.charts, 'chart')}, {wording.count(found.images, 'image')}"
    gaps = wording.count(len(found.gaps), "gap")
    console.line(f"{where}{told}, Kubernetes {found.kube_version}: {gaps}")
    for name, why in found.unknown.items():
        console.line(f"  ? {name}: {why}")
    for line in found.assumed:
        console.line(
            f"  ? {SCRIPT}, line {line}: a condition that cannot be told; it counts as met"
        )
    for gap in found.gaps:
        console.data(f"  {gap}\n")
