"""Delta note: what a delta archive builds upon and needs from there, ``delta.json``.

A JSON object, the same inside the tar and beside it::

    {
      "version": 1,
      "base": {"name": "rke2-images-core.linux-amd64.tar.zst", "sha256": "...", "size": 1},
      "target": {"name": "...", "sha256": "...", "size": 1},
      "images": [
        {"name": "docker.io/rancher/...:v1", "manifest": "sha256:...",
         "needs": [{"digest": "sha256:...", "size": 1}]}
      ]
    }

``sha256`` and ``size`` are the archive's, its parts joined. ``needs`` are the
blobs of the image that the base has and the delta has not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.strictjson import digest, number, objects, typed

FILE: Final = "delta.json"
MAX_BYTES: Final = 8 * 1024 * 1024
_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole archive: its file name, and what is in the file."""

    name: str
    digest: Digest
    size: int

    def to_json(self) -> dict[str, object]:
        """Return the object that the note has."""
        return {"name": self.name, "sha256": self.digest.hex, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaImage:
    """One image of the delta; ``needs`` are digests and sizes, sorted."""

    name: str
    manifest: Digest
    needs: tuple[tuple[Digest, int], ...]

    def to_json(self) -> dict[str, object]:
        """Return the object that the note has."""
        needs = [{"digest": str(digest), "size": size} for digest, size in self.needs]
        return {"name": self.name, "manifest": str(self.manifest), "needs": needs}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaNote:
    """A delta's note; ``bytes()`` of it is what the files hold."""

    base: Whole
    target: Whole
    images: tuple[DeltaImage, ...]

    @classmethod
    def parse(cls, raw: bytes, *, what: str) -> DeltaNote:
        """Read a note; raises IntegrityError that names ``what``."""
        found = strictjson.load_object(raw, what=what, max_bytes=MAX_BYTES)
        if found.get("version") != _VERSION:
            msg = f"{what}: version is not {_VERSION}"
            raise IntegrityError(msg, hint="use the rke2pack that wrote it")
        images = objects(found.get("images"), what=f"{what}: images")
        return cls(
            base=_whole(found.get("base"), f"{what}: base"),
            target=_whole(found.get("target"), f"{what}: target"),
            images=tuple(_image(each, f"{what}: images") for each in images),
        )

    @property
    def needs(self) -> dict[Digest, int]:
        """Everything that the base has to give, with sizes."""
        return dict(sorted(need for image in self.images for need in image.needs))

    def __bytes__(self) -> bytes:
        document = {
            "version": _VERSION,
            "base": self.base.to_json(),
            "target": self.target.to_json(),
            "images": [image.to_json() for image in self.images],
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _whole(found: object, what: str) -> Whole:
    own = typed(found, dict, what=what)
    return Whole(
        name=_name(own, what),
        digest=digest(own.get("sha256"), what=f"{what}: sha256"),
        size=number(own.get("size"), what=f"{what}: size"),
    )


def _image(found: Mapping[str, Any], what: str) -> DeltaImage:
    return DeltaImage(
        name=_name(found, what),
        manifest=digest(found.get("manifest"), what=f"{what}: manifest"),
        needs=tuple(
            (
                digest(each.get("digest"), what=f"{what}: digest"),
                number(each.get("size"), what=f"{what}: size"),
            )
            for each in objects(found.get("needs"), what=f"{what}: needs")
        ),
    )


def _name(found: Mapping[str, Any], what: str) -> str:
    name = typed(found.get("name"), str, what=f"{what}: name")
    if not name.isprintable():
        msg = f"{what}: name {name[:100]!r} does not print"
        raise IntegrityError(msg)
    return name
