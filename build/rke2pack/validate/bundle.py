"""Bundle: the charts, lists and rules that are validated, as the levels need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import UserValues
from rke2pack.helm.manifest import ChartReference
from rke2pack.lists.text import Section
from rke2pack.tree.components import Components


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What a tree bundles, and which part of it is asked for.

    ``charts`` maps a component to its asked charts, ``every`` names all bundled
    ones (a definition may stand in any). ``sections`` is None where images.txt
    is not the list to compare with. ``older`` are the versions to upgrade from,
    ``values`` a user's own, each by chart.
    """

    components: Components
    environment: Mapping[str, str]
    charts: Mapping[str, tuple[str, ...]]
    every: tuple[str, ...]
    fetch: Callable[[str], Chart]
    reference: Callable[[str], ChartReference | None]
    sections: Mapping[str, Section] | None
    registry: str
    built: Path
    is_prime: bool = False
    older: Mapping[str, Chart] = field(default_factory=dict)
    values: Mapping[str, UserValues] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[str, ...]:
        """The asked charts, in the order of their components."""
        return tuple(name for charts in self.charts.values() for name in charts)

    def is_whole(self, component: str) -> bool:
        """Whether every bundled chart of a component is asked for."""
        own = [name for name in self.components.get(component).charts if name in self.every]
        return set(own) == set(self.charts.get(component, ()))
