"""A real renderer that counts, and small charts for lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2pack.helm.archive import Member, pack
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import SdkRenderer

REGISTRY_HELPER = (
    '{{- define "registry" -}}{{ with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end }}'
    "{{- end -}}"
)
POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: c
    image: '{image}'
    args: ['{argument}']
"""


class CountingRenderer:
    """Renders as `SdkRenderer` does and counts."""

    def __init__(self) -> None:
        self._renderer = SdkRenderer()
        self.identity = self._renderer.identity
        self.renders = 0

    def template(
        self, chart: Chart, values: Mapping[str, Any], *, kube_version: str
    ) -> Mapping[str, str]:
        self.renders += 1
        return self._renderer.template(chart, values, kube_version=kube_version)


def followed(image: str) -> str:
    """Return an image in a template that follows the registry setting."""
    return '{{ include "registry" . }}' + image


def make_chart(
    templates: Mapping[str, str],
    *,
    name: str = "rke2-a",
    values: str = "{}\n",
    version: str = "1.0.000",
) -> Chart:
    """Return a chart with these templates and the helper that `followed` needs."""
    metadata = f"apiVersion: v2\nname: {name}\nversion: {version}\n"
    members = [
        Member(f"{name}/Chart.yaml", metadata.encode()),
        Member(f"{name}/values.yaml", values.encode()),
        Member(f"{name}/templates/_helpers.tpl", REGISTRY_HELPER.encode()),
        *(Member(f"{name}/templates/{path}", text.encode()) for path, text in templates.items()),
    ]
    return Chart.open(pack(members), name=name, version=version)


def pod(image: str, argument: str = "run", name: str = "p") -> str:
    """Return a template of a pod."""
    return POD.format(name=name, image=image, argument=argument)
