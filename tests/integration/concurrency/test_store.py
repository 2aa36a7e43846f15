"""Runs on one image store: what has a name is whole, whoever adds or clears up meanwhile."""

from __future__ import annotations

import json
import random

import pytest

from rke2pack.settings import Settings
from tests.chaos.scenarios import TARGET, Bench, digests
from tests.integration.concurrency.benches import Benches, words
from tests.integration.concurrency.racing import Ended, again, alone, race

pytestmark = pytest.mark.slow
ROUNDS = 4
PART = ("--component", "harvester")
OTHER = ("--component", "flannel")
GC = ("cache", "gc", "--older-than", "0")
FORGET = (*GC, "--forget", "*")
AIRGAP = ("airgap", *PART, "--profile", "fast")


@pytest.fixture(scope="module")
def benches(lab: Settings, tmp_path_factory: pytest.TempPathFactory) -> Benches:
    return Benches(lab, tmp_path_factory.mktemp("benches"), [("pull", *PART, *OTHER)])


def names(bench: Bench) -> dict[str, str]:
    """Name -> digest of what the store has."""
    index = json.loads((bench.cache / "store/index.json").read_bytes())
    return {e["annotations"]["io.containerd.image.name"]: e["digest"] for e in index["manifests"]}


def check(bench: Bench) -> None:
    """The store is whole, and nothing is left of interrupted work."""
    alone(*words(bench, "cache", "verify"))
    alone(*words(bench, *GC))
    alone(*words(bench, "cache", "verify"))
    assert not [*(bench.cache / "store/partial").glob("*")]


def test_pulls_side_by_side_keep_all_names(benches: Benches, chance: random.Random) -> None:
    expected = names(benches.filled())
    for _ in range(ROUNDS):
        bench = benches.new()
        pulls = [("pull", *PART), ("pull", *OTHER), ("pull", *PART)]
        ended = race([words(bench, *pull) for pull in pulls], chance)
        assert all(each.is_done for each in ended)
        assert names(bench) == expected
        check(bench)


@pytest.mark.parametrize("gc", [GC, FORGET], ids=["gc", "forget"])
def test_pull_beside_gc(benches: Benches, chance: random.Random, gc: tuple[str, ...]) -> None:
    expected = names(benches.filled())
    for number in range(ROUNDS):
        bench = benches.filled() if number % 2 else benches.new()
        alone(*words(bench, "pull", *OTHER))
        calls = [words(bench, "pull", *PART), words(bench, *gc), words(bench, "cache", "verify")]
        ended = race([*calls, words(bench, "cache", "stats")], chance, longest=0.3)
        assert ended[0].is_done, ended[0].err
        if ended[1].is_refused:  # then it has done nothing
            assert names(bench) == expected
        alone(*words(bench, "pull", *PART, *OTHER))
        assert names(bench) == expected
        check(bench)


@pytest.mark.parametrize("gc", [GC, FORGET], ids=["gc", "forget"])
def test_airgap_beside_gc(benches: Benches, chance: random.Random, gc: tuple[str, ...]) -> None:
    first = benches.filled()
    alone(*words(first, *AIRGAP))
    expected = digests(first.tree / "dist/artifacts")
    for _ in range(ROUNDS):
        bench = benches.filled()
        ended = race_unless_emptied(bench, AIRGAP, gc, chance)
        if ended[0].is_done:
            assert digests(bench.tree / "dist/artifacts") == expected
        check(bench)
        alone(*words(bench, "pull", *PART))
        alone(*words(bench, *AIRGAP))
        assert digests(bench.tree / "dist/artifacts") == expected


def test_mirror_from_the_store_beside_gc(benches: Benches, chance: random.Random) -> None:
    for _ in range(ROUNDS):
        bench = benches.filled()
        mirror = ("mirror", f"{TARGET}/race{bench.number}", "--from-store", *PART)
        race_unless_emptied(bench, mirror, FORGET, chance)
        alone(*words(bench, "pull", *PART))
        alone(*words(bench, *mirror))
        check(bench)


def race_unless_emptied(
    bench: Bench, command: tuple[str, ...], gc: tuple[str, ...], chance: random.Random
) -> tuple[Ended, ...]:
    """Race with gc, which may have forgotten every image before the command begins."""
    lacks = "hint: (run it with --pull, or|fill it with|bring it with) 'rke2pack pull'"
    calls = [words(bench, *command), words(bench, *gc)]
    return race(calls, chance, longest=0.3, may_say=lacks if "--forget" in gc else None)


def test_pull_beside_airgap_and_airgap_beside_itself(
    benches: Benches, chance: random.Random
) -> None:
    first = benches.filled()
    alone(*words(first, *AIRGAP))
    expected = digests(first.tree / "dist/artifacts")
    for _ in range(ROUNDS):
        bench = benches.filled()
        calls = [AIRGAP, ("pull", *PART), AIRGAP, ("pull", *OTHER)]
        ended = race([words(bench, *call) for call in calls], chance)
        assert ended[1].is_done
        assert ended[3].is_done
        again(ended)
        assert digests(bench.tree / "dist/artifacts") == expected
        check(bench)


def test_caches_travel_beside_pulls(benches: Benches, chance: random.Random) -> None:
    first = benches.filled()
    alone(*words(first, *AIRGAP))
    place = f"{TARGET}/travel/cache:main"
    alone(*words(first, "cache", "push", place))
    expected = names(first)
    for _ in range(ROUNDS):
        bench = benches.new()
        calls = [("cache", "pull", place), ("pull", *PART), ("cache", "pull", place)]
        ended = race([words(bench, *call) for call in calls], chance)
        assert all(each.is_done for each in ended)
        assert names(bench) == expected
        check(bench)


def test_locks_of_two_components_keep_both(benches: Benches, chance: random.Random) -> None:
    first = benches.filled()
    alone(*words(first, "images", "--lock"))
    expected = (first.tree / "images.lock").read_bytes()
    document = json.loads(expected)
    for image in document["images"].values():
        image["digest"] = f"sha256:{'0' * 64}"
    for _ in range(ROUNDS):
        bench = benches.new()
        (bench.tree / "images.lock").write_text(json.dumps(document))
        again(race([words(bench, "images", "--lock", *own) for own in (PART, OTHER)], chance))
        done = json.loads((bench.tree / "images.lock").read_bytes())["images"]
        whole = json.loads(expected)["images"]
        fresh = {name for name, image in done.items() if image == whole[name]}
        assert {name for name in whole if "harvester" in name or "flannel" in name} <= fresh
        alone(*words(bench, "images", "--lock"))
        assert (bench.tree / "images.lock").read_bytes() == expected
