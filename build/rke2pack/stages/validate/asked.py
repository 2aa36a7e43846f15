"""What a call of ``validate`` asks for: rows, charts, older versions, values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack import files, safeyaml
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.finding import Severity
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import UserValues
from rke2pack.helm.diff.usersettings import CONFIG_KIND
from rke2pack.helm.version import ChartVersion, resolve
from rke2pack.lists import files as list_files
from rke2pack.stages.validate.importwish import Importing
from rke2pack.stages.validate.kindwish import KindWish
from rke2pack.tree.native import FOLDER
from rke2pack.tree.versions import ChartVersions
from rke2pack.validate import allow, matrix
from rke2pack.validate.allow import AllowList
from rke2pack.validate.bundle import Bundle
from rke2pack.validate.matrix import Matrix, Row
from rke2pack.workspace import Workspace

_VERSIONS = f"{FOLDER}/chart_versions.yaml"
CHARTS = "dist/charts"  # where 'rke2pack charts' writes


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One call, read and checked: what a level is given.

    ``older`` maps a chart to a version request, ``origin`` is a tree or a
    revision. ``is_whole`` says that nothing of the tree was left out. ``importing``
    is for level import, ``kind`` for level kind; ``tell`` writes what is done now,
    ``say`` (or else ``tell``) what people have to know.
    """

    workspace: Workspace
    rows: tuple[Row, ...]
    allow: AllowList
    threshold: Severity
    charts: tuple[str, ...]
    older: Mapping[str, str]
    origin: str | None
    values: tuple[Path, ...]
    is_whole: bool
    tell: Callable[[str], None]
    importing: Importing = field(default_factory=Importing)
    kind: KindWish = field(default_factory=KindWish)
    say: Callable[[str], None] | None = None

    def bundle(self) -> Bundle:
        """Return what is to be validated; raises ConfigError for what the tree lacks."""
        workspace, settings = self.workspace, self.workspace.settings
        versions = workspace.bundled()
        charts = self._charts()
        asked = tuple(name for names in charts.values() for name in names)
        written = list_files.written(workspace.tree)
        return Bundle(
            components=workspace.tree.components,
            environment=workspace.tree.environment,
            charts=charts,
            every=tuple(versions),
            fetch=lambda name: workspace.chart(name, versions[name]),
            reference=workspace.tree.reference,
            sections=None if settings.is_prime else {each.component: each for each in written},
            registry=workspace.tree.components.registry,
            built=workspace.tree.root / CHARTS,
            is_prime=settings.is_prime,
            older=self._older(asked, versions),
            values=self._values(asked),
        )

    def _charts(self) -> Mapping[str, tuple[str, ...]]:
        found = self.workspace.component_charts(self.workspace.settings.components)
        if not self.charts:
            return found
        for name in self.charts:
            if self.workspace.bundled_chart(name).version.is_removed:
                msg = f"{name}: is bundled as removed, there is nothing to validate"
                raise ConfigError(msg, hint="leave it out")
            if not any(name in names for names in found.values()):
                msg = f"{name}: is in none of the components that --component names"
                raise ConfigError(msg, hint="leave out one of the two options")
        chosen = {
            component: tuple(name for name in names if name in self.charts)
            for component, names in found.items()
        }
        return {component: names for component, names in chosen.items() if names}

    def _older(
        self, asked: tuple[str, ...], versions: Mapping[str, ChartVersion]
    ) -> Mapping[str, Chart]:
        """Fetch the versions to upgrade from: those of ``--from``, then those of ``--old``."""
        before: dict[str, ChartVersion] = {}
        if self.origin is not None:
            origin = _chart_versions(self.origin, self.workspace)
            before = {c.name: c.version for c in origin.charts if not c.version.is_removed}
        for name, request in self.older.items():
            self.workspace.bundled_chart(name)
            if name not in asked:
                msg = f"--old {name}={request}: this call does not validate {name}"
                raise ConfigError(msg, hint="ask for it with --chart, or leave out --old")
            entries = self.workspace.repository.index().entries(name)
            available = [entry.chart_version for entry in entries]
            before[name] = resolve(request, available, chart=name).version
        return {
            name: self.workspace.chart(name, before[name])
            for name in asked
            if name in before and before[name] != versions[name]
        }

    def _values(self, asked: tuple[str, ...]) -> Mapping[str, UserValues]:
        found: dict[str, UserValues] = {}
        for path in self.values:
            text = files.read_text(path)
            for name in self._owners(path, text, asked):
                if name in found:
                    msg = f"{path}: values of {name} are given twice"
                    raise ConfigError(msg, hint="keep one of the files")
                found[name] = UserValues.parse(text, what=str(path), chart=name)
        return found

    def _owners(self, path: Path, text: str, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return the charts that a file has values for: its HelmChartConfigs', or the one asked."""
        names = tuple(dict.fromkeys(_configured(text, path)))
        if not names:
            if len(asked) == 1:
                return asked
            msg = f"{path}: holds no {CONFIG_KIND}, so it does not say which chart it is for"
            raise ConfigError(msg, hint="name the chart with --chart")
        for name in names:
            self.workspace.bundled_chart(name)
        found = tuple(name for name in names if name in asked)
        if not found:
            msg = f"{path}: is for {', '.join(names)}, which this call does not validate"
            raise ConfigError(msg, hint="ask for it with --chart, or leave out the file")
        return found


def read_rows(workspace: Workspace, names: Iterable[str], more: Path | None) -> tuple[Row, ...]:
    """Return the named rows of the tree's matrix and of a file of one's own; raises ConfigError."""
    tree = workspace.tree
    path = tree.path(matrix.NAME)
    components = tree.components
    found = Matrix.parse(files.read_text(path), what=str(path), components=components)
    if more is not None:
        own = Matrix.parse(files.read_text(more), what=str(more), components=components)
        double = {row.name for row in own.rows} & {row.name for row in found.rows}
        if double:
            msg = f"{more}: row {min(double)} stands in {path} already"
            raise ConfigError(msg, hint="give it another name")
        found = Matrix(rows=(*found.rows, *own.rows), what=f"{path} with {more}")
    return found.get(names)


def read_allow(workspace: Workspace) -> AllowList:
    """Return the tree's reviewed exceptions; raises ConfigError."""
    path = workspace.tree.path(allow.NAME)
    if not path.exists():
        return AllowList()
    return AllowList.parse(files.read_text(path), what=str(path))


def _chart_versions(origin: str, workspace: Workspace) -> ChartVersions:
    """Read chart_versions.yaml of another tree's folder, or of this one at a git revision."""
    path = Path(origin) / _VERSIONS
    if path.is_file():
        return ChartVersions.parse(files.read_text(path), what=str(path))
    from rke2pack.vcs import history  # noqa: PLC0415 - git is slow to import

    text = history.read_at(workspace.tree.root, origin, _VERSIONS)
    return ChartVersions.parse(text, what=f"{origin}:{_VERSIONS}")


def _configured(text: str, path: Path) -> Iterable[str]:
    try:
        documents = list(safeyaml.load_all(text, what=str(path)))
    except ValidationError as exc:
        raise ConfigError(exc.message) from exc
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == CONFIG_KIND:
            metadata = document.get("metadata")
            yield str(metadata.get("name") if isinstance(metadata, dict) else "")
