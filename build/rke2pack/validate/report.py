"""What a level of validation found: results for every row and chart, issues, times."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rke2pack import wording
from rke2pack.finding import Finding, Result, Severity
from rke2pack.validate.allow import Allowed, AllowList
from rke2pack.validate.issue import CHECKS, Issue, merged

RANKS: Mapping[Severity, int] = {"info": 0, "warning": 1, "error": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A check that ran for one chart on one row, and over what."""

    row: str
    chart: str
    version: str
    check: str
    detail: str

    @property
    def subject(self) -> str:
        """Row and chart, as results name them."""
        return f"{self.row}: {self.chart} {self.version}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An issue that an entry of the allow-list explains."""

    issue: Issue
    entry: Allowed

    def to_json(self) -> dict[str, str]:
        """Return the finding with the reason."""
        return {**self.issue.finding.to_json(), "reason": self.entry.reason}


@dataclass(kw_only=True)
class Report:
    """Collects while a level runs; ``threshold`` is the least severity that fails.

    ``checks`` are the level's (word -> what it claims), ``columns`` what they ran on:
    rows of the matrix, or runtimes.
    """

    level: str
    threshold: Severity = "error"
    checks: Mapping[str, str] = field(default_factory=lambda: CHECKS)
    columns: list[str] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    other: list[Result] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to the step's."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start

    def add(self, found: Iterable[Issue], allow: AllowList) -> None:
        """Sort issues into open and explained ones."""
        for issue in merged(found):
            entry = allow.explains(issue)
            if entry is None:
                self.issues.append(issue)
            else:
                self.explained.append(Explained(issue=issue, entry=entry))

    @property
    def failing(self) -> tuple[Issue, ...]:
        """The open issues that make the run fail."""
        return tuple(i for i in self.issues if self._fails(i))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The open issues, the worst first, then what else a person should know."""
        ordered = sorted(self.issues, key=lambda i: -RANKS[i.problem.severity])
        return (*(issue.finding for issue in ordered), *self.notes)

    @property
    def results(self) -> tuple[Result, ...]:
        """How every check ended (in the order of ``ran``), then what was not checked by us."""
        own, explained = _by_check(self.issues), _by_check(e.issue for e in self.explained)
        checked = []
        for ran in self.ran:
            key = (ran.check, ran.chart)
            mine = [issue for issue in own.get(key, ()) if _shows(issue, ran)]
            known = sum(_shows(issue, ran) for issue in explained.get(key, ()))
            checked.append(self._result(ran, mine, known))
        return (*checked, *self.other)

    def _result(self, ran: Ran, issues: list[Issue], explained: int) -> Result:
        failed = sum(map(self._fails, issues))
        parts = [ran.detail] if ran.detail else []
        parts += [wording.count(failed, "finding")] if failed else []
        parts += [f"{len(issues) - failed} to know"] if len(issues) > failed else []
        parts += [f"{explained} explained"] if explained else []
        return Result(
            subject=ran.subject,
            check=ran.check,
            status="failed" if failed else "passed",
            detail=", ".join(parts),
        )

    def _fails(self, issue: Issue) -> bool:
        return RANKS[issue.problem.severity] >= RANKS[self.threshold]

    def to_json(self) -> dict[str, Any]:
        """Return the document of ``--json`` and report.json."""
        return {
            "level": self.level,
            "results": [each.to_json() for each in self.results],
            "findings": [each.to_json() for each in self.findings],
            "explained": [each.to_json() for each in self.explained],
            "timings": {name: round(seconds, 3) for name, seconds in self.timings.items()},
        }


def _by_check(issues: Iterable[Issue]) -> Mapping[tuple[str, str], list[Issue]]:
    found: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        found.setdefault((issue.problem.check, issue.chart), []).append(issue)
    return found


def _shows(issue: Issue, ran: Ran) -> bool:
    return not issue.rows or ran.row in issue.rows
