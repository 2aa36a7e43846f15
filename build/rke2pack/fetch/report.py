"""What is told of fetched images: lines, their part of a document, the error at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2pack import registries, wording
from rke2pack.console import Console
from rke2pack.oci.model import unique
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.transfer import Outcome
from rke2pack.progress import as_size


def tell(console: Console, outcome: Outcome) -> None:
    """Write the line of one image."""
    name = str(outcome.wish.reference)
    if outcome.error is not None:
        registries.tell_failed(console, name, outcome.error)
        return
    size = sum(blob.size for blob in outcome.lacking)
    digest = outcome.image.root.digest if outcome.image else "in the engine"
    console.line(f"{outcome.status:<8} {name}  {digest}  {as_size(size)}")


def tell_sums(
    console: Console, access: Access, outcomes: tuple[Outcome, ...], *, is_dry_run: bool
) -> Mapping[str, Any]:
    """Write the sums; return ``images`` and ``totals`` as ``--json`` has them."""
    lacking = unique(blob for outcome in outcomes for blob in outcome.lacking)
    images = [outcome.image for outcome in outcomes if outcome.image]
    every = {d.descriptor.digest: len(d.raw) for image in images for d in image.documents}
    every |= {blob.digest: blob.size for image in images for blob in image.blobs}
    totals: dict[str, int] = {
        "images": len(outcomes),
        **{s: sum(o.status == s for o in outcomes) for s in ("copied", "present", "failed")},
        "bytes": sum(every.values()),
        "missing_bytes": sum(blob.size for blob in lacking),
        "received_bytes": access.received,
        "requests": sum(access.sent.values()),
    }
    if is_dry_run:
        totals["planned"] = sum(outcome.status == "planned" for outcome in outcomes)
        totals["planned_requests"] = len(outcomes) + len(lacking)
    shown = totals["missing_bytes"] if is_dry_run else totals["received_bytes"]
    summed = [(each.status, each.image.size if each.image else None) for each in outcomes]
    registries.tell_sums(console, summed)
    verb = "to fetch" if is_dry_run else "fetched"
    requests = wording.count(totals["requests"], "request")
    console.line(f"{as_size(shown)} {verb}, {requests}")
    order = sorted(outcomes, key=lambda outcome: str(outcome.wish.reference))
    return {"images": [_to_json(each) for each in order], "totals": totals}


def _to_json(outcome: Outcome) -> dict[str, Any]:
    image = outcome.image
    return {
        "reference": str(outcome.wish.reference),
        "digest": str(image.root.digest) if image else None,
        "platforms": [str(platform) for platform in image.platforms] if image else [],
        "bytes": image.size if image else 0,
        "missing_bytes": sum(blob.size for blob in outcome.lacking),
        "status": outcome.status,
        "error": outcome.error.message if outcome.error else None,
    }


def fail(word: str, outcomes: tuple[Outcome, ...]) -> None:
    """Raise an error that names every image that is missing; nothing happens without one."""
    errors = {str(o.wish.reference): o.error for o in outcomes if o.error is not None}
    registries.fail(word, errors, len(outcomes), hint=registries.AGAIN)
