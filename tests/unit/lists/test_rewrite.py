from __future__ import annotations

from collections.abc import Iterable, Mapping

from rke2pack.lists.rewrite import Wanted, decide
from rke2pack.tree.scriptedit import edited
from tests.unit.tree.scripts import PULL, document, sources

X, PRIME_X = ("x", "community"), ("x", "prime")
Images = Mapping[tuple[str, str], Iterable[str]]


def bump(
    script: str,
    old: Images,
    new: Images,
    *,
    others: Images | None = None,
    unsure: frozenset[str] = frozenset(),
    static: frozenset[str] = frozenset(),
) -> tuple[str, list[tuple[str, str]]]:
    """The script after the moved charts' images went from ``old`` to ``new``, and the findings."""
    of = sources(script)
    kept = others or {}
    needed = {site: [*new.get(site, ()), *kept.get(site, ())] for site in {*old, *new, *kept}}
    wanted = Wanted(needed=needed, old=old, new=new, unsure=unsure, static=static)
    change, findings = decide(of.places, wanted)
    texts = edited(of, change, is_private=lambda _: False)
    told = [(found.check, found.subject) for found in findings]
    return texts.get("build-images", script), told


def test_a_line_gets_the_new_tag() -> None:
    script = document("acme/a:v1", "acme/b:v1")
    new = bump(script, {X: ["acme/a:v1"]}, {X: ["acme/a:v2"]}, others={X: ["acme/b:v1"]})
    assert new == (document("acme/a:v2", "acme/b:v1"), [])


def test_nothing_wanted_changes_nothing() -> None:
    script = document("acme/a:v1", "acme/b:v1")
    assert bump(script, {X: ["acme/a:v1"]}, {X: ["acme/a:v1"]}) == (script, [])


def test_a_stale_tag_of_the_chart_is_brought_up_to_date() -> None:
    script = document("acme/a:v0", "acme/b:v1")
    assert bump(script, {X: ["acme/a:v1"]}, {X: ["acme/a:v2"]}) == (
        document("acme/a:v2", "acme/b:v1"),
        [],
    )


def test_a_new_image_stands_behind_its_neighbours_of_the_chart() -> None:
    script = document("acme/a:v1", "acme/b:v1", "acme/z:v1")
    old, new = {X: ["acme/a:v1", "acme/b:v1"]}, {X: ["acme/a:v1", "acme/b:v1", "acme/c:v1"]}
    assert bump(script, old, new, others={X: ["acme/z:v1"]}) == (
        document("acme/a:v1", "acme/b:v1", "acme/c:v1", "acme/z:v1"),
        [],
    )


def test_an_image_that_another_chart_needs_stays() -> None:
    script = document("acme/a:v1", "acme/b:v1")
    old, new = {X: ["acme/a:v1", "acme/b:v1"]}, {X: ["acme/a:v1"]}
    assert bump(script, old, new) == (document("acme/a:v1"), [])
    assert bump(script, old, new, others={X: ["acme/b:v1"]}) == (script, [])


def test_a_tag_that_another_chart_needs_stays_beside_the_new_one() -> None:
    script = document("acme/a:v1")
    new = bump(script, {X: ["acme/a:v1"]}, {X: ["acme/a:v2"]}, others={X: ["acme/a:v1"]})
    assert new == (document("acme/a:v1", "acme/a:v2"), [])


def test_a_renamed_image_takes_the_line() -> None:
    script = document("acme/mirrored-tool:v1", "acme/b:v1")
    old = {X: ["acme/mirrored-tool:v1", "acme/b:v1"]}
    new = {X: ["acme/mirrored-acme-tool:v2", "acme/b:v1"]}
    assert bump(script, old, new) == (document("acme/mirrored-acme-tool:v2", "acme/b:v1"), [])


def test_another_name_altogether_is_a_new_line_and_one_less() -> None:
    script = document("acme/mirrored-tool:v1", "acme/b:v1")
    old = {X: ["acme/mirrored-tool:v1", "acme/b:v1"]}
    new = {X: ["other/q:v9", "acme/b:v1"]}
    assert bump(script, old, new) == (document("acme/b:v1", "other/q:v9"), [])


EDITIONS = (
    'if [ "${REGISTRY}" != "docker.io" ]; then\n'
    + document("acme/a:v1", "acme/fips:v1")
    + "else\n"
    + document("acme/a:v1", "acme/b:v1")
    + "fi\n"
)


def test_each_edition_gets_what_it_needs() -> None:
    old = {X: ["acme/a:v1", "acme/b:v1"], PRIME_X: ["acme/a:v1", "acme/fips:v1"]}
    new = {X: ["acme/a:v2", "acme/b:v1"], PRIME_X: ["acme/a:v3", "acme/fips:v2"]}
    script, told = bump(EDITIONS, old, new)
    prime, community = EDITIONS.split("else\n")
    assert script == "else\n".join(
        (
            prime.replace("a:v1", "a:v3").replace("fips:v1", "fips:v2"),
            community.replace("a:v1", "a:v2"),
        )
    )
    assert told == []


def test_a_line_of_both_editions_cannot_take_what_one_needs() -> None:
    shared = document("acme/a:v1") + 'if [ "$REGISTRY" != "docker.io" ]; then\n:\nfi\n'
    old = {X: ["acme/a:v1"], PRIME_X: ["acme/a:v1"]}
    new = {X: ["acme/a:v1"], PRIME_X: ["acme/a:v1", "acme/fips:v1"]}
    assert bump(shared, old, new) == (shared, [("missing-image", "x of prime")])


def test_an_image_of_one_architecture_stays_there() -> None:
    script = (
        document("acme/a:v1")
        + 'if [ "${GOARCH}" != "arm64" ]; then\n'
        + document("acme/amd:v1", head=PULL)
        + "fi\n"
    )
    old = {X: ["acme/a:v1", "acme/amd:v1"]}
    new = {X: ["acme/a:v1", "acme/amd:v2"]}
    assert bump(script, old, new) == (script.replace("amd:v1", "amd:v2"), [])


def test_the_last_image_of_a_list_stays() -> None:
    script = document("acme/a:v1") + document("acme/z:v1", name="y")
    assert bump(script, {X: ["acme/a:v1"]}, {X: []}) == (script, [("kept-image", "x")])


def test_the_last_image_of_a_here_document_stays() -> None:
    script = document("acme/z:v1") + document("acme/a:v1", head=PULL)
    told = [("kept-image", "x")]
    assert bump(script, {X: ["acme/a:v1"]}, {X: []}) == (script, told)


def test_of_two_last_images_one_goes() -> None:
    script = document("acme/a:v1", "acme/b:v1")
    new, told = bump(script, {X: ["acme/a:v1", "acme/b:v1"]}, {X: []})
    assert new == document("acme/b:v1")
    assert told == [("kept-image", "x")]


def test_nothing_is_deleted_from_a_list_that_is_not_sure() -> None:
    script = document("acme/a:v1", "acme/b:v1")
    old, new = {X: ["acme/a:v1", "acme/b:v1"]}, {X: ["acme/a:v2"]}
    assert bump(script, old, new, unsure=frozenset({"x"})) == (
        document("acme/a:v2", "acme/b:v1"),
        [("kept-image", "x")],
    )


def test_images_that_no_chart_names_are_left() -> None:
    script = document("acme/a:v1", "acme/pause:v1")
    old, new = {X: ["acme/a:v1", "acme/pause:v1"]}, {X: ["acme/a:v2"]}
    assert bump(script, old, new, static=frozenset({"acme/pause"})) == (
        document("acme/a:v2", "acme/pause:v1"),
        [],
    )


def test_a_tag_that_cannot_be_told_is_left_and_told() -> None:
    script = "T=$(cat t)\n" + document("acme/a:${T}", "acme/b:v1")
    old, new = {X: ["acme/a:v1", "acme/b:v1"]}, {X: ["acme/a:v2", "acme/b:v2"]}
    assert bump(script, old, new) == (
        script.replace("b:v1", "b:v2"),
        [("unknown-image", "x")],
    )


def test_other_charts_lines_are_left_even_if_stale() -> None:
    script = document("acme/a:v1", "acme/old:v1")
    assert bump(script, {X: ["acme/a:v1"]}, {X: ["acme/a:v2"]}) == (
        document("acme/a:v2", "acme/old:v1"),
        [],
    )
