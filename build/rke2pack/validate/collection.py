"""Collection: the charts of a bundle and what they gave, fetched and examined when first needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from rke2pack.helm.chart import Chart
from rke2pack.helm.discover import merged
from rke2pack.lists.build import Builder
from rke2pack.lists.survey import Surveyor
from rke2pack.validate.bundle import Bundle
from rke2pack.validate.examine import Examined, Examiner, custom_kind
from rke2pack.validate.images import Surveyed

USER_VARIANT = "given values"
_WORKERS = 4


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Each chart is fetched once, and examined once on a Kubernetes version."""

    bundle: Bundle
    examiner: Examiner
    charts: dict[str, Chart] = field(default_factory=dict, init=False)
    _examined: dict[tuple[str, str], Examined] = field(default_factory=dict, init=False)

    @property
    def kube_version(self) -> str:
        """The Kubernetes version that the tree is for."""
        return self.bundle.environment["KUBERNETES_VERSION"]

    def fetch(self, names: Iterable[str]) -> None:
        """Fetch charts side by side into ``charts``; raises PackError."""
        missing = [name for name in names if name not in self.charts]
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            self.charts.update(zip(missing, pool.map(self.bundle.fetch, missing), strict=True))

    def examine(self, kube_versions: Iterable[str], names: Iterable[str]) -> None:
        """Examine charts on Kubernetes versions side by side, the longest first."""
        wanted = [
            (name, version)
            for version in dict.fromkeys(kube_versions)
            for name in names
            if (name, version) not in self._examined
        ]
        wanted.sort(key=lambda each: -len(self.charts[each[0]].data))
        for version in {version for _, version in wanted}:
            self.examiner.checker(version)  # an unknown Kubernetes version stops it here

        def one(each: tuple[str, str]) -> Examined:
            name, version = each
            variants = self.variants(name, version)
            return self.examiner.examine(self.charts[name], variants, kube_version=version)

        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            self._examined.update(zip(wanted, pool.map(one, wanted), strict=True))

    def get(self, name: str, kube_version: str) -> Examined:
        """Return what a chart gave that has been examined."""
        return self._examined[name, kube_version]

    def variants(self, name: str, kube_version: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the values of each render of a chart: those of its survey, and the user's."""
        rules = self.bundle.components.rules(name)
        surveyor = Surveyor(
            renderer=self.examiner.renderer,
            cache=self.examiner.cache,
            kube_version=kube_version,
            is_prime=self.bundle.is_prime,
        )
        variants = dict(surveyor.variants(rules))
        user = self.bundle.values.get(name)
        if user is not None:
            first = next(iter(variants.values()))
            variants[USER_VARIANT] = merged(first, dict(user.values))
        return variants

    def definitions(self, kube_version: str) -> Mapping[str, str]:
        """Return the definitions of all bundled charts: ``group/Kind`` -> where it is kept.

        Charts that were not asked for are fetched and examined too.
        """
        self.fetch(self.bundle.every)
        self.examine((kube_version,), self.bundle.every)
        found: dict[str, str] = {}
        for name in self.bundle.every:
            found.update(self.get(name, kube_version).definitions)
        return found

    def resource_kinds(self, kube_version: str) -> frozenset[str]:
        """Return the ``group/Kind`` of every custom resource that a bundled chart makes."""
        self.definitions(kube_version)
        return frozenset(
            custom_kind(body)
            for name in self.bundle.every
            for _, body in self.get(name, kube_version).resources
        )

    def builder(self, kube_version: str) -> Builder:
        """Return a builder of lists that knows the charts examined on a Kubernetes version."""
        uses = {
            name: examined.uses
            for (name, version), examined in self._examined.items()
            if version == kube_version
        }
        return Builder(
            components=self.bundle.components,
            environment=self.bundle.environment,
            fetch=self.charts.__getitem__,
            surveyor=Surveyed(uses=uses),
            registry=self.bundle.registry,
        )

    def own_images(self, component: str, names: Iterable[str]) -> frozenset[str]:
        """Return what charts need on the Kubernetes version that the tree is for."""
        charts = tuple(names)
        self.examine((self.kube_version,), charts)
        lists = self.builder(self.kube_version).build({component: charts}).lists
        return frozenset(reference for each in lists for reference in each.references)
