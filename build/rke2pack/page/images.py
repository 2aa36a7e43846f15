"""Images of the page: each of images.txt once, with digests, sizes and proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rke2pack.errors import ConfigError
from rke2pack.finding import Finding
from rke2pack.helm.discover import ImageUse
from rke2pack.lists import files as list_files
from rke2pack.lists.lock import Lock
from rke2pack.lists.text import Section
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One place that needs an image; where no chart names it, ``reason`` alone is set."""

    chart: str = ""
    version: str = ""
    variants: tuple[str, ...] = ()
    template: str = ""
    object: str = ""
    field: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        if self.reason:
            return {"reason": self.reason}
        return {
            "chart": self.chart,
            "version": self.version,
            "variants": list(self.variants),
            "template": self.template,
            "object": self.object,
            "field": self.field,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSize:
    """One platform of an image as images.lock has it; ``size`` is what a node downloads."""

    platform: str
    manifest: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {"platform": self.platform, "manifest": self.manifest, "bytes": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """An image; ``digest`` is empty and ``sizes`` has nothing where it is not locked.

    ``proofs`` is None where the charts were not asked.
    """

    reference: str
    components: tuple[str, ...]
    platforms: tuple[str, ...]
    digest: str
    sizes: tuple[PlatformSize, ...]
    proofs: tuple[Proof, ...] | None

    @property
    def name(self) -> str:
        """The repository without its registry, and the tag."""
        return self.reference.partition("/")[2]

    @property
    def size(self) -> int | None:
        """The largest platform's size; None where no size is known."""
        return max((each.size for each in self.sizes), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "reference": self.reference,
            "components": list(self.components),
            "platforms": list(self.platforms),
            "digest": self.digest or None,
            "sizes": [each.to_json() for each in self.sizes],
            "proofs": None if self.proofs is None else [each.to_json() for each in self.proofs],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """Proofs by reference, and what was seen while looking for them."""

    by_reference: Mapping[str, tuple[Proof, ...]]
    findings: tuple[Finding, ...]


def collect(
    sections: Iterable[Section],
    platforms: Iterable[str],
    every_platform: tuple[str, ...],
    lock: Lock | None,
    proofs: Mapping[str, tuple[Proof, ...]] | None,
) -> tuple[PageImage, ...]:
    """Return the images of the sections, sorted; ``platforms`` are the asked ones."""
    asked = tuple(platforms)
    components: dict[str, list[str]] = {}
    ships: dict[str, dict[str, None]] = {}
    for section in sections:
        own = [name for name in section.platforms or every_platform if name in asked]
        for reference in section.references if own else ():
            components.setdefault(reference, []).append(section.component)
            ships.setdefault(reference, {}).update(dict.fromkeys(own))
    return tuple(
        _image(reference, tuple(components[reference]), tuple(ships[reference]), lock, proofs)
        for reference in sorted(components)
    )


def _image(
    reference: str,
    components: tuple[str, ...],
    platforms: tuple[str, ...],
    lock: Lock | None,
    proofs: Mapping[str, tuple[Proof, ...]] | None,
) -> PageImage:
    locked = lock.get(Reference.parse(reference)) if lock else None
    kept = tuple(
        PlatformSize(platform=str(each.platform), manifest=str(each.manifest), size=each.size)
        for each in (locked.platforms if locked else ())
        if any(_is_for(each.platform, name) for name in platforms)
    )
    return PageImage(
        reference=reference,
        components=components,
        platforms=platforms,
        digest=str(locked.root.digest) if locked else "",
        sizes=kept,
        proofs=None if proofs is None else proofs.get(reference, ()),
    )


def _is_for(platform: Platform, name: str) -> bool:
    return platform.satisfies(Platform.parse(name))


def prove(workspace: Workspace) -> Proofs:
    """Render the tree's charts and return why each image is needed.

    Images that the charts need and images.txt lacks are findings, and the other
    way round. Raises what fetching and rendering the charts raises.
    """
    charts = workspace.component_charts(workspace.settings.components)
    builder = workspace.builder(workspace.bundled())
    lists = builder.build(charts)
    uses: dict[str, ImageUse] = {}
    for name in dict.fromkeys(name for names in charts.values() for name in names):
        rules = builder.components.rules(name)
        found = builder.surveyor.survey(builder.fetch(name), rules)
        uses.update((str(use), use) for use in found if use.is_required)
    lines: dict[str, dict[str, None]] = {}
    for each in lists.lists:
        for image in each.images:
            lines.setdefault(str(image.reference), {}).update(dict.fromkeys(image.proofs))
    by_reference = {name: _merged(found, uses) for name, found in lines.items()}
    differences = list_files.compare(lists, read_sections(workspace))
    return Proofs(
        by_reference=by_reference,
        findings=(*lists.findings, *(_finding(each) for each in differences)),
    )


def _merged(lines: Iterable[str], uses: Mapping[str, ImageUse]) -> tuple[Proof, ...]:
    """Return the proofs, one for each place however many variants show it."""
    places: dict[tuple[str, ...], list[str]] = {}
    reasons: list[Proof] = []
    for line in lines:
        use = uses.get(line)
        if use is None:
            reasons.append(Proof(reason=line))
            continue
        place = (use.chart, use.version, use.template, use.object, use.path)
        places.setdefault(place, []).append(use.variant)
    proofs = [
        Proof(
            chart=chart,
            version=version,
            variants=tuple(dict.fromkeys(variants)),
            template=template,
            object=object_,
            field=field,
        )
        for (chart, version, template, object_, field), variants in places.items()
    ]
    return (*reasons, *proofs)


def _finding(difference: list_files.Difference) -> Finding:
    needed, listed = "listed in images.txt", "needed by a chart or a rule"
    return Finding(
        severity="error",
        check="images.txt",
        subject=f"{difference.component}: {difference.reference}",
        expected=needed if difference.is_missing else listed,
        got=f"not listed ({difference.proof})" if difference.is_missing else difference.proof,
    )


def read_sections(workspace: Workspace) -> tuple[Section, ...]:
    """Return the asked sections of images.txt, as they are called with ``--registry``.

    There is none where the tree has no images.txt.
    """
    try:
        sections = workspace.sections()
    except ConfigError:
        if workspace.tree.images_text:
            raise
        return ()
    registry = workspace.settings.registry
    return tuple(
        replace(each, lines=dict.fromkeys(renamed(each.references, registry), 0))
        for each in sections
    )


def renamed(references: Iterable[str], registry: str | None) -> tuple[str, ...]:
    """Return references as they are called in a registry; None changes nothing."""
    if registry is None:
        return tuple(references)
    return tuple(str(Reference.parse(each).with_registry(registry)) for each in references)
