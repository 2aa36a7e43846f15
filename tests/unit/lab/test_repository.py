from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ToolError
from rke2pack.files import Cache
from rke2pack.helm import archive
from rke2pack.helm.repository import Access, open_repository
from rke2pack.lab import repository


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository.build(tmp_path_factory.mktemp("lab") / "charts")


@pytest.fixture(scope="module")
def entries(built: Path) -> list[dict[str, Any]]:
    index = json.loads((built / "index.yaml").read_bytes())
    assert index["apiVersion"] == "v1"
    return [entry for found in index["entries"].values() for entry in found]


def content(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_two_builds_are_equal(built: Path, tmp_path: Path) -> None:
    assert content(repository.build(tmp_path)) == content(built)


def test_second_build_writes_nothing(tmp_path: Path) -> None:
    repository.build(tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*")}
    repository.build(tmp_path)
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*")} == before


def test_damaged_archive_is_written_again(built: Path, tmp_path: Path) -> None:
    repository.build(tmp_path)
    damaged = next(tmp_path.glob("assets/rke2-multus/*.tgz"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert content(repository.build(tmp_path)) == content(built)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=f"^cannot write {tmp_path}/file/"):
        repository.build(tmp_path / "file")


def test_archives_have_the_digests_of_the_index(built: Path, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        (url,) = entry["urls"]
        assert Digest.of((built / url).read_bytes()).hex == entry["digest"]


def test_every_archive_is_in_the_index(built: Path, entries: list[dict[str, Any]]) -> None:
    urls = [url for entry in entries for url in entry["urls"]]
    assert sorted(urls) == sorted(str(p.relative_to(built)) for p in built.rglob("*.tgz"))


def test_asset_folder_is_the_package(entries: list[dict[str, Any]]) -> None:
    urls = {url for entry in entries for url in entry["urls"]}
    assert "assets/rke2-calico/rke2-calico-crd-v3.29.101.tgz" in urls
    assert "assets/rke2-calico/rke2-calico-v3.29.300.tgz" in urls


def test_archive_begins_with_chart_yaml_and_stays_in_its_folder(
    built: Path, entries: list[dict[str, Any]]
) -> None:
    for entry in entries:
        members = archive.unpack((built / entry["urls"][0]).read_bytes(), what=entry["name"])
        assert members[0].path == f"{entry['name']}/Chart.yaml"
        assert {member.path.split("/")[0] for member in members} == {entry["name"]}


def test_entry_says_what_chart_yaml_says(entries: list[dict[str, Any]]) -> None:
    entry = next(entry for entry in entries if entry["version"] == "0.2.1000")
    assert entry["name"] == "harvester-cloud-provider"
    assert entry["appVersion"] == "v0.2.4"
    assert entry["annotations"]["catalog.cattle.io/upstream-version"] == "0.2.10"
    assert entry["annotations"]["catalog.cattle.io/kube-version"] == ">= 1.23.0-0"
    assert [d["condition"] for d in entry["dependencies"]] == ["kube-vip.enabled"]


def test_newest_version_stands_first(entries: list[dict[str, Any]]) -> None:
    versions = [e["version"] for e in entries if e["name"] == "harvester-cloud-provider"]
    assert versions == ["0.2.1100", "0.2.1000", "0.2.900"]


def test_overlay_adds_and_replaces_files_of_base() -> None:
    files = {
        found.version: {member.path: member.data for member in found.members}
        for found in repository.releases()
        if found.name == "harvester-cloud-provider"
    }
    template = "harvester-cloud-provider/templates/deployment.yaml"
    rbac = "harvester-cloud-provider/charts/kube-vip/templates/rbac.yaml"
    assert files["0.2.900"][template] == files["0.2.1100"][template]
    assert files["0.2.900"][rbac] == files["0.2.1000"][rbac] != files["0.2.1100"][rbac]
    assert files["0.2.900"].keys() == files["0.2.1100"].keys()


def test_product_reads_every_chart_from_the_folder(
    built: Path, entries: list[dict[str, Any]], tmp_path: Path
) -> None:
    def no_fetcher() -> Any:  # noqa: ANN401 - never returns
        pytest.fail("a folder needs no network")

    charts = open_repository(str(built), Access(fetcher=no_fetcher, cache=Cache(tmp_path)))
    read = {
        (chart.name, chart.version)
        for found in charts.index().charts.values()
        for chart in map(charts.fetch, found)
    }
    assert read == {(entry["name"], entry["version"]) for entry in entries}
