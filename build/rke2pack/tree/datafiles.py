"""The data files that every tree has beside its versions: components and chart repositories."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import files
from rke2pack.errors import ConfigError, ValidationError

if TYPE_CHECKING:
    from rke2pack.helm.manifest import ChartReference
    from rke2pack.tree.components import Components
    from rke2pack.tree.versions import ChartVersions

HINT = "name the folder of the tree with --tree"


class Tree(ABC):
    """A tree of whatever layout: `tree.native.NativeTree` or `tree.rke2.Rke2Tree`.

    Files are read when first asked for; writing goes through `journal`.
    """

    root: Path

    @abstractmethod
    def path(self, name: str) -> Path:
        """Return the path of a data file such as components.yaml."""

    @property
    @abstractmethod
    def versions_path(self) -> Path:
        """The path of chart_versions.yaml."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """RKE2's names of version.sh -> values."""

    @abstractmethod
    def reviewed(self, chart: str) -> ChartReference | None:
        """Return what the tree says of a chart's archive, None where it says nothing."""

    @property
    def kube_version(self) -> str:
        """The Kubernetes version of the release, ``v1.32.4``."""
        return self.environment["KUBERNETES_VERSION"]

    @cached_property
    def versions(self) -> ChartVersions:
        """chart_versions.yaml."""
        from rke2pack.tree.versions import ChartVersions  # noqa: PLC0415 - not for every file

        return ChartVersions.parse(read(self.versions_path), what=str(self.versions_path))

    @property
    def is_current(self) -> bool:
        """Whether chart_versions.yaml is still what was read of it."""
        return read(self.versions_path) == self.versions.text

    @cached_property
    def components(self) -> Components:
        """components.yaml."""
        from rke2pack.tree.components import Components  # noqa: PLC0415 - not for every file

        path = self.path("components.yaml")
        return Components.parse(read(path), what=str(path))

    @cached_property
    def repositories(self) -> Mapping[str, str]:
        """repositories.yaml: name -> address; the first one is the default."""
        from rke2pack import safeyaml  # noqa: PLC0415 - slow, and not for every file

        path = self.path("repositories.yaml")
        try:
            document = safeyaml.load(read(path), what=str(path))
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
        """Return the address for a name, or ``name`` itself where it is an address or a folder.

        Raises ConfigError for a single word that is neither.
        """
        if name is None:
            return next(iter(self.repositories.values()))
        known = self.repositories
        if name not in known and "/" not in name and not Path(name).exists():
            msg = f"{name}: no chart repository of this name, and no such folder"
            hint = f"name a folder that has index.yaml, an http(s) address, or {' or '.join(known)}"
            raise ConfigError(msg, hint=hint)
        return known.get(name, name)


def read(path: Path, *, hint: str = HINT) -> str:
    """Read a file that every tree has; ``hint`` is for the tree that lacks it."""
    if not path.exists():
        msg = f"{path}: no such file"
        raise ConfigError(msg, hint=hint)
    return files.read_text(path)
