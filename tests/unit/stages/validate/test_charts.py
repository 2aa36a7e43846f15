"""validate on the objects of charts: what passes, what is a finding, what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.stages.conftest import Rke2pack, chart
from tests.unit.stages.validate.validating import IMAGE, Build, Validate, found, with_objects
from tests.unit.validate import objects
from tests.unit.validate.objects import changed


def test_good_chart_passes_every_check_on_every_row(build: Build, validate: Validate) -> None:
    build(chart("a", "1.0.000", image=IMAGE))
    answer = validate("--fail-on", "warning")
    assert answer.code == 0, answer.err
    assert answer.json["level"] == "static"
    assert answer.json["findings"] == []
    passed = {(r["subject"], r["check"]) for r in answer.json["results"] if r["status"] == "passed"}
    for row in ("old", "new"):
        assert (f"{row}: a 1.0.000", "schema") in passed
        assert (f"{row}: a 1.0.000", "image") in passed
        assert (f"{row}: a 1.0.000", "manifest") in passed
    by_hand = {
        (r["subject"], r["detail"]) for r in answer.json["results"] if r["status"] == "manual"
    }
    assert by_hand == {
        ("old", "looked at"),
        ("new", "installed and upgraded with Rancher Community v2.11.2"),
    }
    assert {"charts", "objects", "images"} <= answer.json["timings"].keys()


def test_findings_of_all_charts_are_told_and_fail_with_7(build: Build, validate: Validate) -> None:
    bad = changed(objects.deployment(), "spec.template.spec.containers.0.imagePullPolicy", "no")
    build(
        with_objects("a", bad, objects.role()),
        with_objects("b", changed(objects.service(), "spec.typ", "x")),
        images="docker.io/x/y:v1",
    )
    answer = validate()
    assert answer.code == 7
    assert "error: validate: " in answer.err
    assert answer.err.rstrip().endswith(
        "hint: correct them, or explain them in charts-manifest/validate-allow.yaml"
    )
    assert {("error", "value"), ("error", "schema")} <= found(answer)
    both = next(each for each in answer.json["findings"] if each["check"] == "value")
    assert both["subject"] == "a 1.0.000: Deployment/x"
    assert both["got"].endswith("(rows old, new; variants default)")
    failed = {(r["subject"], r["check"]) for r in answer.json["results"] if r["status"] == "failed"}
    assert ("old: a 1.0.000", "value") in failed
    assert ("old: b 1.0.000", "value") not in failed


@pytest.mark.parametrize(
    ("metadata", "finding", "rows"),
    [
        ({"kubeVersion": ">=1.32.0"}, ("error", "kube-version"), "rows old"),
        (
            {"annotations": {"catalog.cattle.io/kube-version": "<1.32.0-0"}},
            ("warning", "kube-version"),
            "rows new",
        ),
        (
            {"annotations": {"catalog.cattle.io/rancher-version": "<2.8.0-0"}},
            ("warning", "rancher"),
            "rows new",
        ),
        (
            {"annotations": {"catalog.cattle.io/kube-version": "new"}},
            ("warning", "kube-version"),
            "rows old",
        ),
    ],
)
def test_chart_that_excludes_a_row_is_a_finding_and_no_skip(
    build: Build, validate: Validate, metadata: dict[str, Any], finding: tuple[str, str], rows: str
) -> None:
    files = chart("a", "1.0.000", image=IMAGE, **metadata)
    files["Chart.yaml"] = files["Chart.yaml"].replace("annotations: {", "annotations: \n  ")
    files["Chart.yaml"] = files["Chart.yaml"].replace("}", "")
    build(files)
    answer = validate("--fail-on", "warning")
    assert answer.code == 7
    assert finding in found(answer)
    told = next(each for each in answer.json["findings"] if each["check"] == finding[1])
    assert rows in told["got"]
    assert validate().code == (7 if finding == ("error", "kube-version") else 0)


def test_chart_that_does_not_render_is_a_finding_beside_the_others(
    build: Build, validate: Validate
) -> None:
    broken = chart("a", "1.0.000")
    broken["templates/x.yaml"] = '{{ fail "no such thing" }}'
    build(broken, chart("b", "1.0.000", image=IMAGE), images=f"docker.io/{IMAGE}")
    answer = validate()
    assert answer.code == 7
    (told,) = (each for each in answer.json["findings"] if each["severity"] == "error")
    assert told["check"] == "render"
    assert "no such thing" in told["got"]


def test_chart_that_is_wrong_everywhere_is_told_in_bounds(build: Build, validate: Validate) -> None:
    many = [
        changed(changed(objects.service(), "metadata.name", f"x{n}"), "spec.type", "no")
        for n in range(1_200)
    ]
    build(with_objects("a", {"apiVersion": "v1", "kind": "List", "items": many}))
    answer = validate("--row", "new", "--dry-run")
    assert answer.code == 7
    assert len(answer.json["findings"]) < 1_100
    assert "at most 1000 problems" in {each["expected"] for each in answer.json["findings"]}


def test_manifest_that_was_reviewed_with_another_archive_stops_it(
    build: Build, validate: Validate
) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    path = tree / "charts-manifest/a.yaml"
    path.write_text(path.read_text().replace("sha256:", "sha256:0000", 1)[:-4])
    assert validate().code in {2, 5}


def test_manifest_that_says_removed_and_stale_build_are_findings(
    build: Build, validate: Validate, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    options = ("--tree", tree, "--charts-repo", tmp_path / "charts")
    assert rke2pack("charts", *options).code == 0
    assert validate("--fail-on", "warning").code == 0
    built = tree / "dist/charts/a.yaml"
    built.write_text(built.read_text().replace("bootstrap: false", "bootstrap: true"))
    assert found(validate("--fail-on", "warning")) == {("warning", "manifest")}
    (tree / "charts-manifest/a.yaml").write_text("# a has been removed\n")
    assert found(validate()) == {("error", "manifest")}


def test_custom_resource_is_checked_against_the_definition_of_another_chart(
    build: Build, validate: Validate
) -> None:
    crds = with_objects("a-crd", objects.definition())
    build(with_objects("a", objects.thing(size="x")), crds)
    answer = validate("--chart", "a")
    assert found(answer) == {("error", "custom-resource")}
    assert "spec.size" in answer.json["findings"][0]["got"]


def test_custom_resource_without_a_definition_is_a_finding(
    build: Build, validate: Validate
) -> None:
    build(with_objects("a", objects.thing()))
    answer = validate()
    assert answer.code == 7
    assert answer.json["findings"][0]["expected"] == (
        "a bundled chart that defines example.com/Thing"
    )


def test_allowed_finding_is_explained_and_unused_entry_is_told(
    build: Build, validate: Validate
) -> None:
    bad = changed(objects.service(), "spec.type", "None")
    entry = {"check": "value", "chart": "a", "subject": "Service/x", "reason": "it is so"}
    build(with_objects("a", bad), allow=[entry, entry | {"subject": "Pod/*"}])
    answer = validate("--fail-on", "warning")
    assert answer.code == 0, answer.err
    assert [each["reason"] for each in answer.json["explained"]] == ["it is so"]
    (told,) = answer.json["findings"]
    assert (told["severity"], told["check"]) == ("info", "unused-exception")
    assert validate("--row", "new").json["findings"] == []
