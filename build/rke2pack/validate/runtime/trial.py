"""Trial: what became of one archive in one runtime, as the runtime itself tells it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from rke2pack.errors import ToolError
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.view import SeenImage
from rke2pack.validate.report import Report
from rke2pack.validate.runtime.archive import Archive

_MAX_SAID = 400
_NO_ROOM = ("no space left on device", "disk quota exceeded", "not enough space")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One image that was expected, and what the runtime has of it.

    ``target`` is the digest that the name points at, ``manifest`` that of this
    platform's (empty where the runtime keeps none), ``identity`` the config's or
    another id of the runtime, ``diff_ids`` its unpacked layers. ``lacks`` are digests
    of blobs, ``unreadable`` and ``still_packed`` say why; the latter is None where
    it was not tried.
    """

    expected: SeenImage
    target: str
    manifest: str = ""
    identity: str = ""
    platform: Platform | None = None
    diff_ids: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    unreadable: str = ""
    still_packed: str | None = None


@dataclass(kw_only=True)
class Trial:
    """What a runtime made of an archive.

    ``refused`` are its words where it took nothing. ``names`` are all names that
    came, with what they point at. ``tags`` are the further names that a node
    gives each image, ``not_made`` the checks that this runtime does not allow.
    """

    refused: str = ""
    how: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[Reference, tuple[SeenImage, ...]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    tags: dict[Reference, dict[str, str]] = field(default_factory=dict)
    unpinned: list[str] = field(default_factory=list)
    not_made: dict[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """A container runtime that takes archives."""

    @property
    def title(self) -> str:
        """Its name and version."""

    def passes_over(self, archive: Archive) -> str:
        """Say why an archive is nothing for it; empty where it is."""

    def trial(
        self, archive: Archive, *, registry: str | None, report: Report
    ) -> AbstractContextManager[Trial]:
        """Import an archive, name it as a node does, and remove it at the end of the block.

        ``report`` gets the times and what else a person should know. Raises
        ToolError where the runtime is out of room or does not answer.
        """


def line(text: object) -> str:
    """Return what a runtime said on one line."""
    return " ".join(str(text).split())[:_MAX_SAID]


def check_room(said: str, *, title: str, archive: str) -> None:
    """Raise ToolError where a runtime says that its disk is full."""
    if any(words in said.lower() for words in _NO_ROOM):
        msg = f"{archive}: {title} has no room left: {line(said)}"
        hint = "free space where it keeps its images, or give fewer archives at a time"
        raise ToolError(msg, hint=hint)
