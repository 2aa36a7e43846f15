"""Every check that looks at rendered objects one by one, remembered by their text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack.errors import ValidationError
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.plain import plain
from rke2pack.helm.discover import ImageUse, discover
from rke2pack.helm.render import RenderedObject
from rke2pack.validate import apis, crds, names, workloads
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.schemas import Kind, KubeSchemas

DEFINITION = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
MAX_OBJECTS = 5_000  # of one render


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One object: its kind, ``Kind/name``, namespace, and its fields as JSON has them."""

    kind: Kind
    subject: str
    namespace: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A document: its objects, and where it names images (for no variant in particular)."""

    bodies: tuple[Body, ...]
    uses: tuple[ImageUse, ...]
    problem: Problem | None = None


class Reader:
    """Parses documents, each text of a template once: most are alike on every row."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._known: dict[tuple[str, str, str], Parsed] = {}

    def read(self, chart: Chart, rendered: RenderedObject) -> Parsed:
        """Parse a document of a chart; what is no YAML is a problem of it."""
        key = (rendered.chart, rendered.template, rendered.text)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _parsed(chart, rendered)
        return found


def _parsed(chart: Chart, rendered: RenderedObject) -> Parsed:
    try:
        bodies = tuple(_bodies(rendered.body))
        uses = discover((rendered,), chart=chart.name, version=chart.version, variant="")
    except ValidationError as exc:
        problem = Problem(
            check="schema",
            subject=rendered.template,
            expected="an object in YAML",
            got=short(exc.message),
        )
        return Parsed(bodies=(), uses=(), problem=problem)
    return Parsed(bodies=bodies, uses=uses)


class Checker:
    """Checks objects against one minor version, the same object once. Safe for threads."""

    def __init__(self, schemas: KubeSchemas) -> None:
        """Check against these schemas."""
        self.schemas = schemas
        self._known: dict[int, tuple[Parsed, tuple[Problem, ...]]] = {}

    def problems(self, parsed: Parsed) -> tuple[Problem, ...]:
        """Return everything that is wrong with the objects of a document."""
        known = self._known.get(id(parsed))
        if known is None:
            found = [problem for body in parsed.bodies for problem in self._check(body)]
            found += [parsed.problem] if parsed.problem else []
            known = self._known[id(parsed)] = (parsed, tuple(found))
        return known[1]

    def _check(self, body: Body) -> Iterator[Problem]:
        kind, fields, subject = body.kind, body.fields, body.subject
        if not kind.version or not kind.kind:
            yield Problem(
                check="schema", subject=subject, expected="apiVersion and kind", got="neither"
            )
            return
        yield from names.problems(kind, fields, subject)
        if not self.schemas.is_builtin(kind.group):
            return  # a custom resource: its definition stands in some chart
        yield from apis.problems(self.schemas, kind, subject)
        if self.schemas.knows(kind):
            yield from self.schemas.problems(kind, fields, subject)
        yield from workloads.problems(kind, fields, subject)
        if kind == DEFINITION:
            yield from crds.check(fields, subject)


def _bodies(document: Mapping[str, Any]) -> Iterator[Body]:
    fields = plain(document)
    if not isinstance(fields, dict):
        return
    kind = Kind.of(fields)
    items = fields.get("items")
    if kind.kind.endswith("List") and isinstance(items, list):
        for item in items[:MAX_OBJECTS]:
            if isinstance(item, dict):
                yield from _bodies(item)
        return
    metadata = fields.get("metadata")
    head = metadata if isinstance(metadata, dict) else {}
    name = head.get("name") or head.get("generateName") or ""
    yield Body(
        kind=kind,
        subject=f"{kind.kind}/{short(name)}",
        namespace=str(head.get("namespace") or ""),
        fields=fields,
    )


def duplicates(bodies: Iterable[Body]) -> Iterator[Problem]:
    """Yield every object that one render makes twice."""
    count = Counter(
        (body.kind.group, body.kind.kind, body.namespace, body.subject) for body in bodies
    )
    for (_, _, namespace, subject), number in count.items():
        if number > 1 and not subject.endswith("/"):
            where = f" in {namespace}" if namespace else ""
            yield Problem(
                check="duplicate",
                subject=subject,
                expected="each object once",
                got=f"{number} objects{where}",
            )
