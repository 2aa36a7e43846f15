from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rke2pack.errors import (
    AuthError,
    NotFoundError,
    PackError,
    RegistryError,
    ResolutionError,
    ToolError,
)
from rke2pack.files import Cache
from rke2pack.helm.chart import Chart
from rke2pack.lists import needs
from rke2pack.lists.build import Builder
from rke2pack.lists.needs import State
from rke2pack.lists.survey import Surveyor
from rke2pack.tree.components import Components
from tests.unit.lists.surveying import CountingRenderer, followed, make_chart, pod
from tests.unit.tree.scripts import document, sources

COMPONENTS = """registry: docker.io
platforms: [linux/amd64]
components:
  - {name: core, charts: [rke2-a, rke2-b]}
  - {name: extra, charts: [rke2-c]}
"""
PRIME = "{{ if .Values.global.prime.enabled }}prime{{ else }}plain{{ end }}"
A = make_chart({"p.yaml": pod(followed("acme/a:v1"))}, name="rke2-a")
B = make_chart(
    {"p.yaml": pod(followed(f"acme/b-{PRIME}:v1"))},
    name="rke2-b",
    values="global: {prime: {enabled: false}}\n",
)
BROKEN = make_chart({"p.yaml": '{{ fail "no" }}'}, name="rke2-c")
Make = Callable[..., Builder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    renderer = CountingRenderer()

    def call(charts: Mapping[str, Chart | PackError], *, is_prime: bool = False) -> Builder:
        def fetch(name: str) -> Chart:
            found = charts[name]
            if isinstance(found, PackError):
                raise found
            return found

        cache = Cache(tmp_path / "cache")
        return Builder(
            components=Components.parse(COMPONENTS, what="components.yaml"),
            environment={},
            fetch=fetch,
            surveyor=Surveyor(
                renderer=renderer, cache=cache, kube_version="v1.30.0", is_prime=is_prime
            ),
            registry="docker.io",
        )

    return call


def state(make: Make, charts: Mapping[str, Chart | PackError]) -> State:
    return State.read(
        ("community", "prime"), lambda edition: make(charts, is_prime=edition == "prime"), charts
    )


def test_each_chart_needs_its_own_images(make: Make) -> None:
    found = needs.gather(make({"rke2-a": A, "rke2-b": B}), ["rke2-a", "rke2-b"])
    assert {name: [needs.bare(i) for i in images] for name, images in found.images.items()} == {
        "rke2-a": ["acme/a:v1"],
        "rke2-b": ["acme/b-plain:v1"],
    }
    assert found.unknown == {}
    assert list(found.of(["rke2-b", "nobody"])) == ["acme/b-plain:v1"]


def test_a_chart_that_does_not_render_hides_no_other(make: Make) -> None:
    found = needs.gather(make({"rke2-a": A, "rke2-c": BROKEN}), ["rke2-a", "rke2-c"])
    assert list(found.images) == ["rke2-a"]
    assert list(found.unknown) == ["rke2-c"]
    assert "rke2-c" in found.unknown["rke2-c"]


@pytest.mark.parametrize(
    "error", [ResolutionError("no such version"), NotFoundError("not there", temporary=False)]
)
def test_a_chart_that_is_not_to_be_had_is_unknown(make: Make, error: PackError) -> None:
    found = needs.gather(make({"rke2-a": A, "rke2-c": error}), ["rke2-a", "rke2-c"])
    assert found.unknown == {"rke2-c": error.message}


@pytest.mark.parametrize(
    "error",
    [
        RegistryError("out of reach", temporary=True),
        AuthError("not you", temporary=False),
        ToolError("no helm"),
    ],
)
def test_what_concerns_every_chart_is_an_error(make: Make, error: PackError) -> None:
    with pytest.raises(type(error), match=error.message):
        needs.gather(make({"rke2-a": error}), ["rke2-a"])


SCRIPT = (
    'if [ "$REGISTRY" != docker.io ]; then\n'
    + document("acme/a:v1", "acme/b-prime:v1", name="core")
    + "else\n"
    + document("acme/a:v1", "acme/b-plain:v1", name="core")
    + "fi\n"
    + document("acme/q:v1", name="extra")
)


def test_every_list_is_asked_for_in_every_edition(make: Make) -> None:
    found = state(make, {"rke2-a": A, "rke2-b": B})
    places = sources(SCRIPT).places
    homes = needs.homes(
        (found,), ("rke2-a", "rke2-b"), places, Components.parse(COMPONENTS, what="c")
    )
    assert homes == {"rke2-a": "core", "rke2-b": "core"}
    by_site = found.by_site(needs.sites(places), homes)
    assert {site: sorted(images) for site, images in by_site.items()} == {
        ("core", "community"): ["acme/a:v1", "acme/b-plain:v1"],
        ("core", "prime"): ["acme/a:v1", "acme/b-prime:v1"],
        ("extra", "community"): [],
        ("extra", "prime"): [],
    }
    only = found.by_site(needs.sites(places), homes, ["rke2-a"])
    assert list(only["core", "prime"]) == ["acme/a:v1"]


def test_a_chart_lives_where_most_of_its_images_stand(make: Make) -> None:
    two = make_chart(
        {"p.yaml": pod(followed("acme/a:v2")), "q.yaml": pod(followed("acme/z:v1"), name="q")},
        name="rke2-a",
    )
    script = document("acme/a:v1", name="extra") + document("acme/z:v1", "acme/a:v9", name="other")
    places = sources(script).places
    components = Components.parse(COMPONENTS, what="c")
    assert needs.homes((state(make, {"rke2-a": two}),), ["rke2-a"], places, components) == {
        "rke2-a": "other"
    }


def test_among_equals_the_list_of_components_yaml_is_the_home(make: Make) -> None:
    script = document("acme/a:v1", name="aaa") + document("acme/a:v1", name="core")
    places = sources(script).places
    components = Components.parse(COMPONENTS, what="c")
    found = state(make, {"rke2-a": A})
    assert needs.homes((found,), ["rke2-a"], places, components) == {"rke2-a": "core"}


def test_a_chart_that_is_listed_nowhere_belongs_to_its_component(make: Make) -> None:
    components = Components.parse(COMPONENTS, what="c")
    found = state(make, {"rke2-a": A})
    known = sources(document("acme/q:v1", name="core")).places
    assert needs.homes((found,), ["rke2-a"], known, components) == {"rke2-a": "core"}
    elsewhere = sources(document("acme/q:v1", name="extra")).places
    assert needs.homes((found,), ["rke2-a"], elsewhere, components) == {}


def test_a_list_is_not_sure_while_one_of_its_charts_is_unknown(make: Make) -> None:
    found = state(make, {"rke2-a": A, "rke2-c": BROKEN})
    components = Components.parse(COMPONENTS, what="c")
    assert needs.unsure(found, components) == {"rke2-c": "extra"}
