"""Settings made for tests."""

from __future__ import annotations

from pathlib import Path

from rke2pack.settings import Settings


def settings(tree: Path, **more: object) -> Settings:
    """Settings of a tree with nothing else asked for."""
    values = {
        **dict.fromkeys(("charts_repo", "registry", "ca_file", "helm")),
        **dict.fromkeys(("platforms", "components"), ()),
        **dict.fromkeys(
            ("is_prime", "is_offline", "is_dry_run", "allows_missing_digest", "is_lab"), False
        ),
        "tree": tree,
        "cache_dir": tree / "cache",
    }
    return Settings(**{**values, **more})  # type: ignore[arg-type]
