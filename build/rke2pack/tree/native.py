"""The native tree: ``charts-manifest/`` and ``images.txt`` below one folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import files, journal
from rke2pack.errors import ConfigError
from rke2pack.settings import TREE_FOLDER
from rke2pack.tree.datafiles import HINT, Tree, read

if TYPE_CHECKING:
    from rke2pack.helm.manifest import ChartReference

FOLDER = TREE_FOLDER
IMAGES = "images.txt"
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=([^\s'\"$`\\]*)\Z")
_NEEDED = ("KUBERNETES_VERSION", "RKE2_VERSION")


@dataclass(frozen=True, kw_only=True)
class NativeTree(Tree):
    """Reads the tree's files when first asked for them; writing goes through `journal`."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> NativeTree:
        """Open a tree and finish what an interrupted command left; raises ConfigError."""
        if not is_native(root):
            what = f"not a tree, it has no {FOLDER}/chart_versions.yaml"
            msg = f"{root.absolute()}: {what if root.exists() else 'no such folder'}"
            raise ConfigError(msg, hint=HINT)
        journal.recover(root)
        return cls(root=root)

    def path(self, name: str) -> Path:
        """Return the path of a data file in ``charts-manifest/``."""
        return self.root / FOLDER / name

    def manifest_path(self, chart: str) -> Path:
        """Return the path of a chart's HelmChart manifest."""
        return self.path(f"{chart}.yaml")

    @property
    def images_path(self) -> Path:
        """The path of images.txt."""
        return self.root / IMAGES

    @property
    def versions_path(self) -> Path:
        """The path of chart_versions.yaml."""
        return self.path("chart_versions.yaml")

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """versions.env: RKE2's names of version.sh -> values."""
        path = self.path("versions.env")
        found: dict[str, str] = {}
        for number, line in enumerate(read(path).splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            assignment = _ASSIGNMENT.match(line.strip())
            if assignment is None:
                msg = f"{path}: line {number}: expected NAME=value"
                raise ConfigError(msg, hint="write plain values, without quotes and shell syntax")
            found[assignment[1]] = assignment[2]
        missing = [name for name in _NEEDED if not found.get(name)]
        if missing:
            msg = f"{path}: {missing[0]} is missing"
            raise ConfigError(msg)
        return found

    def reference(self, chart: str) -> ChartReference | None:
        """Return a chart's manifest in reference form, None for a removed chart."""
        from rke2pack.helm.manifest import (  # noqa: PLC0415 - not for every file
            ChartReference,
            is_removed,
        )

        path = self.manifest_path(chart)
        text = read(path, hint="write it with 'rke2pack charts --references'")
        return None if is_removed(text) else ChartReference.parse(text, what=str(path))

    def reviewed(self, chart: str) -> ChartReference | None:
        """Return a chart's manifest in reference form, None where there is none yet."""
        return self.reference(chart) if self.manifest_path(chart).is_file() else None

    @property
    def images_text(self) -> str:
        """images.txt, empty where there is none yet."""
        return files.read_text(self.images_path) if self.images_path.exists() else ""


def is_native(root: Path) -> bool:
    """Whether a folder has the layout of this module."""
    return (root / FOLDER / "chart_versions.yaml").is_file()
