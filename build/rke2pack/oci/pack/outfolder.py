"""Outfolder: a folder of archives, which several runs may write to and others read meanwhile.

Every file in it appears whole, but lists, sums and archives are new one after the
other: who reads a folder that is just written finds what does not fit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rke2pack import filelock
from rke2pack.errors import (
    IntegrityError,
    NotFoundError,
    ReleaseError,
    ToolError,
    ValidationError,
)

_LOCK = ".writing.lock"
_PAUSES = 200


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of a folder that it is being written, by this process and maybe others."""
    is_new = not folder.exists()
    busy = f"{folder}: another rke2pack is using it"
    try:
        with filelock.held(folder / _LOCK, busy=busy, is_shared=True, pauses=_PAUSES):
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # something was written
                folder.rmdir()


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Let what is found wrong count only where nobody was writing to the folder.

    Raises ToolError instead of IntegrityError, NotFoundError, ReleaseError and
    ValidationError else.
    """
    before = _changed(folder)
    try:
        yield
    except (IntegrityError, NotFoundError, ReleaseError, ValidationError) as exc:
        if not filelock.is_held(folder / _LOCK) and _changed(folder) == before:
            raise
        msg = f"{folder}: another rke2pack is writing to it"
        details = (exc.message, *exc.details)
        raise ToolError(msg, hint=filelock.HINT, details=details) from exc


def _changed(folder: Path) -> int:
    """Return when a file of a folder last came or went."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
