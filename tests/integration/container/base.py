"""A base image without a registry: this machine's Python, a shell, and what they load."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

COMMANDS: Final = ("sh", "cp", "chmod", "env", "find", "id", "mkdir", "mv", "touch")
# What wheels expect of every Linux (PEP 600) and Python itself does not load.
_ALWAYS: Final = ("libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "librt.so.1")
_LEFT_OUT: Final = frozenset(
    {"__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "site-packages",
     "dist-packages"}
)  # fmt: skip
_LOADED: Final = re.compile(r"(/\S+) \(0x")


def write(target: Path) -> None:
    """Write a tar for ``docker import``: the same files give the same bytes."""
    python = Path(sys.executable).resolve()
    home = Path(sys.base_prefix) / "bin" / python.name
    stdlib = Path(sysconfig.get_path("stdlib"))
    commands = {Path("/bin") / name: Path(str(shutil.which(name))).resolve() for name in COMMANDS}
    own = {home: python, **commands, **{path: path for path in _library(stdlib)}}
    files = {**own, **{path: path.resolve() for path in sorted(_loaded(own.values()))}}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        folders = {parent for path in files for parent in path.parents}
        for folder in sorted({*folders, Path("/etc"), Path("/usr/local/bin")} - {Path("/")}):
            _folder(tar, folder, 0o755)
        _folder(tar, Path("/tmp"), 0o1777)  # noqa: S108 - of the image
        _file(tar, Path("/etc/passwd"), b"root:x:0:0:root:/root:/bin/sh\n", 0o644)
        for path, source in sorted(files.items()):
            _file(tar, path, source.read_bytes(), source.stat().st_mode & 0o755)
        link = tarfile.TarInfo("usr/local/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, str(home)
        tar.addfile(link)


def _library(stdlib: Path) -> Iterator[Path]:
    for path in sorted(stdlib.rglob("*")):
        parts = path.relative_to(stdlib).parts
        is_left = not _LEFT_OUT.isdisjoint(parts) or parts[-1].startswith("_tkinter.")
        if path.is_file() and not is_left and not parts[0].startswith("config-"):
            yield path


def _loaded(binaries: Iterable[Path]) -> set[Path]:
    """Return the libraries that programs load, under the names that they look for."""
    found: set[Path] = set()
    for binary in binaries:
        with binary.open("rb") as handle:
            is_program = handle.read(4) == b"\x7fELF"
        if is_program:
            told = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
            found |= {Path(os.path.normpath(name)) for name in _LOADED.findall(told.stdout)}
    libc = next(path for path in found if path.name == "libc.so.6")
    return found | {libc.parent / name for name in _ALWAYS if (libc.parent / name).exists()}


def _folder(tar: tarfile.TarFile, path: Path, mode: int) -> None:
    info = tarfile.TarInfo(str(path.relative_to("/")))
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _file(tar: tarfile.TarFile, path: Path, data: bytes, mode: int) -> None:
    info = tarfile.TarInfo(str(path.relative_to("/")))
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))
