"""Every version of the real chart repository parses, orders, round-trips and resolves."""

from __future__ import annotations

import itertools
from pathlib import Path

from rke2pack.helm.version import ChartVersion, Rke2Version, resolve
from tests.upstream import real

HARVESTER = "harvester-cloud-provider"


def test_index_has_as_many_entries_as_were_counted(reference_data: Path) -> None:
    assert len(list(real.entries(reference_data))) == 1222


def test_every_version_round_trips(reference_data: Path) -> None:
    for entry in real.entries(reference_data):
        version = entry.chart_version
        assert str(version) == entry.version
        if version.package_version is not None:
            assert ChartVersion.package(version.upstream, version.package_version) == version


def test_every_chart_has_a_strict_order(reference_data: Path) -> None:
    for found in real.index(reference_data).charts.values():
        versions = sorted(entry.chart_version for entry in found)
        assert all(a < b and a != b for a, b in itertools.pairwise(versions))
        assert sorted(versions) == versions


def test_every_version_resolves_to_itself_and_its_upstream_to_its_newest_package(
    reference_data: Path,
) -> None:
    for chart, found in real.index(reference_data).charts.items():
        versions = [entry.chart_version for entry in found]
        texts = {version.text for version in versions}
        for version in versions:
            assert resolve(version.text, versions, chart=chart).version == version
            if version.upstream in texts:
                continue
            resolution = resolve(version.upstream, versions, chart=chart)
            same = [v for v in versions if v.is_packaged and v.upstream == version.upstream]
            if same:
                assert resolution.version == max(same)
                assert set(resolution.others) == set(same) - {resolution.version}


def test_example_bump_resolves_in_every_spelling(reference_data: Path) -> None:
    found = real.index(reference_data).entries(HARVESTER)
    versions = [entry.chart_version for entry in found]
    for request in ("0.2.10", "0.2.1000", "=0.2.10", ">=0.2.10 <0.2.11"):
        assert resolve(request, versions, chart=HARVESTER).version.text == "0.2.1000"


def test_parsed_index_round_trips(reference_data: Path) -> None:
    index = real.index(reference_data)
    assert type(index).from_json(index.to_json()) == index


def test_releases_are_ordered(reference_data: Path) -> None:
    folders = [path for path in (reference_data / "rke2-releases").iterdir() if path.is_dir()]
    versions = sorted(Rke2Version.parse(path.name) for path in folders)
    assert [str(version) for version in versions] == [
        "v1.30.12+rke2r1",
        "v1.30.13+rke2r1",
        "v1.31.8+rke2r1",
        "v1.31.9+rke2r1",
        "v1.32.4+rke2r1",
        "v1.32.5+rke2r1",
    ]
