"""Dockerfile.windows: the programs of charts that a Windows node gets from elsewhere.

It names a version per program (``ENV CALICO_VERSION="v3.24.1"``) and, on some
lines, the checksum of its archive. A version without a checksum moves with the
chart; where a checksum is written down, both need a person who has the archive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2pack import files
from rke2pack.finding import Finding, Severity
from rke2pack.helm.chart import Chart
from rke2pack.helm.version import ChartVersion

NAME = "Dockerfile.windows"
PROGRAMS = {"rke2-calico": "CALICO", "rke2-flannel": "FLANNEL"}
_CHECKSUM = re.compile(r"SHA\d*|SUM|CHECKSUM|DIGEST")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsChange:
    """The file's new content, where something moves, and what a person has to do."""

    files: Mapping[Path, bytes]
    findings: tuple[Finding, ...]


def moved(root: Path, charts: Mapping[str, Chart | None]) -> WindowsChange:
    """Return what the new versions of charts (None: removed) mean for Dockerfile.windows."""
    path = root / NAME
    if not path.is_file():
        return WindowsChange(files={}, findings=())
    before = text = files.read_text(path)
    findings: list[Finding] = []
    for name, chart in charts.items():
        if chart is None or name not in PROGRAMS:
            continue
        program, version = PROGRAMS[name], _program_version(chart)
        text, found = _moved(text, program, version)
        findings += found
    changed = {path: text.encode()} if text != before else {}
    return WindowsChange(files=changed, findings=tuple(findings))


def _program_version(chart: Chart) -> str:
    """Return the version of the program that a chart ships: ``v3.29.3`` of chart v3.29.300."""
    upstream = ChartVersion.parse(chart.version).upstream
    return f"v{upstream.removeprefix('v').partition('-')[0]}"


def _moved(text: str, program: str, version: str) -> tuple[str, list[Finding]]:
    assignment = re.compile(
        rf"^(?P<head>[ \t]*(?:ENV|ARG)[ \t]+{program}_VERSION[= ][ \t]*\"?)(?P<value>[^\s\"]+)",
        re.MULTILINE,
    )
    places = [f for f in assignment.finditer(text) if f["value"] != version]
    if not places:
        return text, []
    sums = [
        each
        for each in re.findall(rf"^[ \t]*(?:ENV|ARG)[ \t]+({program}\w*)[= ]", text, re.MULTILINE)
        if _CHECKSUM.search(each)
    ]
    if sums:
        by_hand = f"{program}_VERSION {version} with a new {', '.join(sums)}"
        why = "the checksum needs the archive, change both by hand"
        return text, [_finding("warning", text, found, by_hand, why) for found in places]
    wanted = f"{program}_VERSION {version}"
    findings = [_finding("info", text, found, wanted, "moved along") for found in places]
    for found in reversed(places):
        text = text[: found.start("value")] + version + text[found.end("value") :]
    return text, findings


def _finding(
    severity: Severity, text: str, found: re.Match[str], expected: str, what: str
) -> Finding:
    return Finding(
        severity=severity,
        check="windows-version",
        subject=f"{NAME}, line {text.count(chr(10), 0, found.start('value')) + 1}",
        expected=expected,
        got=f"{found['value']}{'; ' if severity == 'warning' else ', '}{what}",
    )
