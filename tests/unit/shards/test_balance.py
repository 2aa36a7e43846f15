"""Properties of a split: complete, the same every time, alike, and little had twice."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from rke2pack.shards.balance import Item, split

COUNTS = st.integers(1, 12)
PARTS = st.dictionaries(st.sampled_from("abcdefghijklmnop"), st.just(0), max_size=8)
WEIGHTS = st.lists(st.integers(0, 1000), min_size=16, max_size=16)


@st.composite
def sharing(draw: st.DrawFn) -> list[Item]:
    """Items of parts that others may have, a part with the same weight everywhere."""
    weights = dict(zip("abcdefghijklmnop", draw(WEIGHTS), strict=True))
    sets = draw(st.lists(PARTS, max_size=20))
    return [
        Item(name=f"item{number:02}", parts={name: weights[name] for name in each})
        for number, each in enumerate(sets)
    ]


def apart(weights: list[int]) -> list[Item]:
    """Items that share nothing."""
    return [Item(name=f"i{n:03}", parts={f"p{n}": w}) for n, w in enumerate(weights)]


@given(sharing(), COUNTS)
def test_every_item_is_in_exactly_one_shard(items: list[Item], count: int) -> None:
    shares = split(items, count)
    assert len(shares) == count
    names = Counter(name for share in shares for name in share.names)
    assert names == {item.name: 1 for item in items}


@given(sharing(), COUNTS)
def test_weight_of_a_share_has_each_part_once(items: list[Item], count: int) -> None:
    parts = {item.name: item.parts for item in items}
    for share in split(items, count):
        own: dict[str, int] = {}
        for name in share.names:
            own |= parts[name]
        assert share.weight == sum(own.values())


@given(sharing(), COUNTS, st.integers())
def test_order_of_items_changes_nothing(items: list[Item], count: int, seed: int) -> None:
    mixed = items[:]
    random.Random(seed).shuffle(mixed)  # noqa: S311 - any order will do
    again = [Item(name=i.name, parts=dict(reversed([*i.parts.items()]))) for i in mixed]
    assert split(again, count) == split(items, count)


@given(sharing(), COUNTS)
def test_no_shard_is_far_above_the_mean(items: list[Item], count: int) -> None:
    shares = split(items, count)
    weights = [item.weight for item in items]
    largest = max(weights, default=0)
    # Graham's bound for the split without joining, and what that one may have twice.
    assert max(share.weight for share in shares) * count <= 2 * sum(weights) + largest * count


@given(st.lists(st.integers(1, 50), min_size=1, max_size=7), st.integers(1, 3))
def test_without_sharing_it_is_at_most_4_3_of_the_best(weights: list[int], count: int) -> None:
    best = min(
        max(sum(w for w, place in zip(weights, places, strict=True) if place == n)
            for n in range(count))
        for places in product(range(count), repeat=len(weights))
    )  # fmt: skip
    found = max(share.weight for share in split(apart(weights), count))
    assert found * 3 * count <= best * (4 * count - 1)


@given(sharing(), COUNTS)
def test_joining_never_makes_it_worse_than_weights_alone(items: list[Item], count: int) -> None:
    """As measured: the heaviest shard, and what is in several of them."""
    shares = split(items, count)
    cost = max(s.weight for s in shares) * count + sum(s.weight for s in shares)
    loads: list[dict[str, int]] = [{} for _ in range(count)]
    for item in sorted(items, key=lambda i: (-i.weight, i.name)):

        def after(n: int, item: Item = item) -> tuple[int, int, int]:
            lacks = sum(w for p, w in item.parts.items() if p not in loads[n])
            return sum(loads[n].values()) + lacks, lacks, n

        loads[min(range(count), key=after)] |= item.parts
    plain = [sum(load.values()) for load in loads]
    assert cost <= max(plain) * count + sum(plain)


def family(name: str, members: int, *, base: int = 900, own: int = 20) -> list[Item]:
    """Images on one base layer."""
    parts = {f"{name}-base": base}
    return [Item(name=f"{name}{n}", parts={**parts, f"{name}{n}": own}) for n in range(members)]


def test_images_on_one_base_stay_together() -> None:
    items = [*family("a", 4), *family("b", 4), *family("c", 4)]
    shares = split(items, 3)
    assert sorted(share.names for share in shares) == [
        tuple(f"{name}{n}" for n in range(4)) for name in "abc"
    ]
    assert {share.weight for share in shares} == {980}


def test_copy_of_an_item_costs_nothing_and_stays_with_it() -> None:
    items = [*apart([100, 90, 80, 70]), Item(name="twin", parts={"p0": 100})]
    (own,) = [share for share in split(items, 4) if "twin" in share.names]
    assert own.names == ("i000", "twin")
    assert own.weight == 100


def test_bundle_stays_with_what_it_bundles() -> None:
    core, canal = {"core": 500}, {"canal": 300}
    items = [
        Item(name="core", parts=core),
        Item(name="canal", parts=canal),
        Item(name="bundle", parts={**core, **canal}),
        *apart([790, 100]),
    ]
    shares = split(items, 2)
    assert sorted(share.weight for share in shares) == [800, 890]
    assert ("bundle", "canal", "core") in {share.names for share in shares}


def test_a_base_of_everything_does_not_put_everything_into_one_shard() -> None:
    shares = split(family("x", 40, base=30, own=100), 4)
    assert {len(share.names) for share in shares} == {10}


def test_more_shards_than_items_leaves_some_empty() -> None:
    shares = split(apart([3, 2]), 5)
    assert [share.names for share in shares] == [("i000",), ("i001",), (), (), ()]


def test_no_items_are_split_too() -> None:
    assert [share.weight for share in split([], 3)] == [0, 0, 0]


def test_hundreds_of_images_with_many_layers_are_split() -> None:
    every = random.Random(1)  # noqa: S311 - the same items every time
    layers = {f"layer{n}": every.randrange(1, 10**8) for n in range(600)}
    items = [
        Item(name=f"image{n}", parts={k: layers[k] for k in every.sample(sorted(layers), 8)})
        for n in range(300)
    ]
    shares = split(items, 20)
    mean = sum(share.weight for share in shares) / 20
    assert max(share.weight for share in shares) < 1.15 * mean
    assert mean * 20 < sum(item.weight for item in items)
