"""The real chart repository, each index entry with the path of its archive."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from rke2pack.helm.chart import Chart
from rke2pack.helm.index import ChartIndex, IndexEntry


@functools.cache
def index(data: Path) -> ChartIndex:
    text = (data / "rke2-charts" / "index.yaml").read_text(encoding="utf-8")
    return ChartIndex.parse(text, what="index.yaml")


def entries(data: Path) -> Iterator[IndexEntry]:
    for found in index(data).charts.values():
        yield from found


def newest(data: Path, count: int = 3) -> Iterator[IndexEntry]:
    """Yield the newest versions of each chart."""
    for found in index(data).charts.values():
        yield from sorted(found, key=lambda entry: entry.chart_version)[-count:]


def archive_bytes(data: Path, entry: IndexEntry) -> bytes:
    return (data / "rke2-charts" / entry.url).read_bytes()


def open_chart(data: Path, entry: IndexEntry) -> Chart:
    return Chart.open(archive_bytes(data, entry), name=entry.chart, version=entry.version)
