"""Release folder: the archives in a folder that airgap wrote."""

from __future__ import annotations

import re
from pathlib import Path

from rke2pack import files
from rke2pack.errors import ConfigError
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.store import layout

_ENDINGS = "|".join(map(re.escape, archivefile.ENDINGS))
ARCHIVE = re.compile(rf"(?P<stem>.+?)(?:{_ENDINGS})(?:\.part\d\d)?\Z")


def archives(given: Path) -> tuple[ArchiveFile, ...]:
    """Return the archive that is named, or those of a release folder, sorted.

    Raises ConfigError where there is none, IntegrityError for a gap in parts.
    """
    if not given.is_dir():
        return (archivefile.find(given),)
    if (given / layout.VERSION_FILE).is_file():
        msg = f"{given}: an image store, not a release folder"
        raise ConfigError(msg, hint=f"check it with 'rke2pack cache verify --store {given}'")
    with files.reported("read", given):
        names = sorted(path for path in given.iterdir() if ARCHIVE.match(path.name))
    found = {each.path: each for each in map(archivefile.find, names)}
    if not found:
        msg = f"{given}: holds no archive"
        raise ConfigError(msg, hint="name the folder that airgap wrote, dist/artifacts")
    return tuple(found.values())
