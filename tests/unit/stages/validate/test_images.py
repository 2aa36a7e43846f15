"""validate holds the images of charts against images.txt."""

from __future__ import annotations

import json

import pytest

from tests.unit.stages.conftest import chart
from tests.unit.stages.validate.validating import IMAGE, Build, Validate, found
from tests.unit.validate import objects
from tests.unit.validate.objects import changed


@pytest.mark.parametrize(
    ("images", "finding"),
    [
        ("docker.io/rancher/a:v1.0.10", ("error", "image")),  # no part of a tag counts
        ("docker.io/other/rancher/a:v1.0.1", ("error", "image")),
        (f"docker.io/{IMAGE}\ndocker.io/rancher/z:v1", ("warning", "image")),
    ],
)
def test_list_that_lacks_an_image_or_has_one_too_many_is_a_finding(
    build: Build, validate: Validate, images: str, finding: tuple[str, str]
) -> None:
    build(chart("a", "1.0.000", image=IMAGE), images=images)
    answer = validate("--fail-on", "warning")
    assert answer.code == 7
    assert finding in found(answer)


def test_image_that_one_architecture_lacks_is_a_finding(build: Build, validate: Validate) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    (tree / "images.txt").write_text(f"# component: core (linux/amd64)\ndocker.io/{IMAGE}\n")
    answer = validate()
    assert answer.code == 7
    assert answer.json["findings"][0]["expected"] == "a line of images.txt for linux/arm64"


def test_image_of_another_kubernetes_version_is_only_told(build: Build, validate: Validate) -> None:
    files = chart("a", "1.0.000", image="rancher/a:v{{ .Capabilities.KubeVersion.Minor }}")
    build(files)
    answer = validate("--fail-on", "warning")
    assert answer.code == 0, answer.err
    (told,) = answer.json["findings"]
    assert (told["severity"], told["subject"]) == (
        "info",
        "a 1.0.000: docker.io/rancher/a:v31",
    )


def test_image_that_no_chart_names_is_checked_with_its_component(
    build: Build, validate: Validate
) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    path = tree / "charts-manifest/components.yaml"
    rules = json.loads(path.read_text())
    rules["components"][0]["images"] = [{"image": "rancher/pause:3.6", "reason": "it is so"}]
    path.write_text(json.dumps(rules))
    answer = validate()
    assert [each["subject"] for each in answer.json["findings"]] == [
        "component core: docker.io/rancher/pause:3.6"
    ]
    failed = {r["subject"] for r in answer.json["results"] if r["status"] == "failed"}
    assert failed == {"old: component core", "new: component core"}


def test_line_that_only_the_trees_kubernetes_version_needs_is_no_line_too_many(
    build: Build, validate: Validate
) -> None:
    build(chart("a", "1.0.000", image="rancher/a:v{{ .Capabilities.KubeVersion.Minor }}"))
    answer = validate("--row", "old", "--fail-on", "warning")
    assert answer.code == 0, answer.err


def test_lines_of_a_chart_that_does_not_render_are_not_called_unneeded(
    build: Build, validate: Validate
) -> None:
    broken = chart("a", "1.0.000", image=IMAGE)
    broken["templates/x.yaml"] = '{{ fail "no" }}'
    build(broken, images=f"docker.io/{IMAGE}")
    assert found(validate()) == {("error", "render")}


def test_image_without_a_tag_is_a_finding(build: Build, validate: Validate) -> None:
    build(chart("a", "1.0.000", image="rancher/a"), images="docker.io/x/y:v1")
    answer = validate()
    assert ("error", "image") in found(answer)
    told = next(each for each in answer.json["findings"] if each["severity"] == "error")
    assert "an image without a tag cannot be listed" in told["got"]


def test_image_without_the_registry_setting_and_floating_tag_are_findings(
    build: Build, validate: Validate
) -> None:
    files = chart("a", "1.0.000", image="rancher/a:latest")
    body = changed(objects.deployment(), "spec.template.spec.containers.0.image", "x/y:v1")
    files["templates/other.yaml"] = json.dumps(body)
    build(files)
    answer = validate("--fail-on", "warning")
    assert found(answer) == {("warning", "registry"), ("warning", "tag")}
