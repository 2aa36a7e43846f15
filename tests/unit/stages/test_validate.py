"""`validate` on trees and chart repositories of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rke2pack.helm.render import SdkRenderer
from tests.unit.stages.conftest import Answer, Rke2pack, chart, write_repository, write_tree
from tests.unit.validate import objects
from tests.unit.validate.objects import changed

IMAGE = "rancher/a:v1.0.1"
ROWS = [
    {"name": "old", "rke2": "v1.31.9+rke2r1", "manual": ["looked at"]},
    {
        "name": "new",
        "rke2": "v1.32.5+rke2r1",
        "rancher": {"edition": "community", "version": "v2.11.2"},
    },
]
Build = Callable[..., Path]
Validate = Callable[..., Answer]


@pytest.fixture
def build(tmp_path: Path, rke2pack: Rke2pack) -> Build:
    """Write a repository and a tree of charts (name 1.0.000), lists and manifests included."""

    def make(
        *charts: Mapping[str, str],
        images: str | None = None,
        rows: object = ROWS,
        allow: object = None,
    ) -> Path:
        write_repository(tmp_path / "charts", *charts)
        heads = [dict(line.split(": ", 1) for line in c["Chart.yaml"].splitlines()) for c in charts]
        versions = {json.loads(h["name"]): json.loads(h["version"]) for h in reversed(heads)}
        tree = write_tree(tmp_path / "tree", versions)
        folder = tree / "charts-manifest"
        (folder / "support-matrix.yaml").write_text(json.dumps({"rows": rows}))
        if allow is not None:
            (folder / "validate-allow.yaml").write_text(json.dumps({"allow": allow}))
        options = ("--tree", tree, "--charts-repo", tmp_path / "charts")
        assert rke2pack("charts", "--references", *options).code == 0
        if images is None:
            answer = rke2pack("images", *options)
            if answer.code == 0:
                return tree
            images = "docker.io/x/y:v1"
        (tree / "images.txt").write_text(f"# component: core\n{images}\n")
        return tree

    return make


@pytest.fixture
def validate(tmp_path: Path, rke2pack: Rke2pack) -> Validate:
    def call(*arguments: str | Path) -> Answer:
        options = ("--tree", tmp_path / "tree", "--charts-repo", tmp_path / "charts", "--json")
        return rke2pack("validate", *options, *arguments)

    return call


def with_objects(name: str, *bodies: Mapping[str, Any]) -> dict[str, str]:
    files = chart(name, "1.0.000")
    for number, body in enumerate(bodies):
        files[f"templates/{number}.yaml"] = json.dumps(body)
    return files


def found(answer: Answer) -> set[tuple[str, str]]:
    return {(each["severity"], each["check"]) for each in answer.json["findings"]}


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


def test_chart_that_is_removed_cannot_be_asked_for(build: Build, validate: Validate) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    versions = tree / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.0.000", "0.0.0"))
    answer = validate("--chart", "a")
    assert answer.code == 2
    assert answer.json["error"]["message"].startswith("a: is bundled as removed")


def test_image_without_the_registry_setting_and_floating_tag_are_findings(
    build: Build, validate: Validate
) -> None:
    files = chart("a", "1.0.000", image="rancher/a:latest")
    body = changed(objects.deployment(), "spec.template.spec.containers.0.image", "x/y:v1")
    files["templates/other.yaml"] = json.dumps(body)
    build(files)
    answer = validate("--fail-on", "warning")
    assert found(answer) == {("warning", "registry"), ("warning", "tag")}


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


SELECTOR = "spec.selector.matchLabels.app"
LABEL = "spec.template.metadata.labels.app"


def moved() -> tuple[dict[str, str], dict[str, str]]:
    """The same chart in two versions, of which the newer changes a selector."""
    new = changed(changed(objects.deployment(), SELECTOR, "y"), LABEL, "y")
    files = {"templates/x.yaml": json.dumps(objects.deployment())}
    old = {**chart("a", "1.0.000"), **files}
    return {**chart("a", "1.1.000"), "templates/x.yaml": json.dumps(new)}, old


def test_upgrade_from_an_older_version_is_checked(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    tree = build(*moved(), images="docker.io/x/y:v1")
    assert ("error", "upgrade") not in found(validate())
    for arguments in (["--old", "a=1.0.000"], ["--old", "a=1.0.0"]):
        assert ("error", "upgrade") in found(validate(*arguments))
    before = tmp_path / "before"
    shutil.copytree(tree, before)
    versions = before / "charts-manifest/chart_versions.yaml"
    versions.write_text(versions.read_text().replace("1.1.000", "1.0.000"))
    answer = validate("--from", before)
    assert ("error", "upgrade") in found(answer)
    told = next(each for each in answer.json["findings"] if each["check"] == "upgrade")
    assert told["got"].startswith("spec.selector: {")
    assert ("error", "upgrade") not in found(validate("--from", tree))


def test_upgrade_renders_each_side_once_and_is_kept(
    build: Build, validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(*moved(), images="docker.io/x/y:v1")
    calls: list[str] = []
    real = SdkRenderer.template

    def counted(self: SdkRenderer, chart: Any, *rest: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(f"{chart.version} {options['kube_version']}")
        return real(self, chart, *rest, **options)

    monkeypatch.setattr(SdkRenderer, "template", counted)
    first = validate("--old", "a=1.0.000").json["findings"]
    assert sorted(set(calls)) == sorted(calls)
    assert len(calls) == 4
    assert validate("--old", "a=1.0.000").json["findings"] == first
    assert len(calls) == 4
    for path in (tmp_path / "cache/validate/steps").iterdir():
        path.write_text("[3]")
    assert validate("--old", "a=1.0.000").json["findings"] == first


def test_upgrade_from_a_revision_is_checked(build: Build, validate: Validate) -> None:
    tree = build(*moved(), images="docker.io/x/y:v1")
    versions = tree / "charts-manifest/chart_versions.yaml"
    now = versions.read_text()
    versions.write_text(now.replace("1.1.000", "1.0.000"))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tree), *command], check=True)
    versions.write_text(now)
    assert ("error", "upgrade") in found(validate("--from", "HEAD"))
    assert validate("--from", "nope").code == 2


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


def test_upgrade_from_a_version_that_does_not_render_is_a_finding(
    build: Build, validate: Validate
) -> None:
    old = chart("a", "1.0.000") | {"templates/x.yaml": '{{ fail "too old" }}'}
    build(chart("a", "1.1.000", image=IMAGE), old)
    answer = validate("--old", "a=1.0.000")
    assert found(answer) == {("error", "upgrade")}
    assert "too old" in answer.json["findings"][0]["got"]


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


def test_reports_say_what_was_checked_by_hand_and_not_at_all(
    build: Build, validate: Validate, tmp_path: Path
) -> None:
    tree = build(with_objects("a", changed(objects.service(), "metadata.name", "x\u0007|`")))
    answer = validate()
    folder = tree / "dist/validate"
    document = json.loads((folder / "report.json").read_text())
    assert document["results"] == answer.json["results"]
    assert [row["name"] for row in document["rows"]] == ["old", "new"]
    root = ET.fromstring((folder / "report.xml").read_text())  # noqa: S314 - our own file
    assert [suite.get("name") for suite in root] == ["old", "new"]
    assert [suite.get("failures") for suite in root] == ["1", "1"]
    assert len(root.findall(".//failure")) == 2
    assert any("manual: looked at" in str(each.get("message")) for each in root.iter("skipped"))
    text = (folder / "report.md").read_text()
    assert "## Checked by hand\n\n- [ ] `looked at`: old\n" in text
    assert "## Not checked" in text
    assert "| value | 1 failed | 1 failed |" in text
    other = tmp_path / "elsewhere"
    validate("--output", other)
    assert sorted(path.name for path in other.iterdir()) == [
        *("report.json", "report.md", "report.xml"),
    ]


def test_dry_run_writes_no_report(build: Build, validate: Validate) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    assert validate("--dry-run").code == 0
    assert not (tree / "dist/validate").exists()


def test_terminal_shows_one_table(build: Build, rke2pack: Rke2pack, tmp_path: Path) -> None:
    tree = build(chart("a", "1.0.000", image=IMAGE))
    answer = rke2pack("validate", "--tree", tree, "--charts-repo", tmp_path / "charts")
    lines = answer.err.splitlines()
    assert lines[0] == "validate: level static on old, new"
    assert lines[1].split() == ["checked", "by", "us", "old", "new"]
    assert lines[2].split() == ["render", "1", "passed", "1", "passed"]
    assert "  looked at  (old)" in lines
    assert any(line.startswith("seconds  charts ") for line in lines)


def test_second_run_renders_nothing_and_says_the_same(
    build: Build, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    crds = with_objects("a-crd", objects.definition())
    build(with_objects("a", objects.thing(size="x"), objects.deployment()), crds)
    first = validate().json

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("rendered again")

    monkeypatch.setattr(SdkRenderer, "template", refuse)
    second = validate().json
    assert {**first, "timings": {}} == {**second, "timings": {}}


def test_damaged_cache_is_made_anew(build: Build, validate: Validate, tmp_path: Path) -> None:
    crds = with_objects("a-crd", objects.definition())
    build(with_objects("a", objects.thing(size="x")), crds)
    first = validate().json["findings"]
    kept = tmp_path / "cache/validate"
    for path in (*kept.glob("*.json"), *kept.glob("manifests/*.json")):
        path.write_text('{"problems": [["default", {"check": 3}]]}')
    assert validate().json["findings"] == first
    shutil.rmtree(kept / "definitions")
    assert validate().json["findings"] == first


def test_same_chart_is_rendered_once_a_kubernetes_version(
    build: Build, validate: Validate, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(
        chart("a", "1.0.000", image=IMAGE),
        rows=[*ROWS, {"name": "again", "rke2": "v1.32.5+rke2r1"}],
    )
    calls: list[str] = []
    real = SdkRenderer.template

    def counted(self: SdkRenderer, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(options["kube_version"])
        return real(self, *arguments, **options)

    monkeypatch.setattr(SdkRenderer, "template", counted)
    assert validate().code == 0
    assert sorted(calls) == ["v1.31.9", "v1.32.5"]


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
