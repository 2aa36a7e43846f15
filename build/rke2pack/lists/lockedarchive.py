"""What an archive holds, compared with the pins of an ``images.lock``."""

from __future__ import annotations

from collections.abc import Iterator

from rke2pack import wording
from rke2pack.finding import Result
from rke2pack.lists.lock import Lock
from rke2pack.oci.verify.checks import Verified
from rke2pack.oci.verify.view import SeenImage, SeenLayer


def check(verified: Verified, lock: Lock) -> Iterator[Result]:
    """Yield one result for all images that are as locked, and one for each other one.

    An image that is left out of the lock on purpose is ``skipped``, by name.
    """
    left_out = [image for image in verified.images if image.reference in lock.unlocked]
    found = [(image, wrong(image, lock)) for image in verified.images if image not in left_out]
    for image in left_out:
        yield Result(
            subject=verified.scan.what,
            check="lock",
            status="skipped",
            detail=f"{image.title}: {lock.what} leaves it out (unlocked)",
        )
    for image, detail in found:
        if detail:
            yield Result(
                subject=verified.scan.what,
                check="lock",
                status="failed",
                detail=f"{image.title}: {detail}",
            )
    if not any(detail for _, detail in found):
        kept = sum(_is_kept(image, lock) for image in verified.images)
        images = wording.count(len(found), "image")
        detail = f"{images} as in {lock.what}, {kept} with the registry's digest"
        yield Result(subject=verified.scan.what, check="lock", status="passed", detail=detail)


def wrong(image: SeenImage, lock: Lock) -> str:
    """Say what is not as locked; empty where all is.

    An image whose layers were unpacked has a manifest of its own; its config is the locked one.
    """
    reference = image.reference
    locked = lock.get(reference) if reference else None
    if locked is None:
        return f"{lock.what} does not lock it"
    own = locked.platform(image.platform) if image.platform else None
    if own is None:
        return f"{lock.what} does not lock it for {image.platform}"
    if image.config != own.config:
        return f"its config is {image.config}, {lock.what} has {own.config}"
    got = image.descriptor.digest if image.descriptor else own.manifest
    if got != own.manifest and any(map(_is_packed, image.layers)):
        return f"its manifest is {got}, {lock.what} has {own.manifest}"
    return ""


def _is_packed(layer: SeenLayer) -> bool:
    return layer.content is not None and layer.content.packing != "none"


def _is_kept(image: SeenImage, lock: Lock) -> bool:
    reference = image.reference
    locked = lock.get(reference) if reference else None
    own = locked.platform(image.platform) if locked and image.platform else None
    return (
        own is not None
        and image.descriptor is not None
        and (image.descriptor.digest == own.manifest)
    )
