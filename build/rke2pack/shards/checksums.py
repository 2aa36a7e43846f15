"""Checksums: ``sha256sum-<arch>.txt`` beside archives, in the form that sha256sum reads.

Several processes may write to the same folder; none loses another's lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rke2pack import filelock, files
from rke2pack.errors import ToolError
from rke2pack.oci.hashing import digest_of
from rke2pack.oci.pack.outfile import Written

_PAUSES = 1200
_LINE = re.compile(r"(?P<sum>[0-9a-f]{64})  (?P<name>[^/\s]+)\Z")


def write(folder: Path, found: Mapping[str, Iterable[Written]]) -> None:
    """Write what was made: architecture -> files of the folder.

    Lines of other files stay as long as the files are there. Raises ToolError
    where another process has replaced one of the files; its line is left to that one.
    """
    replaced: list[Path] = []
    for architecture in sorted(found):
        path = folder / f"sha256sum-{architecture}.txt"
        busy = f"{path}: another rke2pack is writing it"
        with filelock.held(path.with_name(f".{path.name}.lock"), busy=busy, pauses=_PAUSES):
            own = {each for each in found[architecture] if _is_as_written(each)}
            replaced += sorted(each.path for each in {*found[architecture]} - own)
            sums = {name: value for name, value in _lines(path) if (folder / name).is_file()}
            sums |= {each.path.name: each.digest.hex for each in own}
            lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
            files.write_changed(path, lines.encode())
    if replaced:
        msg = f"{replaced[0]}: another rke2pack has replaced it meanwhile"
        names = tuple(map(str, replaced[1:]))
        raise ToolError(msg, hint=filelock.HINT, details=names)


def _is_as_written(written: Written) -> bool:
    """Whether a file is still what was written, by this run or with the same bytes."""
    if written.is_untouched:
        return True
    try:
        return digest_of(written.path) == written.digest
    except OSError:
        return False


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if path.is_file():
        for line in files.read_text(path).splitlines():
            match = _LINE.match(line)
            if match is not None:
                yield match["name"], match["sum"]
