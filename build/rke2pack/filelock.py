"""The door to file locks: ``flock``, freed by the kernel when its holder dies.

A file that is renamed or removed under its lock is another file for those who
come later, so a lock counts only while its path still leads to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rke2pack import files
from rke2pack.errors import ToolError

HINT = "wait until it has finished, then run this again"
PAUSE_SECONDS = 0.05


def leads_to(path: Path, descriptor: int) -> bool:
    """Whether a path leads to the very file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def take(descriptor: int, path: Path, *, is_shared: bool = False) -> bool:
    """Lock an open file; false where another has it, or its path leads elsewhere by now."""
    kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return leads_to(path, descriptor)


def is_held(path: Path) -> bool:
    """Whether anyone holds a file; false where it is not there or cannot be asked."""
    try:
        try:  # over NFS only what may be written can be locked alone
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not take(descriptor, path) and leads_to(path, descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def held(
    path: Path,
    *,
    busy: str,
    is_shared: bool = False,
    pauses: int = 0,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold what ``path`` stands for, alone or together with others; it is there only meanwhile.

    Where it is taken, waits so many ``pauses`` of 0.05 seconds, then raises ToolError
    that says ``busy``.
    """
    while True:
        with files.reported("lock", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if take(descriptor, path, is_shared=is_shared):
                try:
                    yield
                finally:
                    if take(descriptor, path):  # alone by now
                        path.unlink(missing_ok=True)
                return
            is_busy = leads_to(path, descriptor)
        finally:
            os.close(descriptor)
        if is_busy and not pauses:
            raise ToolError(busy, hint=HINT)
        pauses -= is_busy
        wait(PAUSE_SECONDS)
