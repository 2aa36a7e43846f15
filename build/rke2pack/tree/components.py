"""components.yaml: which charts and images ship together, and how charts are rendered.

The file is data about the world that no chart carries: the components, the
values that make a chart show all its images (variants), and the images that
only programs know of (static, derived), each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rke2pack.errors import ConfigError, choice
from rke2pack.tree.node import Node

if TYPE_CHECKING:
    from rke2pack.helm.constraint import Constraint

DEFAULT_VARIANT = "default"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?\Z")
_RELEASE = re.compile(r"[a-z0-9]+\Z")
_OS_VERSION = re.compile(r"\d+(?:\.\d+){2,3}\Z")
_WINDOWS = "windows/"
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
    """A named group of charts and images; ``platforms`` is empty where it ships for the tree's."""

    name: str
    charts: tuple[str, ...]
    images: tuple[StaticImage, ...]
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The whole file.

    ``platforms`` are those of every component that names no other; ``windows``
    maps a release of Windows Server to the ``os.version`` of its images.
    """

    registry: str
    platforms: tuple[str, ...]
    windows: Mapping[str, str]
    helm_chart_spec: Mapping[str, Any]
    components: tuple[Component, ...]
    charts: Mapping[str, ChartRules]

    @classmethod
    def parse(cls, text: str, *, what: str) -> Components:
        """Parse the file; raises ConfigError naming the place that is wrong."""
        root = Node.read(text, what=what)
        root.only("registry", "platforms", "windows", "helmChartSpec", "components", "charts")
        platforms = root.texts("platforms")
        windows = _releases(root)
        known = (*platforms, *(("windows/amd64",) if windows else ()))
        found = tuple(_component(node, known) for node in root.items("components"))
        rules = {name: _rules(node) for name, node in root.fields("charts")}
        _check_unique(found, what)
        return cls(
            registry=root.text("registry"),
            platforms=platforms,
            windows=windows,
            helm_chart_spec=root.mapping("helmChartSpec"),
            components=found,
            charts=rules,
        )

    def get(self, name: str) -> Component:
        """Return a component; raises ConfigError with the names there are."""
        for component in self.components:
            if component.name == name:
                return component
        msg = f"{name}: no such component"
        raise ConfigError(msg, hint=choice(name, (c.name for c in self.components)))

    def of_chart(self, chart: str) -> Component | None:
        """Return the component that a chart belongs to, or None."""
        return next((c for c in self.components if chart in c.charts), None)

    def rules(self, chart: str) -> ChartRules:
        """Return how to render a chart; a chart without an entry is rendered as it is."""
        return self.charts.get(chart, _NO_RULES)

    @property
    def every_platform(self) -> tuple[str, ...]:
        """The platforms that any component ships for, the tree's own first."""
        own = (name for component in self.components for name in component.platforms)
        return tuple(dict.fromkeys((*self.platforms, *own)))

    def per_release(self, platform: str) -> Mapping[str, str]:
        """Return the releases of Windows that a platform stands for, each as a platform.

        ``windows/amd64`` gives ``ltsc2022`` -> ``windows(10.0.20348)/amd64`` and so
        on; any other platform gives nothing, it is one by itself.
        """
        if not platform.startswith(_WINDOWS):
            return {}
        architecture = platform.removeprefix(_WINDOWS)
        return {
            name: f"windows({version})/{architecture}" for name, version in self.windows.items()
        }

    def image_platforms(self, platforms: Iterable[str]) -> tuple[str, ...]:
        """Return the platforms of the images to have: Windows once for every release."""
        return tuple(
            each for name in platforms for each in self.per_release(name).values() or (name,)
        )


_NO_RULES = ChartRules(base={}, variants={}, derived=(), ignored={}, prime_adds=False)


def _releases(root: Node) -> Mapping[str, str]:
    releases = {name: node.value for name, node in root.fields("windows")}
    for name, version in releases.items():
        if not (
            isinstance(name, str)
            and isinstance(version, str)
            and _RELEASE.match(name)
            and _OS_VERSION.match(version)
        ):
            msg = f"{root.where}: windows: {name!r}: {version!r} is no release and version"
            raise ConfigError(
                msg, hint='write it as ltsc2022: 10.0.20348, numbers in quotes: "2025"'
            )
    return {name: str(version) for name, version in releases.items()}


def _component(node: Node, platforms: tuple[str, ...]) -> Component:
    node.only("name", "charts", "images", "platforms")
    name = node.text("name")
    own = node.texts("platforms")
    wrong = [p for p in own if p not in platforms or not _PLATFORM.match(p)]
    if wrong or not _NAME.match(name):
        msg = f"{node.where}: bad {f'platform {wrong[0]!r}' if wrong else f'name {name!r}'}"
        raise ConfigError(msg)
    images = tuple(_static(item) for item in node.items("images"))
    return Component(name=name, charts=node.texts("charts"), images=images, platforms=own)


def _static(node: Node) -> StaticImage:
    node.only("image", "reason")
    return StaticImage(image=node.text("image"), reason=node.text("reason"))


def _rules(node: Node) -> ChartRules:
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


def _derived(node: Node) -> DerivedImages:
    from rke2pack.helm.constraint import Constraint  # noqa: PLC0415 - only few trees have these

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
