"""What a validation tells: a table for a terminal, JSON, Markdown, and JUnit for CI."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from rke2pack import files, templates
from rke2pack.finding import Result
from rke2pack.validate.matrix import Row
from rke2pack.validate.report import Report

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def table(report: Report) -> Iterator[str]:
    """Yield one line a check with a column a row, then what people check, then what nobody does."""
    heads = report.columns
    lines = [("checked by us", *heads)]
    lines += [(check, *states) for check, states in _cells(report).items()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads) + 1)]
    for line in lines:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
    for title, status in (("checked by hand", "manual"), ("not checked", "skipped")):
        found = _by_detail(report, status)
        if found:
            yield title
        for detail, names in found.items():
            is_all = len(names) > 1 and sorted(names) == sorted(report.columns)
            where = "all rows" if is_all else ", ".join(names)
            yield f"  {detail}  ({where})"
    spent = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report.timings.items())
    yield f"seconds  {spent}"


def _cells(report: Report) -> dict[str, list[str]]:
    """Return the checks that ran, each with how many passed and failed in each column."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for ran, result in zip(report.ran, report.results, strict=False):
        counts.setdefault((ran.check, ran.row), Counter())[result.status] += 1
    found = {}
    for check in report.checks:
        per_row = [counts.get((check, name)) for name in report.columns]
        if any(per_row):
            found[check] = [_state(count) if count else "-" for count in per_row]
    return found


def _state(count: Counter[str]) -> str:
    return ", ".join(
        f"{count[status]} {status}" for status in ("passed", "failed") if count[status]
    )


def _by_detail(report: Report, status: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in report.other:
        if each.status == status:
            text = (
                each.detail
                if each.check in {"by-hand", "later"}
                else f"{each.check}: {each.detail}"
            )
            found.setdefault(text, []).append(each.subject)
    return found


def write(report: Report, rows: Sequence[Row], folder: Path) -> tuple[Path, ...]:
    """Write report.json, report.md and report.xml; returns their paths."""
    document = {**report.to_json(), "rows": [_row(row) for row in rows]}
    contents = {
        "report.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        "report.md": markdown(report, rows),
        "report.xml": junit(report),
    }
    for name, text in contents.items():
        files.write(folder / name, text.encode(errors="replace"))
    return tuple(folder / name for name in contents)


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "rke2": row.rke2,
        "rancher": str(row.rancher) if row.rancher else None,
        "manual": list(row.by_hand),
        "notes": row.notes,
    }


def junit(report: Report) -> str:
    """Return the results in the form that CI services read: a suite a row, a case a check."""
    root = ET.Element("testsuites", name=f"validate {report.level}")
    suites: dict[str, list[tuple[str, Result]]] = {}
    for ran, result in zip(report.ran, report.results, strict=False):
        suites.setdefault(ran.row, []).append((f"{ran.chart} {ran.version}", result))
    for result in report.other:
        suites.setdefault(result.subject, []).append((result.check, result))
    for name, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", name=_xml(name), tests=str(len(cases)))
        states = Counter(result.status for _, result in cases)
        suite.set("failures", str(states["failed"]))
        suite.set("skipped", str(states["skipped"] + states["manual"]))
        for owner, result in cases:
            _case(suite, owner, result, report)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, owner: str, result: Result, report: Report) -> None:
    title = result.check if result.check in report.checks else f"{result.check}: {result.detail}"
    case = ET.SubElement(suite, "testcase", classname=_xml(owner), name=_xml(title))
    if result.status == "failed":
        row = suite.get("name")
        lines = [
            str(issue.finding)
            for issue in report.issues
            if issue.owner == owner
            and issue.problem.check == result.check
            and (not issue.rows or row in issue.rows)
        ]
        failure = ET.SubElement(case, "failure", message=_xml(result.detail))
        failure.text = _xml("\n".join(lines))
    elif result.status in {"skipped", "manual"}:
        ET.SubElement(case, "skipped", message=_xml(f"{result.status}: {result.detail}"))


def _xml(text: str) -> str:
    """Drop the characters that XML cannot carry; charts may hold any."""
    return _NOT_XML.sub("?", text)


def markdown(report: Report, rows: Sequence[Row]) -> str:
    """Return the report for people (template report.md.j2)."""
    return templates.markdown(
        "rke2pack.stages.validate",
        code=_code,
        report=report,
        rows=rows,
        cells=_cells(report),
        titles=report.checks,
        by_hand=_by_detail(report, "manual"),
        skipped=_by_detail(report, "skipped"),
    )


def _code(text: object) -> str:
    """Return a Markdown code span that its content cannot leave, in a table either."""
    content = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{content}`"
