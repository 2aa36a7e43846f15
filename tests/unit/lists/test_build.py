from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from rke2pack.errors import ConfigError, ResolutionError, ValidationError
from rke2pack.files import Cache
from rke2pack.helm.chart import Chart
from rke2pack.lists.build import Builder
from rke2pack.lists.model import ImageLists
from rke2pack.lists.survey import Surveyor
from rke2pack.tree.components import Components
from tests.unit.lists.surveying import CountingRenderer, followed, make_chart, pod

Build: TypeAlias = Callable[..., ImageLists]
COMPONENTS = """registry: docker.io
platforms: [linux/amd64, linux/arm64]
components:
  - name: core
    charts: [rke2-a, rke2-b]
    images:
      - {{image: "rancher/static:${{X_VERSION}}", reason: started by a program}}
{more}
  - name: other
    charts: [rke2-c]
    platforms: [linux/amd64]
charts:
  rke2-a: {rules}
"""


@pytest.fixture
def build(tmp_path: Path) -> Build:
    renderer = CountingRenderer()

    def call(
        charts: Mapping[str, Chart],
        *,
        rules: str = "{}",
        more: str = "",
        registry: str = "docker.io",
        environment: Mapping[str, str] | None = None,
        wanted: Mapping[str, list[str]] | None = None,
    ) -> ImageLists:
        def fetch(name: str) -> Chart:
            if name not in charts:
                msg = f"{name}: no such chart"
                raise ResolutionError(msg)
            return charts[name]

        text = COMPONENTS.format(rules=rules, more=more)
        builder = Builder(
            components=Components.parse(text, what="components.yaml"),
            environment={"X_VERSION": "v1+rke2r1"} if environment is None else environment,
            fetch=fetch,
            surveyor=Surveyor(
                renderer=renderer, cache=Cache(tmp_path / "cache"), kube_version="v1.32.4"
            ),
            registry=registry,
        )
        return builder.build(wanted or {"core": list(charts)})

    return call


def one(*templates: str, values: str = "{}\n", version: str = "1.0.000") -> dict[str, Chart]:
    files = {f"{number}.yaml": text for number, text in enumerate(templates)}
    return {"rke2-a": make_chart(files, values=values, version=version)}


STATIC = "docker.io/rancher/static:v1-rke2r1"


def test_static_images_come_first_with_their_reason(build: Build) -> None:
    (core,) = build(one(pod(followed("rancher/a:v1")))).lists
    assert core.references == (STATIC, "docker.io/rancher/a:v1")
    assert core.images[0].proofs == ("started by a program",)
    assert core.images[1].proofs == (
        "rke2-a 1.0.000 (variant default), templates/0.yaml: Pod/p spec.containers[0].image",
    )
    assert core.platforms == ("linux/amd64", "linux/arm64")


def test_lists_of_several_components_keep_their_order_and_platforms(build: Build) -> None:
    charts = one(pod(followed("rancher/a:v1")))
    charts["rke2-c"] = make_chart({"c.yaml": pod(followed("rancher/c:v1"))}, name="rke2-c")
    found = build(charts, wanted={"other": ["rke2-c"], "core": ["rke2-a"]})
    assert {each.component: each.references for each in found.lists} == {
        "other": ("docker.io/rancher/c:v1",),
        "core": (STATIC, "docker.io/rancher/a:v1"),
    }
    assert found.lists[0].platforms == ("linux/amd64",)


def test_same_image_in_many_places_is_listed_once_with_every_proof(build: Build) -> None:
    more = '      - {image: "docker.io/rancher/a:v1", reason: static too}'
    forms = [followed("rancher/a:v1"), "docker.io/rancher/a:v1", "quay.example.com/rancher/a:v1"]
    templates = [pod(form, name=f"p{n}") for n, form in enumerate(forms)]
    (core,) = build(one(*templates), more=more).lists
    assert core.references == (STATIC, "docker.io/rancher/a:v1")
    assert len(core.images[1].proofs) == 4


def test_one_word_images_are_docker_hubs_library(build: Build) -> None:
    more = "      - {image: 'busybox:1', reason: r}"
    (core,) = build(one(pod(followed("busybox:1"))), more=more).lists
    assert core.references == (STATIC, "docker.io/library/busybox:1")


def test_repository_that_looks_like_a_host_is_kept(build: Build) -> None:
    (core,) = build(one(pod("quay.example.com/my.org/app:v1"))).lists
    assert core.references == (STATIC, "docker.io/my.org/app:v1")


def test_registry_stands_in_front_of_every_image(build: Build) -> None:
    (core,) = build(one(pod(followed("rancher/a:v1"))), registry="registry.example.com:5000").lists
    assert core.references == (
        "registry.example.com:5000/rancher/static:v1-rke2r1",
        "registry.example.com:5000/rancher/a:v1",
    )


DERIVED = (
    '{derived: [{tagValue: tool.tag, versions: ">=1.2", images: [rancher/x, rancher/y],'
    " reason: started by an operator}]}"
)


def test_derived_images_have_the_tag_of_a_value(build: Build) -> None:
    charts = one(values="tool: {tag: v7}\n", version="v1.2.300")
    (core,) = build(charts, rules=DERIVED).lists
    assert core.references == (STATIC, "docker.io/rancher/x:v7", "docker.io/rancher/y:v7")
    assert core.images[1].proofs == ("rke2-a v1.2.300, values tool.tag: started by an operator",)


def test_derived_images_come_only_with_their_versions(build: Build) -> None:
    (core,) = build(one(values="tool: {tag: v7}\n", version="1.1.900"), rules=DERIVED).lists
    assert core.references == (STATIC,)


@pytest.mark.parametrize(
    "values", ["{}\n", "tool: {tag: 3.29}\n", "tool: x\n", "tool: {tag: ''}\n"]
)
def test_derived_tag_that_is_not_there_is_told(build: Build, values: str) -> None:
    with pytest.raises(ValidationError) as caught:
        build(one(values=values, version="1.2.300"), rules=DERIVED)
    assert caught.value.message == "rke2-a 1.2.300: values.yaml has no text at tool.tag"
    assert caught.value.hint == "correct 'derived' of this chart in components.yaml"


def test_missing_variable_of_a_static_image_is_told(build: Build) -> None:
    with pytest.raises(ConfigError) as caught:
        build(one(), environment={})
    assert caught.value.message == (
        "components.yaml: rancher/static:${X_VERSION}: versions.env has no X_VERSION"
    )


@pytest.mark.parametrize("image", ["rancher/a", f"rancher/a@sha256:{'a' * 64}"])
def test_image_without_tag_cannot_be_listed(build: Build, image: str) -> None:
    with pytest.raises(ValidationError) as caught:
        build(one(pod(image)))
    assert caught.value.message == f"{image}: an image without a tag cannot be listed"
    assert caught.value.hint == (
        "correct the chart; needed by rke2-a 1.0.000 (variant default), templates/0.yaml: "
        "Pod/p spec.containers[0].image"
    )


def test_image_that_is_no_reference_is_told_with_its_place(build: Build) -> None:
    with pytest.raises(ValidationError) as caught:
        build(one(pod("rancher/A:v1")))
    assert caught.value.message == (
        "not an image reference: 'rancher/A:v1' (bad repository), named by rke2-a 1.0.000 "
        "(variant default), templates/0.yaml: Pod/p spec.containers[0].image"
    )


def test_image_that_ignores_the_registry_is_a_finding(build: Build) -> None:
    found = build(one(pod("rancher/a:v1")))
    assert [str(finding) for finding in found.findings] == [
        (
            "warning: rke2-a 1.0.000: expected an image below global.systemDefaultRegistry, got "
            "rancher/a:v1 (Pod/p spec.containers[0].image, variant default) "
            "[system-default-registry]"
        )
    ]
    assert found.lists[0].references == (STATIC, "docker.io/rancher/a:v1")


def test_mentioned_image_that_is_not_listed_is_a_finding(build: Build) -> None:
    found = build(one(pod(followed("rancher/a:v1"), "--image=rancher/helper:v2")))
    assert [str(finding) for finding in found.findings] == [
        (
            "warning: rke2-a 1.0.000: expected every image that a chart mentions in its "
            "component's list, got rancher/helper:v2 "
            "(Pod/p spec.containers[0].args[0], variant default) "
            "[mentioned-image]"
        )
    ]
    assert found.lists[0].references == (STATIC, "docker.io/rancher/a:v1")


@pytest.mark.parametrize(
    "argument", ["rancher/a:v1", "docker.io/rancher/a:v1", followed("rancher/a:v1")]
)
def test_mentioned_image_that_is_listed_is_no_finding(build: Build, argument: str) -> None:
    assert build(one(pod(followed("rancher/a:v1"), argument))).findings == ()


def test_mentioned_image_that_components_explain_is_no_finding(build: Build) -> None:
    rules = '{ignored: [{text: "rancher/helper:v2", reason: an example in a help text}]}'
    charts = one(pod(followed("rancher/a:v1"), "rancher/helper:v2"))
    assert build(charts, rules=rules).findings == ()


def test_every_chart_that_fails_is_told(build: Build) -> None:
    with pytest.raises(ResolutionError) as caught:
        build(one(), wanted={"core": ["rke2-a", "rke2-b"], "other": ["rke2-c"]})
    assert caught.value.message == "rke2-b: no such chart"
    assert caught.value.details == ("rke2-c: no such chart",)


def test_unknown_component_is_told(build: Build) -> None:
    with pytest.raises(ConfigError, match=r"^none: no such component$"):
        build(one(), wanted={"none": ["rke2-a"]})
