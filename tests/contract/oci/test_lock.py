"""images.lock: written from a registry, compared with it, and held against pull and airgap."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made
from tests.contract.oci.runner import Answer, listing, run
from tests.contract.oci.simulator import Simulator, serving

Rke2pack = Callable[..., Answer]
LIST = """\
# component: core
docker.io/rancher/alpha:v1
docker.io/rancher/beta:v1

# component: vsphere (linux/amd64)
docker.io/rancher/gamma:v1
docker.io/rancher/alpha:v1
"""
ALPHA = "docker.io/rancher/alpha:v1"
BETA = "docker.io/rancher/beta:v1"
GAMMA = "docker.io/rancher/gamma:v1"


@pytest.fixture
def tree(project: Path, tmp_path: Path, made: dict[str, Made]) -> Path:
    assert made
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    (root / "images.txt").write_text(LIST)
    return root


@pytest.fixture
def call(registry: Simulator, tree: Path, tmp_path: Path, waits: list[float]) -> Rke2pack:
    assert waits == []

    def run_it(word: str, *arguments: str | Path) -> Answer:
        own: list[str | Path] = ["--tree", tree, "--cache-dir", tmp_path / "cache"]
        if word != "airgap":
            own += ["--endpoint", f"docker.io=http://{registry.host}"]
        return run([word, *arguments, *own], {})

    return run_it


def lock_of(tree: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((tree / "images.lock").read_text())["images"]
    return document


def test_lock_has_digests_and_sizes_of_every_platform(
    call: Rke2pack, tree: Path, made: dict[str, Made], registry: Simulator
) -> None:
    answer = call("images", "--lock", "--json")
    assert answer.code == 0, answer.err
    found = lock_of(tree)
    assert list(found) == [ALPHA, BETA, GAMMA]
    alpha, gamma = made["alpha"], made["gamma"]
    assert found[ALPHA] == {
        "digest": str(alpha.digest),
        "mediaType": alpha.media_type,
        "size": len(alpha.raw),
        "platforms": {
            str(child.platform): {
                "manifest": str(child.digest),
                "config": str(next(iter(child.blobs))),
                "blobs": 3,
                "bytes": sum(map(len, child.blobs.values())),
                "layers": {str(each): len(child.blobs[each]) for each in [*child.blobs][1:]},
            }
            for child in alpha.children[:2]
        },
    }
    assert list(found[GAMMA]["platforms"]) == ["linux/amd64"]  # type: ignore[index]
    assert found[GAMMA]["digest"] == str(gamma.digest)  # type: ignore[index]
    assert answer.json["lock"]["written"] is True
    assert [each["change"] for each in answer.json["lock"]["changes"]] == ["added"] * 3
    # Of the blobs only the config that alone tells gamma's platform is read.
    assert len(registry.asked("GET", "/blobs/")) == 1
    assert not (tree.parent / "cache/store").exists()


def test_the_same_state_is_the_same_text_for_one_head_an_image(
    call: Rke2pack, tree: Path, registry: Simulator
) -> None:
    assert call("images", "--lock").code == 0
    before = (tree / "images.lock").read_bytes()
    registry.requests.clear()
    answer = call("images", "--lock", "--jobs", "1", "--json")
    assert (answer.json["lock"]["changes"], answer.json["lock"]["written"]) == ([], False)
    assert len(registry.asked("HEAD", "/manifests/v1")) == 3
    assert not registry.asked("GET", "/manifests/")
    assert (tree / "images.lock").read_bytes() == before
    (tree / "images.lock").unlink()
    assert call("images", "--lock").code == 0
    assert (tree / "images.lock").read_bytes() == before


def test_a_moved_tag_is_told_and_only_lock_writes_it(
    call: Rke2pack, tree: Path, made: dict[str, Made], registry: Simulator
) -> None:
    assert call("images", "--lock").code == 0
    before = (tree / "images.lock").read_bytes()
    new = images.multi(9)
    registry.push("rancher/alpha", new, "v1")
    answer = call("images", "--lock", "--check")
    assert answer.code == 7
    line = f"~ {ALPHA}  {made['alpha'].digest} -> {new.digest}"
    assert f"1 image differs from what its registry has\n  {line}\nhint: " in answer.err
    dry = call("images", "--lock", "--dry-run")
    assert dry.code == 0
    assert f'-      "digest": "{made["alpha"].digest}"' in dry.out
    assert f'+      "digest": "{new.digest}"' in dry.out
    assert (tree / "images.lock").read_bytes() == before
    written = call("images", "--lock", "--json")
    assert written.code == 0
    (finding,) = written.json["findings"]
    assert (finding["check"], finding["expected"], finding["got"]) == (
        "moved-tag", str(made["alpha"].digest), str(new.digest),
    )  # fmt: skip
    assert lock_of(tree)[ALPHA]["digest"] == str(new.digest)  # type: ignore[index]
    assert call("images", "--lock", "--check").code == 0


def test_check_reads_everything_anew_and_finds_an_entry_that_was_edited(
    call: Rke2pack, tree: Path, made: dict[str, Made]
) -> None:
    assert call("images", "--lock").code == 0
    path, child = tree / "images.lock", made["alpha"].children[0]
    path.write_text(path.read_text().replace(str(child.digest), str(made["beta"].digest)))
    answer = call("images", "--lock", "--check")
    assert answer.code == 7
    assert f"~ {ALPHA}  linux/amd64 {made['beta'].digest} (3 blobs" in answer.err


def test_every_image_is_tried_and_nothing_is_written_when_one_is_missing(
    call: Rke2pack, tree: Path, registry: Simulator
) -> None:
    del registry.manifests["rancher/beta", "v1"]
    registry.push("rancher/alpha", images.index(images.manifest(AMD64)), "v1")
    answer = call("images", "--lock")
    assert answer.code == 4
    assert "error: images --lock: 2 of 3 images failed\n" in answer.err
    assert "not there for linux/arm64; it has linux/amd64" in answer.err
    assert not (tree / "images.lock").exists()


def test_a_component_alone_leaves_the_other_entries(
    call: Rke2pack, tree: Path, made: dict[str, Made], registry: Simulator
) -> None:
    assert call("images", "--lock").code == 0
    for name in ("alpha", "beta"):
        registry.push(f"rancher/{name}", images.multi(7), "v1")
    assert call("images", "--lock", "--component", "vsphere").code == 0
    found = lock_of(tree)
    assert found[BETA]["digest"] == str(made["beta"].digest)  # type: ignore[index]
    assert found[ALPHA]["digest"] == str(images.multi(7).digest)  # type: ignore[index]
    # alpha is in core too, so it stays locked for both platforms.
    assert len(found[ALPHA]["platforms"]) == 2  # type: ignore[index]


def test_images_that_are_listed_no_more_are_dropped(call: Rke2pack, tree: Path) -> None:
    assert call("images", "--lock").code == 0
    (tree / "images.txt").write_text(LIST.replace(f"{BETA}\n", ""))
    answer = call("images", "--lock", "--json")
    assert [each["change"] for each in answer.json["lock"]["changes"]] == ["removed"]
    assert list(lock_of(tree)) == [ALPHA, GAMMA]


def test_images_of_the_store_are_locked_offline(
    call: Rke2pack, tree: Path, registry: Simulator
) -> None:
    assert call("pull").code == 0
    registry.requests.clear()
    assert call("images", "--lock", "--offline").code == 0
    assert registry.requests == []
    before = (tree / "images.lock").read_bytes()
    assert call("images", "--lock").code == 0
    assert (tree / "images.lock").read_bytes() == before


def test_an_image_that_is_built_here_can_be_left_out(
    call: Rke2pack, tree: Path, registry: Simulator
) -> None:
    del registry.manifests["rancher/beta", "v1"]
    answer = call("images", "--lock", "--leave-unlocked", "rancher/beta")
    assert answer.code == 0, answer.err
    assert list(lock_of(tree)) == [ALPHA, GAMMA]
    assert json.loads((tree / "images.lock").read_text())["unlocked"] == [BETA]
    assert call("images", "--lock", "--component", "vsphere").code == 0
    assert json.loads((tree / "images.lock").read_text())["unlocked"] == [BETA]
    assert call("images", "--lock", "--check").code == 0
    assert call("images", "--lock").code == 0
    assert json.loads((tree / "images.lock").read_text())["unlocked"] == [BETA]
    registry.push("rancher/beta", images.multi(5), "v1")
    pulled = call("pull", "--json")
    assert (pulled.code, pulled.json["findings"]) == (0, [])
    everything = call("images", "--lock", "--lock-all", "--json")
    assert everything.code == 0, everything.err
    (change,) = everything.json["lock"]["changes"]
    assert (change["reference"], change["change"], change["expected"]) == (
        BETA,
        "added",
        "left out",
    )
    assert "unlocked" not in json.loads((tree / "images.lock").read_text())


def test_leaving_an_image_out_is_a_change(call: Rke2pack, made: dict[str, Made]) -> None:
    assert call("images", "--lock").code == 0
    answer = call("images", "--lock", "--leave-unlocked", "rancher/beta", "--json")
    (change,) = answer.json["lock"]["changes"]
    assert change == {
        "reference": BETA,
        "change": "removed",
        "expected": str(made["beta"].digest),
        "got": "left out",
    }
    assert call("images", "--lock", "--lock-all", "--leave-unlocked", "rancher/beta").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lock", "--leave-unlocked", "rancher/bet"], "no image is called so"),
        (["--leave-unlocked", "rancher/beta"], "--leave-unlocked goes with --lock"),
        (["--lock", "--platform", "linux/amd64"], "--lock is for images.txt as it is"),
        (["--lock", "--prime"], "--lock is for images.txt as it is"),
        (["--lock", "--registry", "registry.example.com"], "--lock is for images.txt as it is"),
        (["--lock", "--check"], "images.lock: no such file"),
        (["--lock", "--component", "none"], "has no such component"),
    ],
)
def test_calls_that_cannot_be_are_refused(
    call: Rke2pack, arguments: list[str], message: str, registry: Simulator
) -> None:
    answer = call("images", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert registry.requests == []


@pytest.fixture
def moved(call: Rke2pack, registry: Simulator) -> Made:
    """What alpha is after it was locked."""
    assert call("images", "--lock").code == 0
    new = images.multi(9)
    registry.push("rancher/alpha", new, "v1")
    return new


def test_pull_refuses_a_moved_tag_before_it_fetches_a_blob(
    call: Rke2pack, moved: Made, made: dict[str, Made], registry: Simulator, tmp_path: Path
) -> None:
    registry.requests.clear()
    answer = call("pull", "--component", "core")
    assert answer.code == 5
    assert (
        f"error: {ALPHA}: the tag moved, {tmp_path}/tree/images.lock has {made['alpha'].digest}, "
        f"it is {moved.digest}\nhint: find out who moved it;" in answer.err
    )
    assert not registry.asked("GET", "rancher/alpha/blobs")
    again = call("pull", "--component", "core", "--json")
    assert again.code == 5
    assert {each["reference"]: each["status"] for each in again.json["images"]} == {
        ALPHA: "failed", BETA: "present",
    }  # fmt: skip


def test_pull_knows_a_moved_tag_without_the_registrys_digest(
    call: Rke2pack, moved: Made, registry: Simulator
) -> None:
    assert moved
    registry.has_digest_header = False
    assert call("pull", "--component", "core").code == 5
    assert not registry.asked("GET", "rancher/alpha/blobs")


def test_a_moved_tag_can_be_accepted_and_is_told(
    call: Rke2pack, moved: Made, made: dict[str, Made]
) -> None:
    answer = call("pull", "--allow-moved-tags", "--json")
    assert answer.code == 0, answer.err
    (finding,) = answer.json["findings"]
    assert finding == {
        "severity": "warning", "check": "moved-tag", "subject": ALPHA,
        "expected": f"{made['alpha'].digest} of images.lock", "got": str(moved.digest),
    }  # fmt: skip
    refused = call("airgap", "--profile", "fast", "--component", "core")
    assert refused.code == 5
    assert "error: airgap: 1 image is damaged, missing or not locked so" in refused.err
    assert f"{ALPHA}: the tag moved" in refused.err
    assert "hint: find out who moved it;" in refused.err
    told = call(
        "airgap", "--profile", "fast", "--component", "core", "--allow-moved-tags", "--json"
    )
    assert told.code == 0, told.err
    assert [each["check"] for each in told.json["findings"]] == ["moved-tag"]


def test_offline_pull_and_pins_are_compared_too(
    call: Rke2pack, made: dict[str, Made], registry: Simulator
) -> None:
    registry.push("rancher/alpha", images.multi(9), "v1")
    assert call("pull").code == 0
    registry.push("rancher/alpha", made["alpha"], "v1")
    assert call("images", "--lock").code == 0
    assert call("pull", "--offline", "--component", "core").code == 5
    # Whoever names a digest has decided.
    assert call("pull", f"rancher/alpha@{images.multi(9).digest}").code == 0


def test_another_registry_is_held_to_the_same_digests(
    call: Rke2pack, registry: Simulator, made: dict[str, Made], tmp_path: Path
) -> None:
    assert call("images", "--lock").code == 0
    arguments = ["--registry", registry.host, "--component", "core"]
    assert call("pull", *arguments).code == 0
    registry.push("rancher/alpha", images.multi(9), "v1")
    answer = call("pull", *arguments)
    assert answer.code == 5
    assert f"{registry.host}/rancher/alpha:v1: the tag moved" in answer.err
    assert str(made["alpha"].digest) in answer.err
    assert listing(tmp_path / "cache/store")


def test_a_lock_without_an_image_lets_it_pass_and_says_so(call: Rke2pack, tree: Path) -> None:
    assert call("images", "--lock", "--component", "vsphere").code == 0
    answer = call("pull", "--json")
    assert answer.code == 0
    (finding,) = answer.json["findings"]
    assert (finding["severity"], finding["check"]) == ("info", "not-locked")
    assert finding["expected"] == f"an entry for {BETA}"
    assert (tree / "images.lock").exists()


def test_a_damaged_lock_stops_pull_before_any_request(
    call: Rke2pack, tree: Path, registry: Simulator
) -> None:
    (tree / "images.lock").write_text("<<<<<<< ours\n")
    answer = call("pull")
    assert answer.code == 2
    assert "hint: write it anew with 'rke2pack images --lock'" in answer.err
    assert registry.requests == []
    assert call("images", "--lock", "--check").code == 2
    assert call("images", "--lock", "--component", "core").code == 2
    healed = call("images", "--lock")
    assert healed.code == 0
    assert "images.lock: not JSON: " in healed.err
    assert list(lock_of(tree)) == [ALPHA, BETA, GAMMA]


def test_attestations_are_not_locked(call: Rke2pack, tree: Path) -> None:
    assert call("images", "--lock").code == 0
    platforms = lock_of(tree)[ALPHA]["platforms"]  # type: ignore[index]
    assert set(platforms) == {str(AMD64), str(ARM64)}


def test_mirror_refuses_a_moved_tag_and_takes_it_when_told(
    call: Rke2pack, moved: Made, registry: Simulator
) -> None:
    with serving(address="127.0.0.2") as target:
        endpoint = ("--endpoint", f"{target.host}=http://{target.host}")
        answer = call("mirror", target.host, *endpoint)
        assert answer.code == 5, answer.err
        assert f"error: {ALPHA}: the tag moved, " in answer.err
        assert ("rancher/alpha", "v1") not in target.manifests
        assert target.manifests["rancher/beta", "v1"] == registry.manifests["rancher/beta", "v1"]
        answer = call("mirror", target.host, *endpoint, "--allow-moved-tags", "--json")
        assert answer.code == 0, answer.err
        assert target.manifests["rancher/alpha", "v1"] == (moved.media_type, moved.raw)
        assert [each["check"] for each in answer.json["findings"]] == ["moved-tag"]
