"""What pull tells: lines, the JSON document, and the error at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rke2pack.console import Console
from rke2pack.errors import PackError, RegistryError
from rke2pack.oci.access import Access
from rke2pack.oci.model import unique
from rke2pack.oci.transfer import Outcome

_WORTH_TELLING = 5.0


def notifier(console: Console) -> Callable[[str, float], None]:
    """Return what tells of a registry's waits, each once."""
    told: dict[str, float] = {}

    def notify(host: str, seconds: float) -> None:
        now = time.monotonic()
        if seconds >= _WORTH_TELLING and now >= told.get(host, 0.0):
            told[host] = now + seconds
            console.line(f"{host}: waiting {seconds:.0f} s, as asked")

    return notify


def tell(console: Console, outcome: Outcome) -> None:
    """Write the line of one image."""
    name = str(outcome.wish.reference)
    if outcome.error is not None:
        reason = outcome.error.message
        console.line(f"failed   {reason if reason.startswith(name) else f'{name}: {reason}'}")
        return
    size = sum(blob.size for blob in outcome.lacking)
    digest = outcome.image.root.digest if outcome.image else "in the engine"
    console.line(f"{outcome.status:<8} {name}  {digest}  {_human(size)}")


def report(
    console: Console, access: Access, outcomes: tuple[Outcome, ...], *, is_dry_run: bool
) -> None:
    """Write the sums, and the document of ``--json``."""
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
    counts = ", ".join(f"{totals[s]} {s}" for s in ("copied", "present", "failed", "planned")
                       if totals.get(s))  # fmt: skip
    verb = "to fetch" if is_dry_run else "fetched"
    console.line(f"{counts}; {_human(shown)} {verb}, {totals['requests']} requests")
    order = sorted(outcomes, key=lambda outcome: str(outcome.wish.reference))
    console.document({"images": [_to_json(each) for each in order], "totals": totals})


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


def fail(outcomes: tuple[Outcome, ...]) -> None:
    """Raise an error that names every image that is missing; nothing happens without one."""
    errors = {str(o.wish.reference): o.error for o in outcomes if o.error is not None}
    if not errors:
        return
    if len(errors) == 1:
        raise next(iter(errors.values()))
    kinds = {type(error) for error in errors.values()}
    hints = {error.hint for error in errors.values()}
    same = hints.pop() if len(hints) == 1 else None
    kind: type[PackError] = kinds.pop() if len(kinds) == 1 else RegistryError
    raise kind(
        f"pull: {len(errors)} of {len(outcomes)} images are missing",
        hint=same or "run it again; what is there already is not fetched again",
        details=tuple(errors[name].message for name in sorted(errors)),
    )


def _human(size: int) -> str:
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:  # noqa: PLR2004 - decimal units
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
