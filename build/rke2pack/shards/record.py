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

from rke2pack import files, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.shards.shard import Shard
from rke2pack.strictjson import digest, number, objects, texts, typed

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
    what = f"{place}: no record of a shard"
    try:
        record = _parsed(strictjson.load_object(raw, what=what, max_bytes=MAX_BYTES), what)
    except IntegrityError as exc:
        raise IntegrityError(exc.message, hint=_HINT) from exc
    if path(place.parent, record.shard) != place:
        raise _wrong(place, f"it says that it is {record.shard}")
    return record


def _parsed(found: Mapping[str, Any], what: str) -> Record:
    if found.get("version") != _VERSION:
        msg = f"{what}: version is not {_VERSION}"
        raise IntegrityError(msg)
    archives = typed(found.get("archives"), dict, what=f"{what}: archives")
    return Record(
        shard=_shard(found.get("shard"), f"{what}: shard"),
        plan=digest(found.get("plan"), what=f"{what}: plan"),
        recipe=_recipe(typed(found.get("recipe"), dict, what=f"{what}: recipe"), what),
        archives=tuple(
            _packed(_name(archive, what), form, each, f"{what}: {archive}")
            for archive, forms in archives.items()
            for form, each in typed(forms, dict, what=f"{what}: {archive}").items()
        ),
        lists=_made(found.get("lists"), f"{what}: lists"),
    )


def _shard(value: object, what: str) -> Shard:
    text = typed(value, str, what=what)
    try:
        return Shard.parse(text)
    except ConfigError as exc:
        msg = f"{what}: {exc.message}"
        raise IntegrityError(msg) from exc


def _packed(archive: str, form: str, found: object, what: str) -> Packed:
    own = typed(found, dict, what=what)
    return Packed(
        archive=archive,
        form=_known(form, _FORMATS, what),
        inputs=str(digest(own.get("inputs"), what=f"{what}: inputs")),
        files=_made(own.get("files"), f"{what}: files"),
    )


def _recipe(found: Mapping[str, Any], what: str) -> RecipeNote:
    is_open = "max_size" in found and found["max_size"] is None
    formats = texts(found.get("formats"), what=f"{what}: formats")
    codings = texts(found.get("codings"), what=f"{what}: codings")
    return RecipeNote(
        profile=_known(found.get("profile"), _PROFILES, what),
        formats=tuple(_known(each, _FORMATS, what) for each in formats),
        max_size=None if is_open else number(found.get("max_size"), what=f"{what}: max_size"),
        codings=tuple(_name(each, what) for each in codings),
    )


def _made(found: object, what: str) -> tuple[Made, ...]:
    return tuple(
        Made(
            name=_name(each.get("name"), what),
            size=number(each.get("size"), what=f"{what}: size"),
            digest=digest(each.get("sha256"), what=f"{what}: sha256"),
        )
        for each in objects(found, what=what)
    )


def _name(value: object, what: str) -> str:
    """Return a name that is one plain file name."""
    name = typed(value, str, what=f"{what}: name")
    if not _NAME.match(name):
        msg = f"{what}: {name[:100]!r} is no file name"
        raise IntegrityError(msg)
    return name


def _known(value: object, known: frozenset[str], what: str) -> str:
    text = typed(value, str, what=what)
    if text not in known:
        msg = f"{what}: {text[:100]!r} is none of {', '.join(sorted(known))}"
        raise IntegrityError(msg)
    return text


def _wrong(place: Path, why: str) -> IntegrityError:
    return IntegrityError(f"{place}: no record of a shard: {why}", hint=_HINT)
