"""Signatures and referrers travel with the image that they are about."""

from __future__ import annotations

import json

import pytest

from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.mirror.mirroring import (
    NAMES,
    MirrorCall,
    assert_there,
    refer,
    sign,
    statuses,
)
from tests.contract.oci.simulator import Simulator


def test_signatures_in_tags_travel_along(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    signatures = sign(registry, "rancher/alpha", made["alpha"])
    answer = mirror(NAMES[0])
    assert answer.code == 0, answer.err
    assert answer.json["images"][0]["companions"] == 2
    for tag, signature in signatures.items():
        assert_there(target, "rancher/alpha", signature, tag)
    tags = {name for _, name in target.manifests if ":" not in name}
    assert tags == {"v1", *signatures}
    again = mirror(NAMES[0])
    assert statuses(again) == {NAMES[0]: "present"}
    assert {r.method for r in target.requests} == {"HEAD", "GET"}


def test_new_signature_of_an_unchanged_image_is_copied(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    assert mirror(NAMES[0]).code == 0
    signatures = sign(registry, "rancher/alpha", made["alpha"])
    answer = mirror(NAMES[0])
    assert statuses(answer) == {NAMES[0]: "copied"}
    assert all(("rancher/alpha", tag) in target.manifests for tag in signatures)


def test_no_referrers_leaves_them(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    sign(registry, "rancher/alpha", made["alpha"])
    assert mirror(NAMES[0], "--no-referrers").code == 0
    assert {name for _, name in target.manifests if ":" not in name} == {"v1"}
    assert registry.asked("GET", "/tags/list") == registry.asked("GET", "/referrers/") == []


@pytest.mark.parametrize("is_new", [True, False])
def test_referrers_travel_along(
    mirror: MirrorCall,
    registry: Simulator,
    target: Simulator,
    made: dict[str, Made],
    *,
    is_new: bool,
) -> None:
    registry.has_referrers = True
    target.has_referrers = is_new
    sboms = [refer(registry, "rancher/alpha", made["alpha"])]
    sboms += [refer(registry, "rancher/alpha", made["alpha"].children[1])]
    # A signature of an SBOM: companions have companions.
    sboms += [refer(registry, "rancher/alpha", sboms[0])]
    answer = mirror(NAMES[0])
    assert answer.code == 0, answer.err
    assert answer.json["images"][0]["companions"] == 3
    for sbom in sboms:
        assert_there(target, "rancher/alpha", sbom, str(sbom.digest))
    listed = {
        name: [entry["digest"] for entry in json.loads(raw)["manifests"]]
        for (_, name), (_, raw) in target.manifests.items()
        if name.startswith("sha256-")
    }
    subjects = (made["alpha"], made["alpha"].children[1], sboms[0])
    expected = {
        f"sha256-{subject.digest.hex}": [str(sbom.digest)]
        for subject, sbom in zip(subjects, sboms, strict=True)
    }
    assert listed == ({} if is_new else expected)
    again = mirror(NAMES[0])
    assert statuses(again) == {NAMES[0]: "present"}
    assert target.asked("PUT") == []


def test_list_of_referrers_in_a_tag_is_copied_and_merged(
    mirror: MirrorCall, registry: Simulator, target: Simulator, made: dict[str, Made]
) -> None:
    subject = made["alpha"]
    tag = f"sha256-{subject.digest.hex}"
    first = refer(registry, "rancher/alpha", subject)
    listed = images.index(first, has_platforms=False)
    registry.push("rancher/alpha", listed, tag)
    assert mirror(NAMES[0]).code == 0
    assert_there(target, "rancher/alpha", listed, tag)
    # The target has one of its own meanwhile: both stay.
    own = images.manifest(AMD64, [b"made at the target"])
    target.push("rancher/alpha", images.index(first, own, has_platforms=False), tag)
    second = refer(registry, "rancher/alpha", images.manifest(AMD64, [b"else"]))
    registry.push("rancher/alpha", images.index(first, second, has_platforms=False), tag)
    assert mirror(NAMES[0]).code == 0
    raw = target.manifests["rancher/alpha", tag][1]
    found = [entry["digest"] for entry in json.loads(raw)["manifests"]]
    assert found == sorted(str(each.digest) for each in (first, second, own))
