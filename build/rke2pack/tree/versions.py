"""chart_versions.yaml: which charts a release bundles, in RKE2's own format.

::

    charts:
      - version: 1.39.201
        filename: /charts/rke2-coredns.yaml
        bootstrap: true

``package`` names the asset folder where it is not the chart's name without
``-crd``; ``takeOwnership``, ``forceConflicts`` and ``failurePolicy`` go into
the HelmChart's spec. Unknown keys are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from rke2pack.errors import ConfigError
from rke2pack.helm.version import ChartVersion
from rke2pack.tree import edit

SPEC_KEYS = ("forceConflicts", "failurePolicy", "takeOwnership")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledChart:
    """One entry: the chart's name is the stem of its ``filename``."""

    name: str
    version: ChartVersion
    package: str
    bootstrap: bool
    spec: Mapping[str, Any]
    line: int


@dataclass(frozen=True, slots=True)
class ChartVersions:
    """The parsed file; ``text`` is what it was parsed from."""

    text: str
    charts: tuple[BundledChart, ...]
    what: str

    @classmethod
    def parse(cls, text: str, *, what: str) -> ChartVersions:
        """Parse the file; raises ConfigError with one detail line per wrong entry."""
        document = edit.parse(text, what=what)
        entries = document.get("charts")
        if not isinstance(entries, list):
            msg = f"{what}: there is no list 'charts'"
            raise ConfigError(msg)
        charts: list[BundledChart] = []
        issues: list[ConfigError] = []
        for number in range(len(entries)):
            try:
                charts.append(_entry(text, document, number, what))
            except ConfigError as exc:
                issues.append(exc)
        issues += _duplicates(charts, what)
        if len(issues) == 1:
            raise issues[0]
        if issues:
            msg = f"{what}: {len(issues)} entries are wrong"
            raise ConfigError(msg, details=tuple(issue.message for issue in issues))
        return cls(text, tuple(charts), what)

    def get(self, name: str) -> BundledChart | None:
        """Return the entry of a chart, or None."""
        return next((chart for chart in self.charts if chart.name == name), None)

    def companions(self, name: str) -> tuple[BundledChart, ...]:
        """Return what moves with ``name``: its ``-crd`` chart, and same package and version."""
        own = self.get(name)
        if own is None:
            return ()
        stem = name.removesuffix("-crd")
        return tuple(
            chart
            for chart in self.charts
            if chart.name != name
            and not chart.version.is_removed
            and (
                chart.name in {stem, f"{stem}-crd"}
                or (chart.package == own.package and _same(chart.version, own.version))
            )
        )

    def with_versions(self, versions: Mapping[str, ChartVersion]) -> str:
        """Return the text with new versions for the named charts; nothing else changes."""
        numbers = {chart.name: number for number, chart in enumerate(self.charts)}
        changes: dict[edit.Path, str] = {
            ("charts", numbers[name], "version"): str(version) for name, version in versions.items()
        }
        return edit.replace(self.text, changes, what=self.what)


def _same(left: ChartVersion, right: ChartVersion) -> bool:
    """Whether two charts of a package are at one version, written with ``v`` or without."""
    return right in {left, left.with_other_prefix()}


def _entry(text: str, document: Any, number: int, what: str) -> BundledChart:  # noqa: ANN401 - ruamel's tree
    entry = document["charts"][number]
    where = f"{what}: entry {number + 1}"
    if not isinstance(entry, dict) or "version" not in entry or "filename" not in entry:
        msg = f"{where}: needs version and filename"
        raise ConfigError(msg)
    path: edit.Path = ("charts", number, "version")
    line = edit.line_of(document, path, what=what)
    written = edit.source_text(text, document, path, what=what)
    if edit.is_typed(written):
        msg = f"{what}: line {line}: version {written} is a number for YAML tools, not text"
        raise ConfigError(msg, hint=f'write it in quotes: "{written}"')
    bootstrap = entry.get("bootstrap", False)
    if not isinstance(bootstrap, bool):
        msg = f"{what}: line {line}: bootstrap is {bootstrap!r}, expected true or false"
        raise ConfigError(msg)
    name = PurePosixPath(str(entry["filename"])).stem
    try:
        version = ChartVersion.parse(written.strip("'\""))
    except ConfigError as exc:
        msg = f"{what}: line {line}: {exc.message}"
        raise ConfigError(msg) from exc
    return BundledChart(
        name=name,
        version=version,
        package=str(entry.get("package", name.removesuffix("-crd"))),
        bootstrap=bootstrap,
        spec={key: entry[key] for key in SPEC_KEYS if key in entry},
        line=line,
    )


def _duplicates(charts: list[BundledChart], what: str) -> list[ConfigError]:
    first: dict[str, BundledChart] = {}
    issues = []
    for chart in charts:
        earlier = first.setdefault(chart.name, chart)
        if earlier is not chart:
            msg = f"{what}: line {chart.line}: {chart.name} stands already in line {earlier.line}"
            issues.append(ConfigError(msg, hint="remove one of the two entries"))
    return issues
