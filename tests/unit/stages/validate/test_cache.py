"""validate renders nothing twice, and damage in its cache changes no answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from rke2pack.helm.render import SdkRenderer
from tests.unit.stages.conftest import chart
from tests.unit.stages.validate.validating import IMAGE, ROWS, Build, Validate, with_objects
from tests.unit.validate import objects


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
