"""Settings: the options that mean the same for every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TREE_FOLDER, TREE_LOCK = "charts-manifest", "images.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """What stands in for the network with ``--lab``.

    ``registry`` is an address (plain HTTP on loopback): below it every registry
    has a path of its name, with the images of the tree, and takes pushes.
    ``fill`` makes all those images and returns their layout.
    """

    charts: Path
    registry: str
    fill: Callable[[], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the command line and the environment said; paths are as given."""

    tree: Path
    charts_repo: str | None
    registry: str | None
    platforms: tuple[str, ...]
    components: tuple[str, ...]
    cache_dir: Path
    ca_file: Path | None
    helm: str | None
    is_prime: bool
    is_offline: bool
    is_dry_run: bool
    allows_missing_digest: bool
    is_lab: bool
    lab: Lab | None = None

    @property
    def has_tree(self) -> bool:
        """Whether ``tree`` is one."""
        return (self.tree / TREE_FOLDER).is_dir()

    @property
    def has_lock(self) -> bool:
        """Whether ``tree`` is one, and pins the digests of its images."""
        return self.has_tree and (self.tree / TREE_LOCK).exists()

    @property
    def store(self) -> Path:
        """The image store, where ``--store`` names no other."""
        return self.cache_dir / "store"
