"""Settings: the options that mean the same for every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    @property
    def store(self) -> Path:
        """The image store, where ``--store`` names no other."""
        return self.cache_dir / "store"
