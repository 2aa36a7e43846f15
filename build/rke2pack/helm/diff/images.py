"""Images that the pods of a chart run, each with where it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from rke2pack.helm.diff.objects import Objects
from rke2pack.helm.diff.plain import Item, Path, Plain, dotted

_CONTAINER_LISTS = frozenset({"containers", "ephemeralContainers", "initContainers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """An ``image`` field of a pod spec: the exact text, the object and the field's path."""

    image: str
    object: str
    path: str

    def to_json(self) -> dict[str, Plain]:
        """Return object and path."""
        return {"object": self.object, "path": self.path}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesDiff:
    """Images that only one side runs, sorted; ``uses`` proves each of them."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    uses: tuple[ImageUse, ...] = field(default=(), repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether both sides run the same images."""
        return not (self.added or self.removed)

    def to_json(self) -> dict[str, Plain]:
        """Return added, removed and proofs (image -> uses)."""
        proofs: dict[str, Plain] = {
            image: [use.to_json() for use in self.uses if use.image == image]
            for image in sorted({*self.added, *self.removed})
        }
        return {"added": list(self.added), "removed": list(self.removed), "proofs": proofs}

    def lines(self) -> Iterator[str]:
        """Yield one line an image, or one that says that none changed."""
        if self.is_empty:
            yield "images: no changes"
        proofs = {use.image: f"{use.object} {use.path}" for use in reversed(self.uses)}
        yield from (f"images: added {image} ({proofs[image]})" for image in self.added)
        yield from (f"images: removed {image} ({proofs[image]})" for image in self.removed)


def compare_images(old: Objects, new: Objects) -> ImagesDiff:
    """Compare the images of all pod specs, also those inside custom resources."""
    before, after = _uses(old), _uses(new)
    added = tuple(sorted(after.keys() - before.keys()))
    removed = tuple(sorted(before.keys() - after.keys()))
    uses = [use for image in added for use in after[image]]
    uses += [use for image in removed for use in before[image]]
    return ImagesDiff(added=added, removed=removed, uses=tuple(uses))


def _uses(objects: Objects) -> dict[str, list[ImageUse]]:
    found: dict[str, list[ImageUse]] = defaultdict(list)
    for item in objects:
        for path, image in _images(dict(item.body), ()):
            use = ImageUse(image=image, object=str(item.key), path=dotted(path))
            found[image].append(use)
    return found


def _images(value: Plain, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _images(item, (*path, Item(_step(item, index))))
    elif isinstance(value, dict):
        image = value.get("image")
        is_container = len(path) > 1 and path[-2] in _CONTAINER_LISTS
        if is_container and isinstance(image, str) and image:
            yield (*path, "image"), image
        for key, child in value.items():
            yield from _images(child, (*path, key))


def _step(item: Plain, index: int) -> int | str:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else index
