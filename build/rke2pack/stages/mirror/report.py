"""What mirror tells: lines, the JSON document, and the error at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rke2pack import registries, wording
from rke2pack.console import Console
from rke2pack.finding import Finding
from rke2pack.oci.mirror.run import Outcome
from rke2pack.oci.mirror.target import Planned
from rke2pack.oci.registry.access import Access
from rke2pack.progress import as_size

if TYPE_CHECKING:
    from rke2pack.oci.mirror.prune import Removal

_STATUSES = ("copied", "present", "failed", "planned")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What else there is to tell: ``planned`` in a dry run, ``more`` for the document."""

    planned: Planned | None
    findings: tuple[Finding, ...]
    more: Mapping[str, str]


def tell(console: Console, outcome: Outcome) -> None:
    """Write the line of one image."""
    errand = outcome.errand
    if outcome.error is not None:
        registries.tell_failed(console, str(errand.reference), outcome.error)
        return
    more = f"  +{wording.count(outcome.companions, 'signature')}" if outcome.companions else ""
    size = as_size(outcome.sent_bytes)
    console.line(f"{outcome.status:<8} {errand.target}  {outcome.digest}  {size}{more}")


def tell_removal(console: Console, removal: Removal) -> None:
    """Write the line of one name that was to be removed."""
    if removal.error is not None:
        registries.tell_failed(console, str(removal.reference), removal.error)
    else:
        note = f"  ({removal.note})" if removal.note else ""
        console.line(f"{removal.status:<8} {removal.reference}{note}")


def report(
    console: Console,
    access: Access,
    outcomes: tuple[Outcome, ...],
    removals: tuple[Removal, ...],
    told: Told,
) -> None:
    """Write changed digests, the sums, and the document of ``--json``."""
    planned = told.planned
    order = sorted(outcomes, key=lambda outcome: str(outcome.errand.reference))
    changed = [each for each in order if each.digest != each.original]
    found = (*told.findings, *map(_finding, changed))
    console.findings(found)
    requests = sum(access.sent.values())
    totals: dict[str, int] = {
        "images": len(outcomes),
        **{s: sum(o.status == s for o in outcomes) for s in _STATUSES[:3]},
        "companions": sum(outcome.companions for outcome in outcomes),
        "bytes": sum(outcome.size or 0 for outcome in outcomes),
        "missing_bytes": sum(outcome.sent_bytes for outcome in outcomes),
        "received_bytes": access.received,
        "sent_bytes": access.uploaded,
        "requests": requests,
    }
    if planned is not None:
        totals["planned"] = sum(outcome.status == "planned" for outcome in outcomes)
        totals["planned_requests"] = requests + planned.requests
        totals["planned_bytes"] = planned.bytes
    registries.tell_sums(console, [(each.status, each.size) for each in outcomes])
    size = as_size(planned.bytes if planned else access.uploaded)
    number = totals["planned_requests"] if planned else requests
    sent = f"{size} {'to send' if planned else 'sent'}"
    console.line(f"{sent}, {wording.count(number, 'request')}")
    document: dict[str, Any] = {
        "images": [_to_json(each) for each in order],
        "totals": totals,
        "findings": [each.to_json() for each in found],
        **told.more,
    }
    if removals:
        document["pruned"] = [_removal_to_json(each) for each in removals]
    console.document(document)


def _finding(outcome: Outcome) -> Finding:
    return Finding(
        severity="info",
        check="digest-changed",
        subject=str(outcome.errand.target),
        expected=str(outcome.original),
        got=str(outcome.digest),
    )


def _to_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "reference": str(outcome.errand.reference),
        "target": str(outcome.errand.target),
        "digest": str(outcome.digest) if outcome.digest else None,
        "source_digest": str(outcome.original) if outcome.original else None,
        "platforms": [str(platform) for platform in outcome.platforms],
        "bytes": outcome.size,
        "missing_bytes": outcome.sent_bytes,
        "companions": outcome.companions,
        "status": outcome.status,
        "error": outcome.error.message if outcome.error else None,
    }


def _removal_to_json(removal: Removal) -> dict[str, Any]:
    return {
        "reference": str(removal.reference),
        "status": removal.status,
        "note": removal.note,
        "error": removal.error.message if removal.error else None,
    }


def fail(outcomes: tuple[Outcome, ...], removals: tuple[Removal, ...]) -> None:
    """Raise an error that names every image that is missing; nothing happens without one."""
    errors = {str(o.errand.reference): o.error for o in outcomes if o.error is not None}
    errors |= {str(r.reference): r.error for r in removals if r.error is not None}
    hint = "run it again; what is there already is not sent again"
    registries.fail("mirror", errors, len(outcomes) + len(removals), hint=hint)
