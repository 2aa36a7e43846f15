"""images.lock: what every image of images.txt was when it was reviewed.

A JSON object, written with two spaces, sorted by reference and platform, so
that a change is a few lines of a diff::

    {
      "version": 1,
      "images": {
        "docker.io/rancher/mirrored-pause:3.6": {
          "digest": "sha256:...",      what the tag points at: an index, or a manifest
          "mediaType": "application/vnd.oci.image.index.v1+json",
          "size": 2760,                bytes of that document
          "platforms": {
            "linux/amd64": {
              "manifest": "sha256:...",
              "config": "sha256:...",
              "blobs": 2,              config and layers, each digest once
              "bytes": 301773,         their sum, without the manifest
              "layers": {              which layers, so that what images share is known
                "sha256:...": 300317
              }
            }
          }
        }
      }
    }

A platform is written as components.yaml asks for it. Where images are built
here and pushed later, ``unlocked`` is a list of their references.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rke2pack import files, strictjson
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.settings import TREE_LOCK, Settings
from rke2pack.strictjson import digest, number, typed

NAME: Final = TREE_LOCK
MAX_BYTES: Final = 32 * 1024 * 1024
_VERSION: Final = 1
_REWRITE: Final = "write it anew with 'rke2pack images --lock'"
_IMAGE_KEYS: Final = {"digest", "mediaType", "size", "platforms"}
_PLATFORM_KEYS: Final = {"manifest", "config", "blobs", "bytes", "layers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPlatform:
    """One platform's image; ``size`` is the bytes of its ``blobs``, config and layers.

    ``layers`` are digests and bytes, empty in a lock that was written without.
    """

    platform: Platform
    manifest: Digest
    config: Digest
    blobs: int
    size: int
    layers: tuple[tuple[Digest, int], ...] = field(default=(), compare=False)

    def to_json(self) -> dict[str, object]:
        """Return the object that the lock has."""
        document: dict[str, object] = {
            "manifest": str(self.manifest),
            "config": str(self.config),
            "blobs": self.blobs,
            "bytes": self.size,
        }
        if self.layers:
            document["layers"] = {str(digest): size for digest, size in self.layers}
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """One image: ``root`` is what its tag points at; platforms are sorted."""

    reference: Reference
    root: Descriptor
    platforms: tuple[LockedPlatform, ...]

    def to_json(self) -> dict[str, object]:
        """Return the object that the lock has."""
        return {
            "digest": str(self.root.digest),
            "mediaType": self.root.media_type,
            "size": self.root.size,
            "platforms": {str(each.platform): each.to_json() for each in self.platforms},
        }

    def is_for(self, platforms: Iterable[Platform]) -> bool:
        """Whether it has an entry for each of the platforms and for no other."""
        return {each.platform for each in self.platforms} == {*platforms}

    def platform(self, platform: Platform) -> LockedPlatform | None:
        """Return what is locked for a platform: the first entry that it satisfies."""
        return next((each for each in self.platforms if platform.satisfies(each.platform)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The locked images, sorted; ``what`` names the file in messages.

    ``unlocked`` are images that are left out on purpose.
    """

    images: tuple[LockedImage, ...]
    unlocked: tuple[Reference, ...] = ()
    what: str = NAME
    _known: dict[Reference, LockedImage] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the images, the same ones always make the same text."""
        ordered = sorted(self.images, key=lambda image: str(image.reference))
        object.__setattr__(self, "images", tuple(ordered))
        object.__setattr__(self, "unlocked", tuple(sorted(self.unlocked, key=str)))
        object.__setattr__(self, "_known", {image.reference: image for image in ordered})

    @classmethod
    def parse(cls, text: str, *, what: str) -> Lock:
        """Read images.lock; raises ConfigError that names ``what`` and the wrong entry."""
        try:
            return cls._parsed(text.encode(), what)
        except IntegrityError as exc:
            raise ConfigError(exc.message, hint=_REWRITE) from exc

    @classmethod
    def _parsed(cls, text: bytes, what: str) -> Lock:
        raw = strictjson.load_object(text, what=what, max_bytes=MAX_BYTES)
        if raw.get("version") != _VERSION or isinstance(raw["version"], bool | float):
            msg = f"{what}: version is not {_VERSION}"
            raise ConfigError(msg, hint="use the rke2pack that wrote it, or write it anew")
        _check_keys(raw, {"version", "images", "unlocked"}, what)
        entries = typed(raw.get("images"), dict, what=f"{what}: images")
        names = typed(raw.get("unlocked", []), list, what=f"{what}: unlocked")
        images = tuple(_image(name, each, f"{what}: {name}") for name, each in entries.items())
        unlocked = tuple(_reference(name, f"{what}: unlocked") for name in names)
        twice = {each.reference for each in images} & {*unlocked}
        if twice or len({*unlocked}) != len(unlocked):
            msg = f"{what}: unlocked: {min(map(str, twice or unlocked))} stands twice"
            raise ConfigError(msg, hint=_REWRITE)
        return cls(images=images, unlocked=unlocked, what=what)

    def get(self, reference: Reference) -> LockedImage | None:
        """Return what is locked for a reference with a tag; None where nothing is."""
        return self._known.get(reference)

    def in_registry(self, registry: str | None) -> Lock:
        """Return the same images as they are called with ``--registry``; None changes nothing."""
        if registry is None:
            return self
        images = tuple(
            replace(image, reference=image.reference.with_registry(registry))
            for image in self.images
        )
        unlocked = tuple(each.with_registry(registry) for each in self.unlocked)
        return Lock(images=images, unlocked=unlocked, what=self.what)

    def check(self, reference: Reference, got: Digest, *, manifest: Digest | None = None) -> None:
        """Raise IntegrityError unless ``got`` is the locked digest of what the tag points at.

        Or unless ``manifest``, the one that is used, is a locked one: an archive
        has no index. Nothing is checked for an image that is not locked.
        """
        image = self.get(reference)
        if image is None or image.root.digest == got:
            return
        if manifest is not None and manifest in {each.manifest for each in image.platforms}:
            return
        msg = f"{reference}: the tag moved, {self.what} has {image.root.digest}, it is {got}"
        raise IntegrityError(msg, hint=MOVED_HINT)

    def __str__(self) -> str:
        document: dict[str, object] = {
            "version": _VERSION,
            "images": {str(image.reference): image.to_json() for image in self.images},
        }
        if self.unlocked:
            document["unlocked"] = list(map(str, self.unlocked))
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


MOVED_HINT: Final = (
    "find out who moved it; lock it anew with 'rke2pack images --lock', "
    "or accept it once with --allow-moved-tags"
)


def read(path: Path) -> Lock | None:
    """Read a tree's lock; None where it has none. Raises ConfigError or ToolError."""
    return Lock.parse(files.read_text(path), what=str(path)) if path.exists() else None


def of(settings: Settings) -> Lock | None:
    """Read the lock beside the settings' tree, with its images as ``--registry`` calls them.

    None where the folder has none; it need not be a tree, as where archives are
    validated beside the lock that they came with. Raises ConfigError or ToolError.
    """
    found = read(settings.tree / NAME)
    return found.in_registry(settings.registry) if found else None


def locked(
    reference: Reference, root: Descriptor, platforms: Iterable[LockedPlatform]
) -> LockedImage:
    """Make an entry; platforms are sorted as they are written."""
    ordered = tuple(sorted(platforms, key=lambda each: str(each.platform)))
    return LockedImage(reference=reference, root=root, platforms=ordered)


def _image(name: str, entry: object, what: str) -> LockedImage:
    found = typed(entry, dict, what=what)
    _check_keys(found, _IMAGE_KEYS, what)
    reference = _reference(name, what)
    media_type = typed(found.get("mediaType"), str, what=f"{what}: mediaType")
    if not media.is_document(media_type):
        msg = f"{what}: mediaType {media_type[:100]!r} is neither a manifest's nor an index's"
        raise ConfigError(msg, hint=_REWRITE)
    platforms = typed(found.get("platforms"), dict, what=f"{what}: platforms")
    if not platforms:
        msg = f"{what}: locks no platform"
        raise ConfigError(msg, hint=_REWRITE)
    root = Descriptor(
        media_type=media_type,
        digest=_digest(found.get("digest"), f"{what}: digest"),
        size=number(found.get("size"), what=f"{what}: size"),
    )
    return locked(reference, root, (_platform(n, e, f"{what}: {n}") for n, e in platforms.items()))


def _reference(name: object, what: str) -> Reference:
    text = typed(name, str, what=what)
    try:
        reference = Reference.parse(text)
    except ConfigError as exc:
        msg = f"{what}: {exc.message}"
        raise ConfigError(msg, hint=_REWRITE) from exc
    if str(reference) != text or not reference.tag or reference.digest is not None:
        msg = f"{what}: not a full reference with registry and tag"
        raise ConfigError(msg, hint=_REWRITE)
    return reference


def _platform(name: str, entry: object, what: str) -> LockedPlatform:
    found = typed(entry, dict, what=what)
    _check_keys(found, _PLATFORM_KEYS, what)
    try:
        platform = Platform.parse(name)
    except ConfigError as exc:
        msg = f"{what}: {exc.message}"
        raise ConfigError(msg, hint=_REWRITE) from exc
    if str(platform) != name:
        msg = f"{what}: write it as {platform}"
        raise ConfigError(msg, hint=_REWRITE)
    layers = _layers(found, f"{what}: layers")
    size = number(found.get("bytes"), what=f"{what}: bytes")
    if sum(length for _, length in layers) > size:
        msg = f"{what}: its layers are larger than its bytes"
        raise ConfigError(msg, hint=_REWRITE)
    return LockedPlatform(
        platform=platform,
        manifest=_digest(found.get("manifest"), f"{what}: manifest"),
        config=_digest(found.get("config"), f"{what}: config"),
        blobs=number(found.get("blobs"), what=f"{what}: blobs"),
        size=size,
        layers=layers,
    )


def _layers(found: Mapping[str, Any], what: str) -> tuple[tuple[Digest, int], ...]:
    """Read which layers there are; locks were once written without."""
    entries = typed(found.get("layers", {}), dict, what=what)
    return tuple(
        (_digest(name, f"{what}: {name}"), number(size, what=f"{what}: {name}"))
        for name, size in entries.items()
    )


def _check_keys(found: Mapping[str, Any], known: set[str], what: str) -> None:
    strange = sorted(found.keys() - known)
    if strange:
        msg = f"{what}: {strange[0][:100]!r} is no key of it"
        raise ConfigError(msg, hint=_REWRITE)


def _digest(value: object, what: str) -> Digest:
    text = typed(value, str, what=what)
    if not text.startswith("sha256:"):
        msg = f"{what}: not a sha256 digest: {text[:100]!r}"
        raise ConfigError(msg, hint=_REWRITE)
    return digest(text, what=what)
