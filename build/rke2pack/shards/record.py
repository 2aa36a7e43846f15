"""Record: what a shard has made, ``shard-2-of-5.json`` beside its archives.

A JSON object: ``version``, ``shard``, ``plan`` (the digest of the plan),
``recipe`` (profile, formats, max_size and the exact codings), ``archives`` (name
-> format -> ``inputs``, ``files``) and ``lists``; a file is ``name``, ``size``,
``sha256``. It comes from another machine and is read strictly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.oci import strictjson
from rke2pack.shards.shard import Shard

MAX_BYTES = 16 * 1024 * 1024
_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z")
_FORMATS = frozenset({"zst", "gz"})
_PROFILES = frozenset({"fast", "default", "small"})
_HINT = "run that shard again; do not edit its record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One file that a shard wrote."""

    name: str
    size: int
    digest: Digest

    def to_json(self) -> dict[str, object]:
        """Return the object that the record has."""
        return {"name": self.name, "size": self.size, "sha256": self.digest.hex}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One archive in one format: all that decided its bytes, and the file or its parts."""

    archive: str
    form: str
    inputs: str
    files: tuple[Made, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeNote:
    """How archives were made; ``codings`` tell libraries of other versions apart."""

    profile: str
    formats: tuple[str, ...]
    max_size: int | None
    codings: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the object that the record has."""
        return {
            "profile": self.profile,
            "formats": list(self.formats),
            "max_size": self.max_size,
            "codings": list(self.codings),
        }

    def options(self) -> str:
        """Return the options of airgap that ask for this."""
        formats = " ".join(f"--format {each}" for each in self.formats)
        size = f" --max-size {self.max_size}B" if self.max_size else ""
        return f"--profile {self.profile} {formats}{size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that one shard has made."""

    shard: Shard
    plan: Digest
    recipe: RecipeNote
    archives: tuple[Packed, ...]
    lists: tuple[Made, ...]

    @property
    def files(self) -> tuple[Made, ...]:
        """Every file of the shard."""
        return (*(each for packed in self.archives for each in packed.files), *self.lists)

    def __str__(self) -> str:
        archives: dict[str, dict[str, object]] = {}
        for packed in self.archives:
            made = [each.to_json() for each in packed.files]
            own = archives.setdefault(packed.archive, {})
            own[packed.form] = {"inputs": packed.inputs, "files": made}
        document = {
            "version": _VERSION,
            "shard": str(self.shard),
            "plan": str(self.plan),
            "recipe": self.recipe.to_json(),
            "archives": archives,
            "lists": [each.to_json() for each in self.lists],
        }
        return json.dumps(document, indent=2) + "\n"


def path(folder: Path, shard: Shard) -> Path:
    """Return where the record of a shard is or would be."""
    return folder / f"shard-{shard.number}-of-{shard.count}.json"


def read(place: Path) -> Record:
    """Read a record; raises IntegrityError that names the file."""
    with files.reported("read", place):
        size = place.lstat().st_size if place.is_file() and not place.is_symlink() else -1
    if not 0 <= size <= MAX_BYTES:
        raise _wrong(place, "not a file, or too large")
    with files.reported("read", place):
        raw = place.read_bytes()
    found = strictjson.load_object(raw, what=str(place), max_bytes=MAX_BYTES)
    try:
        record = _parsed(found)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise _wrong(place, f"{type(exc).__name__}: {str(exc)[:100]}") from exc
    except (ConfigError, IntegrityError) as exc:
        raise _wrong(place, exc.message) from exc
    if path(place.parent, record.shard) != place:
        raise _wrong(place, f"it says that it is {record.shard}")
    return record


def _parsed(found: Mapping[str, Any]) -> Record:
    if found["version"] != _VERSION:
        msg = f"version {found['version']!r} is not {_VERSION}"
        raise ValueError(msg)
    return Record(
        shard=Shard.parse(_text(found["shard"])),
        plan=Digest.parse(_text(found["plan"])),
        recipe=_recipe(found["recipe"]),
        archives=tuple(
            Packed(
                archive=_name(archive),
                form=_known(form, _FORMATS),
                inputs=str(Digest.parse(_text(each["inputs"]))),
                files=tuple(map(_made, each["files"])),
            )
            for archive, forms in found["archives"].items()
            for form, each in forms.items()
        ),
        lists=tuple(map(_made, found["lists"])),
    )


def _recipe(found: Mapping[str, Any]) -> RecipeNote:
    size = found["max_size"]
    return RecipeNote(
        profile=_known(found["profile"], _PROFILES),
        formats=tuple(_known(each, _FORMATS) for each in found["formats"]),
        max_size=None if size is None else _number(size),
        codings=tuple(map(_name, found["codings"])),
    )


def _made(found: Mapping[str, Any]) -> Made:
    return Made(
        name=_name(found["name"]),
        size=_number(found["size"]),
        digest=Digest.parse(_text(found["sha256"])),
    )


def _name(value: object) -> str:
    """Return a name that is one plain file name."""
    if not _NAME.match(_text(value)):
        msg = f"{str(value)[:100]!r} is no file name"
        raise ValueError(msg)
    return str(value)


def _known(value: object, known: frozenset[str]) -> str:
    if _text(value) not in known:
        msg = f"{str(value)[:100]!r} is none of {', '.join(sorted(known))}"
        raise ValueError(msg)
    return str(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{type(value).__name__} in place of text"
        raise TypeError(msg)
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        msg = f"{str(value)[:100]} is no size"
        raise ValueError(msg)
    return value


def _wrong(place: Path, why: str) -> IntegrityError:
    return IntegrityError(f"{place}: no record of a shard: {why}", hint=_HINT)
