"""validate-kind.yaml: how far each chart gets in a cluster without its infrastructure.

A chart that the file does not name has to become ready with the values of its ``ci`` folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rke2pack.errors import ConfigError
from rke2pack.tree.node import Node

NAME: Final = "validate-kind.yaml"
REACHES: Final = ("ready", "started", "created", "accepted")
"""From the most to the least.

ready: every pod is ready, or has done its work. started: every container has run, from the image
that was imported; what it needs then is not there. created: every pod has its place and its images.
accepted: the API server takes every object in a dry run, and nothing is installed, as that would
take the cluster apart (its network, for example).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a chart is given, and what it reaches.

    ``objects`` are made before the chart is installed and stay, ``values`` go before those of the
    ``ci`` folder. ``has_hooks`` is false where the chart's hooks cannot end, ``uses_ci`` where its
    ``ci`` values are not for these images. ``leaves`` are objects that its removal leaves, as
    ``Kind namespace/name``.
    """

    reaches: str = "ready"
    reason: str = ""
    has_hooks: bool = True
    uses_ci: bool = True
    leaves: frozenset[str] = frozenset()
    values: Mapping[str, Any] = field(default_factory=dict)
    objects: tuple[Mapping[str, Any], ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """What a report has to say of it: what else than the chart itself was given or left."""
        found = [f"reaches {self.reaches}: {self.reason}"] if self.reaches != "ready" else []
        if not self.has_hooks:
            found.append("installed without its hooks")
        if not self.uses_ci:
            found.append(f"installed with its defaults, not its ci values: {self.reason}")
        if self.values:
            found.append(f"given values: {', '.join(sorted(self.values))}")
        names = [f"{each['kind']} {each['metadata']['name']}" for each in self.objects]
        found += [f"given object: {name}" for name in names]
        return (*found, *(f"leaves {name}: {self.reason}" for name in sorted(self.leaves)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """The whole file; ``default`` is for charts that it does not name."""

    charts: Mapping[str, Expectation] = field(default_factory=dict)
    default: Expectation = field(default_factory=Expectation)

    @classmethod
    def parse(cls, text: str, *, what: str, known: Iterable[str]) -> Expectations:
        """Parse the file; raises ConfigError for a chart that is not in ``known``, and the rest."""
        root = Node.read(text, what=what)
        root.only("charts")
        names = set(known)
        charts = {}
        for name, node in root.fields("charts"):
            if name not in names:
                msg = f"{node.where}: no component has {name}"
                raise ConfigError(msg, hint="write the chart's name as in components.yaml")
            charts[name] = _expectation(node)
        return cls(charts=charts)

    def of(self, chart: str) -> Expectation:
        """Return what a chart reaches."""
        return self.charts.get(chart, self.default)


def _expectation(node: Node) -> Expectation:
    node.only("reaches", "reason", "hooks", "ci", "leaves", "values", "objects")
    reaches = node.choice("reaches", *reversed(REACHES))
    has_hooks = node.choice("hooks", "skip", "run") == "run"
    uses_ci = node.choice("ci", "skip", "use") == "use"
    leaves = frozenset(node.texts("leaves"))
    reason = node.text("reason", default="")
    if not (reason or (reaches == "ready" and has_hooks and uses_ci and not leaves)):
        msg = f"{node.where}: has no reason"
        raise ConfigError(msg, hint="say what the chart lacks in a cluster without the rest")
    return Expectation(
        reaches=reaches,
        reason=reason,
        has_hooks=has_hooks,
        uses_ci=uses_ci,
        leaves=leaves,
        values=node.mapping("values"),
        objects=tuple(_object(each) for each in node.items("objects")),
    )


def _object(node: Node) -> Mapping[str, Any]:
    found: Any = node.value
    metadata = found.get("metadata") if isinstance(found, dict) else None
    named = isinstance(metadata, dict) and isinstance(metadata.get("name"), str)
    if not named or not all(isinstance(found.get(key), str) for key in ("apiVersion", "kind")):
        msg = f"{node.where}: not an object of Kubernetes"
        raise ConfigError(msg, hint="write apiVersion, kind and metadata.name")
    return {str(key): value for key, value in found.items()}
