"""Discovered images against the released lists, and images.txt against discovery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.files import Cache
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import SdkRenderer
from rke2pack.helm.version import ChartVersion
from rke2pack.lists import text
from rke2pack.lists.build import Builder
from rke2pack.lists.model import ImageLists
from rke2pack.lists.survey import Surveyor
from rke2pack.tree.native import NativeTree
from rke2pack.tree.versions import ChartVersions
from tests.upstream import real

RELEASES = [
    *("v1.30.12+rke2r1", "v1.30.13+rke2r1", "v1.31.8+rke2r1", "v1.31.9+rke2r1"),
    *("v1.32.4+rke2r1", "v1.32.5+rke2r1"),
]
CERTGEN = "rancher/mirrored-cilium-certgen:"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("surveys"))


@pytest.fixture(scope="module")
def lists_of(
    reference_data: Path, project: Path, cache: Cache
) -> Callable[[ChartVersions, dict[str, str]], ImageLists]:
    components = NativeTree(root=project).components
    renderer = SdkRenderer()

    def build(versions: ChartVersions, environment: dict[str, str]) -> ImageLists:
        bundled = {c.name: c.version for c in versions.charts if not c.version.is_removed}

        def fetch(name: str) -> Chart:
            entry = real.index(reference_data).entry(name, ChartVersion(bundled[name].text))
            return real.open_chart(reference_data, entry)

        wanted: dict[str, list[str]] = {}
        for chart in versions.charts:
            component = components.of_chart(chart.name)
            assert component is not None, chart.name
            own = wanted.setdefault(component.name, [])
            own += [] if chart.version.is_removed else [chart.name]
        # Windows has no chart, only images that programs name.
        wanted |= {each.name: [] for each in components.components if not each.charts}
        surveyor = Surveyor(
            renderer=renderer, cache=cache, kube_version=environment["KUBERNETES_VERSION"]
        )
        return Builder(
            components=components,
            environment=environment,
            fetch=fetch,
            surveyor=surveyor,
            registry="docker.io",
        ).build(wanted)

    return build


@pytest.mark.parametrize("release", RELEASES)
def test_every_component_is_exactly_the_released_list(
    reference_data: Path,
    lists_of: Callable[[ChartVersions, dict[str, str]], ImageLists],
    release: str,
) -> None:
    folder = reference_data / "rke2-releases" / release
    path = folder / "chart_versions.yaml"
    versions = ChartVersions.parse(path.read_text(encoding="utf-8"), what=path.name)
    lines = (folder / "versions.env").read_text(encoding="utf-8").split()
    found = lists_of(versions, dict(line.split("=", 1) for line in lines))
    assert versions.with_versions({c.name: c.version for c in versions.charts}) == versions.text
    compared = 0
    for architecture in ("amd64", "arm64"):
        ours = {
            each.component: sorted(each.references)
            for each in found.lists
            if f"linux/{architecture}" in each.platforms
        }
        released = {
            path.stem.removeprefix("images-"): sorted(path.read_text(encoding="utf-8").split())
            for path in (folder / architecture).glob("images-*.txt")
        }
        assert ours == released
        compared += sum(map(len, ours.values()))
    assert compared > 100
    assert found.findings
    for finding in found.findings:
        assert finding.check == "system-default-registry"
        assert finding.subject.startswith("rke2-cilium ")
        assert finding.got.startswith(CERTGEN)


def test_images_txt_of_the_project_is_what_discovery_finds(
    project: Path, lists_of: Callable[[ChartVersions, dict[str, str]], ImageLists]
) -> None:
    tree = NativeTree(root=project)
    found = lists_of(tree.versions, dict(tree.environment))
    platforms = tree.components.platforms
    sections = [text.section_of(each, all_platforms=platforms) for each in found.lists]
    order = [component.name for component in tree.components.components]
    written = text.format_images(text.replaced((), sections, order=order))
    assert written == tree.images_text
    assert text.format_images(text.parse(written, what="images.txt")) == written
