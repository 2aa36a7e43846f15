"""Image discovery in one chart: which images its objects name, with the proof.

Charts are rendered with a marker as the system-default-registry. An image that
starts with the marker follows the setting; one that does not would be pulled
from elsewhere on an air-gapped node. Two kinds of places are told apart:

- *required*: ``image`` of a container, an image volume, or any custom
  resource's ``image`` field (pod templates inside them included);
- *mentioned*: image-shaped text anywhere else (environment, arguments,
  ConfigMaps, custom resources), from which a program may start pods.

Objects that only ``helm test`` makes are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack.helm.render import RenderedObject

MARKER = "system-default-registry.invalid"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})+|localhost)(?::\d{{1,5}})?"
_MENTION = re.compile(
    rf"(?<![\w.:/@-])((?:{_HOST}/)?{_PART}(?:/{_PART})+"
    r":(?=[\w.-]*\d|latest\b)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@sha256:[0-9a-f]{64})?)(?![\w/:])"
)
_MARKED = re.compile(
    rf"{re.escape(MARKER)}/({_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?)"
)
_NOT_TAGS = re.compile(r":\d{1,5}\Z")
_TEST_HOOKS = frozenset({"test", "test-success", "test-failure"})
_TEXT_MAPS = re.compile(
    r"\.(?:labels|annotations|matchLabels|nodeSelector|data|stringData|binaryData)\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ImageUse:
    """One place where a rendered chart names an image.

    ``image`` is the text without the marker; ``follows_registry`` whether the
    marker stood there. ``path`` is the field's path in the object.
    """

    image: str
    chart: str
    version: str
    variant: str
    template: str
    object: str
    path: str
    is_required: bool
    follows_registry: bool

    def __str__(self) -> str:
        """Write the proof as one line."""
        return (
            f"{self.chart} {self.version} (variant {self.variant}), {self.template}: "
            f"{self.object} {self.path}"
        )


def registry_values() -> dict[str, Any]:
    """Return the values that set the marker, under both names that charts read."""
    return {
        "global": {"systemDefaultRegistry": MARKER, "cattle": {"systemDefaultRegistry": MARKER}}
    }


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge values; later layers win, mappings are merged."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            own = result.get(key)
            both = isinstance(own, dict) and isinstance(value, Mapping)
            result[key] = merged(own or {}, value) if both else value
    return result


def discover(
    objects: Iterable[RenderedObject], *, chart: str, version: str, variant: str
) -> tuple[ImageUse, ...]:
    """Return every use of an image in ``objects``, sorted, each place once."""
    found: set[ImageUse] = set()
    for rendered in objects:
        if rendered.is_crd or not _may_hold_images(rendered.text) or _is_test(rendered):
            continue
        for image, path, is_required in _walk(rendered.body, ""):
            marked = image.startswith(f"{MARKER}/")
            found.add(
                ImageUse(
                    image=image.removeprefix(f"{MARKER}/"),
                    chart=chart,
                    version=version,
                    variant=variant,
                    template=rendered.template,
                    object=rendered.label,
                    path=path.lstrip("."),
                    is_required=is_required,
                    follows_registry=marked,
                )
            )
    return tuple(sorted(found))


def _is_test(rendered: RenderedObject) -> bool:
    """Whether only ``helm test`` makes the object: no installed chart ever starts it."""
    metadata = rendered.body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    hooks = annotations.get("helm.sh/hook") if isinstance(annotations, Mapping) else None
    names = [name.strip() for name in str(hooks or "").split(",")]
    return all(name in _TEST_HOOKS for name in names)


def _may_hold_images(text: str) -> bool:
    return "image" in text or MARKER in text or _MENTION.search(text) is not None


def _walk(node: object, path: str) -> Iterator[tuple[str, str, bool]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            here = f"{path}.{key}"
            if isinstance(value, str) and _is_image_field(key, path):
                if value.strip():
                    yield value.strip(), here, True
            else:
                yield from _walk(value, here)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _walk(value, f"{path}[{number}]")
    elif isinstance(node, str):
        for image in _mentions(node):
            yield image, path, False


def _is_image_field(key: object, path: str) -> bool:
    """``image`` of anything, and ``reference`` of an image volume (Kubernetes 1.31).

    Not in labels, annotations or a ConfigMap's data, whose keys are people's own.
    """
    return (key == "image" and not _TEXT_MAPS.search(path)) or (
        key == "reference" and bool(re.search(r"\.volumes\[\d+\]\.image\Z", path))
    )


def _mentions(text: str) -> Iterator[str]:
    marked = {f"{MARKER}/{found}" for found in _MARKED.findall(text)}
    yield from sorted(marked)
    if ":" in text:
        for found in sorted(set(_MENTION.findall(text))):
            if not found.startswith(MARKER) and not _NOT_TAGS.search(found):
                yield found
