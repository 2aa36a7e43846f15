"""validate of an upgrade: from a version, a tree or a revision."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rke2pack.helm.render import SdkRenderer
from tests.unit.stages.conftest import chart
from tests.unit.stages.validate.validating import IMAGE, Build, Validate, found
from tests.unit.validate import objects
from tests.unit.validate.objects import changed

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


def test_upgrade_from_a_version_that_does_not_render_is_a_finding(
    build: Build, validate: Validate
) -> None:
    old = chart("a", "1.0.000") | {"templates/x.yaml": '{{ fail "too old" }}'}
    build(chart("a", "1.1.000", image=IMAGE), old)
    answer = validate("--old", "a=1.0.000")
    assert found(answer) == {("error", "upgrade")}
    assert "too old" in answer.json["findings"][0]["got"]
