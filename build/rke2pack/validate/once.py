"""A renderer that remembers: what two checks of one run render alike is rendered once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rke2pack.helm.chart import Chart
from rke2pack.helm.render import Renderer


class OnceRenderer:
    """Wraps a renderer; keeps all output in memory, so it is for runs that need it twice."""

    def __init__(self, renderer: Renderer) -> None:
        """Remember what ``renderer`` answers."""
        self.identity = renderer.identity
        self._renderer = renderer
        self._known: dict[tuple[str, str, str], Mapping[str, str]] = {}

    def template(
        self, chart: Chart, values: Mapping[str, Any], *, kube_version: str
    ) -> Mapping[str, str]:
        """See `Renderer.template`."""
        key = (str(chart.digest), json.dumps(values, sort_keys=True), kube_version)
        found = self._known.get(key)
        if found is None:
            found = self._renderer.template(chart, values, kube_version=kube_version)
            self._known[key] = found
        return found
