"""mirror of some platforms: the index that is left, and what is for none of them."""

from __future__ import annotations

import json

from rke2pack.digest import Digest
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
    assert_there,
    statuses,
)
from tests.contract.oci.simulator import Simulator


def test_one_platform_makes_an_index_of_its_own_and_says_so(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    answer = mirror(*NAMES, "--platform", "linux/amd64")
    assert answer.code == 0, answer.err
    raw = target.manifests["rancher/alpha", "v1"][1]
    entries = json.loads(raw)["manifests"]
    kept = made["alpha"].children[0]
    assert [each["digest"] for each in entries] == [str(kept.digest)]
    assert entries[0]["platform"] == {"os": "linux", "architecture": "amd64"}
    assert ("rancher/alpha", str(made["alpha"].children[1].digest)) not in target.manifests
    changed = f"expected {made['alpha'].digest}, got {Digest.of(raw)} [digest-changed]"
    assert changed in answer.err
    # The image that has no index stays what it is.
    assert_there(target, "rancher/gamma", made["gamma"])
    assert answer.err.count("[digest-changed]") == 2
    again = mirror(*NAMES, "--platform", "linux/amd64")
    assert set(statuses(again).values()) == {"present"}
    assert target.manifests["rancher/alpha", "v1"][1] == raw


def test_attestation_goes_with_the_platform_that_it_is_about(
    mirror: MirrorCall, registry: Simulator, target: Simulator
) -> None:
    children = [images.manifest(AMD64), images.manifest(ARM64)]
    about = [images.attestation(child) for child in children]
    index = images.index(*children, *about)
    document = json.loads(index.raw)
    for entry, child in zip(document["manifests"][2:], children, strict=True):
        entry["annotations"] = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": str(child.digest),
        }
    whole = Made(
        media_type=index.media_type, raw=json.dumps(document).encode(), children=index.children
    )
    registry.push("rancher/att", whole, "v1")
    assert mirror("rancher/att:v1", "--platform", "linux/arm64").code == 0
    entries = json.loads(target.manifests["rancher/att", "v1"][1])["manifests"]
    assert [each["digest"] for each in entries] == [str(children[1].digest), str(about[1].digest)]
    assert_there(target, "rancher/att", about[1], str(about[1].digest))


def test_platform_that_is_not_there_is_an_error_of_that_image(
    mirror: MirrorCall, target: Simulator, made: dict[str, Made]
) -> None:
    assert made
    answer = mirror(*NAMES, "--platform", "linux/arm64")
    assert answer.code == 4
    assert "rancher/gamma:v1: not there for linux/arm64; it has linux/amd64" in answer.err
    assert ("rancher/beta", "v1") in target.manifests
