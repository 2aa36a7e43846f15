"""What hatchling does for an sdist: links of the package travel as the files they lead to."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LinksAsFiles(BuildHookInterface[BuilderConfig]):
    """Puts copies where the links are: not every system unpacks links."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Name a copy of each link's content in ``build_data``."""
        root = Path(self.root)
        self._copies = tempfile.TemporaryDirectory()
        for path in sorted((root / "build/rke2pack").rglob("*")):
            if path.is_symlink():
                name = path.relative_to(root)
                copy = Path(self._copies.name) / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                build_data["force_include"][str(copy)] = str(name)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        """Remove the copies."""
        self._copies.cleanup()
