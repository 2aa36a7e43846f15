"""From charts to image lists: surveys, static and derived images, findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rke2pack.errors import ConfigError, PackError, ValidationError
from rke2pack.finding import Finding
from rke2pack.helm.chart import Chart
from rke2pack.helm.discover import ImageUse
from rke2pack.helm.version import ChartVersion, core_numbers
from rke2pack.lists.model import ImageList, ImageLists, ListedImage
from rke2pack.oci.reference import Reference
from rke2pack.tree.components import ChartRules, Component, Components

_WORKERS = 4
_FLOATING = frozenset({"latest", "main", "master", "dev", "edge", "nightly"})
_S = TypeVar("_S")
_T = TypeVar("_T")


class Surveys(Protocol):
    """Knows the images of a chart over all its variants: `lists.survey.Surveyor` renders them."""

    def survey(self, chart: Chart, rules: ChartRules) -> tuple[ImageUse, ...]:
        """Return every use of an image; raises ValidationError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builds the lists of a tree; ``fetch`` returns the bundled chart of a name.

    ``registry`` is written in front of every image, as system-default-registry would.
    """

    components: Components
    environment: Mapping[str, str]
    fetch: Callable[[str], Chart]
    surveyor: Surveys
    registry: str

    def build(self, wanted: Mapping[str, Iterable[str]]) -> ImageLists:
        """Return a list per component of ``wanted`` (component -> its bundled charts).

        Charts are fetched and rendered side by side. Raises the first error,
        with the others as details.
        """
        names = [name for charts in wanted.values() for name in charts]
        names.sort(key=lambda name: -len(self.components.rules(name).variants))  # longest first
        surveys = dict(zip(names, _all(self._survey, names), strict=True))
        findings: list[Finding] = []
        lists = tuple(
            self._list(self.components.get(name), tuple(charts), surveys, findings)
            for name, charts in wanted.items()
        )
        return ImageLists(lists=lists, findings=tuple(findings))

    def _survey(self, name: str) -> tuple[Chart, tuple[ImageUse, ...]]:
        chart = self.fetch(name)
        return chart, self.surveyor.survey(chart, self.components.rules(name))

    def _list(
        self,
        component: Component,
        charts: tuple[str, ...],
        surveys: Mapping[str, tuple[Chart, tuple[ImageUse, ...]]],
        findings: list[Finding],
    ) -> ImageList:
        proofs: dict[Reference, list[str]] = {}
        for static in component.images:
            image = self._reference(static.resolve(self.environment), static.reason)
            proofs.setdefault(image, []).append(static.reason)
        mentioned: list[ImageUse] = []
        for name in charts:
            chart, uses = surveys[name]
            required = [use for use in uses if use.is_required]
            for use in sorted(required, key=lambda u: (u.image, u)):
                image = self._reference(use.image, str(use))
                proofs.setdefault(image, []).append(str(use))
            for text, reason in _derived(chart, self.components.rules(name)):
                proofs.setdefault(self._reference(text, reason), []).append(reason)
            findings += _unregistered(required)
            mentioned += [use for use in uses if not use.is_required]
        listed = tuple(
            ListedImage(reference=image, proofs=tuple(dict.fromkeys(why)))
            for image, why in proofs.items()
        )
        findings += _floating(listed)
        findings += _unlisted(mentioned, listed, self.components)
        platforms = component.platforms or self.components.platforms
        return ImageList(component=component.name, platforms=platforms, images=listed)

    def _reference(self, image: str, proof: str) -> Reference:
        """Return the image in the registry of the lists: a node looks for it in the one it has."""
        try:
            reference = Reference.parse(image)
        except ConfigError as exc:
            msg = f"{exc.message}, named by {proof}"
            raise ValidationError(msg) from exc
        if not reference.tag:
            msg = f"{image}: an image without a tag cannot be listed"
            raise ValidationError(msg, hint=f"correct the chart; needed by {proof}")
        return reference.with_registry(self.registry)


def _derived(chart: Chart, rules: ChartRules) -> Iterable[tuple[str, str]]:
    for derived in rules.derived:
        if not derived.versions.allows(core_numbers(ChartVersion.parse(chart.version).upstream)):
            continue
        node: object = chart.values
        for key in derived.tag_value.split("."):
            node = node.get(key) if isinstance(node, Mapping) else None
        if not isinstance(node, str) or not node:
            msg = f"{chart.name} {chart.version}: values.yaml has no text at {derived.tag_value}"
            raise ValidationError(msg, hint="correct 'derived' of this chart in components.yaml")
        for image in derived.images:
            yield (
                f"{image}:{node}",
                f"{chart.name} {chart.version}, values {derived.tag_value}: {derived.reason}",
            )


def _unregistered(uses: Iterable[ImageUse]) -> list[Finding]:
    """Images that ignore the registry setting; one finding per image and object."""
    seen: dict[tuple[str, str], ImageUse] = {}
    for use in uses:
        if not use.follows_registry:
            seen.setdefault((use.image, use.object), use)
    return [
        Finding(
            severity="warning",
            check="system-default-registry",
            subject=f"{use.chart} {use.version}",
            expected="an image below global.systemDefaultRegistry",
            got=f"{use.image} ({use.object} {use.path}, variant {use.variant})",
        )
        for use in seen.values()
    ]


def _floating(listed: Iterable[ListedImage]) -> list[Finding]:
    """Images whose tag is moved by their makers, so that a list names no content."""
    return [
        Finding(
            severity="warning",
            check="floating-tag",
            subject=str(image.reference),
            expected="a tag that stays",
            got=f"{image.reference.tag} ({image.proofs[0]})",
        )
        for image in listed
        if image.reference.tag in _FLOATING
    ]


def _unlisted(
    mentioned: Iterable[ImageUse], listed: Iterable[ListedImage], components: Components
) -> list[Finding]:
    """Image-shaped text that is in no list and not explained in components.yaml."""
    known = {str(image.reference).partition("/")[2] for image in listed}
    findings: dict[tuple[str, str], Finding] = {}
    for use in mentioned:
        bare = use.image if use.follows_registry else _without_host(use.image)
        if bare in known or use.image in components.rules(use.chart).ignored:
            continue
        findings.setdefault(
            (use.chart, use.image),
            Finding(
                severity="warning",
                check="mentioned-image",
                subject=f"{use.chart} {use.version}",
                expected="every image that a chart mentions in its component's list",
                got=f"{use.image} ({use.object} {use.path}, variant {use.variant})",
            ),
        )
    return list(findings.values())


def _without_host(image: str) -> str:
    reference = Reference.parse(image)
    return str(reference).partition("/")[2]


def _all(work: Callable[[_S], _T], subjects: list[_S]) -> list[_T]:
    """Run ``work`` for every subject; the first error is raised with the others' messages."""
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        futures = [pool.submit(work, subject) for subject in subjects]
        errors = [exc for future in futures if (exc := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, PackError):
                raise error
        if errors:
            first, *others = [exc for exc in errors if isinstance(exc, PackError)]
            first.details = (*first.details, *(other.message for other in others))
            raise first
        return [future.result() for future in futures]
