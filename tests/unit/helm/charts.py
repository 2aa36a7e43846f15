"""Small charts built in memory."""

from __future__ import annotations

from collections.abc import Mapping

from rke2pack.helm import archive
from rke2pack.helm.chart import Chart

CHART_YAML = "apiVersion: v2\nname: demo\nversion: 1.0.000\n"


def members(files: Mapping[str, str], metadata: str = "") -> list[archive.Member]:
    """Return a chart's members; ``metadata`` is appended to its Chart.yaml unless that is given."""
    given = {"Chart.yaml": CHART_YAML + metadata, **files}
    return [archive.Member(f"demo/{path}", text.encode()) for path, text in given.items()]


def chart(files: Mapping[str, str], metadata: str = "") -> Chart:
    """Pack and open a chart named demo."""
    return Chart.open(archive.pack(members(files, metadata)), name="demo", version="1.0.000")
