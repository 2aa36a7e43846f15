"""Where targets put what is read as a file: one folder for the whole process."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path


@cache
def folder() -> Path:
    """An empty folder at first; each target has its own names in it."""
    made = tempfile.TemporaryDirectory(prefix="rke2pack-fuzz-")
    atexit.register(made.cleanup)
    return Path(made.name)
