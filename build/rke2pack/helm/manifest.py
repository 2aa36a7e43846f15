"""The HelmChart manifest (``helm.cattle.io/v1``) in its two forms.

The *reference form* stands in the tree: chart address, version and digest,
readable in review. The *content form* is what RKE2 bundles: the chart itself
as one line of base64 (RKE2, ``charts/build-chart.sh``), its Chart.yaml altered
so that the chart is bound to the release's Kubernetes version. helm-controller
hashes the content, so the same input must give the same bytes for ever.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rke2pack import safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ValidationError
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
SPEC_KEYS = tuple(key for key in _SPEC_ORDER if key != "bootstrap")
_REWRITE = "write it anew with 'rke2pack bump CHART VERSION'"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._+/-]*\Z")
_TOP_KEY = re.compile(r"""^["']?([A-Za-z]+)["']?[ \t]*:""")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
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
        try:
            document = safeyaml.load(text, what=what, scalars=False)
            digest = Digest.parse(_field(document, "metadata", "annotations", DIGEST_ANNOTATION))
            return cls(
                name=_field(document, "metadata", "name"),
                version=_field(document, "spec", "version"),
                url=_field(document, "spec", "chart"),
                digest=digest,
                bootstrap=_field(document, "spec", "bootstrap") == "true",
                spec={k: _typed(document["spec"][k]) for k in SPEC_KEYS if k in document["spec"]},
            )
        except ValidationError as exc:
            raise ConfigError(exc.message, hint=_REWRITE) from exc
        except (KeyError, IntegrityError) as exc:
            reason = exc.message if isinstance(exc, IntegrityError) else f"{exc.args[0]} is missing"
            msg = f"{what}: not a HelmChart in reference form, {reason}"
            raise ConfigError(msg, hint=_REWRITE) from exc

    def with_spec(self, spec: Mapping[str, Any]) -> ChartReference:
        """Return the same reference with these spec keys beside ``bootstrap``."""
        return replace(self, spec=spec)

    def __str__(self) -> str:
        """Write the reference form."""
        return (
            f"apiVersion: {API_VERSION}\n"
            "kind: HelmChart\n"
            "metadata:\n"
            f"  name: {_scalar(self.name)}\n"
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
    annotations = chart.annotations
    lines = []
    for key, body in _top_sections(text):
        if key == "annotations" and annotations:
            lines.append(_with_bundle_id(body))
        elif key in {"annotations", "kubeVersion"}:
            lines += [line for line in body.splitlines(keepends=True) if line.startswith("#")]
        else:
            lines.append(body)
    if not annotations:
        lines.append(f"annotations:\n  {BUNDLE_ANNOTATION}: rke2\n")
    altered = "".join(lines) + range_line
    expected = {
        **chart.text_metadata,
        "annotations": {**annotations, BUNDLE_ANNOTATION: "rke2"},
        "kubeVersion": f">= {kube_version}",
    }
    what = f"{chart.name} {chart.version}: Chart.yaml"
    try:
        is_proved = safeyaml.load(altered, what=what, scalars=False) == expected
    except ValidationError:
        is_proved = False
    if not is_proved:
        msg = f"{what}: kubeVersion and annotations cannot be set in this form of YAML"
        raise ValidationError(msg, hint="write Chart.yaml in block style, one key a line")
    return altered


def _top_sections(text: str) -> list[tuple[str, str]]:
    """Split block-style YAML at its top-level keys; what stands before them has key ''."""
    sections: list[tuple[str, str]] = []
    for line in _LINES.findall(text.removeprefix("\ufeff")):
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
        if not re.match(rf"""\s*["']?{re.escape(BUNDLE_ANNOTATION)}["']?\s*:""", line)
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
    if _PLAIN.match(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _field(document: object, *path: str) -> str:
    """Return the text at ``path``; raises KeyError with the path where there is none."""
    node = document
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    if not isinstance(node, str) or not node:
        raise KeyError(".".join(path))
    return node


def _typed(value: str) -> bool | str:
    return {"true": True, "false": False}.get(value, value)
