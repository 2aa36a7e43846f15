"""Validation: what `rke2pack validate` found, as its report.json has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rke2pack import files, strictjson
from rke2pack.errors import IntegrityError, ReleaseError
from rke2pack.finding import STATUSES

_HINT: Final = "run 'rke2pack validate' on this tree"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """How the checks of one row of the support matrix (or one runtime) ended."""

    name: str
    what: str
    counts: Mapping[str, int]
    by_hand: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One level's report; findings are lines of text."""

    level: str
    rows: tuple[RowState, ...]
    findings: tuple[str, ...]
    explained: tuple[str, ...]


def read(path: Path, bundled: Mapping[str, str]) -> Validation:
    """Read a report; ``bundled`` are the tree's charts, name -> version.

    Raises ReleaseError where it is missing, of another state of the tree, or where
    something failed.
    """
    if not path.is_file():
        msg = f"{path}: no such file, so nobody knows whether this release works"
        raise ReleaseError(msg, hint=f"{_HINT}, or pass --without-validation")
    try:
        raw = files.read_text(path).encode()
        document = strictjson.load_object(raw, what=str(path), max_bytes=files.MAX_TEXT_BYTES)
        results, rows, found, explained = (
            strictjson.objects(document.get(key, []), what=f"{path}: {key}")
            for key in ("results", "rows", "findings", "explained")
        )
    except IntegrityError as exc:
        raise ReleaseError(exc.message, hint=_HINT) from exc
    _refuse_other_state(results, bundled, path)
    _refuse_failures(results, path)
    return Validation(
        level=str(document.get("level", "")),
        rows=tuple(_rows(rows, results)),
        findings=tuple(_findings(found)),
        explained=tuple(_findings(explained)),
    )


def _refuse_other_state(
    results: Iterable[Mapping[str, Any]], bundled: Mapping[str, str], path: Path
) -> None:
    """Raise ReleaseError for results of versions that the tree does not bundle."""
    for result in results:
        chart, _, version = str(result.get("subject", "")).partition(": ")[2].partition(" ")
        if chart in bundled and version and bundled[chart] != version:
            msg = f"{path}: is of {chart} {version}, the tree bundles {bundled[chart]}"
            raise ReleaseError(msg, hint=_HINT)


def _refuse_failures(results: Iterable[Mapping[str, Any]], path: Path) -> None:
    failed = [
        f"{each.get('subject')}: {each.get('check')}: {each.get('detail')}"
        for each in results
        if each.get("status") == "failed"
    ]
    if failed:
        msg = f"{path}: {len(failed)} checks failed"
        if len(failed) == 1:
            msg = f"{path}: {failed[0]}"
        raise ReleaseError(
            msg,
            hint="correct what failed, or explain it in validate-allow.yaml; then validate again",
            details=tuple(failed) if len(failed) > 1 else (),
        )


def _rows(
    rows: Iterable[Mapping[str, Any]], results: Iterable[Mapping[str, Any]]
) -> Iterable[RowState]:
    counts: dict[str, Counter[str]] = {}
    for result in results:
        row = str(result.get("subject", "")).partition(": ")[0]
        counts.setdefault(row, Counter())[str(result.get("status"))] += 1
    known = {str(row.get("name")): row for row in rows}
    for name in dict.fromkeys((*known, *counts)):
        own = known.get(name, {})
        parts = [own.get("rke2"), own.get("rancher"), own.get("notes")]
        by_hand = own.get("manual")
        yield RowState(
            name=name,
            what=", ".join(str(part) for part in parts if part),
            counts={s: counts.get(name, Counter())[s] for s in STATUSES},
            by_hand=tuple(map(str, by_hand)) if isinstance(by_hand, list) else (),
        )


def _findings(found: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for each in found:
        if each.get("severity") == "info":
            continue
        text = f"{each.get('subject')}: expected {each.get('expected')}, got {each.get('got')}"
        reason = f" ({each['reason']})" if each.get("reason") else ""
        yield f"{each.get('severity')}: {text}{reason}"
