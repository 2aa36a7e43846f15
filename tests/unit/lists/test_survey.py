from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rke2pack.errors import ValidationError
from rke2pack.files import Cache
from rke2pack.helm.constraint import Constraint
from rke2pack.lists.survey import Surveyor
from rke2pack.tree.components import ChartRules, DerivedImages
from tests.unit.lists.surveying import CountingRenderer, followed, make_chart, pod

RULES = ChartRules(
    base={"tag": "v1"}, variants={"more": {"more": True}}, derived=(), ignored={}, prime_adds=False
)
TEMPLATE = (
    pod(followed("rancher/a:{{ .Values.tag }}"))
    + "---\n{{ if .Values.more }}\n"
    + pod(followed("rancher/more:v2"), name="m")
    + "{{ end }}\n---\n{{ if (.Values.global.prime).enabled }}\n"
    + pod("rancher/prime:v3", name="r")
    + "{{ end }}\n"
)
CHART = make_chart({"a.yaml": TEMPLATE})


@pytest.fixture
def surveyor(tmp_path: Path) -> Surveyor:
    return Surveyor(
        renderer=CountingRenderer(), cache=Cache(tmp_path / "cache"), kube_version="v1.32.4"
    )


def renders(surveyor: Surveyor) -> int:
    assert isinstance(surveyor.renderer, CountingRenderer)
    return surveyor.renderer.renders


def found(surveyor: Surveyor, rules: ChartRules = RULES) -> list[tuple[str, str]]:
    return [(use.variant, use.image) for use in surveyor.survey(CHART, rules)]


def entries(surveyor: Surveyor) -> list[Path]:
    return list((surveyor.cache.folder / "surveys").iterdir())


def test_default_and_every_variant_are_rendered_on_the_base(surveyor: Surveyor) -> None:
    assert found(surveyor) == [
        ("default", "rancher/a:v1"),
        ("more", "rancher/a:v1"),
        ("more", "rancher/more:v2"),
    ]
    assert renders(surveyor) == 2


def test_second_survey_renders_nothing(surveyor: Surveyor) -> None:
    first = surveyor.survey(CHART, RULES)
    assert surveyor.survey(CHART, RULES) == first
    assert renders(surveyor) == 2


POISONS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "binary": lambda _: b"\xff\xfe",
    "cut": lambda data: data[:-5],
    "two": lambda _: b"{}" * 2,
    "null": lambda _: b"null",
    "text": lambda _: b'["text"]',
    "fields": lambda _: b'[{"image": "rancher/evil:v1"}]',
    "deep": lambda _: b"[" * 100_000,
    "image": lambda data: json.dumps([{**u, "image": 5} for u in json.loads(data)]).encode(),
    "flag": lambda data: json.dumps(
        [{**u, "is_required": "no"} for u in json.loads(data)]
    ).encode(),
    "extra": lambda data: json.dumps([{**u, "more": 1} for u in json.loads(data)]).encode(),
}


@pytest.mark.parametrize("poison", POISONS)
def test_poisoned_cache_entry_is_computed_again(surveyor: Surveyor, poison: str) -> None:
    first = surveyor.survey(CHART, RULES)
    (path,) = entries(surveyor)
    good = path.read_bytes()
    path.write_bytes(POISONS[poison](good))
    assert surveyor.survey(CHART, RULES) == first
    assert renders(surveyor) == 4
    assert path.read_bytes() == good


def test_other_edition_is_another_survey(surveyor: Surveyor) -> None:
    surveyor.survey(CHART, RULES)
    replace(surveyor, is_prime=True).survey(CHART, RULES)
    assert len(entries(surveyor)) == 2


ASKING = {
    "template": make_chart(
        {"a.yaml": pod("rancher/a:{{ .Capabilities.KubeVersion.Minor }}")}, name="rke2-b"
    ),
    "values": make_chart({"a.yaml": pod("rancher/a:v1")}, values="a: '{{ .Capabilities }}'\n"),
}


@pytest.mark.parametrize("asks", ASKING)
def test_chart_that_asks_for_the_cluster_is_rendered_for_each_kubernetes_version(
    surveyor: Surveyor, asks: str
) -> None:
    chart = ASKING[asks]
    surveyor.survey(chart, RULES)
    replace(surveyor, kube_version="v1.33.0").survey(chart, RULES)
    assert len(entries(surveyor)) == 2


def test_other_charts_are_rendered_once_for_all_kubernetes_versions(surveyor: Surveyor) -> None:
    first = surveyor.survey(CHART, RULES)
    assert replace(surveyor, kube_version="v1.33.0").survey(CHART, RULES) == first
    assert renders(surveyor) == 2


def test_other_values_and_another_chart_are_another_survey(surveyor: Surveyor) -> None:
    surveyor.survey(CHART, RULES)
    surveyor.survey(CHART, replace(RULES, base={"tag": "v2"}))
    surveyor.survey(CHART, replace(RULES, variants={}))
    surveyor.survey(make_chart({"a.yaml": pod("rancher/b:v1")}), RULES)
    assert len(entries(surveyor)) == 4


def test_rules_that_do_not_change_rendering_keep_the_survey(surveyor: Surveyor) -> None:
    surveyor.survey(CHART, RULES)
    derived = DerivedImages(
        tag_value="tag", versions=Constraint.parse("*"), images=("a/b",), reason="r"
    )
    surveyor.survey(CHART, replace(RULES, derived=(derived,), ignored={"x": "y"}))
    assert len(entries(surveyor)) == 1


def test_prime_images_take_the_place_of_the_others_or_are_added(surveyor: Surveyor) -> None:
    prime = replace(surveyor, is_prime=True)
    rules = replace(RULES, variants={})
    assert found(prime, rules) == [
        ("prime default", "rancher/a:v1"),
        ("prime default", "rancher/prime:v3"),
    ]
    assert found(prime, replace(rules, prime_adds=True)) == [
        ("default", "rancher/a:v1"),
        ("prime default", "rancher/a:v1"),
        ("prime default", "rancher/prime:v3"),
    ]


def test_variant_that_does_not_render_is_named(surveyor: Surveyor) -> None:
    chart = make_chart({"a.yaml": '{{ if .Values.more }}{{ fail "no" }}{{ end }}'})
    with pytest.raises(ValidationError) as caught:
        surveyor.survey(chart, RULES)
    assert caught.value.message.startswith("variant more: rke2-a 1.0.000 does not render: ")
    assert caught.value.hint == "correct the variant in components.yaml"
    assert not (surveyor.cache.folder / "surveys").exists()


def test_default_that_does_not_render_is_the_charts_own_fault(surveyor: Surveyor) -> None:
    with pytest.raises(ValidationError, match=r"^rke2-a 1\.0\.000 does not render: ") as caught:
        surveyor.survey(make_chart({"a.yaml": '{{ fail "no" }}'}), RULES)
    assert caught.value.hint is None
