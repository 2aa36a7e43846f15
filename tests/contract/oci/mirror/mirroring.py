"""What tests of mirror share: images by name, their signatures, what arrived."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made
from tests.contract.oci.runner import Answer
from tests.contract.oci.simulator import Simulator

MirrorCall = Callable[..., Answer]
NAMES = ("rancher/alpha:v1", "rancher/beta:v1", "rancher/gamma:v1")


def assert_there(target: Simulator, repository: str, image: Made, tag: str = "v1") -> None:
    assert target.manifests[repository, tag] == (image.media_type, image.raw)
    for each in image.documents:
        assert target.manifests[repository, str(each.digest)] == (each.media_type, each.raw)
        for digest, data in each.blobs.items():
            assert target.blobs[repository, digest] == data


def statuses(answer: Answer) -> dict[str, str]:
    return {each["target"].partition("/")[2]: each["status"] for each in answer.json["images"]}


def sign(registry: Simulator, repository: str, image: Made) -> dict[str, Made]:
    """Sign an index and its first manifest as cosign does."""
    found = {}
    for number, subject in enumerate((image, *image.children[:1])):
        signature = images.manifest(AMD64, [f"signature {number}".encode()])
        registry.push(repository, signature, f"sha256-{subject.digest.hex}.sig")
        found[f"sha256-{subject.digest.hex}.sig"] = signature
    # The signature of something else in this repository stays.
    registry.push(repository, images.manifest(AMD64, [b"other"]), f"sha256-{'a' * 64}.sig")
    return found


def refer(registry: Simulator, repository: str, subject: Made) -> Made:
    """Push an SBOM of an image, as an OCI 1.1 referrer."""
    made = images.manifest(
        AMD64,
        [b"sbom of " + subject.digest.hex.encode()],
        extra={"subject": subject.descriptor.to_json(), "artifactType": "application/spdx+json"},
    )
    registry.push(repository, made)
    return made
