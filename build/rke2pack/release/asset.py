"""Asset: one file of a release, under the name that it has everywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from rke2pack.digest import Digest
from rke2pack.errors import ReleaseError

Kind = Literal[
    "archive", "list", "chart", "attached", "sbom", "notes", "provenance", "signature", "checksums"
]
# In the order in which they are sent: who sees checksums, sees everything.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
PROVENANCE: Final = "provenance.json"
OFFLINE: Final = "provenance.dsse.json"
KEYLESS: Final = "provenance.sigstore.json"
SIGNATURES: Final = (OFFLINE, KEYLESS)
CYCLONEDX: Final = "sbom.cdx.json"
SPDX: Final = "sbom.spdx.json"
NOTES: Final = "release-notes.md"
# GitHub writes other characters as dots.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file; ``architecture`` is empty for what concerns every machine."""

    name: str
    kind: Kind
    path: Path
    size: int
    digest: Digest
    architecture: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that would not stay as it is; raises ReleaseError."""
        if not _NAME.match(self.name):
            msg = f"{self.name[:200]!r}: no name for a file of a release"
            raise ReleaseError(msg, hint="use letters, digits, '.', '_' and '-' alone")

    def to_json(self) -> dict[str, Any]:
        """Return the object that the upload plan and ``--json`` carry."""
        return {
            "name": self.name,
            "kind": self.kind,
            "path": str(self.path),
            "size": self.size,
            "sha256": self.digest.hex,
        }


def in_order(assets: tuple[Asset, ...]) -> tuple[Asset, ...]:
    """Return the assets as they are sent: by kind, then by name."""
    return tuple(sorted(assets, key=lambda asset: (KINDS.index(asset.kind), asset.name)))
