"""Checksum lists, ``sha256sum-<arch>.txt``, under the names of RKE2's release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import PackError
from rke2pack.finding import Result
from rke2pack.release.asset import Asset

PATTERN = "sha256sum-*.txt"
_LINE = re.compile(r"(?P<sum>[0-9a-f]{64}) [ *](?P<name>[^/\s]+)\Z")


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What the ``sha256sum-*.txt`` of a folder say; ``wrong`` are lines that say nothing."""

    folder: Path
    lists: tuple[str, ...]
    known: Mapping[str, tuple[str, Digest]]
    wrong: tuple[Result, ...]


def list_name(architecture: str) -> str:
    """Return the name of an architecture's list."""
    return f"sha256sum-{architecture}.txt"


def read(folder: Path) -> Sums:
    """Read the checksum lists of a folder."""
    known: dict[str, tuple[str, Digest]] = {}
    lists, wrong = [], []
    for path in sorted(folder.glob(PATTERN)):
        lists.append(path.name)
        try:
            lines = files.read_text(path).splitlines()
        except PackError as exc:
            wrong.append(_wrong(path.name, exc.message))
            continue
        for number, line in enumerate(lines, start=1):
            match = _LINE.match(line)
            if match is None:
                wrong.append(_wrong(path.name, f"line {number} is no checksum"))
            elif match["name"] in known and known[match["name"]][1].hex != match["sum"]:
                wrong.append(_wrong(match["name"], "has two different checksums"))
            else:
                known[match["name"]] = (path.name, Digest(match["sum"]))
    return Sums(folder=folder, lists=tuple(lists), known=known, wrong=tuple(wrong))


def lists_of(assets: Iterable[Asset], architectures: Iterable[str]) -> Mapping[str, bytes]:
    """Return a list for each architecture: its own files, and those of every machine."""
    every = tuple(assets)
    found = {}
    for architecture in sorted(architectures):
        own = [each for each in every if each.architecture in {"", architecture}]
        lines = sorted((each.name, each.digest.hex) for each in own)
        found[list_name(architecture)] = "".join(f"{hex_}  {name}\n" for name, hex_ in lines)
    return {name: text.encode() for name, text in found.items()}


def _wrong(subject: str, detail: str) -> Result:
    return Result(subject=subject, check="checksum", status="failed", detail=detail)
