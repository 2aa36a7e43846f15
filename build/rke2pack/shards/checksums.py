"""Checksums: ``sha256sum-<arch>.txt`` beside archives, in the form that sha256sum reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rke2pack import files
from rke2pack.digest import Digest

_LINE = re.compile(r"(?P<sum>[0-9a-f]{64})  (?P<name>[^/\s]+)\Z")


def write(folder: Path, found: Mapping[str, Mapping[str, Digest]]) -> None:
    """Write what was made: architecture -> file name -> digest.

    Lines of other files stay as long as the files are there.
    """
    for architecture in sorted(found):
        path = folder / f"sha256sum-{architecture}.txt"
        sums = {name: value for name, value in _lines(path) if (folder / name).is_file()}
        sums |= {name: digest.hex for name, digest in found[architecture].items()}
        lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
        files.write_changed(path, lines.encode())


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_file():
        for line in files.read_text(path).splitlines():
            match = _LINE.match(line)
            if match is not None:
                yield match["name"], match["sum"]
