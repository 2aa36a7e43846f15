from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rke2pack.lists.lock import Lock
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.shards.weights import Weights
from tests.settings import settings
from tests.unit.lists.locking import digest, image, lock

AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
ALPHA, BETA = "docker.io/rancher/alpha:v1", "docker.io/rancher/beta:v1"


def parts(weights: Weights, name: str, *platforms: Platform) -> dict[str, int]:
    return dict(weights.parts(Reference.parse(name), platforms))


def layered(name: str, *layers: tuple[str, int]) -> Lock:
    found = image(name, "linux/amd64", size=sum(size for _, size in layers) + 7)
    own = tuple((digest(seed), size) for seed, size in layers)
    return lock(replace(found, platforms=(replace(found.platforms[0], layers=own),)))


def test_without_a_lock_images_are_counted_and_that_is_said() -> None:
    weights = Weights(lock=None)
    assert weights.unit == "images"
    assert parts(weights, ALPHA, AMD64, ARM64) == {
        f"{ALPHA} linux/amd64": 1,
        f"{ALPHA} linux/arm64": 1,
    }
    assert parts(weights, ALPHA) == {ALPHA: 1}
    assert "images are counted" in str(weights.findings[0])


def test_layers_of_the_lock_are_parts_and_the_config_is_the_rest() -> None:
    weights = Weights(lock=layered(ALPHA, ("one", 30), ("two", 60)))
    found = parts(weights, ALPHA, AMD64)
    config = str(digest(f"{ALPHA} linux/amd64 config"))
    assert found == {str(digest("one")): 30, str(digest("two")): 60, config: 7}
    assert weights.unit == "bytes"
    assert weights.findings == ()


def test_images_on_one_layer_have_it_as_the_same_part() -> None:
    one, two = layered(ALPHA, ("base", 50), ("a", 1)), layered(BETA, ("base", 50), ("b", 1))
    weights = Weights(lock=lock(*one.images, *two.images))
    shared = parts(weights, ALPHA, AMD64).keys() & parts(weights, BETA, AMD64).keys()
    assert shared == {str(digest("base"))}


def test_lock_without_layers_has_whole_images_and_says_so() -> None:
    weights = Weights(lock=lock(image(ALPHA, size=100)))
    assert sum(parts(weights, ALPHA).values()) == 200
    assert [*parts(weights, ALPHA, ARM64).values()] == [100]
    assert "sharing is not seen" in str(weights.findings[0])


def test_image_that_is_not_locked_counts_as_the_mean_and_is_named() -> None:
    one, two = layered(ALPHA, ("one", 30)), layered(BETA, ("two", 60))
    weights = Weights(lock=lock(*one.images, *two.images))
    assert parts(weights, "docker.io/rancher/other:v1", AMD64) == {
        "docker.io/rancher/other:v1 linux/amd64": (37 + 67) // 2
    }
    assert parts(weights, ALPHA, ARM64) == {f"{ALPHA} linux/arm64": 52}
    (finding,) = weights.findings
    assert "docker.io/rancher/other:v1" in finding.expected
    assert ALPHA in finding.expected


def test_folder_that_is_no_tree_has_no_lock(tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text("not read")

    assert Weights.of(settings(tmp_path)).lock is None
