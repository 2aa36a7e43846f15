"""The door to the file system: whole files in, whole files out.

A write goes to a temporary name in the same folder, is synced and then put in
place by rename, so that a reader never sees half a file. OSError leaves this
module as ToolError that names the path.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rke2pack.errors import ConfigError, ToolError

_CACHEDIR_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of rke2pack; it may be deleted.\n"
)
MAX_TEXT_BYTES = 64 * 1024 * 1024


@contextlib.contextmanager
def reported(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a ToolError: what could not be done to which path, and why."""
    try:
        yield
    except OSError as exc:
        msg = f"cannot {action} {path}: {exc.strerror or exc}"
        raise ToolError(msg, hint="check permissions and free space of that folder") from exc


def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace ``path`` by ``data`` in one step; keep the mode of a file that exists.

    ``durable`` waits until the bytes are on the disk.
    """
    with reported("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fchmod(handle.fileno(), mode)
                if durable:
                    os.fsync(handle.fileno())
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def write_changed(path: Path, data: bytes) -> bool:
    """Write ``data`` unless the file holds it already; return whether it was written."""
    with reported("read", path):
        is_same = path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
    if is_same:
        return False
    write(path, data)
    return True


def read_text(path: Path) -> str:
    """Read a UTF-8 file with its line ends as they are; raises ConfigError or ToolError."""
    with reported("read", path):
        if not path.is_file():
            msg = f"{path}: {'not a file' if path.exists() else 'no such file'}"
            raise ConfigError(msg, hint="check the path")
        if path.stat().st_size > MAX_TEXT_BYTES:
            msg = f"{path}: larger than {MAX_TEXT_BYTES} bytes"
            raise ConfigError(msg)
        data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        msg = f"{path}: not UTF-8 text (byte {exc.start})"
        raise ConfigError(msg) from exc


def empty(descriptor: int) -> None:
    """Cut an open file to nothing, unless it is: ext4 writes out at once what was truncated."""
    if os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, 0)


def allow_open(count: int) -> int:
    """Let this process have ``count`` files and sockets open at once; return what it may have.

    That is less where the system's administrator has said so.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def sync_folder(path: Path) -> None:
    """Make renames in ``path`` durable."""
    with reported("sync", path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Cache:
    """Named bytes below one folder, safe for several processes; a lost entry is only slow."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; it is made when something is first kept."""
        self.folder = folder

    def get(self, key: str) -> bytes | None:
        """Return what was kept under ``key`` (a relative path), or None."""
        path = self.folder / key
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as exc:
            msg = f"cannot read {path}: {exc.strerror or exc}"
            raise ToolError(msg, hint="choose another folder with --cache-dir") from exc

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""
        tag = self.folder / "CACHEDIR.TAG"
        if not tag.exists():
            write(tag, _CACHEDIR_TAG.encode())
        write(self.folder / key, data)
