"""Shards of a mirror, and the cache, with real registries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.runner import Answer, listing, run
from tests.integration.oci.conftest import Missing, RealRegistry, running
from tests.integration.oci.test_registries import push

Skopeo = Callable[..., bytes]
NAMES = tuple(f"image{number}" for number in range(7))
REFERENCES = tuple(f"docker.io/rancher/{name}:v1" for name in NAMES)


@pytest.fixture(scope="module")
def source(
    skopeo: Skopeo, plain: RealRegistry, tmp_path_factory: pytest.TempPathFactory
) -> RealRegistry:
    """Images on two bases."""
    made: dict[str, Made] = {
        name: images.manifest(AMD64, [images.noise(200_000, n % 2), images.noise(150_000, 10 + n)])
        for n, name in enumerate(NAMES)
    }
    layout = tmp_path_factory.mktemp("layout")
    images.write(layout, made)
    push(skopeo, layout, plain, [*NAMES])
    return plain


@pytest.fixture
def targets(tmp_path: Path, missing: Missing) -> Iterator[list[RealRegistry]]:
    roots = [tmp_path / "whole", tmp_path / "parts"]
    with running(roots[0], missing) as one, running(roots[1], missing) as two:
        yield [
            RealRegistry(host=host, root=root) for host, root in zip((one, two), roots, strict=True)
        ]


def call(source: RealRegistry, cache: Path, *arguments: str | Path) -> Answer:
    endpoint = f"docker.io=http://{source.host}"
    where = ("--endpoint", endpoint, "--tree", cache, "--cache-dir", cache, "--json")
    answer = run([*arguments, *where], {})
    assert answer.code == 0, answer.err
    return answer


def stored(registry: RealRegistry) -> dict[str, bytes]:
    """What a registry has on its disk."""
    root = registry.root / "data"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("count", [2, 5])
def test_mirror_in_shards_fills_a_registry_as_one_run_does(
    source: RealRegistry, targets: list[RealRegistry], tmp_path: Path, count: int
) -> None:
    whole, parts = targets
    call(source, tmp_path / "a", "mirror", f"{whole.host}/all", *REFERENCES)
    found: list[str] = []
    for number in range(1, count + 1):
        own = ("--shard", f"{number}/{count}")
        place = f"{parts.host}/all"
        document = call(source, tmp_path / f"{number}", "mirror", place, *REFERENCES, *own).json
        found += [image["reference"] for image in document["images"]]
    assert sorted(found) == sorted(REFERENCES)
    assert stored(parts) == stored(whole)


def test_cache_goes_through_a_registry(
    source: RealRegistry, targets: list[RealRegistry], skopeo: Skopeo, tmp_path: Path
) -> None:
    there, place = tmp_path / "there", f"{targets[0].host}/ci/cache:main"
    call(source, there, "pull", *REFERENCES)
    sent = call_cache(there, "push", place).json
    assert sent["sent_bytes"] == sent["bytes"] > 7 * 150_000
    assert call_cache(there, "push", place).json["status"] == "present"
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{place}")
    assert str(Digest.of(raw)) == sent["digest"]
    here = tmp_path / "here"
    received = call_cache(here, "pull", place).json
    assert received["images"] == sorted(REFERENCES)
    assert listing(here / "store") == listing(there / "store")
    totals = call(source, here, "pull", *REFERENCES).json["totals"]
    assert (totals["present"], totals["received_bytes"]) == (len(REFERENCES), 0)
    again = call_cache(here, "pull", place).json
    assert again["received_bytes"] < 100_000


def call_cache(cache: Path, word: str, place: str) -> Answer:
    answer = run(["cache", word, place, "--cache-dir", cache, "--json"], {})
    assert answer.code == 0, answer.err
    return answer
