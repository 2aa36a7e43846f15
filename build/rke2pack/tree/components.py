"""components.yaml: which charts and images ship together, and how charts are rendered.

The file is data about the world that no chart carries: the components, the
values that make a chart show all its images (variants), and the images that
only programs know of (static, derived), each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack import safeyaml
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.helm.constraint import Constraint

DEFAULT_VARIANT = "default"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?\Z")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticImage:
    """An image that no chart names; ``image`` may hold ``${VARIABLE}`` of versions.env."""

    image: str
    reason: str

    def resolve(self, versions: Mapping[str, str]) -> str:
        """Fill in the variables, ``+`` as ``-`` as tags want it; raises ConfigError."""

        def value(found: re.Match[str]) -> str:
            if found[1] not in versions:
                msg = f"components.yaml: {self.image}: versions.env has no {found[1]}"
                raise ConfigError(msg)
            return versions[found[1]].replace("+", "-")

        return _VARIABLE.sub(value, self.image)


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedImages:
    """Images that a chart's program starts by names in its code, tagged by one of its values."""

    tag_value: str
    versions: Constraint
    images: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRules:
    """How one chart is rendered to find its images.

    ``prime_adds``: Rancher Prime ships the images of ``global.prime.enabled`` beside
    the others, not in their place. ``ignored`` maps image-shaped text that is no
    image, or none that a node needs, to the reason.
    """

    base: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    derived: tuple[DerivedImages, ...]
    ignored: Mapping[str, str]
    prime_adds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A named group of charts and images; ``platforms`` is empty where it ships for all."""

    name: str
    charts: tuple[str, ...]
    images: tuple[StaticImage, ...]
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The whole file."""

    registry: str
    platforms: tuple[str, ...]
    helm_chart_spec: Mapping[str, Any]
    components: tuple[Component, ...]
    charts: Mapping[str, ChartRules]

    @classmethod
    def parse(cls, text: str, *, what: str) -> Components:
        """Parse the file; raises ConfigError naming the place that is wrong."""
        try:
            root = _Node(safeyaml.load(text, what=what), what)
        except ValidationError as exc:
            raise ConfigError(exc.message) from exc
        root.only("registry", "platforms", "helmChartSpec", "components", "charts")
        platforms = root.texts("platforms")
        found = tuple(_component(node, platforms) for node in root.items("components"))
        rules = {name: _rules(node) for name, node in root.fields("charts")}
        _check_unique(found, what)
        return cls(
            registry=root.text("registry"),
            platforms=platforms,
            helm_chart_spec=root.mapping("helmChartSpec"),
            components=found,
            charts=rules,
        )

    def get(self, name: str) -> Component:
        """Return a component; raises ConfigError with the names there are."""
        for component in self.components:
            if component.name == name:
                return component
        names = ", ".join(c.name for c in self.components)
        msg = f"{name}: no such component"
        raise ConfigError(msg, hint=f"choose one of: {names}")

    def of_chart(self, chart: str) -> Component | None:
        """Return the component that a chart belongs to, or None."""
        return next((c for c in self.components if chart in c.charts), None)

    def rules(self, chart: str) -> ChartRules:
        """Return how to render a chart; a chart without an entry is rendered as it is."""
        return self.charts.get(chart, _NO_RULES)

    def platforms_of(self, component: str) -> tuple[str, ...]:
        """Return the platforms that a component ships for."""
        return self.get(component).platforms or self.platforms


_NO_RULES = ChartRules(base={}, variants={}, derived=(), ignored={}, prime_adds=False)


class _Node:
    """A YAML node that knows its place, for messages."""

    def __init__(self, value: object, where: str) -> None:
        self.value = value
        self.where = where

    def _map(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            msg = f"{self.where}: expected a mapping"
            raise ConfigError(msg)
        return self.value

    def only(self, *known: str) -> None:
        unknown = [key for key in self._map() if key not in known]
        if unknown:
            msg = f"{self.where}: unknown key {unknown[0]!r}"
            raise ConfigError(msg, hint=f"choose one of: {', '.join(known)}")

    def text(self, key: str) -> str:
        value = self._map().get(key)
        if not isinstance(value, str) or not value:
            msg = f"{self.where}: {key} must be text"
            raise ConfigError(msg)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._map().get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            msg = f"{self.where}: {key} must be a list of text"
            raise ConfigError(msg)
        return tuple(value)

    def choice(self, key: str, *known: str) -> str:
        """Return one of ``known``; the last one where the key is missing."""
        value = self._map().get(key, known[-1])
        if value not in known:
            msg = f"{self.where}: {key} must be one of {', '.join(known)}"
            raise ConfigError(msg)
        return str(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        return {name: item.value for name, item in self.fields(key)}

    def items(self, key: str) -> list[_Node]:
        value = self._map().get(key, [])
        if not isinstance(value, list):
            msg = f"{self.where}: {key} must be a list"
            raise ConfigError(msg)
        return [_Node(item, f"{self.where}: {key}[{n}]") for n, item in enumerate(value)]

    def fields(self, key: str) -> list[tuple[str, _Node]]:
        node = _Node(self._map().get(key) or {}, f"{self.where}: {key}")
        return [(name, _Node(item, f"{node.where}.{name}")) for name, item in node._map().items()]


def _component(node: _Node, platforms: tuple[str, ...]) -> Component:
    node.only("name", "charts", "images", "platforms")
    name = node.text("name")
    own = node.texts("platforms")
    wrong = [p for p in own if p not in platforms or not _PLATFORM.match(p)]
    if wrong or not _NAME.match(name):
        msg = f"{node.where}: bad {f'platform {wrong[0]!r}' if wrong else f'name {name!r}'}"
        raise ConfigError(msg)
    images = tuple(_static(item) for item in node.items("images"))
    return Component(name=name, charts=node.texts("charts"), images=images, platforms=own)


def _static(node: _Node) -> StaticImage:
    node.only("image", "reason")
    return StaticImage(image=node.text("image"), reason=node.text("reason"))


def _rules(node: _Node) -> ChartRules:
    node.only("base", "variants", "derived", "ignored", "prime")
    variants = {name: item.value for name, item in node.fields("variants")}
    for name, values in variants.items():
        if not isinstance(values, dict) or name == DEFAULT_VARIANT:
            msg = f"{node.where}: variant {name!r} must be a mapping of values"
            raise ConfigError(msg)
    ignored = {item.text("text"): item.text("reason") for item in node.items("ignored")}
    return ChartRules(
        base=node.mapping("base"),
        variants={n: v for n, v in variants.items() if isinstance(v, dict)},
        derived=tuple(_derived(item) for item in node.items("derived")),
        ignored=ignored,
        prime_adds=node.choice("prime", "adds", "replaces") == "adds",
    )


def _derived(node: _Node) -> DerivedImages:
    node.only("tagValue", "versions", "images", "reason")
    try:
        versions = Constraint.parse(node.text("versions"))
    except ConfigError as exc:
        msg = exc.message if exc.message.startswith(node.where) else f"{node.where}: {exc.message}"
        raise ConfigError(msg, hint=exc.hint) from exc
    return DerivedImages(
        tag_value=node.text("tagValue"),
        versions=versions,
        images=node.texts("images"),
        reason=node.text("reason"),
    )


def _check_unique(components: tuple[Component, ...], what: str) -> None:
    owners: dict[str, str] = {}
    names: set[str] = set()
    for component in components:
        if component.name in names:
            msg = f"{what}: component {component.name} stands there twice"
            raise ConfigError(msg)
        names.add(component.name)
        for chart in component.charts:
            if owners.setdefault(chart, component.name) != component.name:
                msg = f"{what}: {chart} is in {owners[chart]} and in {component.name}"
                raise ConfigError(msg)
