"""Which archives belong together: two that are named, or those of two folders by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files
from rke2pack.errors import ConfigError
from rke2pack.finding import Finding
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.pack import delta

_PART = re.compile(r"\.part\d\d\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What nodes have and what they shall have."""

    old: ArchiveFile
    new: ArchiveFile


def find(old: Path, new: Path) -> tuple[tuple[Pair, ...], tuple[Finding, ...]]:
    """Pair two archives, or the archives of two folders; what is without its like is a finding.

    Raises ConfigError where there is nothing to pair.
    """
    if old.is_dir() != new.is_dir():
        msg = f"{old} and {new}: an archive and a folder"
        raise ConfigError(msg, hint="name two archives, or two folders")
    if not old.is_dir():
        return (Pair(old=archivefile.find(old), new=archivefile.find(new)),), ()
    before, after = _archives(old), _archives(new)
    pairs = tuple(Pair(old=before[name], new=after[name]) for name in after if name in before)
    if not pairs:
        msg = f"{old} and {new}: have no archive of the same name"
        raise ConfigError(msg, hint="name the folders that airgap wrote")
    alone = [_alone(new / name, f"{old} has none") for name in after if name not in before]
    gone = [_alone(old / name, f"{new} has none") for name in before if name not in after]
    return pairs, (*alone, *gone)


def _archives(folder: Path) -> dict[str, ArchiveFile]:
    """Return the whole archives of a folder by their names without ending, sorted."""
    with files.reported("read", folder):
        names = sorted({_PART.sub("", path.name) for path in folder.iterdir() if path.is_file()})
    found: dict[str, ArchiveFile] = {}
    for ending in archivefile.ENDINGS:
        for name in names:
            stem = name.removesuffix(ending)
            if name.endswith(ending) and stem not in found and delta.MARK not in name:
                found[stem] = archivefile.find(folder / name)
    return dict(sorted(found.items()))


def _alone(path: Path, got: str) -> Finding:
    return Finding(
        severity="info",
        check="no-pair",
        subject=path.name,
        expected="an archive of this name on both sides",
        got=got,
    )
