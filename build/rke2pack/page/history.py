"""History: sizes of earlier releases, in a file that each report of a release adds itself to.

A JSON object, sorted as the releases were added::

    {
      "version": 1,
      "releases": [
        {
          "release": "v1.32.4+rke2r1",
          "images": {"linux/amd64": 61, "linux/arm64": 52},
          "archives": {"linux/amd64": {"core": 812345678, "canal": 98765432}}
        }
      ]
    }

``images`` counts the references of a platform; ``archives`` has the bytes of the
file of every component, in the first of its formats. A release that is there
already is replaced in its place, so that a report can be made twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rke2pack import filelock, files, strictjson
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.page.archives import PageArchive
from rke2pack.page.images import PageImage
from rke2pack.strictjson import number, typed

MAX_RELEASES: Final = 200
MAX_BYTES: Final = 8 * 1024 * 1024
_VERSION: Final = 1
_PAUSES: Final = 200
_MAX_NUMBER: Final = 2**53 - 1
_HINT: Final = "give the file that an earlier report wrote, or a name that is not there yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One release: images by platform, and bytes by platform and component."""

    name: str
    images: Mapping[str, int]
    archives: Mapping[str, Mapping[str, int]]

    def total(self, platform: str) -> int:
        """Return the bytes of all archives of a platform."""
        return sum(self.archives.get(platform, {}).values())

    def to_json(self) -> dict[str, Any]:
        """Return the object that the file has."""
        return {
            "release": self.name,
            "images": dict(self.images),
            "archives": {name: dict(sizes) for name, sizes in self.archives.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Releases in the order in which they were added."""

    releases: tuple[Release, ...]

    def with_release(self, release: Release) -> History:
        """Return the history with a release added, or replaced in its place."""
        names = [each.name for each in self.releases]
        if release.name in names:
            kept = [release if each.name == release.name else each for each in self.releases]
        else:
            kept = [*self.releases, release]
        return History(releases=tuple(kept[-MAX_RELEASES:]))

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that have archives in any release, sorted."""
        return tuple(sorted({name for each in self.releases for name in each.archives}))

    @property
    def components(self) -> tuple[str, ...]:
        """The components of any release, sorted."""
        sizes = (own for each in self.releases for own in each.archives.values())
        return tuple(sorted({name for own in sizes for name in own}))

    def to_json(self) -> dict[str, Any]:
        """Return the document of the file."""
        return {"version": _VERSION, "releases": [each.to_json() for each in self.releases]}

    def __str__(self) -> str:
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> History:
    """Read the file, an empty history where there is none yet; raises ConfigError."""
    return parse(files.read_text(path), what=str(path)) if path.exists() else History(releases=())


def add(path: Path, made: History, *, name: str) -> None:
    """Write what ``made`` has of the release ``name`` into the file, beside what others added.

    Raises ConfigError, and ToolError while another process writes it for long.
    """
    busy = f"{path}: another rke2pack is writing it"
    with filelock.held(path.with_name(f".{path.name}.lock"), busy=busy, pauses=_PAUSES):
        found = read(path)
        for each in made.releases:
            if each.name == name:
                found = found.with_release(each)
        files.write_changed(path, str(found).encode())


def parse(text: str, *, what: str) -> History:
    """Read a history's text; raises ConfigError that names ``what`` and the wrong entry."""
    try:
        return _parsed(text.encode(), what)
    except IntegrityError as exc:
        raise ConfigError(exc.message, hint=_HINT) from exc


def _parsed(text: bytes, what: str) -> History:
    raw = strictjson.load_object(text, what=what, max_bytes=MAX_BYTES)
    entries = raw.get("releases")
    if raw.get("version") != _VERSION or not isinstance(entries, list):
        msg = f"{what}: not a history of releases"
        raise ConfigError(msg, hint=_HINT)
    found = tuple(_release(each, f"{what}: release {n}") for n, each in enumerate(entries, 1))
    names = [each.name for each in found]
    if len(set(names)) != len(names) or len(names) > MAX_RELEASES:
        msg = f"{what}: a release stands twice, or there are more than {MAX_RELEASES}"
        raise ConfigError(msg, hint=_HINT)
    return History(releases=found)


def release_of(name: str, images: Iterable[PageImage], archives: Iterable[PageArchive]) -> Release:
    """Return what there is to remember of a release."""
    counts: dict[str, int] = {}
    for image in images:
        for platform in image.platforms:
            counts[platform] = counts.get(platform, 0) + 1
    sizes: dict[str, dict[str, int]] = {}
    for archive in archives:
        if archive.component:
            sizes.setdefault(archive.platform, {})[archive.component] = archive.size
    return Release(name=name, images=counts, archives=sizes)


def _release(entry: object, what: str) -> Release:
    if not isinstance(entry, dict) or not isinstance(entry.get("release"), str):
        msg = f"{what}: has no name"
        raise ConfigError(msg, hint=_HINT)
    archives = typed(entry.get("archives", {}), dict, what=f"{what}: archives")
    return Release(
        name=entry["release"],
        images=_numbers(entry.get("images", {}), f"{what}: images"),
        archives={name: _numbers(own, f"{what}: {name}") for name, own in archives.items()},
    )


def _numbers(found: object, what: str) -> dict[str, int]:
    pairs = typed(found, dict, what=what).items()
    return {name: number(each, what=f"{what}: {name}", most=_MAX_NUMBER) for name, each in pairs}
