"""The native tree: ``charts-manifest/`` and ``images.txt`` below one folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rke2pack import files, journal, safeyaml
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.helm.manifest import ChartReference, is_removed
from rke2pack.tree.components import Components
from rke2pack.tree.versions import ChartVersions

FOLDER = "charts-manifest"
IMAGES = "images.txt"
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=([^\s'\"$`\\]*)\Z")
_HINT = "name the folder of the tree with --tree"
_NEEDED = ("KUBERNETES_VERSION", "RKE2_VERSION")


@dataclass(frozen=True, kw_only=True)
class NativeTree:
    """Reads the tree's files when first asked for them; writing goes through `journal`."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> NativeTree:
        """Open a tree and finish what an interrupted command left; raises ConfigError."""
        if not (root / FOLDER / "chart_versions.yaml").is_file():
            msg = f"{root.absolute()}: not a tree, it has no {FOLDER}/chart_versions.yaml"
            raise ConfigError(msg, hint=_HINT)
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

    @cached_property
    def versions(self) -> ChartVersions:
        """chart_versions.yaml."""
        path = self.path("chart_versions.yaml")
        return ChartVersions.parse(_text(path), what=str(path))

    @cached_property
    def components(self) -> Components:
        """components.yaml."""
        path = self.path("components.yaml")
        return Components.parse(_text(path), what=str(path))

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """versions.env: RKE2's names of version.sh -> values."""
        path = self.path("versions.env")
        found: dict[str, str] = {}
        for number, line in enumerate(_text(path).splitlines(), start=1):
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

    @property
    def kube_version(self) -> str:
        """The Kubernetes version of the release, ``v1.32.4``."""
        return self.environment["KUBERNETES_VERSION"]

    @cached_property
    def repositories(self) -> Mapping[str, str]:
        """repositories.yaml: name -> address; the first one is the default."""
        path = self.path("repositories.yaml")
        try:
            document = safeyaml.load(_text(path), what=str(path))
        except ValidationError as exc:
            raise ConfigError(exc.message) from exc
        entries = document.get("repositories") if isinstance(document, dict) else None
        if not isinstance(entries, list) or not entries:
            msg = f"{path}: there is no list 'repositories'"
            raise ConfigError(msg)
        try:
            return {str(entry["name"]): str(entry["url"]) for entry in entries}
        except (KeyError, TypeError) as exc:
            msg = f"{path}: every repository needs name and url"
            raise ConfigError(msg) from exc

    def repository_source(self, name: str | None) -> str:
        """Return the address for a name, or ``name`` itself where it is an address or a folder."""
        if name is None:
            return next(iter(self.repositories.values()))
        return self.repositories.get(name, name)

    def reference(self, chart: str) -> ChartReference | None:
        """Return a chart's manifest in reference form, None for a removed chart."""
        path = self.manifest_path(chart)
        text = _text(path, hint="write it with 'rke2pack charts --references'")
        return None if is_removed(text) else ChartReference.parse(text, what=str(path))

    @property
    def images_text(self) -> str:
        """images.txt, empty where there is none yet."""
        return files.read_text(self.images_path) if self.images_path.exists() else ""


def _text(path: Path, *, hint: str = _HINT) -> str:
    """Read a file that every tree has; ``hint`` is for the tree that lacks it."""
    if not path.exists():
        msg = f"{path}: no such file"
        raise ConfigError(msg, hint=hint)
    return files.read_text(path)
