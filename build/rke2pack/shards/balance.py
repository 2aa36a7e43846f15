"""Balance: items split over shards, so that the slowest shard is quick and little is had twice.

An item is made of parts that other items may have too (layers of images); a
shard has each part once. How good a split is: the weight of the heaviest shard,
and what is in several shards, a shard's part of it. Number partitioning as
libraries have it knows no items that share, so this is our own: items that
share parts are joined, as long as the group is not too heavy for a shard, then
the heaviest group goes where it makes the least weight (Graham's LPT rule).
Without sharing that is at most 4/3 of the best there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

# How heavy joined items may be, in quarters of what a shard has to have at least.
_CEILINGS = (5, 4, 2, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is done as a whole; ``parts`` maps a part's name to its weight."""

    name: str
    parts: Mapping[str, int]

    @property
    def weight(self) -> int:
        """The sum of its parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one shard does: names of items, sorted, and the weight of their parts, each once."""

    names: tuple[str, ...]
    weight: int


@dataclass(kw_only=True)
class _Group:
    names: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    weight: int = 0

    def lacks(self, other: _Group) -> int:
        """Return the weight that ``other`` would bring."""
        return sum(weight for part, weight in other.parts.items() if part not in self.parts)

    def take(self, other: _Group) -> None:
        self.weight += self.lacks(other)
        self.parts |= other.parts
        self.names += other.names


def split(items: Iterable[Item], count: int) -> tuple[Share, ...]:
    """Split items, whose names differ, over ``count`` shards, each to one of them.

    The same items always give the same shares, in whatever order they come.
    """
    ordered = sorted(items, key=lambda item: item.name)
    whole = _Group()
    for item in ordered:
        whole.take(_group(item))
    least = max((-(-whole.weight // count), *(item.weight for item in ordered)))
    pairs = _pairs(ordered)
    ceilings = [whole.weight, *(quarters * least // 4 for quarters in _CEILINGS)]
    found = [_placed(_joined(ordered, pairs, ceiling), count) for ceiling in ceilings]
    best = min(found, key=_cost)
    return tuple(Share(names=tuple(sorted(g.names)), weight=g.weight) for g in best)


def _group(item: Item) -> _Group:
    return _Group(names=[item.name], parts=dict(item.parts), weight=item.weight)


def _cost(groups: Iterable[_Group]) -> int:
    """Return the weight of the heaviest, times their number, and that of all: less is better."""
    weights = [group.weight for group in groups]
    return max(weights) * len(weights) + sum(weights)


def _pairs(items: Iterable[Item]) -> tuple[tuple[str, str], ...]:
    """Return the names of items that share parts, those that share most first."""
    holders: dict[str, list[str]] = {}
    weights: dict[str, int] = {}
    for item in items:
        for part, weight in item.parts.items():
            holders.setdefault(part, []).append(item.name)
            weights[part] = weight
    shared: Counter[tuple[str, str]] = Counter()
    for part, names in holders.items():
        for pair in combinations(names, 2):
            shared[pair] += weights[part]
    return tuple(sorted(shared, key=lambda pair: (-shared[pair], pair)))


def _joined(
    items: Iterable[Item], pairs: Iterable[tuple[str, str]], ceiling: int
) -> Iterator[_Group]:
    """Yield groups of items that share parts, none of several items above ``ceiling``."""
    groups = {item.name: _group(item) for item in items}
    for one, two in pairs:
        first, second = groups[one], groups[two]
        if first is second or first.weight + first.lacks(second) > ceiling:
            continue
        first.take(second)
        groups |= dict.fromkeys(second.names, first)
    yield from {id(group): group for group in groups.values()}.values()


def _placed(groups: Iterable[_Group], count: int) -> tuple[_Group, ...]:
    """Give each group, the heaviest first, to the shard that it leaves lightest."""
    shares = tuple(_Group() for _ in range(count))
    for group in sorted(groups, key=lambda group: (-group.weight, min(group.names))):
        lacks = [share.lacks(group) for share in shares]
        place = min(range(count), key=lambda n: (shares[n].weight + lacks[n], lacks[n], n))
        shares[place].take(group)
    return shares
