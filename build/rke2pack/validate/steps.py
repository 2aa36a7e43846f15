"""Steps: older charts beside the bundled ones, rendered and compared; results are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack.errors import PackError
from rke2pack.files import Cache
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import Renderer, render
from rke2pack.validate import upgrade
from rke2pack.validate.code import code_digest
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.upgrade import Sides


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Checks steps on one Kubernetes version; ``defined`` and ``used`` as in `upgrade.problems`."""

    renderer: Renderer
    cache: Cache
    kube_version: str
    defined: frozenset[str]
    used: frozenset[str]

    def problems(self, old: Chart, new: Chart, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Return what a step breaks under one set of values; a side that fails is a problem."""
        key = self._key(old, new, values)
        kept = _parse(self.cache.get(key))
        if kept is not None:
            return kept
        found = self._compared(old, new, values)
        self.cache.put(key, json.dumps([each.to_json() for each in found]).encode())
        return found

    def _compared(self, old: Chart, new: Chart, values: Mapping[str, Any]) -> tuple[Problem, ...]:
        try:
            sides = Sides(
                old=old.version,
                new=new.version,
                before=render(self.renderer, old, values, kube_version=self.kube_version),
                after=render(self.renderer, new, values, kube_version=self.kube_version),
            )
            return tuple(upgrade.problems(sides, defined=self.defined, used=self.used))
        except PackError as exc:
            problem = Problem(
                check="upgrade",
                subject=f"{old.version} -> {new.version}",
                expected="both versions to render",
                got=short(exc.message),
            )
            return (problem,)

    def _key(self, old: Chart, new: Chart, values: Mapping[str, Any]) -> str:
        inputs = [
            *(code_digest(), self.renderer.identity, str(old.digest), str(new.digest)),
            *(old.version, new.version, self.kube_version, values),
            *(sorted(self.defined), sorted(self.used)),
        ]
        return f"validate/steps/{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}.json"


def _parse(data: bytes | None) -> tuple[Problem, ...] | None:
    if data is None:
        return None
    try:
        return tuple(map(Problem.from_json, json.loads(data)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
