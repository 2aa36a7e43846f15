from __future__ import annotations

import base64
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.files import Cache
from rke2pack.helm import archive, manifest
from rke2pack.helm.archive import Member
from rke2pack.helm.chart import Chart
from rke2pack.helm.manifest import ChartReference
from rke2pack.validate import manifests

KUBE = "v1.32.5"
HEAD = b"apiVersion: v2\nname: a\nversion: 1.0.000\n"


def make(head: bytes = HEAD, **files: bytes) -> Chart:
    members = [Member("a/Chart.yaml", head), *(Member(f"a/{k}", v) for k, v in files.items())]
    return Chart.open(archive.pack(members), name="a", version="1.0.000")


def reference(chart: Chart, **changes: object) -> ChartReference:
    fields = {"name": "a", "version": chart.version, "digest": chart.digest, "bootstrap": False}
    return ChartReference(url="https://charts.example.com/a.tgz", **{**fields, **changes})  # type: ignore[arg-type]


def content(chart: Chart) -> str:
    return manifest.with_content(chart, reference(chart), kube_version=KUBE)


def check(chart: Chart, of: ChartReference | None, folder: Path) -> manifests.Made:
    return manifests.check(chart, of, Cache(folder), kube_version=KUBE, spec={})


def test_manifest_that_is_built_holds_the_chart(tmp_path: Path) -> None:
    chart = make(values=b"a: b\n")
    made = check(chart, reference(chart), tmp_path)
    assert made.problems == ()
    assert made.digest == str(Digest.of(content(chart).encode()))
    assert check(chart, reference(chart), tmp_path) == made  # as it was kept


def test_reference_to_other_bytes_or_none_is_a_problem(tmp_path: Path) -> None:
    chart, other = make(), make(values=b"x: y\n")
    for wrong in (None, reference(chart, digest=other.digest), reference(chart, version="1.0.001")):
        made = check(chart, wrong, tmp_path)
        assert [each.check for each in made.problems] == ["manifest"]
        assert made.digest == ""


def test_chart_whose_metadata_cannot_be_bound_is_a_problem(tmp_path: Path) -> None:
    chart = make(b'{"apiVersion": "v2", "name": "a", "version": "1.0.000"}\n')
    (found,) = check(chart, reference(chart), tmp_path).problems
    assert found.expected == "a manifest that can be built"


def bound(chart: Chart) -> bytes:
    return manifest.bound_archive(chart, kube_version=KUBE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b", "a HelmChart with chartContent"),
        ("- a", "a HelmChart with chartContent"),
        ("metadata: {name: a}\nspec: {chartContent: '***'}", "a HelmChart with chartContent"),
        ("metadata: {name: a}\nspec: {chartContent: YWJj}", "a HelmChart with chartContent"),
    ],
)
def test_manifest_without_a_chart_is_a_problem(text: str, expected: str) -> None:
    (found,) = manifests.decoded(text, make(), kube_version=KUBE)
    assert found.expected == expected


@pytest.mark.parametrize(
    ("files", "head", "got"),
    [
        ({"values.yaml": b"other\n"}, None, "values.yaml differs"),
        ({}, None, "values.yaml differs"),
        ({"values.yaml": b"a: b\n", "more": b""}, None, "more differs"),
        ({"values.yaml": b"a: b\n"}, HEAD, "other annotations, kubeVersion"),
        ({"values.yaml": b"a: b\n"}, b"- a\n", "other annotations, apiVersion, kubeVersion"),
        ({"values.yaml": b"a: b\n"}, b"a: b: c\n", "other annotations, apiVersion, kubeVersion"),
    ],
)
def test_manifest_with_another_chart_is_a_problem(
    files: dict[str, bytes], head: bytes | None, got: str
) -> None:
    chart = make(**{"values.yaml": b"a: b\n"})
    altered = manifest.bound_metadata(chart, kube_version=KUBE).encode() if head is None else head
    members = [Member("a/Chart.yaml", altered), *(Member(f"a/{k}", v) for k, v in files.items())]
    inner = base64.b64encode(archive.pack(members)).decode()
    text = f"metadata: {{name: a}}\nspec: {{chartContent: {inner}}}\n"
    (found,) = manifests.decoded(text, chart, kube_version=KUBE)
    assert found.got.startswith(got)


def test_manifest_with_another_name_or_kubernetes_version_is_a_problem() -> None:
    chart = make()
    renamed = content(chart).replace('name: "a"', 'name: "b"', 1)
    assert [p.got for p in manifests.decoded(renamed, chart, kube_version=KUBE)] == ["b"]
    found = manifests.decoded(content(chart), chart, kube_version="v1.31.9")
    assert [p.got for p in found] == ["other kubeVersion"]


def test_built_file_that_differs_is_a_warning(tmp_path: Path) -> None:
    chart = make()
    made = check(chart, reference(chart), tmp_path)
    built = tmp_path / "a.yaml"
    assert list(manifests.stale(made, built)) == []
    built.write_text(content(chart))
    assert list(manifests.stale(made, built)) == []
    built.write_text("other")
    assert [each.severity for each in manifests.stale(made, built)] == ["warning"]
