"""The treemap's boxes: they fill their place, in proportion, without an overlap."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rke2pack.page import sharing
from rke2pack.page.sharing import Holders
from rke2pack.page.treemap import MAX_TILES, UNIT, Box, Treemap, tiles
from tests.unit.stages.reporting import archive, digest, full_archives

A, B, C = (f"docker.io/rancher/{name}:v1" for name in "abc")


def area(box: Box) -> int:
    return box[2] * box[3]


def overlap(one: Box, two: Box) -> bool:
    return (
        one[0] < two[0] + two[2]
        and two[0] < one[0] + one[2]
        and one[1] < two[1] + two[3]
        and two[1] < one[1] + one[3]
    )


@given(st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=40))
def test_boxes_fill_the_place_and_do_not_overlap(sizes: list[int]) -> None:
    boxes = tiles(sorted(sizes, reverse=True), 1200, 600)
    assert len(boxes) == len(sizes)
    for box in boxes:
        assert min(box) >= 0
        assert box[0] + box[2] <= UNIT
        assert box[1] + box[3] <= UNIT
    assert abs(sum(map(area, boxes)) - UNIT**2) < UNIT**2 // 200
    assert not any(itertools.starmap(overlap, itertools.combinations(boxes, 2)))


def test_an_area_is_its_share_of_all() -> None:
    shares = [area(box) / UNIT**2 for box in tiles([600, 300, 100], 1200, 600)]
    assert [round(share, 2) for share in shares] == [0.6, 0.3, 0.1]


def test_what_is_tiny_can_still_be_hit() -> None:
    large, small = tiles([10**10, 1], 1200, 600)
    assert area(small) > 0
    assert area(large) > 0.99 * UNIT**2


def test_too_many_for_the_eye_end_in_a_rest() -> None:
    boxes = tiles([1] * 5000, 1200, 600)
    assert len(boxes) == MAX_TILES
    assert sum(map(area, boxes)) < UNIT**2


def test_nothing_at_all_is_laid_out_as_nothing() -> None:
    assert tiles([], 1200, 600) == []


def test_layers_know_how_they_are_shared() -> None:
    images = [(A, {"base": 50, "pair": 20, "own": 30}), (B, {"base": 50, "pair": 20})]
    one = archive("rke2-images-core.linux-amd64", "core", "linux/amd64", images)
    two = archive("rke2-images-canal.linux-amd64", "canal", "linux/amd64", [(C, {"base": 50})])
    (scope,) = sharing.scopes((one, two), {})
    holders = Holders.of(scope.groups)
    assert [holders.kind(digest(name)) for name in ("own", "pair", "base")] == [
        "unique", "component", "components",
    ]  # fmt: skip
    core = holders.sums(scope.groups[0])
    assert (core.alone, core.stored, core.shared, core.elsewhere) == (170, 100, 70, 50)
    assert sharing.total(scope).to_json() == {
        "images": 3, "alone": 220, "stored": 100, "unique": 30, "shared": 70, "elsewhere": 0,
    }  # fmt: skip
    treemap = Treemap()
    treemap.add(scope)
    found = treemap.to_json()
    kinds = {each[0]: each[2] for each in found["layers"]}
    assert {name: kinds[digest(name).removeprefix("sha256:")] for name in ("own", "base")} == {
        "own": 0,
        "base": 2,
    }
    names = {tuple(each[3]) for each in found["layers"]}
    assert {len(each) for each in names} == {0, 2, 3}
    assert [each["name"] for each in found["scopes"][0]["groups"]] == ["core", "canal"]


def test_an_archive_of_several_components_is_split_by_them() -> None:
    one = archive("rke2-images.linux-amd64", "", "linux/amd64", [(A, {"a": 1}), (B, {"b": 2})])
    (scope,) = sharing.scopes((one,), {A: "core"})
    assert scope.title == "rke2-images.linux-amd64"
    assert [group.name for group in scope.groups] == ["core", "not in images.txt"]


def test_a_whole_release_has_a_scope_a_platform_and_one_a_bundle() -> None:
    lists = {"core": (A, B), "canal": (C,)}
    scopes = sharing.scopes(full_archives(lists), {A: "core", B: "core", C: "canal"})
    assert [scope.title for scope in scopes] == [
        "All components, linux/amd64",
        "All components, linux/arm64",
        "rke2-images.linux-amd64",
        "rke2-images.linux-arm64",
    ]
