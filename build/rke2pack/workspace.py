"""What every command starts from: the tree, its chart repository and a renderer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from rke2pack import filelock, journal
from rke2pack.address import redact
from rke2pack.errors import ConfigError, IntegrityError, RegistryError, ToolError, choice
from rke2pack.files import Cache
from rke2pack.lists import files
from rke2pack.lists.text import Section
from rke2pack.oci.reference import Reference
from rke2pack.settings import Settings
from rke2pack.tree.native import NativeTree, is_native

# What knows charts is imported where it is used: images.txt needs none of it.
if TYPE_CHECKING:
    from rke2pack.helm.chart import Chart
    from rke2pack.helm.index import IndexEntry
    from rke2pack.helm.manifest import ChartReference
    from rke2pack.helm.render import Renderer
    from rke2pack.helm.repository import ChartRepository
    from rke2pack.helm.version import ChartVersion
    from rke2pack.http import Fetcher
    from rke2pack.lists.build import Builder
    from rke2pack.lists.needs import State
    from rke2pack.tree.datafiles import Tree
    from rke2pack.tree.rke2 import Rke2Tree
    from rke2pack.tree.versions import BundledChart


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Opens each part when it is first needed."""

    settings: Settings

    @cached_property
    def any_tree(self) -> Tree:
        """The tree, whatever its layout; an interrupted change is finished first."""
        if not is_native(self.settings.tree):
            from rke2pack.tree.rke2 import Rke2Tree  # noqa: PLC0415 - only here

            if Rke2Tree.is_at(self.settings.tree):
                return Rke2Tree.open(self.settings.tree)
        return NativeTree.open(self.settings.tree)

    @property
    def tree(self) -> NativeTree:
        """The tree of a command that needs images.txt and manifests; raises ConfigError."""
        found = self.any_tree
        if isinstance(found, NativeTree):
            return found
        msg = f"{self.settings.tree.absolute()}: a checkout of rancher/rke2 has no images.txt"
        hint = "use a tree with charts-manifest/; a checkout is for bump, audit, diff and changelog"
        raise ConfigError(msg, hint=hint)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the tree's lock for a change; not with ``--dry-run``, which writes nothing."""
        dry = contextlib.nullcontext()
        with dry if self.settings.is_dry_run else journal.locked(self.any_tree.root):
            yield

    def refuse_change(self) -> None:
        """Raise ToolError where another process has changed the tree since it was read."""
        tree = self.any_tree
        if not tree.is_current:
            msg = f"{tree.root}: another rke2pack has changed this tree meanwhile"
            raise ToolError(msg, hint=filelock.HINT)

    @cached_property
    def cache(self) -> Cache:
        """Downloads and surveys."""
        return Cache(self.settings.cache_dir)

    @cached_property
    def repository(self) -> ChartRepository:
        """The chart repository that ``--charts-repo`` or repositories.yaml names."""
        from rke2pack.helm.repository import Access, open_repository  # noqa: PLC0415 - only here

        source = self.any_tree.repository_source(self.settings.charts_repo)
        access = Access(
            fetcher=self._fetcher,
            cache=self.cache,
            is_offline=self.settings.is_offline,
            allows_missing_digest=self.settings.allows_missing_digest,
        )
        return open_repository(source, access)

    def _fetcher(self) -> Fetcher:
        from rke2pack.http import Fetcher, new_session  # noqa: PLC0415 - requests is slow to import

        return Fetcher(new_session(ca_file=self.settings.ca_file))

    @cached_property
    def renderer(self) -> Renderer:
        """The built-in Helm, or the program that ``--helm`` names."""
        if self.settings.helm is not None:
            from rke2pack.helm.binary import HelmBinary  # noqa: PLC0415 - rarely used

            return HelmBinary.find(self.settings.helm)
        from rke2pack.helm.render import SdkRenderer  # noqa: PLC0415 - not with --helm

        return SdkRenderer()

    def builder(
        self,
        versions: Mapping[str, ChartVersion],
        *,
        is_prime: bool | None = None,
        tree: Tree | None = None,
    ) -> Builder:
        """Return a builder of lists for the charts of ``versions`` (chart -> version).

        ``is_prime`` selects the edition where it is not the settings' one, ``tree``
        another state of the tree than the one on disk.
        """
        from rke2pack.lists.build import Builder  # noqa: PLC0415 - only here
        from rke2pack.lists.survey import Surveyor  # noqa: PLC0415 - only here

        tree = tree or self.any_tree
        surveyor = Surveyor(
            renderer=self.renderer,
            cache=self.cache,
            kube_version=tree.kube_version,
            is_prime=self.settings.is_prime if is_prime is None else is_prime,
        )
        return Builder(
            components=tree.components,
            environment=tree.environment,
            fetch=lambda name: self.chart(name, versions[name]),
            surveyor=surveyor,
            registry=self.registry,
        )

    def needs(self, versions: Mapping[str, ChartVersion], *, tree: Rke2Tree) -> State:
        """Render all charts of a state of a checkout, in each edition that its script has."""
        from rke2pack.lists.needs import State  # noqa: PLC0415 - only here
        from rke2pack.tree.imagescript import PRIME  # noqa: PLC0415 - only here

        return State.read(
            tree.sources.parsed.editions,
            lambda edition: self.builder(versions, is_prime=edition == PRIME, tree=tree),
            versions,
        )

    def chart(self, name: str, version: ChartVersion) -> Chart:
        """Fetch one version of a chart, verified, once however often it is asked for.

        Where the tree's manifest is for this version, the archive must be the
        one that it names too; raises IntegrityError otherwise.
        """
        kept = self._charts.get((name, version.text))
        if kept is not None:
            return kept
        chart = self.repository.fetch(self.repository.index().entry(name, version))
        reference = self.any_tree.reviewed(name)
        if reference and reference.version == chart.version and reference.digest != chart.digest:
            msg = (
                f"{name} {version}: {self.repository.url} has {chart.digest}, "
                f"the tree's manifest says {reference.digest}"
            )
            raise IntegrityError(
                msg,
                hint=f"find out why {self.tree.manifest_path(name)} was reviewed with other bytes",
            )
        self._charts[name, version.text] = chart
        return chart

    @cached_property
    def _charts(self) -> dict[tuple[str, str], Chart]:
        """Charts by name and version: a bump compares, lists and searches the same ones."""
        return {}

    def is_published(self, name: str, version: ChartVersion) -> bool:
        """Whether the chart repository has this version of a chart."""
        known = self.repository.index().charts.get(name, ())
        return any(entry.version == version.text for entry in known)

    def bundled(self) -> Mapping[str, ChartVersion]:
        """Chart -> version for every chart of the tree that is not removed."""
        charts = self.any_tree.versions.charts
        return {c.name: c.version for c in charts if not c.version.is_removed}

    def bundled_chart(self, name: str) -> BundledChart:
        """Return the tree's entry of a chart; raises ConfigError with the next step."""
        entry = self.any_tree.versions.get(name)
        if entry is not None:
            return entry
        from difflib import get_close_matches  # noqa: PLC0415 - not for what goes well

        names = [chart.name for chart in self.any_tree.versions.charts]
        hint = choice(name, names)
        if not get_close_matches(name, names, cutoff=0.8) and self._is_in_repository(name):
            hint = (
                "the chart repository has it; add an entry to chart_versions.yaml and to "
                "components.yaml, then run 'rke2pack charts --references' and 'rke2pack images'"
            )
        msg = f"{name}: the tree bundles no such chart"
        raise ConfigError(msg, hint=hint)

    def _is_in_repository(self, name: str) -> bool:
        """Whether the chart repository is known to have a chart; only for a better hint."""
        try:
            return name in self.repository.index().charts
        except RegistryError:
            return False

    @cached_property
    def registry(self) -> str:
        """The registry of the lists: ``--registry``, or the tree's; raises ConfigError."""
        asked = self.settings.registry
        if asked is None:
            return self.any_tree.components.registry
        try:
            parsed = Reference.parse(f"{asked}/x/y").registry
        except ConfigError:
            parsed = ""
        if parsed != asked:
            msg = f"{asked!r}: not a registry"
            raise ConfigError(msg, hint="write it as HOST or HOST:PORT, e.g. registry.example.com")
        return asked

    def component_charts(self, components: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Component -> its bundled charts, in the order of components.yaml.

        Components whose charts this release does not bundle and that have no
        images of their own are left out. Raises ConfigError for a bundled
        chart that belongs to no component.
        """
        bundled = self.bundled()
        rules = self.tree.components
        homeless = [name for name in bundled if rules.of_chart(name) is None]
        if homeless:
            msg = f"{homeless[0]}: belongs to no component"
            raise ConfigError(msg, hint="add it to a component in charts-manifest/components.yaml")
        wanted = list(components) or [c.name for c in rules.components]
        found = {name: rules.get(name) for name in wanted}
        charts = {name: tuple(c for c in found[name].charts if c in bundled) for name in wanted}
        return {name: own for name, own in charts.items() if own or found[name].images}

    def platforms(self) -> tuple[str, ...]:
        """Return the asked platforms, or all; raises ConfigError for one that the tree lacks."""
        known = self.tree.components.every_platform
        for platform in self.settings.platforms:
            if platform not in known:
                msg = f"{platform}: the tree has no such platform"
                raise ConfigError(msg, hint=choice(platform, known))
        return self.settings.platforms or known

    def sections(self) -> tuple[Section, ...]:
        """Return the asked sections of images.txt; those of Rancher Prime are made by rendering.

        Raises ConfigError for a component that has none, and where there are none at all.
        """
        tree, components = self.tree, self.settings.components
        if self.settings.is_prime:
            lists = self.builder(self.bundled()).build(self.component_charts(components))
            return files.sections(tree, lists)
        sections = files.written(tree)
        names = [section.component for section in sections]
        for name in components:
            if name not in names:
                msg = f"{name}: {tree.images_path} has no such component"
                raise ConfigError(msg, hint=choice(name, names))
        if not sections:
            msg = f"{tree.images_path}: lists no image"
            raise ConfigError(msg, hint="write it with 'rke2pack images', or name images")
        return tuple(s for s in sections if not components or s.component in components)

    def listed(self) -> tuple[Section, ...]:
        """Return the lists of the tree, whatever its layout; raises ConfigError."""
        tree = self.any_tree
        if isinstance(tree, NativeTree):
            return self.sections()
        from rke2pack.lists import script  # noqa: PLC0415 - only here
        from rke2pack.tree.rke2 import Rke2Tree  # noqa: PLC0415 - only here

        if isinstance(tree, Rke2Tree):
            return script.sections(tree)
        msg = f"{type(tree).__name__}: a tree whose lists nobody knows how to read"
        raise TypeError(msg)

    def reference(self, entry: BundledChart, found: IndexEntry, chart: Chart) -> ChartReference:
        """Return the reference form of ``entry`` for another version.

        The address is the one of the tree's own repository, wherever the
        bytes were read from: the digest makes them the same.
        """
        from rke2pack.helm.manifest import ChartReference  # noqa: PLC0415 - only here

        named = self.settings.charts_repo in self.any_tree.repositories
        home = self.any_tree.repository_source(self.settings.charts_repo if named else None)
        return ChartReference(
            name=entry.name,
            version=chart.version,
            url=redact(urljoin(f"{home.rstrip('/')}/", found.url)),
            digest=chart.digest,
            bootstrap=entry.bootstrap,
            spec=entry.spec,
        )

    def write_references(self) -> tuple[Path, ...]:
        """Write the reference form of every bundled chart for the versions of chart_versions.yaml.

        Returns the manifests that changed; all change or none.
        """
        changes: dict[Path, bytes] = {}
        with self.locked():
            for entry in self.tree.versions.charts:
                path = self.tree.manifest_path(entry.name)
                content = self._reference_text(entry).encode()
                if not path.is_file() or path.read_bytes() != content:
                    changes[path] = content
            if changes and not self.settings.is_dry_run:
                journal.apply(self.tree.root, changes)
        return tuple(changes)

    def _reference_text(self, entry: BundledChart) -> str:
        if entry.version.is_removed:
            from rke2pack.helm.manifest import removed  # noqa: PLC0415 - only here

            return removed(entry.name)
        found = self.repository.index().entry(entry.name, entry.version)
        return str(self.reference(entry, found, self.repository.fetch(found)))
