"""Upload plan: what is to be sent, in order, how far that is, and what the release says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rke2pack import files
from rke2pack.errors import ReleaseError
from rke2pack.release.asset import Asset, in_order

State = Literal["planned", "present", "replaced", "uploaded", "verified", "published"]
MAX_SIZE: Final = 2 * 1024**3 - 1
MAX_ASSETS: Final = 1000


@dataclass(kw_only=True)
class UploadPlan:
    """The files in the order in which they are sent, each with its state."""

    tag: str
    assets: tuple[Asset, ...]
    path: Path | None = None
    states: dict[str, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put the files in order; nothing is sent yet."""
        self.assets = in_order(self.assets)
        self.states = {asset.name: "planned" for asset in self.assets}

    def check(self) -> None:
        """Raise ReleaseError for what GitHub does not take: its sizes and numbers."""
        large = [asset.name for asset in self.assets if asset.size > MAX_SIZE]
        if large:
            msg = f"{large[0]}: larger than the {MAX_SIZE} bytes that GitHub takes"
            raise ReleaseError(
                msg, hint="build it with 'rke2pack airgap --max-size 1900MB'", details=tuple(large)
            )
        if len(self.assets) > MAX_ASSETS:
            msg = f"{len(self.assets)} files, GitHub takes {MAX_ASSETS} in a release"
            raise ReleaseError(msg)
        empty = [asset.name for asset in self.assets if not asset.size]
        if empty:
            msg = f"{empty[0]}: empty, GitHub takes no empty file"
            raise ReleaseError(msg)

    def set(self, name: str, state: State) -> None:
        """Note how far a file is, in the plan's file too."""
        self.states[name] = state
        self.write()

    def write(self) -> None:
        """Write the plan where it has a file."""
        if self.path is not None:
            text = json.dumps(self.to_json(), indent=2) + "\n"
            files.write_changed(self.path, text.encode())

    def to_json(self) -> dict[str, Any]:
        """Return the plan; paths are relative to its file."""
        return {
            "tag": self.tag,
            "assets": [
                {**each.to_json(), "path": self._shown(each), "state": self.states[each.name]}
                for each in self.assets
            ],
        }

    def _shown(self, asset: Asset) -> str:
        if self.path is not None and asset.path.is_relative_to(self.path.parent):
            return asset.path.relative_to(self.path.parent).as_posix()
        return str(asset.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the release is called and says; ``commit`` is None for a tree outside git."""

    name: str
    body: str
    commit: str | None
    is_prerelease: bool = False
    stays_draft: bool = False
