"""validate-allow.yaml: problems that were looked into and are as they should be.

::

    allow:
      - check: registry
        chart: rke2-cilium
        subject: CronJob/hubble-generate-certs
        got: "*certgen*"
        versions: ">=1.16 <1.19"
        reason: ...

``subject`` and ``got`` are shell patterns, ``versions`` a range of upstream
versions of the chart. Without ``got`` and ``versions`` any will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rke2pack.errors import ConfigError
from rke2pack.helm.constraint import Constraint
from rke2pack.helm.version import ChartVersion, core_numbers
from rke2pack.tree.node import Node
from rke2pack.validate.issue import CHECKS, Issue

NAME = "validate-allow.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """One entry."""

    check: str
    chart: str
    subject: str
    got: str
    versions: Constraint
    reason: str

    def covers(self, chart: str, version: str) -> bool:
        """Whether the entry is for this version of a chart."""
        if chart != self.chart:
            return False
        upstream = ChartVersion.parse(version).upstream if version else "0"
        return self.versions.text == "*" or self.versions.allows(core_numbers(upstream))

    def matches(self, issue: Issue) -> bool:
        """Whether the entry explains an issue."""
        problem = issue.problem
        return (
            problem.check == self.check
            and self.covers(issue.chart, issue.version)
            and fnmatchcase(problem.subject, self.subject)
            and fnmatchcase(problem.got, self.got)
        )

    def __str__(self) -> str:
        return f"{self.check} of {self.chart}: {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The whole file; empty where a tree has none."""

    entries: tuple[Allowed, ...] = ()

    @classmethod
    def parse(cls, text: str, *, what: str) -> AllowList:
        """Parse the file; raises ConfigError naming the place that is wrong."""
        root = Node.read(text, what=what)
        root.only("allow")
        return cls(entries=tuple(_entry(node) for node in root.items("allow")))

    def explains(self, issue: Issue) -> Allowed | None:
        """Return the first entry that an issue matches."""
        return next((entry for entry in self.entries if entry.matches(issue)), None)

    def unused(self, used: Iterable[Allowed], examined: Mapping[str, str]) -> tuple[Allowed, ...]:
        """Return the entries that explained nothing of the charts that were examined.

        ``examined`` maps a chart to its version; entries for others are left out.
        """
        known = set(map(id, used))
        return tuple(
            entry
            for entry in self.entries
            if id(entry) not in known
            and any(entry.covers(chart, version) for chart, version in examined.items())
        )


def _entry(node: Node) -> Allowed:
    node.only("check", "chart", "subject", "got", "versions", "reason")
    check = node.text("check")
    if check not in CHECKS:
        msg = f"{node.where}: no check {check!r}"
        raise ConfigError(msg, hint=f"choose one of: {', '.join(CHECKS)}")
    try:
        versions = Constraint.parse(node.text("versions", default="*"))
    except ConfigError as exc:
        msg = exc.message if exc.message.startswith(node.where) else f"{node.where}: {exc.message}"
        raise ConfigError(msg, hint=exc.hint) from exc
    return Allowed(
        check=check,
        chart=node.text("chart"),
        subject=node.text("subject"),
        got=node.text("got", default="*"),
        versions=versions,
        reason=node.text("reason"),
    )
