"""Level static: every row x chart x variant, from rendered text alone. No docker, no cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rke2pack import wording
from rke2pack.finding import Result
from rke2pack.helm.chart import Chart
from rke2pack.validate import chartfile, images, manifests, uservalues
from rke2pack.validate.allow import AllowList
from rke2pack.validate.bundle import Bundle
from rke2pack.validate.collection import Collection
from rke2pack.validate.examine import Examined, custom_kind
from rke2pack.validate.issue import Issue, Problem
from rke2pack.validate.matrix import Row
from rke2pack.validate.report import Ran, Report
from rke2pack.validate.steps import Steps

NAME = "static"
_OBJECT_CHECKS = ("schema", "value", "api-version", "workload", "duplicate", "crd")
_ROW_CHECKS = ("render", "kube-version", "rancher", *_OBJECT_CHECKS, "custom-resource")
_IMAGE_CHECKS = ("image", "registry", "tag")
_LATER = (
    ("CEL rules of definitions, admission and defaulting", "an API server decides them"),
    ("import into containerd and docker", "not a part of level static"),
    ("a live cluster: install, upgrade, removal", "not a part of level static"),
)


@dataclass(frozen=True, kw_only=True)
class Static:
    """Runs the level over a bundle; fills a report."""

    collection: Collection
    allow: AllowList
    report: Report
    _resource_problems: dict[tuple[str, str], tuple[Problem, ...]] = field(
        default_factory=dict, init=False
    )

    @property
    def bundle(self) -> Bundle:
        """What is validated."""
        return self.collection.bundle

    def run(self, rows: tuple[Row, ...]) -> None:
        """Check every asked chart on every row; raises PackError where nothing can be checked."""
        found: list[Issue] = []
        with self.report.step("charts"):
            self.collection.fetch(self.bundle.asked)
        with ThreadPoolExecutor(max_workers=1) as aside:  # packing leaves the objects room
            manifests_made = aside.submit(self._manifests)
            with self.report.step("objects"):
                kube_versions = [row.kube_version for row in rows]
                self.collection.examine(kube_versions, self.bundle.asked)
            found += manifests_made.result()
        for row in rows:
            names = [name for name in self.bundle.asked if row.covers(name)]
            found += self._row(row, names)
        with self.report.step("images"):
            found += self._images(rows)
        with self.report.step("upgrades"):
            found += self._upgrades(rows)
        found += self._user_values(rows)
        self.report.add(found, self.allow)
        for row in rows:
            self._by_hand(row)

    def _row(self, row: Row, names: Iterable[str]) -> Iterator[Issue]:
        for name in names:
            chart = self.collection.charts[name]
            examined = self.collection.get(name, row.kube_version)
            variants = wording.count(len(examined.variants), "variant")
            count = f"{wording.count(examined.objects, 'object')}, {variants}"
            self._ran(row, chart, _ROW_CHECKS, count)
            self._ran(row, chart, ("manifest",), "")
            for problem in chartfile.problems(chart, row):
                yield _issue(problem, chart, row)
            for variant, problem in examined.problems:
                yield _issue(problem, chart, row, variant)
            with self.report.step("custom resources"):
                yield from self._resources(row, chart, examined)

    def _resources(self, row: Row, chart: Chart, examined: Examined) -> Iterator[Issue]:
        kube = row.kube_version
        definitions = self.collection.definitions(kube) if examined.resources else {}
        for variant, body in examined.resources:
            kept = definitions.get(custom_kind(body), "")
            key = (kept, json.dumps(body, sort_keys=True))
            if key not in self._resource_problems:
                self._resource_problems[key] = tuple(self._resource(body, kept))
            for problem in self._resource_problems[key]:
                yield _issue(problem, chart, row, variant)

    def _resource(self, body: Mapping[str, Any], kept: str) -> Iterator[Problem]:
        """Check one custom resource against the definition that is kept under a name."""
        metadata = body.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else ""
        subject = f"{body.get('kind')}/{name}"
        definition = self.collection.examiner.definition(kept) if kept else None
        if definition is not None:
            yield from definition.problems(body, subject)
            return
        yield Problem(
            check="custom-resource",
            subject=subject,
            expected=f"a bundled chart that defines {custom_kind(body)}",
            got="none",
        )

    def _images(self, rows: Iterable[Row]) -> Iterator[Issue]:
        sections = self.bundle.sections
        for component, names in self.bundle.charts.items():
            needed: frozenset[str] = frozenset()
            is_whole = True
            for row in rows:
                charts = {name: self.collection.charts[name] for name in names if row.covers(name)}
                checked = images.check(
                    self.collection.builder(row.kube_version),
                    component,
                    charts,
                    sections,
                    row=row,
                    own_images=partial(self.collection.own_images, component),
                )
                yield from checked.issues
                needed |= checked.needed
                is_whole = is_whole and checked.is_whole
                self._ran_images(row, component, charts, len(checked.needed))
            if is_whole:
                yield from self._unneeded(component, needed, rows)
        for row in rows if sections is None else ():
            self._skip(row, "image", "images.txt is the community's list, not Rancher Prime's")

    def _ran_images(
        self, row: Row, component: str, charts: Mapping[str, Chart], count: int
    ) -> None:
        has_list = self.bundle.sections is not None
        for chart in charts.values():
            self._ran(row, chart, _IMAGE_CHECKS if has_list else _IMAGE_CHECKS[1:], "")
        if has_list:
            name = images.owner_of(component)
            detail = wording.count(count, "image")
            self.report.ran.append(
                Ran(row=row.name, chart=name, version="", check="image", detail=detail)
            )

    def _unneeded(
        self, component: str, needed: frozenset[str], rows: Iterable[Row]
    ) -> Iterable[Issue]:
        """Return the lines that nothing needs, where every chart of the component was rendered."""
        section = (self.bundle.sections or {}).get(component)
        names = self.bundle.charts[component]
        is_known = self.bundle.is_whole(component) and not any(
            self.collection.get(name, row.kube_version).unrendered for name in names for row in rows
        )
        if section is None or not is_known or needed.issuperset(section.references):
            return ()
        own = self.collection.own_images(component, names)
        return images.unneeded(component, section, needed | own)

    def _manifests(self) -> list[Issue]:
        """Build each manifest for the tree's own Kubernetes version: that is what it ships."""
        found: list[Issue] = []
        with self.report.step("manifests"):
            for name in self.bundle.asked:
                chart = self.collection.charts[name]
                made = manifests.check(
                    chart,
                    self.bundle.reference(name),
                    self.collection.examiner.cache,
                    kube_version=self.collection.kube_version,
                    spec=self.bundle.components.helm_chart_spec,
                )
                stale = manifests.stale(made, self.bundle.built / f"{name}.yaml")
                found += [_issue(problem, chart) for problem in (*made.problems, *stale)]
        return found

    def _upgrades(self, rows: Iterable[Row]) -> Iterator[Issue]:
        for row in rows:
            moved = [name for name in self.bundle.older if row.covers(name)]
            if not moved:
                reason = "no chart has an older version to come from; name it with --from or --old"
                self._skip(row, "upgrade", reason)
                continue
            kube = row.kube_version
            steps = Steps(
                renderer=self.collection.examiner.renderer,
                cache=self.collection.examiner.cache,
                kube_version=kube,
                defined=frozenset(self.collection.definitions(kube)),
                used=self.collection.resource_kinds(kube),
            )
            for name in moved:
                old, new = self.bundle.older[name], self.collection.charts[name]
                self._ran(row, new, ("upgrade",), f"from {old.version}")
                for variant, values in self.collection.variants(name, kube).items():
                    for problem in steps.problems(old, new, values):
                        yield _issue(problem, new, row, variant)

    def _user_values(self, rows: Iterable[Row]) -> Iterator[Issue]:
        for row in rows:
            if not any(row.covers(name) for name in self.bundle.values):
                self._skip(row, "user-values", "no values are given; name them with --values")
        for name, user in self.bundle.values.items():
            chart = self.collection.charts[name]
            for row in rows:
                if row.covers(name):
                    keys = wording.count(len(user.values), "top-level key")
                    self._ran(row, chart, ("user-values",), keys)
            for problem in uservalues.problems(user, self.bundle.older.get(name, chart), chart):
                yield _issue(problem, chart)

    def _by_hand(self, row: Row) -> None:
        for each in row.by_hand:
            self.report.other.append(
                Result(subject=row.name, check="by-hand", status="manual", detail=each)
            )
        for what, why in _LATER:
            self._skip(row, "later", f"{what}: {why}")

    def _skip(self, row: Row, check: str, why: str) -> None:
        self.report.other.append(
            Result(subject=row.name, check=check, status="skipped", detail=why)
        )

    def _ran(self, row: Row, chart: Chart, checks: Iterable[str], detail: str) -> None:
        self.report.ran += [
            Ran(row=row.name, chart=chart.name, version=chart.version, check=check, detail=detail)
            for check in checks
        ]


def _issue(problem: Problem, chart: Chart, row: Row | None = None, variant: str = "") -> Issue:
    return Issue(
        problem=problem,
        chart=chart.name,
        version=chart.version,
        rows=(row.name,) if row else (),
        variants=(variant,) if variant else (),
    )
