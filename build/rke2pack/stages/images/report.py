"""What the gate tells: lines, the JSON document, and a report as .json or .md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rke2pack import files
from rke2pack.console import Console
from rke2pack.errors import in_line
from rke2pack.finding import Status
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference

_STATUSES: tuple[Status, ...] = ("passed", "failed", "manual")
_ENDINGS = (".json", ".md")
_LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one check found of an image; without a platform it is about the whole image."""

    reference: Reference
    platform: Platform | None
    check: str
    status: Status
    detail: str

    def __post_init__(self) -> None:
        """Keep of the detail what may be shown: names of an image may hold anything."""
        object.__setattr__(self, "detail", in_line(self.detail[:_LONGEST_DETAIL]))

    @property
    def subject(self) -> str:
        """The image and its platform."""
        return f"{self.reference} {self.platform}" if self.platform else str(self.reference)

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        return {
            "subject": self.subject,
            "reference": str(self.reference),
            "platform": str(self.platform or ""),
            "check": self.check,
            "status": self.status,
            "detail": self.detail,
        }


def check_name(path: Path, *, is_gate: bool) -> None:
    """Raise a wrong call for a report that nothing writes or of an unknown kind."""
    if not is_gate:
        msg = "--report goes with --verify-registry"
        raise click.UsageError(msg)
    if path.suffix not in _ENDINGS:
        msg = f"--report {path}: name it .json or .md"
        raise click.UsageError(msg)


def tell(console: Console, result: Examined) -> None:
    """Write the line of one result; what passed only with ``-v``."""
    line = f"{result.status:<7} {result.subject}  {result.detail} [{result.check}]"
    if result.status == "passed":
        console.detail(line)
    else:
        console.line(line)


def summarize(console: Console, results: Sequence[Examined]) -> None:
    """Write the counts and the document of ``--json``."""
    totals = _totals(results)
    console.line(", ".join(f"{count} {status}" for status, count in totals.items()))
    console.document(_document(results))


def write(path: Path, results: Sequence[Examined]) -> None:
    """Write the report; raises ToolError."""
    if path.suffix == ".json":
        text = json.dumps(_document(results), indent=2, ensure_ascii=False) + "\n"
    else:
        text = _markdown(results)
    files.write(path, text.encode())


def _document(results: Iterable[Examined]) -> Mapping[str, Any]:
    found = list(results)
    return {"results": [each.to_json() for each in found], "totals": _totals(found)}


def _totals(results: Iterable[Examined]) -> dict[str, int]:
    statuses = [each.status for each in results]
    return {status: statuses.count(status) for status in _STATUSES}


def _markdown(results: Sequence[Examined]) -> str:
    """Write what needs a look first, then everything."""
    open_ones = [each for each in results if each.status != "passed"]
    totals = ", ".join(f"{count} {status}" for status, count in _totals(results).items())
    parts = [f"# Images in their registries\n\n{totals}.\n"]
    if open_ones:
        parts.append(f"\n## Failed, or to be looked at\n\n{_table(open_ones)}")
    parts.append(f"\n## All\n\n{_table(results)}")
    return "".join(parts)


def _table(results: Iterable[Examined]) -> str:
    head = "| image | platform | status | check | detail |\n| --- | --- | --- | --- | --- |\n"
    rows = (
        (str(each.reference), str(each.platform or ""), each.status, each.check, each.detail)
        for each in results
    )
    return head + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    for mark in ("\\", "|", "`", "<", "*", "_", "["):
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
