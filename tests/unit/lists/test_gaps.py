from __future__ import annotations

from collections.abc import Iterable

from rke2pack.lists import audit
from rke2pack.lists.model import ListedImage
from rke2pack.oci.reference import Reference
from rke2pack.tree.components import Components
from tests.unit.tree.scripts import document, sources

X, PRIME_X = ("x", "community"), ("x", "prime")
COMPONENTS = """registry: docker.io
platforms: [linux/amd64]
components:
  - name: x
    charts: [rke2-a]
    images:
      - {image: "acme/pause:${PAUSE}", reason: a program starts it}
"""


def needed(*images: str) -> dict[str, ListedImage]:
    return {
        image: ListedImage(
            reference=Reference.parse(f"docker.io/{image}"), proofs=(f"why {image}",)
        )
        for image in images
    }


def gaps(script: str, *images: str, unsure: Iterable[str] = ()) -> list[str]:
    components = Components.parse(COMPONENTS, what="components.yaml")
    places = sources(script).places
    return [str(gap) for gap in audit.gaps(places, {X: needed(*images)}, components, unsure)]


def test_a_list_as_it_should_be_has_no_gaps() -> None:
    assert gaps(document("acme/a:v1", "acme/pause:v1"), "acme/a:v1") == []


def test_a_missing_image_has_its_proof() -> None:
    assert gaps(document("acme/a:v1"), "acme/a:v1", "acme/b:v1") == [
        "+ x: acme/b:v1  (why acme/b:v1)"
    ]


def test_a_stale_tag_names_those_that_are_needed() -> None:
    assert gaps(document("acme/a:v1", "acme/a:v2"), "acme/a:v2", "acme/a:v3") == [
        "+ x: acme/a:v3  (why acme/a:v3)",
        "- x: acme/a:v1  (the charts need acme/a:v2, v3)",
    ]


def test_what_nothing_knows_is_stale_where_every_chart_is_known() -> None:
    script = document("acme/a:v1", "acme/q:v1")
    assert gaps(script, "acme/a:v1") == ["- x: acme/q:v1  (no bundled chart and no rule names it)"]
    assert gaps(script, "acme/a:v1", unsure=["x"]) == []


def test_a_stale_tag_is_told_even_where_a_chart_is_unknown() -> None:
    script = document("acme/a:v1", "acme/a:v2")
    assert gaps(script, "acme/a:v2", unsure=["x"]) == [
        "- x: acme/a:v1  (the charts need acme/a:v2)"
    ]


def test_editions_are_compared_each_by_itself() -> None:
    script = (
        'if [ "$REGISTRY" != docker.io ]; then\n'
        + document("acme/a:v1")
        + "else\n"
        + document("acme/a:v1", "acme/b:v1")
        + "fi\n"
    )
    components = Components.parse(COMPONENTS, what="components.yaml")
    both = {X: needed("acme/a:v1", "acme/b:v1"), PRIME_X: needed("acme/a:v1", "acme/b:v1")}
    (gap,) = audit.gaps(sources(script).places, both, components)
    assert gap.to_json() == {
        "list": "x",
        "edition": "prime",
        "image": "acme/b:v1",
        "kind": "missing",
        "proof": "why acme/b:v1",
    }
    assert gap.where == "x (prime)"


def test_what_version_sh_has_the_tag_of_is_never_stale() -> None:
    components = Components.parse(COMPONENTS, what="components.yaml")
    version = "KUBERNETES_VERSION=v1\nE=v3\n"
    script = "L=v4\n" + document("acme/e:${E}-build1", "acme/l:${L}")
    places = sources(script, version).places
    found = [gap.image for gap in audit.gaps(places, {X: needed()}, components)]
    assert found == ["acme/l:v4"]
