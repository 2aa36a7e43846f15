"""Rendering a chart into Kubernetes objects, offline.

One interface, two implementations: Helm 4 as a library (``helm-python-sdk``, in the
processes of ``helm/workers.py``) and a ``helm`` binary (``helm/binary.py``).
What the SDK leaves to its caller happens here for both: NOTES.txt is dropped,
output is split into documents, ``crds/`` is added, a missing dependency and a
violated kubeVersion are errors as they are for ``helm template``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from rke2pack import safeyaml
from rke2pack.errors import ValidationError
from rke2pack.helm import workers
from rke2pack.helm.chart import Chart
from rke2pack.helm.constraint import KubeConstraint

NAMESPACE = "kube-system"
SDK_VERSION = "0.2.2"  # as pinned in pyproject.toml; asking the installation takes 30 ms
_SEPARATOR = re.compile(r"^---(?=\s|\Z)[ \t\r]*(?:#[^\n]*)?", re.MULTILINE)
_CRD_FILE = re.compile(r"(?:charts/[^/]+/)*crds/.+\.(?:ya?ml|json)\Z")
_KIND = re.compile(r"^kind:[ \t]*['\"]?([A-Za-z]+)", re.MULTILINE)
_COMMENT = re.compile(r"\s*(?:#.*)?")


class Renderer(Protocol):
    """Turns a chart and values into template output."""

    @property
    def identity(self) -> str:
        """Name and version of the engine, part of every cache key."""

    def template(
        self, chart: Chart, values: Mapping[str, Any], *, kube_version: str
    ) -> Mapping[str, str]:
        """Return output by template path; raises ValidationError with Helm's message."""


@dataclass(frozen=True, kw_only=True)
class RenderedObject:
    """One YAML document of a template's output; parsed when first asked for."""

    chart: str
    template: str
    text: str = field(repr=False)

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """The object as a mapping; raises ValidationError where it is none."""
        what = f"{self.chart}: {self.template}"
        document = safeyaml.load(self.text, what=what)
        if not isinstance(document, dict):
            msg = f"{what}: a rendered document is not a mapping"
            raise ValidationError(msg)
        return document

    @property
    def is_crd(self) -> bool:
        """Whether this is a CustomResourceDefinition, told without parsing it all."""
        found = _KIND.search(self.text)
        return found is not None and found[1] == "CustomResourceDefinition"

    @property
    def kind(self) -> str:
        """``kind``, or an empty string."""
        return str(self.body.get("kind") or "")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """``metadata``, or an empty mapping."""
        found = self.body.get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        """``metadata.name``, or an empty string."""
        return str(self.metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        """``metadata.namespace``, or an empty string."""
        return str(self.metadata.get("namespace") or "")

    @property
    def label(self) -> str:
        """``Kind/name``, as people write it."""
        return f"{self.kind}/{self.name}"


def render(
    renderer: Renderer, chart: Chart, values: Mapping[str, Any], *, kube_version: str
) -> tuple[RenderedObject, ...]:
    """Render ``chart`` and return its objects, CRDs first.

    ``kube_version`` is the version of the target cluster (``v1.32.4``). Raises
    ValidationError with Helm's own message when the chart does not render.
    """
    what = f"{chart.name} {chart.version}"
    if chart.missing_dependencies:
        names = ", ".join(chart.missing_dependencies)
        msg = f"{what}: Chart.yaml declares dependencies that charts/ lacks: {names}"
        raise ValidationError(msg)
    if chart.kube_version and not KubeConstraint.parse(chart.kube_version).is_satisfied_by(
        kube_version
    ):
        msg = f"{what}: needs Kubernetes {chart.kube_version}, the tree is for {kube_version}"
        raise ValidationError(msg, hint="choose a chart version made for this Kubernetes version")
    output = renderer.template(chart, values, kube_version=kube_version)
    return (*_crds(chart), *_objects(chart, output))


def _crds(chart: Chart) -> Iterator[RenderedObject]:
    for path in sorted(chart.files):
        if _CRD_FILE.match(path):
            yield from _documents(chart, path, chart.text(path))


def _objects(chart: Chart, output: Mapping[str, str]) -> Iterator[RenderedObject]:
    for path in sorted(output):
        if not path.endswith("NOTES.txt"):
            yield from _documents(chart, path.removeprefix(f"{chart.name}/"), output[path])


def _documents(chart: Chart, path: str, text: str) -> Iterator[RenderedObject]:
    for part in _SEPARATOR.split(text):
        if all(_COMMENT.fullmatch(line) for line in part.splitlines()):
            continue
        yield RenderedObject(chart=f"{chart.name} {chart.version}", template=path, text=part)


class SdkRenderer:
    """Helm 4 as a library, in processes of its own; threads render in parallel."""

    def __init__(self) -> None:
        """Only name the engine; its processes start when a chart is rendered."""
        self.identity = f"helm-python-sdk {SDK_VERSION}"

    def template(
        self, chart: Chart, values: Mapping[str, Any], *, kube_version: str
    ) -> Mapping[str, str]:
        """See `Renderer.template`; raises ToolError for a chart that needs too much."""
        options = {"name": chart.name, "namespace": NAMESPACE, "kube_version": kube_version}
        return workers.render(chart.data, values, options, what=f"{chart.name} {chart.version}")
