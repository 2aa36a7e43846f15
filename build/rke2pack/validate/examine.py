"""One chart on one Kubernetes version: rendered in every variant, each object checked.

The result is kept by everything that it depends on: the chart's digest, the
values, the Kubernetes version, the engine, the schemas and this code. What
concerns several charts (custom resources, lists) is worked out from it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rke2pack.errors import ValidationError
from rke2pack.files import Cache
from rke2pack.helm.chart import Chart
from rke2pack.helm.discover import ImageUse
from rke2pack.helm.render import RenderedObject, Renderer, render
from rke2pack.validate.code import code_digest
from rke2pack.validate.crds import Definition
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.objects import (
    DEFINITION,
    MAX_OBJECTS,
    Body,
    Checker,
    Reader,
    duplicates,
)
from rke2pack.validate.schemas import SCHEMAS_VERSION, Kind, KubeSchemas, minor_of

Values = Mapping[str, Mapping[str, Any]]
MAX_PROBLEMS = 1_000  # of one chart on one Kubernetes version


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one chart gave on one Kubernetes version.

    ``problems`` are by variant; ``definitions`` maps ``group/Kind`` to the
    name under which the definition is kept; ``resources`` are the custom
    resources by variant; ``unrendered`` are the variants without objects.
    """

    objects: int
    variants: tuple[str, ...]
    unrendered: tuple[str, ...]
    problems: tuple[tuple[str, Problem], ...]
    uses: tuple[ImageUse, ...]
    definitions: Mapping[str, str]
    resources: tuple[tuple[str, Mapping[str, Any]], ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "objects": self.objects,
            "variants": self.variants,
            "unrendered": self.unrendered,
            "problems": [[variant, problem.to_json()] for variant, problem in self.problems],
            "uses": [asdict(use) for use in self.uses],
            "definitions": dict(self.definitions),
            "resources": [[variant, dict(body)] for variant, body in self.resources],
        }

    @classmethod
    def from_json(cls, item: Any) -> Examined:  # noqa: ANN401 - what a cache holds
        """Read what `to_json` gave; raises TypeError, KeyError or ValueError."""
        if not all(isinstance(value, str) for value in item["definitions"].values()):
            msg = "not text"
            raise TypeError(msg)
        return cls(
            objects=int(item["objects"]),
            variants=tuple(map(str, item["variants"])),
            unrendered=tuple(map(str, item["unrendered"])),
            problems=tuple((str(v), Problem.from_json(each)) for v, each in item["problems"]),
            uses=tuple(ImageUse(**use) for use in item["uses"]),
            definitions=dict(item["definitions"]),
            resources=tuple((str(v), dict(body)) for v, body in item["resources"]),
        )


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Examines charts; the same chart, values and version once. Safe for threads."""

    renderer: Renderer
    cache: Cache
    _checkers: dict[int, Checker] = field(default_factory=dict, init=False)
    _reader: Reader = field(default_factory=Reader, init=False)
    _documents: dict[str, str] = field(default_factory=dict, init=False)
    _names: dict[int, str] = field(default_factory=dict, init=False)  # the reader keeps the bodies

    def examine(self, chart: Chart, variants: Values, *, kube_version: str) -> Examined:
        """Return what the chart gives under each set of values; raises ConfigError."""
        key = self._key(chart, variants, kube_version)
        kept = self._parse(self.cache.get(key))
        if kept is not None:
            return kept
        found = self._examined(chart, variants, kube_version)
        self.cache.put(key, json.dumps(found.to_json()).encode())
        return found

    def definition(self, name: str) -> Definition | None:
        """Return a definition by the name under which `Examined` has it."""
        text = self._documents.get(name)
        if text is None:
            kept = self.cache.get(_definition_key(name))
            text = kept.decode() if kept is not None else "null"
        body = json.loads(text)
        return Definition.parse(body) if isinstance(body, dict) else None

    def checker(self, kube_version: str) -> Checker:
        """Return the checker for a Kubernetes version; raises ConfigError for an unknown one."""
        minor = minor_of(kube_version)
        if minor not in self._checkers:
            schemas = KubeSchemas.of(kube_version)
            self._checkers[minor] = Checker(schemas)
        return self._checkers[minor]

    def _examined(self, chart: Chart, variants: Values, kube_version: str) -> Examined:
        work = _Work(chart=chart, checker=self.checker(kube_version), reader=self._reader)
        for name, values in variants.items():
            try:
                objects = render(self.renderer, chart, values, kube_version=kube_version)
            except ValidationError as exc:
                work.refuse(name, exc.message)
                continue
            work.add(name, objects)
        return Examined(
            objects=work.count,
            variants=tuple(variants),
            unrendered=tuple(work.unrendered),
            problems=tuple(work.problems),
            uses=tuple(work.uses),
            definitions=self._keep(work.definitions),
            resources=tuple(work.resources),
        )

    def _keep(self, definitions: Iterable[Body]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for body in definitions:
            parsed = Definition.parse(body.fields)
            if parsed is None:
                continue
            name = self._names.get(id(body))
            if name is None:
                text = json.dumps(body.fields)
                name = hashlib.sha256(text.encode()).hexdigest()
                self._names[id(body)] = name
                self._documents[name] = text
                self.cache.put(_definition_key(name), text.encode())
            found[f"{parsed.group}/{parsed.kind}"] = name
        return found

    def _parse(self, data: bytes | None) -> Examined | None:
        """Read a kept result; None where it is none, or a definition of it is gone."""
        if data is None:
            return None
        try:
            found = Examined.from_json(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return found if all(map(self._is_kept, found.definitions.values())) else None

    def _is_kept(self, name: str) -> bool:
        return name in self._documents or (self.cache.folder / _definition_key(name)).is_file()

    def _key(self, chart: Chart, variants: Values, kube_version: str) -> str:
        inputs = [
            *(code_digest(), SCHEMAS_VERSION, self.renderer.identity, str(chart.digest)),
            *(chart.name, chart.version, kube_version, variants),
        ]
        return f"validate/{hashlib.sha256(json.dumps(inputs).encode()).hexdigest()}.json"


@dataclass(kw_only=True)
class _Work:
    """Collects over the variants of one chart."""

    chart: Chart
    checker: Checker
    reader: Reader
    count: int = 0
    unrendered: list[str] = field(default_factory=list)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    uses: list[ImageUse] = field(default_factory=list)
    definitions: list[Body] = field(default_factory=list)
    resources: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def refuse(self, variant: str, reason: str) -> None:
        """Note a variant that has no objects."""
        self.unrendered.append(variant)
        problem = Problem(
            check="render",
            subject=f"variant {variant}",
            expected="a chart that renders",
            got=short(reason),
        )
        self.problems.append((variant, problem))

    def add(self, variant: str, objects: tuple[RenderedObject, ...]) -> None:
        """Check the objects of a variant."""
        if len(objects) > MAX_OBJECTS:
            self.refuse(variant, f"{len(objects)} objects, the limit is {MAX_OBJECTS}")
            return
        self.count += len(objects)
        documents = [self.reader.read(self.chart, rendered) for rendered in objects]
        bodies = [body for each in documents for body in each.bodies]
        for each in documents:
            self.problems += [(variant, problem) for problem in self.checker.problems(each)]
            self.uses += [replace(use, variant=variant) for use in each.uses]
        self.problems += [(variant, problem) for problem in duplicates(bodies)]
        for body in bodies:
            self._sort_out(variant, body)
        self._cut()

    def _cut(self) -> None:
        """Keep a chart that is wrong everywhere from filling memory and reports."""
        if len(self.problems) > MAX_PROBLEMS:
            more = Problem(
                check="schema",
                subject="",
                expected=f"at most {MAX_PROBLEMS} problems",
                got="more, which are not listed",
            )
            self.problems = [*self.problems[:MAX_PROBLEMS], ("", more)]

    def _sort_out(self, variant: str, body: Body) -> None:
        if body.kind == DEFINITION:
            if body not in self.definitions:
                self.definitions.append(body)
        elif not self.checker.schemas.is_builtin(body.kind.group):
            self.resources.append((variant, body.fields))


def custom_kind(body: Mapping[str, Any]) -> str:
    """Return ``group/Kind`` of a custom resource, under which its definition is known."""
    kind = Kind.of(body)
    return f"{kind.group}/{kind.kind}"


def _definition_key(name: str) -> str:
    return f"validate/definitions/{name}.json"
