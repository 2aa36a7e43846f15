"""What a check says of an object, and the same with the chart and rows that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rke2pack.finding import Finding, Severity

CHECKS: Mapping[str, str] = {
    "render": "every variant renders",
    "kube-version": "the Kubernetes versions that Chart.yaml allows",
    "rancher": "the Rancher versions that Chart.yaml allows",
    "schema": "fields and types of every object",
    "value": "names, labels, enumerations, quantities, ports",
    "api-version": "no removed or unserved API versions",
    "workload": "selectors, containers, volumes and ports fit together",
    "duplicate": "no object twice",
    "crd": "definitions that an API server accepts",
    "custom-resource": "custom resources against the charts' definitions",
    "image": "every image in the lists of every architecture",
    "registry": "every image follows system-default-registry",
    "tag": "every image with a tag that stays",
    "manifest": "the HelmChart manifest holds the same chart",
    "upgrade": "the API server accepts the step from the older version",
    "user-values": "the given values",
}
"""The checks of level static: word -> what it claims."""
_MAX_TEXT = 400


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One thing that is wrong with one object (``Kind/name``, or what else ``subject`` names)."""

    check: str
    subject: str
    expected: str
    got: str
    severity: Severity = "error"

    @classmethod
    def from_json(cls, item: Any) -> Problem:  # noqa: ANN401 - what a cache holds
        """Read what `to_json` gave; raises TypeError or ValueError for anything else."""
        problem = cls(**item)
        if problem.check not in CHECKS or problem.severity not in {"info", "warning", "error"}:
            msg = "not a problem"
            raise ValueError(msg)
        if not all(isinstance(getattr(problem, each.name), str) for each in fields(cls)):
            msg = "not text"
            raise TypeError(msg)
        return problem

    def to_json(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def short(text: object) -> str:
    """Return text on one line, cut where it is long: charts may hold anything."""
    line = " ".join(str(text).split())
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A problem of a chart, with the rows and variants in which it shows; none means all.

    ``version`` is empty for what is no chart's (a line of images.txt).
    """

    problem: Problem
    chart: str
    version: str
    rows: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """The chart with its version."""
        return f"{self.chart} {self.version}".strip()

    @property
    def finding(self) -> Finding:
        """The same as a finding."""
        where = []
        if self.rows:
            where.append(f"rows {', '.join(self.rows)}")
        if self.variants:
            where.append(f"variants {', '.join(self.variants)}")
        problem = self.problem
        place = f" ({'; '.join(where)})" if where else ""
        return Finding(
            severity=problem.severity,
            check=problem.check,
            subject=f"{self.owner}: {problem.subject}" if problem.subject else self.owner,
            expected=problem.expected,
            got=f"{problem.got}{place}",
        )


def merged(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Make one issue of those that differ in rows and variants alone, in their first order."""
    found: dict[tuple[str, str, Problem], Issue] = {}
    for issue in issues:
        key = (issue.chart, issue.version, issue.problem)
        known = found.get(key)
        found[key] = (
            issue
            if known is None
            else replace(
                known,
                rows=_union(known.rows, issue.rows),
                variants=_union(known.variants, issue.variants),
            )
        )
    return tuple(found.values())


def _union(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*left, *right)))
