"""Small charts built in memory and the real renderer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest

from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff, UserValues, diff
from rke2pack.helm.render import SdkRenderer

Files: TypeAlias = Mapping[str, str]


def build_chart(files: Files, version: str = "1.0.0", metadata: str = "") -> Chart:
    """Pack a chart named ``demo``; ``metadata`` is appended to its Chart.yaml."""
    chart_yaml = f"apiVersion: v2\nname: demo\nversion: {version}\n{metadata}"
    members = [archive.Member("demo/Chart.yaml", chart_yaml.encode())]
    members += [archive.Member(f"demo/{path}", text.encode()) for path, text in files.items()]
    return Chart.open(archive.pack(members), name="demo", version=version)


@pytest.fixture(scope="session")
def chart() -> Callable[..., Chart]:
    return build_chart


@pytest.fixture(scope="session")
def renderer() -> SdkRenderer:
    return SdkRenderer()


@pytest.fixture(scope="session")
def compare(renderer: SdkRenderer) -> Callable[..., ChartDiff]:
    """Compare two charts given as files: ``compare(old, new, base={}, user=None)``."""

    def call(
        old: Files,
        new: Files,
        base: Mapping[str, Any] | None = None,
        user: UserValues | None = None,
        *,
        metadata: tuple[str, str] = ("", ""),
    ) -> ChartDiff:
        return diff(
            build_chart(old, "1.0.0", metadata[0]),
            build_chart(new, "1.1.0", metadata[1]),
            renderer,
            kube_version="v1.32.4",
            base=base or {},
            user=user,
        )

    return call
