"""A user's own values: reading them, and what a new chart version means for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from rke2pack import safeyaml
from rke2pack.errors import ConfigError
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.plain import (
    Path,
    Plain,
    dotted,
    is_same,
    leaves,
    mapping,
    mappings,
    plain,
    shown,
)
from rke2pack.helm.diff.values import effective_defaults, lookup, merge_values, subchart_files

CONFIG_KIND = "HelmChartConfig"

Verdict: TypeAlias = Literal[
    "unknown",
    "never-known",
    "equals-default",
    "overrides-moved-default",
    "not-examined",
]
"""What a bump means for one setting.

``unknown``: the old chart knew it, the new one does not; the detail tells where
its templates read it all the same. ``never-known``: neither does.
``equals-default``: equal to the new default and not to the old one.
``overrides-moved-default``: the default moved, the setting keeps another value.
``not-examined``: stands in a Secret that the file only names.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserValues:
    """Values that a user sets; ``unread`` names sources that the file refers to."""

    values: Mapping[str, Plain]
    unread: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, what: str, *, chart: str | None = None) -> Self:
        """Parse plain values, or the HelmChartConfig of ``chart`` among the documents of a file.

        A HelmChartConfig's ``spec.values`` lies over its ``spec.valuesContent``
        (helm-controller). Raises ConfigError where the file is for another
        chart or another kind of object, ValidationError where it is not YAML.
        """
        documents = [plain(d) for d in safeyaml.load_all(text, what=what) if d is not None]
        if any(not isinstance(document, dict) for document in documents):
            msg = f"{what}: expected a mapping of values or a {CONFIG_KIND}"
            raise ConfigError(msg)
        found = [mapping(document) for document in documents]
        if any(document.get("kind") == CONFIG_KIND for document in found):
            return cls._of_config(_for_chart(found, what, chart), what)
        if len(found) > 1:
            msg = f"{what}: holds {len(found)} documents and none is a {CONFIG_KIND}"
            raise ConfigError(msg, hint="keep the values of one chart in the file")
        values = found[0] if found else {}
        if values.get("kind") and values.get("apiVersion"):
            msg = f"{what}: is a {values['kind']}, expected values or a {CONFIG_KIND}"
            raise ConfigError(msg, hint=f"give the values themselves or a {CONFIG_KIND}")
        return cls(values=values)

    @classmethod
    def _of_config(cls, config: Mapping[str, Plain], what: str) -> Self:
        spec = mapping(config.get("spec"))
        content = safeyaml.load(str(spec.get("valuesContent") or ""), what=f"{what}: valuesContent")
        values = plain(content) or {}
        if not isinstance(values, dict):
            msg = f"{what}: spec.valuesContent is not a mapping"
            raise ConfigError(msg)
        merged = merge_values(values, mapping(spec.get("values")))
        return cls(
            values=merged, unread=("spec.valuesSecrets",) if spec.get("valuesSecrets") else ()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFinding:
    """One setting of the user and what the bump means for it."""

    path: str
    verdict: Verdict
    detail: str

    def to_json(self) -> dict[str, Plain]:
        """Return path, verdict and detail."""
        return {"path": self.path, "verdict": self.verdict, "detail": self.detail}

    def __str__(self) -> str:
        return f"{self.path}: {self.verdict}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What one version of a chart knows: its defaults, and what its templates read."""

    version: str
    defaults: dict[str, Plain]
    subcharts: frozenset[str]
    conditions: frozenset[str]
    templates: str

    @classmethod
    def by(cls, chart: Chart) -> _Known:
        return cls(
            version=chart.version,
            defaults=effective_defaults(chart),
            subcharts=frozenset(_subcharts(chart.files, what=chart.name)),
            conditions=frozenset(
                condition.strip()
                for dependency in mappings(plain(chart.text_metadata.get("dependencies")))
                for condition in str(dependency.get("condition") or "").split(",")
            ),
            templates="\n".join(chart.sources.values()),
        )

    def has_default(self, path: Path) -> bool:
        """Whether values.yaml has the path, or leaves its content free: ``{}``, null, a scalar."""
        node: Plain = self.defaults
        is_chart = True  # a chart without defaults leaves nothing free
        for step in path:
            if not isinstance(node, dict) or (not node and not is_chart):
                return True
            if step not in node:
                return False
            node = node[str(step)]
            is_chart = is_chart and step in self.subcharts
        return True

    def is_read(self, path: Path) -> bool:
        """Whether a template reads ``.Values.<path>``, or passes a mapping above it on whole.

        Also true for what enables a subchart: its condition in Chart.yaml, or a tag.
        """
        steps = [str(step) for step in path]
        if ".".join(steps) in self.conditions or steps[0] == "tags":
            return True
        while steps[0] in self.subcharts and len(steps) > 1:
            steps = steps[1:]
        return any(
            re.search(rf"\.Values\.{re.escape('.'.join(steps[:length]))}(?![\w.])", self.templates)
            for length in range(len(steps), 0, -1)
        )


def judge(user: UserValues, old: Chart, new: Chart) -> tuple[UserFinding, ...]:
    """Tell for each setting what the step from ``old`` to ``new`` means, sorted by path.

    Settings that nothing happens to are left out, and so is what stands in a
    map that the chart leaves to the user. The user's own values are not shown.
    """
    before, after = _Known.by(old), _Known.by(new)
    findings = [
        UserFinding(path=name, verdict="not-examined", detail="the values stand in Secrets")
        for name in user.unread
    ]
    for path, value in leaves(dict(user.values)):
        if path and value != {}:
            findings += _judgement(path, value, before, after)
    return tuple(sorted(findings, key=lambda finding: (finding.path, finding.verdict)))


def _judgement(path: Path, value: Plain, before: _Known, after: _Known) -> Iterator[UserFinding]:
    if not after.has_default(path):
        verdict, detail = _unknown(path, before, after)
        if verdict is not None:
            yield UserFinding(path=dotted(path), verdict=verdict, detail=detail)
        return
    had, old_default = lookup(before.defaults, path)
    has, new_default = lookup(after.defaults, path)
    if not has or (had and is_same(old_default, new_default)):
        return
    moved = f"{shown(old_default) if had else 'no default'} -> {shown(new_default)}"
    if is_same(value, new_default):
        detail = f"the default moved to your value ({moved}), the setting can go"
        yield UserFinding(path=dotted(path), verdict="equals-default", detail=detail)
    else:
        detail = f"the default moved ({moved}), your value stays"
        yield UserFinding(path=dotted(path), verdict="overrides-moved-default", detail=detail)


def _unknown(path: Path, before: _Known, after: _Known) -> tuple[Verdict | None, str]:
    was_default = before.has_default(path)
    if after.is_read(path):
        gone = f"gone from values.yaml of {after.version}, though its templates still read it"
        return ("unknown", gone) if was_default else (None, "")
    if was_default or before.is_read(path):
        return "unknown", f"{after.version} no longer knows it, {before.version} did"
    return "never-known", f"neither {before.version} nor {after.version} knows it"


def _subcharts(files: Mapping[str, bytes], *, what: str) -> Iterator[str]:
    """Yield the names of subcharts and of theirs."""
    for name, content in subchart_files(files, what=what).items():
        yield name
        yield from _subcharts(content, what=f"{what}: {name}")


def _for_chart(
    documents: list[dict[str, Plain]], what: str, chart: str | None
) -> Mapping[str, Plain]:
    configs = [document for document in documents if document.get("kind") == CONFIG_KIND]
    names = [str(mapping(config.get("metadata")).get("name") or "") for config in configs]
    if chart is not None:
        configs = [config for config, name in zip(configs, names, strict=True) if name == chart]
    if len(configs) == 1:
        return configs[0]
    if not configs:
        msg = f"{what}: is a {CONFIG_KIND} for {', '.join(names)}, not for {chart}"
        raise ConfigError(msg, hint=f"give the {CONFIG_KIND} whose metadata.name is {chart}")
    msg = f"{what}: holds {len(configs)} {CONFIG_KIND} objects for {', '.join(sorted(set(names)))}"
    raise ConfigError(msg, hint="keep one of them in the file")
