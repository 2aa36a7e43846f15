"""A user's own values against the charts they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rke2pack.finding import Severity
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.usersettings import UserValues, Verdict, judge
from rke2pack.validate.issue import Problem, short

_SEVERITIES: Mapping[Verdict, Severity] = {
    "unknown": "error",
    "never-known": "warning",
    "equals-default": "info",
    "overrides-moved-default": "info",
    "not-examined": "info",
}


def problems(user: UserValues, old: Chart, new: Chart) -> Iterator[Problem]:
    """Yield what `judge` says of each setting; ``old`` may be the same version."""
    for found in judge(user, old, new):
        yield Problem(
            check="user-values",
            subject=found.path,
            expected=f"a setting that {new.version} knows",
            got=short(f"{found.verdict}: {found.detail}"),
            severity=_SEVERITIES[found.verdict],
        )
