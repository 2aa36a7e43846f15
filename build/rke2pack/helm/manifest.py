"""The HelmChart manifest (``helm.cattle.io/v1``) in its two forms.

The *reference form* stands in the tree: chart address, version and digest,
readable in review. The *content form* is what RKE2 bundles: the chart itself
as one line of base64 (RKE2, ``charts/build-chart.sh``), its Chart.yaml altered
so that the chart is bound to the release's Kubernetes version. helm-controller
hashes the content, so the same input must give the same bytes for ever.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rke2pack import safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import NAMESPACE

API_VERSION = "helm.cattle.io/v1"
DIGEST_ANNOTATION = "rke2pack.io/chart-digest"
URL_ANNOTATION = "helm.cattle.io/chart-url"
INJECT_ANNOTATION = "rke2.cattle.io/inject-cluster-config"
BUNDLE_ANNOTATION = "fleet.cattle.io/bundle-id"
MAX_CONTENT = 1_048_576
_SPEC_ORDER = ("forceConflicts", "failurePolicy", "bootstrap", "takeOwnership")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._+/-]*\Z")
_TOP_KEY = re.compile(r"^(?:\"?([A-Za-z]+)\"?):")
_INDENT = re.compile(r"^( +)\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartReference:
    """The reference form: which archive a release bundles, and how it is installed."""

    name: str
    version: str
    url: str
    digest: Digest
    bootstrap: bool
    spec: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, what: str) -> ChartReference:
        """Read a manifest in reference form; raises ConfigError naming what is missing."""
        document = safeyaml.load(text, what=what, scalars=False)
        try:
            metadata, spec = document["metadata"], document["spec"]
            return cls(
                name=metadata["name"],
                version=spec["version"],
                url=spec["chart"],
                digest=Digest.parse(metadata["annotations"][DIGEST_ANNOTATION]),
                bootstrap=spec["bootstrap"] == "true",
                spec={
                    k: _typed(v) for k, v in spec.items() if k in _SPEC_ORDER and k != "bootstrap"
                },
            )
        except (KeyError, TypeError) as exc:
            msg = f"{what}: not a HelmChart in reference form, {exc} is missing"
            raise ConfigError(msg, hint="write it anew with 'rke2pack bump CHART VERSION'") from exc

    def with_spec(self, spec: Mapping[str, Any]) -> ChartReference:
        """Return the same reference with these spec keys beside ``bootstrap``."""
        return replace(self, spec=spec)

    def __str__(self) -> str:
        """Write the reference form."""
        return (
            f"apiVersion: {API_VERSION}\n"
            "kind: HelmChart\n"
            "metadata:\n"
            f"  name: {self.name}\n"
            f"  namespace: {NAMESPACE}\n"
            "  annotations:\n"
            f"    {DIGEST_ANNOTATION}: {self.digest}\n"
            "spec:\n"
            f"  chart: {self.url}\n"
            f"  version: {_scalar(self.version)}\n"
            f"{_spec_lines(self.spec, bootstrap=self.bootstrap)}"
        )


def removed(name: str) -> str:
    """Return the manifest of a chart that chart_versions.yaml lists as 0.0.0."""
    return f"# {name} has been removed\n"


def is_removed(text: str) -> bool:
    """Whether a manifest holds no object, as that of a removed chart."""
    return all(not line.strip() or line.startswith("#") for line in text.splitlines())


def with_content(chart: Chart, reference: ChartReference, *, kube_version: str) -> str:
    """Return the content form of ``chart`` for a release with this Kubernetes version.

    Raises ValidationError where the content would not fit a ConfigMap.
    """
    content = base64.b64encode(bound_archive(chart, kube_version=kube_version)).decode()
    if len(content) >= MAX_CONTENT:
        msg = (
            f"{chart.name} {chart.version}: chartContent would be {len(content)} characters, "
            f"a ConfigMap holds fewer than {MAX_CONTENT}"
        )
        raise ValidationError(msg, hint="split the chart's CRDs into a -crd chart of their own")
    return (
        f"apiVersion: {API_VERSION}\n"
        "kind: HelmChart\n"
        "metadata:\n"
        f'  name: "{chart.name}"\n'
        f'  namespace: "{NAMESPACE}"\n'
        "  annotations:\n"
        f'    {URL_ANNOTATION}: "{reference.url}"\n'
        f'    {INJECT_ANNOTATION}: "true"\n'
        "spec:\n"
        f"{_spec_lines(reference.spec, bootstrap=reference.bootstrap)}"
        f"  chartContent: {content}\n"
    )


def bound_archive(chart: Chart, *, kube_version: str) -> bytes:
    """Return the chart's archive with the altered Chart.yaml, reproducibly packed."""
    altered = bound_metadata(chart, kube_version=kube_version).encode()
    members = (
        archive.Member(f"{chart.name}/{path}", altered if path == "Chart.yaml" else data)
        for path, data in chart.files.items()
    )
    return archive.pack(members)


def bound_metadata(chart: Chart, *, kube_version: str) -> str:
    """Return Chart.yaml with RKE2's kubeVersion and Fleet's bundle-id, the rest as it was.

    The edit is made in the text and then proved by parsing; raises
    ValidationError where the two disagree.
    """
    text = chart.text("Chart.yaml")
    range_line = f'kubeVersion: ">= {kube_version}"\n'
    sections = [s for s in _top_sections(text) if s[0] != "kubeVersion"]
    annotations = chart.annotations
    lines = [
        _with_bundle_id(body) if key == "annotations" and annotations else body
        for key, body in sections
        if key != "annotations" or annotations
    ]
    if not annotations:
        lines.append(f"annotations:\n  {BUNDLE_ANNOTATION}: rke2\n")
    altered = "".join(lines) + range_line
    expected = {
        **chart.text_metadata,
        "annotations": {**annotations, BUNDLE_ANNOTATION: "rke2"},
        "kubeVersion": f">= {kube_version}",
    }
    what = f"{chart.name} {chart.version}: Chart.yaml"
    if safeyaml.load(altered, what=what, scalars=False) != expected:
        msg = f"{what}: kubeVersion and annotations cannot be set in this form of YAML"
        raise ValidationError(msg, hint="write Chart.yaml in block style, one key a line")
    return altered


def _top_sections(text: str) -> list[tuple[str, str]]:
    """Split block-style YAML at its top-level keys; what stands before them has key ''."""
    sections: list[tuple[str, str]] = []
    for line in text.removeprefix("\ufeff").splitlines(keepends=True):
        whole = line if line.endswith("\n") else line + "\n"
        found = _TOP_KEY.match(whole)
        if found or not sections:
            sections.append((found[1] if found else "", whole))
        else:
            key, body = sections[-1]
            sections[-1] = (key, body + whole)
    return sections


def _with_bundle_id(section: str) -> str:
    """Add or replace the bundle-id as the first entry of the annotations."""
    head, *rest = section.splitlines(keepends=True)
    kept = [
        line
        for line in rest
        if not line.lstrip().startswith((f"{BUNDLE_ANNOTATION}:", f'"{BUNDLE_ANNOTATION}"'))
    ]
    indents = [found[1] for line in kept if (found := _INDENT.match(line))]
    indent = min(indents, key=len) if indents else "  "
    return f"{head}{indent}{BUNDLE_ANNOTATION}: rke2\n{''.join(kept)}"


def _spec_lines(spec: Mapping[str, Any], *, bootstrap: bool) -> str:
    known = {**spec, "bootstrap": bootstrap}
    return "".join(f"  {key}: {_scalar(known[key])}\n" for key in _SPEC_ORDER if key in known)


def _scalar(value: Any) -> str:  # noqa: ANN401 - a YAML scalar
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if _PLAIN.match(text) else f'"{text}"'


def _typed(value: str) -> bool | str:
    return {"true": True, "false": False}.get(value, value)
