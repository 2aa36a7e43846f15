"""What each bundled chart of an rke2 checkout needs, and in which list its images stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from rke2pack.errors import AuthError, PackError, RegistryError, ToolError
from rke2pack.finding import Finding
from rke2pack.helm.version import ChartVersion
from rke2pack.lists.build import Builder
from rke2pack.lists.model import ListedImage
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.tree.components import Component, Components
from rke2pack.tree.scriptedit import Place, Site

Versions = Mapping[str, ChartVersion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The images of charts by name; ``unknown`` maps a chart that tells none to the reason."""

    images: Mapping[str, tuple[ListedImage, ...]]
    unknown: Mapping[str, str]
    findings: tuple[Finding, ...]

    def of(self, charts: Iterable[str]) -> dict[str, ListedImage]:
        """Return the images of several charts, by their text without the registry."""
        return {bare(image): image for name in charts for image in self.images.get(name, ())}


def bare(image: ListedImage) -> str:
    """Return an image as scripts write it, without the registry in front."""
    return str(image.reference).removeprefix(f"{DOCKER_HUB}/")


def gather(builder: Builder, charts: Iterable[str]) -> Needs:
    """Render every chart and return what it needs, each chart by itself.

    A chart that cannot be had or rendered is told as unknown, it hides no other.
    Raises what concerns all of them: a repository out of reach, a missing program.
    """
    names = tuple(charts)
    single = replace(builder, components=_one_each(builder.components, names))
    try:
        lists = single.build({name: (name,) for name in names})
    except (AuthError, ToolError):
        raise
    except PackError as exc:
        if isinstance(exc, RegistryError) and exc.temporary:
            raise
        if len(names) == 1:
            return Needs(images={}, unknown={names[0]: exc.message}, findings=())
        parts = [gather(builder, (name,)) for name in names]
        return Needs(
            images={name: images for part in parts for name, images in part.images.items()},
            unknown={name: why for part in parts for name, why in part.unknown.items()},
            findings=tuple(finding for part in parts for finding in part.findings),
        )
    images = {each.component: each.images for each in lists.lists}
    return Needs(images=images, unknown={}, findings=lists.findings)


def _one_each(components: Components, names: Iterable[str]) -> Components:
    single = tuple(Component(name=name, charts=(name,), images=(), platforms=()) for name in names)
    return replace(components, components=single)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the charts of one state of a checkout need, by edition."""

    needs: Mapping[str, Needs]

    @classmethod
    def read(
        cls, editions: Iterable[str], builder: Callable[[str], Builder], charts: Iterable[str]
    ) -> State:
        """Render every chart for every edition; ``builder`` returns the builder of one."""
        names = tuple(charts)
        return cls(needs={each: gather(builder(each), names) for each in editions})

    @property
    def unknown(self) -> Mapping[str, str]:
        """The charts that tell none of their images, each with the reason."""
        return {name: why for each in self.needs.values() for name, why in each.unknown.items()}

    def repositories(self, chart: str) -> frozenset[str]:
        """Return the repositories of a chart's images in all editions."""
        return frozenset(
            bare(image).rpartition(":")[0]
            for each in self.needs.values()
            for image in each.images.get(chart, ())
        )

    def by_site(
        self,
        sites: Iterable[Site],
        homes_of: Mapping[str, str],
        charts: Iterable[str] | None = None,
    ) -> dict[Site, dict[str, ListedImage]]:
        """Return what each list needs of ``charts``, or of all that belong there."""
        some = frozenset(homes_of if charts is None else charts)
        return {
            (name, edition): self.needs[edition].of(
                chart for chart, home in homes_of.items() if home == name and chart in some
            )
            for name, edition in sites
        }


def sites(places: Iterable[Place]) -> tuple[Site, ...]:
    """Return every list in every edition that has it, in the script's order."""
    return tuple(dict.fromkeys(site for place in places for site in sorted(place.sites)))


def homes(
    states: Iterable[State], charts: Iterable[str], places: Iterable[Place], components: Components
) -> dict[str, str]:
    """Return the list that each chart's images stand in: chart -> list.

    It is the list with most of the chart's image repositories; among equals the
    one of components.yaml, then the smallest. A chart none of whose images is
    listed belongs to the list of components.yaml, if the script has that.
    """
    listed: dict[str, set[str]] = {}
    for place in places:
        for name, _ in place.sites:
            listed.setdefault(name, set()).add(place.repository)
    known = tuple(states)
    found: dict[str, str] = {}
    for chart in charts:
        own = frozenset[str]().union(*(state.repositories(chart) for state in known))
        component = components.of_chart(chart)
        home = component.name if component is not None else ""
        ranked = sorted(
            listed, key=lambda name: (-len(listed[name] & own), name != home, len(listed[name]))
        )
        if ranked and listed[ranked[0]] & own:
            found[chart] = ranked[0]
        elif own and home in listed:
            found[chart] = home
    return found


def unsure(state: State, components: Components) -> dict[str, str]:
    """Return the lists of which a chart is not known: chart -> its list by components.yaml."""
    owners = {name: components.of_chart(name) for name in state.unknown}
    return {name: owner.name for name, owner in owners.items() if owner is not None}
