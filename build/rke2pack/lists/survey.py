"""One chart's images over all its variants, kept by what they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from rke2pack.errors import ValidationError
from rke2pack.files import Cache
from rke2pack.helm import discover as discovery
from rke2pack.helm import render as rendering
from rke2pack.helm.chart import Chart
from rke2pack.helm.discover import ImageUse, discover, merged, registry_values
from rke2pack.helm.render import Renderer, render
from rke2pack.tree.components import DEFAULT_VARIANT, ChartRules

PRIME_VALUES: Mapping[str, Any] = {"global": {"prime": {"enabled": True}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyor:
    """Renders charts for one Kubernetes version; ``is_prime`` selects Rancher Prime's images."""

    renderer: Renderer
    cache: Cache
    kube_version: str
    is_prime: bool = False

    def survey(self, chart: Chart, rules: ChartRules) -> tuple[ImageUse, ...]:
        """Return the image uses of ``chart`` over its default and every variant.

        Raises ValidationError, with Helm's message, naming the variant that does not render.
        """
        variants = self.variants(rules)
        key = self._key(chart, variants)
        kept = _parse(self.cache.get(key))
        if kept is not None:
            return kept
        with ThreadPoolExecutor(max_workers=len(variants)) as pool:
            found = pool.map(partial(self._one, chart), variants, variants.values())
            uses = tuple(use for each in found for use in each)
        self.cache.put(key, json.dumps([asdict(use) for use in uses]).encode())
        return uses

    def variants(self, rules: ChartRules) -> Mapping[str, Mapping[str, Any]]:
        """Return the values of each render of a chart, by the variant's name."""
        base = merged(registry_values(), rules.base)
        plain = {DEFAULT_VARIANT: {}, **rules.variants}
        named: dict[str, Mapping[str, Any]] = {}
        if not self.is_prime or rules.prime_adds:
            named |= plain
        if self.is_prime:
            named |= {f"prime {n}": merged(v, PRIME_VALUES) for n, v in plain.items()}
        return {name: merged(base, values) for name, values in named.items()}

    def _one(self, chart: Chart, name: str, values: Mapping[str, Any]) -> tuple[ImageUse, ...]:
        try:
            objects = render(self.renderer, chart, values, kube_version=self.kube_version)
            return discover(objects, chart=chart.name, version=chart.version, variant=name)
        except ValidationError as exc:
            if name == DEFAULT_VARIANT:
                raise
            msg = f"variant {name}: {exc.message}"
            raise ValidationError(msg, hint="correct the variant in components.yaml") from exc

    def _key(self, chart: Chart, variants: Mapping[str, Any]) -> str:
        inputs = [
            _code_digest(),
            str(chart.digest),
            self.renderer.identity,
            self.kube_version if _asks_for_cluster(chart) else "",
            variants,
        ]
        return f"surveys/{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}.json"


def _parse(data: bytes | None) -> tuple[ImageUse, ...] | None:
    if data is None:
        return None
    try:
        uses = tuple(ImageUse(**item) for item in json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
    return uses if all(_is_well_formed(use) for use in uses) else None


def _is_well_formed(use: ImageUse) -> bool:
    return all(type(getattr(use, f.name)).__name__ == f.type for f in fields(use))


def _asks_for_cluster(chart: Chart) -> bool:
    """Whether a chart may look different on another Kubernetes version, as most do not."""
    return any(
        b"Capabilities" in content or b"kubeVersion" in content or path.endswith(".tgz")
        for path, content in chart.files.items()
    )


@cache
def _code_digest() -> str:
    """Hash the code that a survey depends on, so that new code forgets old results."""
    digest = hashlib.sha256()
    for function in (discovery.discover, rendering.render):
        digest.update(Path(function.__code__.co_filename).read_bytes())
    return digest.hexdigest()
