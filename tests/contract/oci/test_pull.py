"""The word pull against a registry: what is copied, present, planned, missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import NotFoundError
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.pace import Pace
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.transfer import Transfer
from rke2pack.oci.wish import Wish
from tests.contract.loopback import wait_for
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made
from tests.contract.oci.runner import Answer, listing, run
from tests.contract.oci.simulator import Simulator

Pull = Callable[..., Answer]
LIST = """\
# component: core
docker.io/rancher/alpha:v1
docker.io/rancher/beta:v1

# component: extra (linux/amd64)
docker.io/rancher/gamma:v1
docker.io/rancher/alpha:v1
"""


@pytest.fixture(autouse=True)
def quick(waits: list[float]) -> None:
    """Let no client wait."""
    assert waits == []


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache/store"


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    (root / "images.txt").write_text(LIST)
    return root


@pytest.fixture
def pull(registry: Simulator, tmp_path: Path) -> Pull:
    def call(*arguments: str | Path, environment: dict[str, str] | None = None) -> Answer:
        endpoint = f"docker.io=http://{registry.host}"
        own: list[str | Path] = [
            "--endpoint",
            endpoint,
            "--cache-dir",
            tmp_path / "cache",
            "--json",
        ]
        registry.requests.clear()
        return run(["pull", *arguments, *own], environment or {})

    return call


def statuses(answer: Answer) -> dict[str, str]:
    return {each["reference"]: each["status"] for each in answer.json["images"]}


def test_images_of_the_list_arrive_for_their_platforms(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path, store: Path
) -> None:
    answer = pull("--tree", tree)
    assert answer.code == 0, answer.err
    assert statuses(answer) == {
        f"docker.io/rancher/{name}:v1": "copied" for name in ("alpha", "beta", "gamma")
    }
    by_name = {each["reference"]: each for each in answer.json["images"]}
    alpha = by_name["docker.io/rancher/alpha:v1"]
    assert alpha["digest"] == str(made["alpha"].digest)
    assert alpha["platforms"] == ["linux/amd64", "linux/arm64"]
    assert by_name["docker.io/rancher/gamma:v1"]["platforms"] == ["linux/amd64"]
    # The base layer, which all have, came once; attestations were not asked for.
    base = images.manifest(AMD64, [b"base"]).blobs
    shared = [digest for digest in base if digest in made["gamma"].blobs]
    assert [len(registry.asked("GET", str(digest))) for digest in shared] == [1]
    assert not registry.asked("GET", str(made["alpha"].children[2].digest))
    layout = Layout.open(store)
    assert [(e.name, e.descriptor.digest) for e in layout.entries()] == [
        (f"docker.io/rancher/{name}:v1", made[name].digest) for name in ("alpha", "beta", "gamma")
    ]
    for name, image in made.items():
        for each in image.documents if name == "gamma" else (*image.children[:2], image):
            assert layout.path(each.digest).read_bytes() == each.raw
            for digest, data in each.blobs.items():
                assert layout.path(digest).read_bytes() == data
    assert (store.parent / "CACHEDIR.TAG").is_file()


def test_second_run_sends_only_heads(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path, store: Path
) -> None:
    assert pull("--tree", tree).code == 0
    before = listing(store)
    answer = pull("--tree", tree)
    assert set(statuses(answer).values()) == {"present"}
    assert [r.method for r in registry.requests] == ["HEAD"] * len(made)
    assert answer.json["totals"]["received_bytes"] == 0
    assert answer.json["totals"]["requests"] == len(made)
    assert listing(store) == before


def test_one_component_and_one_platform(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    answer = pull("--tree", tree, "--component", "core", "--platform", "linux/arm64")
    assert set(statuses(answer)) == {"docker.io/rancher/alpha:v1", "docker.io/rancher/beta:v1"}
    layout = Layout.open(store)
    amd64, arm64 = made["alpha"].children[:2]
    assert layout.path(arm64.digest).exists()
    assert not layout.path(amd64.digest).exists()
    # The index is whole, so its digest survives.
    assert layout.path(made["alpha"].digest).read_bytes() == made["alpha"].raw
    later = pull("--tree", tree, "--component", "core", "--platform", "linux/amd64")
    assert set(statuses(later).values()) == {"copied"}


def test_component_that_is_not_there_for_a_platform_is_left_out(
    pull: Pull, made: dict[str, Made], tree: Path
) -> None:
    answer = pull("--tree", tree, "--component", "extra", "--platform", "linux/arm64")
    assert (answer.code, answer.json["images"]) == (0, [])
    assert made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--component", "nosuch"], "has no such component"),
        (["--platform", "plan9/mips"], "plan9/mips: the tree has no such platform"),
        (["--from-engine", "rancher/nosuch"], "no image is called so"),
        (["--endpoint", "docker.io=http://mirror.example.com"], "plain http, refused"),
        (["a b"], "not an image reference"),
    ],
)
def test_wrong_options_are_config_errors(
    pull: Pull, tree: Path, arguments: list[str], message: str
) -> None:
    answer = pull("--tree", tree, *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_an_archive_in_the_place_of_an_image_is_told(
    pull: Pull, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images.tar.zst").touch()
    answer = pull("images.tar.zst", "--tree", tmp_path)
    assert answer.code == 2
    assert "error: images.tar.zst: a file, not an image\nhint: name archives with" in answer.err


def test_outside_a_tree_images_have_to_be_named(pull: Pull, tmp_path: Path) -> None:
    answer = pull("--tree", tmp_path)
    assert answer.code == 2
    assert "hint: name the folder of the tree with --tree; or name images\n" in answer.err


def test_named_image_comes_whole_outside_a_tree(
    pull: Pull, made: dict[str, Made], tmp_path: Path, store: Path
) -> None:
    answer = pull("rancher/alpha:v1", "--tree", tmp_path)
    assert answer.code == 0
    layout = Layout.open(store)
    assert all(layout.path(each.digest).exists() for each in made["alpha"].documents)
    assert all(layout.path(digest).exists() for digest in made["alpha"].all_blobs)
    assert answer.json["images"][0]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_all_platforms_brings_attestations_too(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    assert pull("--tree", tree, "--all-platforms").code == 0
    attestation = made["alpha"].children[2]
    assert Layout.open(store).path(attestation.digest).exists()


def test_dry_run_tells_bytes_and_requests_and_writes_nothing(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path, store: Path
) -> None:
    planned = pull("--tree", tree, "--dry-run")
    assert set(statuses(planned).values()) == {"planned"}
    assert not store.parent.exists()
    # A config alone says for which platform a manifest outside an index is.
    config = json.loads(made["gamma"].raw)["config"]["digest"]
    assert [r.path.rpartition("/")[2] for r in registry.asked("GET", "/blobs/")] == [config]
    real = pull("--tree", tree)
    totals = planned.json["totals"]
    assert totals["missing_bytes"] == real.json["totals"]["missing_bytes"]
    assert totals["planned_requests"] == real.json["totals"]["requests"]
    assert totals["received_bytes"] < totals["missing_bytes"]


def test_missing_platform_fails_at_the_end_and_the_rest_arrives(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path
) -> None:
    registry.push("rancher/beta", images.index(images.manifest(AMD64)), "v1")
    answer = pull("--tree", tree)
    assert answer.code == 4
    assert statuses(answer)["docker.io/rancher/beta:v1"] == "failed"
    assert statuses(answer)["docker.io/rancher/alpha:v1"] == "copied"
    assert (
        "error: docker.io/rancher/beta:v1: not there for linux/arm64; it has linux/amd64"
    ) in answer.err
    assert made


def test_every_failure_is_tried_and_listed(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path, store: Path
) -> None:
    del registry.manifests["rancher/beta", "v1"]
    layer = next(iter(made["gamma"].blobs))
    registry.bodies[layer] = b"?" * len(made["gamma"].blobs[layer])
    answer = pull("--tree", tree)
    assert answer.code == 5
    assert "error: pull: 2 of 3 images failed" in answer.err
    assert answer.json["totals"]["failed"] == 2
    assert answer.json["totals"]["copied"] == 1
    errors = {each["reference"]: each["error"] for each in answer.json["images"]}
    assert "404 Not Found" in errors["docker.io/rancher/beta:v1"]
    assert (
        f"content is {Digest.of(registry.bodies[layer])}" in (errors["docker.io/rancher/gamma:v1"])
    )
    assert [entry.name for entry in Layout.open(store).entries()] == ["docker.io/rancher/alpha:v1"]
    registry.push("rancher/beta", made["beta"], "v1")
    registry.bodies.clear()
    assert pull("--tree", tree).code == 0


def test_blob_that_one_repository_lacks_comes_from_the_other(
    registry: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    shared = set(made["alpha"].all_blobs) & set(made["beta"].all_blobs)
    for digest in shared:
        del registry.blobs["rancher/alpha", digest]
    access = Access(keychain=Keychain({}), endpoints={"docker.io": f"http://{registry.host}"})
    transfer = Transfer(access=access, layout=Layout.open(tmp_path / "store"))

    def wishes() -> Iterator[Wish]:
        yield Wish(reference=Reference.parse("rancher/alpha:v1"), platforms=(AMD64,))
        wait_for(lambda: any(future.done() for future in transfer._blobs.values()))
        wait_for(lambda: all(future.done() for future in transfer._blobs.values()))
        yield Wish(reference=Reference.parse("rancher/beta:v1"), platforms=(AMD64,))

    found = {each.wish.reference.repository: each for each in transfer.run(wishes())}
    assert found["rancher/alpha"].status == "failed"
    assert found["rancher/beta"].status == "copied"
    assert isinstance(found["rancher/alpha"].error, NotFoundError)


def test_moved_tag_is_followed_and_a_pinned_one_is_not(
    pull: Pull, registry: Simulator, made: dict[str, Made], tmp_path: Path, store: Path
) -> None:
    old, new = made["alpha"], images.multi(9)
    assert pull("rancher/alpha:v1", "--tree", tmp_path).code == 0
    registry.push("rancher/alpha", new, "v1")
    assert pull("rancher/alpha:v1", "--tree", tmp_path).code == 0
    name = "docker.io/rancher/alpha:v1"
    assert [(e.name, e.descriptor.digest) for e in Layout.open(store).entries()] == [
        (name, new.digest)
    ]
    pinned = pull(f"{name}@{old.digest}", "--tree", tmp_path)
    assert pinned.code == 5
    assert f"the tag moved, it points at {new.digest} now" in pinned.err
    by_digest = pull(f"docker.io/rancher/alpha@{old.digest}", "--tree", tmp_path)
    assert by_digest.code == 0
    assert registry.requests == []


def test_schema_1_and_nested_too_deep_are_refused(
    pull: Pull, registry: Simulator, tmp_path: Path
) -> None:
    kind = "application/vnd.docker.distribution.manifest.v1+json"
    registry.manifests["rancher/old", "v1"] = (kind, b'{"schemaVersion": 1}')
    made = images.manifest()
    for _ in range(4):
        made = images.index(made)
    registry.push("rancher/deep", made, "v1")
    assert "Docker schema 1" in pull("rancher/old:v1", "--tree", tmp_path).err
    deep = pull("rancher/deep:v1", "--tree", tmp_path)
    assert (deep.code, "nested deeper than 3" in deep.err) == (5, True)
    registry.push("rancher/flat", images.index(images.index(images.index(images.manifest()))), "v1")
    assert pull("rancher/flat:v1", "--tree", tmp_path).code == 0


def test_registry_option_writes_another_host_in_front(
    registry: Simulator, made: dict[str, Made], tree: Path, tmp_path: Path, store: Path
) -> None:
    options = ["--registry", registry.host, "--insecure-registry", registry.host]
    answer = run(
        ["pull", "--tree", tree, *options, "--cache-dir", tmp_path / "cache", "--json"], {}
    )
    assert answer.code == 0, answer.err
    names = [entry.name for entry in Layout.open(store).entries()]
    assert names == [f"{registry.host}/rancher/{name}:v1" for name in made]


def test_offline_takes_what_is_there_and_names_what_is_not(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path
) -> None:
    assert pull("--tree", tree, "--component", "core").code == 0
    assert set(statuses(pull("--tree", tree, "--component", "core", "--offline")).values()) == {
        "present"
    }
    answer = pull("--tree", tree, "--offline")
    assert answer.code == 4
    assert "docker.io/rancher/gamma:v1: not in" in answer.err
    assert registry.requests == []
    assert made


def test_damaged_blob_is_found_by_verify_and_brought_by_pull(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    assert pull("--tree", tree).code == 0
    before = listing(store)
    layer = list(made["gamma"].blobs)[1]
    path = Layout.open(store).path(layer)
    path.write_bytes(bytes(path.stat().st_size))
    cache: list[str | Path] = ["--cache-dir", store.parent, "--json"]
    looked = run(["cache", "verify", "--dry-run", *cache], {})
    assert (looked.code, looked.json["damaged"]) == (5, [str(layer)])
    verified = run(["cache", "verify", *cache], {})
    assert (verified.code, path.exists()) == (5, False)
    assert "docker.io/rancher/gamma:v1" in verified.json["incomplete"]
    assert pull("--tree", tree).code == 0
    assert run(["cache", "verify", *cache], {}).code == 0
    assert listing(store) == before


def test_damaged_manifest_is_brought_again(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    assert pull("--tree", tree).code == 0
    before = listing(store)
    path = Layout.open(store).path(made["alpha"].digest)
    path.write_bytes(bytes(path.stat().st_size))
    assert pull("--tree", tree).code == 0
    assert listing(store) == before


def test_damaged_rest_of_an_earlier_run_is_fetched_anew(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    digest, data = list(made["gamma"].blobs.items())[1]
    partial = store / f"partial/{digest.hex}.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(len(data) - 5))
    assert pull("--tree", tree).code == 0
    assert Layout.open(store).path(digest).read_bytes() == data


def test_gc_forgets_and_frees_what_no_image_needs(
    pull: Pull, made: dict[str, Made], tree: Path, store: Path
) -> None:
    assert pull("--tree", tree).code == 0
    cache: list[str | Path] = ["--cache-dir", store.parent, "--json"]
    first = run(["cache", "gc", "--older-than", "0", *cache], {}).json
    assert (first["removed"], first["forgotten"]) == (0, [])
    young = run(["cache", "gc", "--forget", "*/beta:*", *cache], {}).json
    assert young["forgotten"] == ["docker.io/rancher/beta:v1"]
    assert (young["removed"], young["young"] > 0) == (0, True)
    stats = run(["cache", "stats", *cache], {}).json["stats"]
    assert stats["unreachable"] == young["young"]
    freed = run(["cache", "gc", "--older-than", "0", *cache], {}).json
    assert (freed["removed"], freed["bytes"]) == (young["young"], stats["unreachable_bytes"])
    layout = Layout.open(store)
    assert not layout.path(made["beta"].digest).exists()
    for each in (*made["alpha"].children[:2], made["gamma"]):
        assert all(layout.path(digest).exists() for digest in each.blobs)


def test_cache_without_a_store_says_how_to_fill_it(tmp_path: Path) -> None:
    answer = run(["cache", "stats", "--cache-dir", tmp_path], {})
    assert answer.code == 4
    assert "no image store" in answer.err
    assert "hint: fill it with 'rke2pack pull'" in answer.err


def test_windows_image_is_chosen_by_os_version(
    pull: Pull, registry: Simulator, tmp_path: Path, store: Path
) -> None:
    versions = ("10.0.17763.5936", "10.0.20348.2529")
    children = [
        images.manifest(Platform(os="windows", architecture="amd64", os_version=v), [b"w"])
        for v in versions
    ]
    registry.push("rancher/win", images.index(*children, images.manifest(ARM64)), "v1")
    answer = pull("rancher/win:v1", "--platform", "windows(10.0.17763)/amd64", "--tree", tmp_path)
    assert answer.json["images"][0]["platforms"] == ["windows(10.0.17763.5936)/amd64"]
    assert not Layout.open(store).path(children[1].digest).exists()


def test_token_that_runs_out_in_the_middle_of_a_pull_is_renewed(
    pull: Pull, registry: Simulator, made: dict[str, Made], tree: Path, store: Path
) -> None:
    registry.auth, registry.token_uses, registry.is_public = "bearer", 3, False
    variables = {
        f"RKE2PACK_REGISTRY_{registry.host.replace('.', '_').replace(':', '_')}_{name}": value
        for name, value in (("USERNAME", "user"), ("PASSWORD", "pass"))
    }
    answer = pull("--tree", tree, environment=variables)
    assert answer.code == 0, answer.err
    assert len([r for r in registry.requests if r.status == 401]) > len(made)
    assert all(Layout.open(store).path(d).exists() for d in made["gamma"].all_blobs)


def test_budget_of_requests_is_kept_by_waiting(
    pull: Pull, made: dict[str, Made], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def pause(pace: Pace, seconds: float) -> None:
        waits.append(seconds)
        pace._sent.clear()  # an hour later

    monkeypatch.setattr(Pace, "pause", pause)
    answer = pull("--tree", tree, "--max-requests-per-hour", "5")
    assert answer.code == 0
    assert made
    assert [wait for wait in waits if wait > 3590]
    assert "waiting 3600 s before the next request" in answer.err
