"""Real bumps of upstream's history, replayed on native trees.

Each record of ``replay/bumps.json`` tells the chart versions and lists before
a change and what the change did. A tree in that state is written, the bump is
run, and what it did is compared with what the maintainers did.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack.cli import run
from rke2pack.tree.components import Components

_VARIABLE = re.compile(r"\$\{|\$[A-Z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bump:
    """One record: the charts that moved, and the lists around the move."""

    commit: str
    date: str
    kube_version: str
    moves: Mapping[str, tuple[str, str]]
    charts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
    variables: Mapping[str, str]
    script_variables: Mapping[str, str]
    removed: Mapping[str, tuple[str, ...]]
    added: Mapping[str, tuple[str, ...]]

    @classmethod
    def read_all(cls, reference_data: Path) -> Iterator[Bump]:
        """Yield the records, oldest first."""
        records: list[dict[str, Any]] = json.loads(
            (reference_data / "replay/bumps.json").read_text()
        )
        for record in sorted(records, key=lambda each: str(each["date"])):
            before = record["before"]
            images = record["images"]
            yield cls(
                commit=record["commit"],
                date=record["date"],
                kube_version=record["kubernetes_version"],
                moves={name: (old, new) for name, (old, new) in record["charts"].items()},
                charts=before["charts"],
                variables=before["version_variables"],
                script_variables=before["script_variables"],
                lists={name: tuple(each) for name, each in before["lists"].items()},
                removed={name: tuple(each["removed"]) for name, each in images.items()},
                added={name: tuple(each["added"]) for name, each in images.items()},
            )


def write_tree(bump: Bump, root: Path, project: Path) -> None:
    """Write the state before ``bump`` as a native tree."""
    folder = root / "charts-manifest"
    folder.mkdir(parents=True)
    for name in ("components.yaml", "repositories.yaml"):
        shutil.copyfile(project / "charts-manifest" / name, folder / name)
    entries = "".join(
        f"  - version: {version}\n    filename: /charts/{name}.yaml\n    bootstrap: true\n"
        for name, version in bump.charts.items()
    )
    (folder / "chart_versions.yaml").write_text(f"charts:\n{entries}")
    (folder / "versions.env").write_text(_environment(bump))
    for name in bump.charts:
        (folder / f"{name}.yaml").write_text(f"# {name}\n")
    components = Components.parse((folder / "components.yaml").read_text(), what="components.yaml")
    sections = (
        f"\n# component: {c.name}\n" + "".join(f"docker.io/{i}\n" for i in _listed(bump, c.name))
        for c in components.components
        if c.name in bump.lists
    )
    (root / "images.txt").write_text("".join(sections))


def _environment(bump: Bump) -> str:
    names = (
        *("KUBERNETES_IMAGE_TAG", "ETCD_IMAGE_TAG", "PAUSE_VERSION", "CCM_VERSION"),
        *("KLIPPERHELM_VERSION", "KLIPPERLB_VERSION"),
    )
    fixed = f"RKE2_VERSION={bump.kube_version}+rke2r1\nKUBERNETES_VERSION={bump.kube_version}\n"
    return fixed + "".join(f"{name}=v0\n" for name in names)


def _listed(bump: Bump, component: str) -> list[str]:
    """The component's images; those whose tag is a shell variable are no chart's and left out."""
    return list(dict.fromkeys(i for i in bump.lists[component] if not _VARIABLE.search(i)))


def replay(bump: Bump, root: Path, *, charts_repo: Path, project: Path) -> int:
    """Write the tree and run the bump of the first moved chart; return the exit code."""
    write_tree(bump, root, project)
    chart, (_, version) = next(iter(bump.moves.items()))
    arguments = ["bump", chart, version, "--tree", str(root), "--charts-repo", str(charts_repo)]
    return run([*arguments, "--json", "--quiet"])


def after(bump: Bump, component: str) -> set[str]:
    """The component's list as the maintainers left it."""
    kept = set(_listed(bump, component)) - set(bump.removed.get(component, ()))
    return kept | set(bump.added.get(component, ()))
