"""The values of a planned bump."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack.finding import Finding
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff
from rke2pack.helm.manifest import ChartReference, removed
from rke2pack.helm.version import ChartVersion, Resolution
from rke2pack.tree.versions import BundledChart


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for on the command line; ``message`` None: the bump's own."""

    chart: str
    version: str
    branch: str | None
    message: str | None
    is_signed_off: bool
    moves_alone: bool
    allows_downgrade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One chart that goes to another version, or is removed (then there is no ``new``).

    ``old`` is None where the bundled version is not in the chart repository.
    ``diff`` is None where there is nothing to compare with; ``no_diff`` says why.
    """

    entry: BundledChart
    version: ChartVersion
    source: str
    reference: ChartReference | None
    new: Chart | None
    old: Chart | None
    diff: ChartDiff | None
    no_diff: str = ""

    @property
    def digest(self) -> str:
        """The new archive's digest; empty for a removal."""
        return str(self.new.digest) if self.new is not None else ""

    @property
    def address(self) -> str:
        """Where the tree's manifest finds the archive; empty for a removal."""
        return self.reference.url if self.reference is not None else ""

    @property
    def manifest(self) -> str:
        """The new text of the chart's manifest in the tree."""
        return str(self.reference) if self.reference is not None else removed(self.entry.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file that the bump owns, with its old and new content (old None: not there)."""

    path: Path
    old: bytes | None
    new: bytes
    is_tracked: bool

    @property
    def is_changed(self) -> bool:
        """Whether anything is to be written."""
        return self.old != self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """What a component's section of images.txt gains and loses, gains with their proof."""

    component: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    proofs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A bump that is ready to be written; ``moves[0]`` is the chart that was asked for."""

    resolution: Resolution
    moves: tuple[Move, ...]
    files: tuple[FileChange, ...]
    images: tuple[ImageChange, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What a bump does to the lists of a tree: ``files`` are committed, ``generated`` ones not."""

    files: Mapping[Path, bytes]
    generated: Mapping[Path, bytes]
    images: tuple[ImageChange, ...]
    findings: tuple[Finding, ...]
