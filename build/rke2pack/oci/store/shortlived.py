"""Short-lived: a layout's folder in the cache for one run, on the disk that has room for images."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

from rke2pack import files
from rke2pack.errors import ToolError
from rke2pack.oci.store.layout import Layout

_YOUNG_SECONDS = 60.0


@contextlib.contextmanager
def folder(cache_dir: Path, *, prefix: str) -> Iterator[Path]:
    """Make a folder for a layout, removed at the end.

    What runs left that were killed, ``prefix*``, is removed before: all that
    nobody holds with `Layout.in_use`. Raises ToolError.
    """
    with files.reported("write", cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        for left in cache_dir.glob(f"{prefix}*"):
            # Another run may be removing it, too, or has it in use.
            with contextlib.suppress(ToolError, FileNotFoundError):
                _remove(left)
        root = Path(tempfile.mkdtemp(dir=cache_dir, prefix=prefix))
    try:
        yield root
    finally:
        rmtree(root, ignore_errors=True)


def _remove(left: Path) -> None:
    """Remove a folder unless it is in use, or young: one that is just being made has no lock."""
    if left.stat().st_mtime < time.time() - _YOUNG_SECONDS:
        with Layout(left).alone():
            rmtree(left)
