"""What a release of the lab needs besides the lab: the release before it, and a key."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rke2pack import files
from rke2pack.release import offlinekey
from rke2pack.settings import Settings
from rke2pack.stages.release.signers import KEY_VARIABLE
from rke2pack.tree.native import FOLDER, IMAGES

BEFORE: Final = "dist/before"
PUBLIC_KEY: Final = "dist/release.pub"


def remember(settings: Settings) -> None:
    """Keep the tree as it is now, as the release before."""
    before = settings.tree / BEFORE
    with files.reported("write", before):
        shutil.copytree(settings.tree / FOLDER, before / FOLDER)
        shutil.copyfile(settings.tree / IMAGES, before / IMAGES)


def environment(tree: Path) -> Mapping[str, str]:
    """Make a key for one walk: its private half for the environment, the public one in a file."""
    private, public = offlinekey.generate()
    files.write(tree / PUBLIC_KEY, public)
    return {KEY_VARIABLE: private.decode()}
