"""What validate is asked: rows, charts, levels, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.stages.conftest import Rke2pack, chart
from tests.unit.stages.validate.validating import IMAGE, Build, Validate, found, with_objects
from tests.unit.validate import objects
from tests.unit.validate.objects import changed


def test_only_the_asked_row_and_chart_are_told(build: Build, validate: Validate) -> None:
    build(
        with_objects("a", changed(objects.service(), "spec.typ", "x")),
        with_objects("b", objects.role()),
    )
    assert validate("--chart", "b").code == 0
    answer = validate("--chart", "a", "--row", "new")
    assert answer.code == 7
    assert "(rows new;" in answer.json["findings"][0]["got"]
    assert {r["subject"].partition(":")[0] for r in answer.json["results"]} == {"new"}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--row", "nope"], "has no such row", "choose one of: old, new"),
        (["--chart", "nope"], "nope: the tree bundles no such chart", "choose one of: a"),
        (["--component", "nope"], "nope: no such component", "choose one of: core"),
        (["--old", "a"], "--old 'a': expected CHART=VERSION", "write it as"),
        (["--from", "nope"], "not in a git checkout", "name the folder of a tree"),
        (["--matrix", "nope.yaml"], "nope.yaml: no such file", "check the path"),
        (["--level", "moon"], "'moon' is not one of", "see"),
    ],
)
def test_wrong_call_is_refused_with_the_next_step(
    build: Build, validate: Validate, arguments: list[str], message: str, hint: str
) -> None:
    build(chart("a", "1.0.000", image=IMAGE))
    answer = validate(*arguments)
    assert answer.code == 2
    assert message in answer.json["error"]["message"]
    assert hint in answer.json["error"]["hint"]


def test_row_of_a_kubernetes_version_without_schemas_is_refused(
    build: Build, validate: Validate
) -> None:
    build(chart("a", "1.0.000", image=IMAGE), rows=[{"name": "x", "rke2": "v1.99.1+rke2r1"}])
    answer = validate()
    assert answer.code == 2
    assert answer.json["error"]["message"] == "Kubernetes 1.99: there are no schemas for it"


def test_rows_of_a_file_of_ones_own_come_beside_the_trees(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    build(chart("a", "1.0.000", image=IMAGE))
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"rows": [{"name": "mine", "rke2": "v1.33.1+rke2r1"}]}))
    answer = validate("--matrix", own, "--row", "mine")
    assert answer.code == 0, answer.err
    assert any(r["subject"] == "mine: a 1.0.000" for r in answer.json["results"])
    own.write_text(json.dumps({"rows": [{"name": "old", "rke2": "v1.33.1+rke2r1"}]}))
    assert "stands in" in validate("--matrix", own).json["error"]["message"]


def test_chart_that_is_removed_cannot_be_asked_for(build: Build, validate: Validate) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    versions = tree / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.0.000", "0.0.0"))
    answer = validate("--chart", "a")
    assert answer.code == 2
    assert answer.json["error"]["message"].startswith("a: is bundled as removed")


def test_values_of_a_user_are_rendered_and_judged(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    files = chart("a", "1.0.000", image=IMAGE)
    files["values.yaml"] = "global: {}\npolicy: Always\n"
    files["templates/main.yaml"] += "          imagePullPolicy: {{ .Values.policy }}\n"
    build(files, chart("b", "1.0.000", image="rancher/b:v1"))
    own = tmp_path / "own.yaml"
    own.write_text("policy: Sometimes\nnever: known\n")
    answer = validate("--chart", "a", "--values", own)
    assert found(answer) == {("error", "value"), ("warning", "user-values")}
    assert "given values" in answer.json["findings"][0]["got"]
    config = {"kind": "HelmChartConfig", "apiVersion": "helm.cattle.io/v1"}
    config |= {"metadata": {"name": "a"}, "spec": {"valuesContent": "policy: Sometimes\n"}}  # type: ignore[dict-item]
    own.write_text(json.dumps(config))
    assert found(validate("--values", own)) == {("error", "value")}
    own.write_text("policy: Never\n")
    answer = validate("--values", own)
    assert answer.code == 2
    assert answer.json["error"]["hint"] == "name the chart with --chart"
    assert validate("--chart", "a", "--values", own, "--values", own).code == 2


def test_option_for_a_chart_that_is_not_validated_is_refused(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    build(chart("a", "1.0.000", image=IMAGE), chart("b", "1.0.000", image="rancher/b:v1"))
    answer = validate("--chart", "b", "--old", "a=1.0.000")
    assert answer.code == 2
    assert answer.json["error"]["message"] == "--old a=1.0.000: this call does not validate a"
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"kind": "HelmChartConfig", "metadata": {"name": "a"}}))
    answer = validate("--chart", "b", "--values", own)
    assert answer.code == 2
    assert "is for a, which this call does not validate" in answer.json["error"]["message"]
    own.write_text("a: b: c")
    assert validate("--chart", "b", "--values", own).code == 2


def test_prime_has_no_list_to_compare_with_and_says_so(build: Build, validate: Validate) -> None:
    build(chart("a", "1.0.000", image=IMAGE), images="docker.io/x/y:v1")
    answer = validate("--prime")
    assert answer.code == 0, answer.err
    skipped = [r for r in answer.json["results"] if r["check"] == "image"]
    assert {each["status"] for each in skipped} == {"skipped"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("a.tar",), "ARCHIVE: is not for level static"),
        (("--runtime", "docker"), "--runtime: is not for level static"),
        (("--registry", "registry.example.com"), "--registry: is not for level static"),
        (("--timeout", "5"), "--timeout: is not for level static"),
        (("--level", "import", "--row", "old"), "--row: is not for level import"),
        (("--level", "import", "--component", "core"), "--component: is not for level import"),
    ],
)
def test_option_of_another_level_is_refused(
    rke2pack: Rke2pack, arguments: tuple[str, ...], told: str
) -> None:
    answer = rke2pack("validate", *arguments)
    assert answer.code == 2
    assert f"error: {told}" in answer.err


def test_folder_without_archives_is_named(rke2pack: Rke2pack, tmp_path: Path) -> None:
    answer = rke2pack("validate", "--level", "import", tmp_path)
    assert answer.code == 2
    assert f"{tmp_path}: holds no archive" in answer.err
    absent = rke2pack("validate", "--level", "import", "--tree", tmp_path)
    assert absent.code == 2
    assert f"{tmp_path}/dist/artifacts: no such folder" in absent.err
    assert "hint: build the archives with 'rke2pack airgap', or name them" in absent.err
