"""Differences side by side: each on its side, none lost."""

from __future__ import annotations

from pathlib import Path

from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import diff
from rke2pack.helm.render import SdkRenderer
from rke2pack.page.changerows import ChangeRow, paired, rows
from tests.unit.stages.conftest import chart, write_repository

VALUES = "global: {systemDefaultRegistry: x}\nkept: 1\n"


def packed(folder: Path, name: str, version: str, files: dict[str, str]) -> Chart:
    write_repository(folder, files)
    data = (folder / f"{name}-{version}.tgz").read_bytes()
    return Chart.open(data, name=name, version=version)


def found(tmp_path: Path) -> tuple[ChangeRow, ...]:
    old = chart("one", "1.0.0", image="example/app:v1", kubeVersion=">= 1.30")
    new = chart("one", "1.1.0", image="example/app:v2", appVersion="7")
    old["values.yaml"] = f"{VALUES}path: /old\ngone: true\n"
    new["values.yaml"] = f"{VALUES}path: /new\ncame: [1]\n"
    new["templates/role.yaml"] = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: added}\ndata: {key: value}\n"
    )
    charts = (
        packed(tmp_path / "old", "one", "1.0.0", old),
        packed(tmp_path / "new", "one", "1.1.0", new),
    )
    return rows(diff(*charts, SdkRenderer(), kube_version="v1.32.4", base={}))


def test_each_side_has_what_was_there(tmp_path: Path) -> None:
    sides = {(r.area, r.subject): (r.old, r.new, r.kind) for r in found(tmp_path)}
    assert sides["app version", ""] == ("", "7", "added")
    assert sides["Kubernetes", "kubeVersion"] == (">= 1.30", "", "removed")
    assert sides["values", "path"] == ('"/old"', '"/new"', "changed")
    assert sides["values", "gone"] == ("true", "", "removed")
    assert sides["values", "came"] == ("", "[1]", "added")
    assert sides["objects", "ConfigMap kube-system/added"] == ("", "added", "added")


def test_images_have_their_place_and_pods_that_restart_are_told(tmp_path: Path) -> None:
    every = found(tmp_path)
    images = [(row.old, row.new) for row in every if row.area == "images"]
    assert images == [("x/example/app:v1", "x/example/app:v2")]
    assert all("containers[main].image" in row.note for row in every if row.area == "images")
    field = next(row for row in every if "Deployment" in row.subject)
    assert field.note == "its pods are replaced"
    assert (field.old, field.new) == ('"x/example/app:v1"', '"x/example/app:v2"')


def test_what_came_for_another_stands_beside_it_and_nothing_is_lost() -> None:
    removed, added = ("a:1", "b:1", "c:1"), ("a:2", "a:3", "d:1")
    found = list(paired(removed, added))
    assert found == [("a:1", "a:3"), ("b:1", ""), ("c:1", ""), ("", "a:2"), ("", "d:1")]
