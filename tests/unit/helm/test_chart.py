from __future__ import annotations

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError, ValidationError
from rke2pack.helm import archive
from rke2pack.helm.archive import Member
from rke2pack.helm.chart import Chart
from tests.unit.helm.charts import CHART_YAML, chart, members


def refusal(found: list[Member], error: type[PackError] = IntegrityError) -> str:
    with pytest.raises(error) as caught:
        Chart.open(archive.pack(found), name="demo", version="1.0.000")
    return caught.value.message


def test_chart_knows_its_digest_and_files_in_order() -> None:
    data = archive.pack(members({"values.yaml": "a: 1\n", "templates/b.yaml": ""}))
    found = Chart.open(data, name="demo", version="1.0.000")
    assert found.digest == Digest.of(data)
    assert found.data == data
    assert list(found.files) == ["Chart.yaml", "values.yaml", "templates/b.yaml"]
    assert found.values == {"a": 1}


@pytest.mark.parametrize("stray", ["other/Chart.yaml", "README.md", "demo2/x", "demo-1/x"])
def test_file_outside_the_charts_folder_is_refused(stray: str) -> None:
    assert refusal([*members({}), Member(stray, b"")]) == (
        f"demo 1.0.000: {stray!r} is outside the chart's folder 'demo/'"
    )


def test_archive_without_chart_yaml_is_refused() -> None:
    assert refusal([Member("demo/values.yaml", b"")]) == (
        "demo 1.0.000: the archive has no Chart.yaml"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: other\nversion: 1.0.000\n", "Chart.yaml says name 'other'"),
        ("name: demo\nversion: 1.0.0\n", "Chart.yaml says version '1.0.0'"),
        ("version: 1.0.000\n", "Chart.yaml says name None"),
        ("name: demo\nversion: [1]\n", "Chart.yaml says version ['1']"),
        ("", "Chart.yaml says name None"),
    ],
)
def test_chart_yaml_of_another_chart_is_refused(text: str, message: str) -> None:
    assert refusal(members({"Chart.yaml": text})) == f"demo 1.0.000: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "Chart.yaml: expected a mapping"),
        ("a: [", "Chart.yaml: not YAML: line 2, column 1: did not find expected node content"),
        ("a: 1\n---\nb: 1\n", "Chart.yaml: holds 2 YAML documents, expected one"),
    ],
)
def test_unusable_chart_yaml_is_told_with_its_place(text: str, message: str) -> None:
    assert refusal(members({"Chart.yaml": text}), ValidationError) == f"demo 1.0.000: {message}"


def test_chart_yaml_that_is_no_text_is_refused() -> None:
    found = [Member("demo/Chart.yaml", b"\xff\xfe")]
    assert refusal(found, ValidationError) == "demo 1.0.000: Chart.yaml is not UTF-8 text"


def test_metadata_is_the_text_that_stands_there() -> None:
    found = chart({}, 'appVersion: 1.10\nkubeVersion: ">= 1.20"\nannotations:\n  a: 010\n')
    assert (found.app_version, found.kube_version) == ("1.10", ">= 1.20")
    assert found.annotations == {"a": "010"}


@pytest.mark.parametrize(
    "metadata", ["", "annotations:\n", "annotations: {}\n", "annotations: ~\n"]
)
def test_no_annotations_are_an_empty_mapping(metadata: str) -> None:
    assert chart({}, metadata).annotations == {}


DEPENDENCIES = "dependencies:\n- {name: kube-vip, version: 0.4.1}\n- {name: kube, version: 1.0.0}\n"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ([], ("kube-vip", "kube")),
        (["charts/kube-vip/Chart.yaml"], ("kube",)),
        (["charts/kube-vip-0.4.1.tgz"], ("kube",)),
        (["charts/kube-vip-0.4.1-rc-1.tgz", "charts/kube-v1.tgz"], ()),
        (["charts/kube/Chart.yaml", "charts/kube-vip/Chart.yaml"], ()),
        (["charts/_kube/Chart.yaml", "charts/.kube-vip/Chart.yaml"], ("kube-vip", "kube")),
    ],
)
def test_missing_dependencies_are_those_that_charts_lacks(
    files: list[str], missing: tuple[str, ...]
) -> None:
    found = chart(dict.fromkeys(files, "x"), DEPENDENCIES)
    assert found.missing_dependencies == missing


def test_sources_are_templates_of_the_chart_and_its_subcharts() -> None:
    found = chart({"templates/a.yaml": "a", "charts/b/templates/_c.tpl": "c", "README.md": ""})
    assert found.sources == {"templates/a.yaml": "a", "charts/b/templates/_c.tpl": "c"}
    assert found.subcharts == ("b",)


def test_values_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(
        ValidationError, match=r"^demo 1\.0\.000: values\.yaml: expected a mapping$"
    ):
        _ = chart({"values.yaml": "- a\n"}).values


def test_empty_values_are_no_values() -> None:
    assert chart({"values.yaml": "# none\n"}).values == {}
    assert chart({"Chart.yaml": CHART_YAML}).values == {}
