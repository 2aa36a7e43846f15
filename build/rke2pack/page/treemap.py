"""Treemap: where each component, image and layer lies, worked out here and not in the browser.

Coordinates are whole numbers from 0 to 10000 of what a tile lies in: ``x``,
``y``, width, height. A level that has more tiles than a person can tell apart
ends in one for all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import squarify

from rke2pack.page.archives import ArchivedImage
from rke2pack.page.sharing import Group, Holders, Kind, Scope

UNIT: Final = 10_000
MAX_TILES: Final = 120
_WIDTH, _HEIGHT, _HEADING = 1200.0, 620.0, 26.0
_SMALLEST = 1 / 1500  # of what it lies in, so that it can still be seen and hit
_KINDS: Mapping[Kind, int] = {"unique": 0, "component": 1, "components": 2}
Box = tuple[int, int, int, int]


@dataclass(kw_only=True)
class Treemap:
    """Collects scopes; every layer and every name is kept once, for all of them."""

    layers: dict[tuple[int, str], list[Any]] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    scopes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, scope: Scope) -> None:
        """Lay out one scope."""
        holders = Holders.of(scope.groups)
        number = len(self.scopes)
        groups = _sorted((group, sum(i.size for i in group.images)) for group in scope.groups)
        boxes = tiles([size for _, size in groups], _WIDTH, _HEIGHT)
        self.scopes.append(
            {
                "title": scope.title,
                "platform": scope.platform,
                "archive": scope.archive,
                "groups": [
                    self._group(number, group, box, holders)
                    for (group, _), box in zip(groups, boxes, strict=False)
                ],
                "rest": len(groups) - len(boxes),
            }
        )

    def _group(self, scope: int, group: Group, box: Box, holders: Holders) -> dict[str, Any]:
        sums = holders.sums(group)
        images = _sorted((image, image.size) for image in group.images)
        sizes = [size for _, size in images]
        width, height = box[2] / UNIT * _WIDTH, box[3] / UNIT * _HEIGHT
        inside = tiles(sizes, width, max(height - _HEADING, 1.0))
        alone = tiles(sizes, _WIDTH, _HEIGHT)
        return {
            "name": group.name,
            "box": box,
            "sums": [sums.alone, sums.stored, sums.shared, sums.elsewhere],
            "images": [
                self._image(scope, image, inner, outer, holders)
                for (image, _), inner, outer in zip(images, inside, alone, strict=False)
            ],
            "rest": _rest(sizes, inside, alone),
        }

    def _image(
        self, scope: int, image: ArchivedImage, inner: Box, outer: Box, holders: Holders
    ) -> dict[str, Any]:
        sizes = {layer.digest: layer.size for layer in image.layers}
        layers = _sorted(sizes.items())
        width, height = outer[2] / UNIT * _WIDTH, outer[3] / UNIT * _HEIGHT
        numbers = [size for _, size in layers]
        inside = tiles(numbers, width, max(height - _HEADING, 1.0))
        alone = tiles(numbers, _WIDTH, _HEIGHT)
        return {
            "name": self._name(image.reference),
            "box": inner,
            "zoom": outer,
            "size": image.size,
            "shared": sum(s for d, s in sizes.items() if holders.kind(d) != "unique"),
            "layers": [self._layer(scope, digest, holders) for digest, _ in layers[: len(inside)]],
            "boxes": [list(box) for box in inside],
            "zooms": [list(box) for box in alone],
            "rest": len(layers) - len(inside),
        }

    def _layer(self, scope: int, digest: str, holders: Holders) -> int:
        if (scope, digest) not in self.layers:
            images = [self._name(name) for name in holders.images[digest]]
            self.layers[scope, digest] = [
                len(self.layers),
                digest.removeprefix("sha256:"),
                holders.sizes[digest],
                _KINDS[holders.kind(digest)],
                images if len(images) > 1 else [],
            ]
        number: int = self.layers[scope, digest][0]
        return number

    def _name(self, reference: str) -> int:
        return self.names.setdefault(reference, len(self.names))

    def to_json(self) -> dict[str, Any]:
        """Return names, layers (digest, size, kind, the numbers of who shares it) and scopes."""
        return {
            "names": list(self.names),
            "layers": [each[1:] for each in self.layers.values()],
            "scopes": self.scopes,
        }


def tiles(sizes: Sequence[int], width: float, height: float) -> list[Box]:
    """Return a box for each size, largest first, that together fill ``width`` x ``height``.

    At most `MAX_TILES`; where there are more sizes there are fewer boxes, and
    the last box's place is left for the rest.
    """
    kept = list(sizes[:MAX_TILES])
    left = sum(sizes[MAX_TILES:])
    total = float(sum(sizes)) or float(len(sizes))
    values = [max(float(size), total * _SMALLEST) for size in kept]
    if left:
        values.append(max(float(left), total * _SMALLEST))
    values.sort(reverse=True)
    normal = squarify.normalize_sizes(values, width, height)
    found = [_box(each, width, height) for each in squarify.squarify(normal, 0, 0, width, height)]
    return found[: len(kept)]


def _box(found: Mapping[str, float], width: float, height: float) -> Box:
    """Round the edges, not the lengths, so that neighbours still touch."""
    left, top = round(found["x"] / width * UNIT), round(found["y"] / height * UNIT)
    right = round((found["x"] + found["dx"]) / width * UNIT)
    bottom = round((found["y"] + found["dy"]) / height * UNIT)
    return left, top, min(right, UNIT) - left, min(bottom, UNIT) - top


def _sorted(sized: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Order by size, the largest first; what is equal keeps its order."""
    return sorted(sized, key=lambda each: -each[1])


def _rest(sizes: Sequence[int], *boxes: Sequence[Box]) -> int:
    return len(sizes) - min(map(len, boxes))
