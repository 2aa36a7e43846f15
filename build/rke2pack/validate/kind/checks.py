"""The checks of level kind, and where charts say with what values they are tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rke2pack import safeyaml
from rke2pack.errors import ValidationError
from rke2pack.helm.chart import Chart
from rke2pack.validate.issue import Problem, short

CHECKS: Final[Mapping[str, str]] = {
    "import": "the node takes the archives",
    "isolated": "the node can pull nothing",
    "install": "the API server takes every object",
    "image": "every pod's images were in the archives",
    "pull": "no pod wanted to pull",
    "state": "every pod gets as far as the chart can",
    "upgrade": "the step from the older version",
    "remove": "nothing is left of the chart",
}
"""The checks of level kind: word -> what it claims."""
DEFAULTS: Final = "defaults"
_CI: Final = re.compile(r"ci/(?P<name>[^/]+)-values\.yaml\Z")


def value_sets(chart: Chart, *, uses_ci: bool = True) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a name and the values of each ``ci/*-values.yaml``, or the defaults once.

    Source: the convention of chart-testing. Raises ValidationError for a file without a mapping.
    """
    paths = chart.files if uses_ci else ()
    found = sorted((m["name"], path) for path in paths if (m := _CI.match(path)))
    if not found:
        yield DEFAULTS, {}
    for name, path in found:
        what = f"{chart.name} {chart.version}: {path}"
        values = safeyaml.load(chart.text(path), what=what)
        if values is not None and not isinstance(values, dict):
            msg = f"{what}: expected a mapping"
            raise ValidationError(msg)
        yield name, values or {}


def over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others laid over them, mappings key by key as Helm does."""
    found = dict(base)
    for key, value in more.items():
        known = found.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        found[key] = over(known, value) if both and isinstance(known, dict) else value
    return found


def problem(check: str, subject: str, expected: str, got: str) -> Problem:
    """Return a problem whose text stands on one line."""
    return Problem(check=check, subject=subject, expected=expected, got=short(got))
