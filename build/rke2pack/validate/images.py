"""The images that charts need, against the lists of every architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from rke2pack.errors import PackError
from rke2pack.finding import Finding
from rke2pack.helm.chart import Chart
from rke2pack.helm.discover import ImageUse
from rke2pack.lists.build import Builder
from rke2pack.lists.model import ImageList
from rke2pack.lists.text import Section
from rke2pack.tree.components import ChartRules, Components
from rke2pack.validate.issue import Issue, Problem, short
from rke2pack.validate.matrix import Row

_WORDS = {
    "system-default-registry": "registry",
    "floating-tag": "tag",
    "mentioned-image": "image",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """Answers for `Builder` with what was found when the charts were examined."""

    uses: Mapping[str, tuple[ImageUse, ...]]

    def survey(self, chart: Chart, rules: ChartRules) -> tuple[ImageUse, ...]:  # noqa: ARG002 - Builder's call
        """Return the uses of a chart."""
        return self.uses[chart.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one component's images gave: issues, and the references that are needed.

    ``is_whole`` is false where a chart names an image that cannot be listed.
    """

    issues: tuple[Issue, ...]
    needed: frozenset[str]
    is_whole: bool = True


def owner_of(component: str) -> str:
    """Return what an issue names instead of a chart, where it is a component's."""
    return f"component {component}"


def check(
    builder: Builder,
    component: str,
    charts: Mapping[str, Chart],
    sections: Mapping[str, Section] | None,
    *,
    row: Row,
    own_images: Callable[[Iterable[str]], frozenset[str]],
) -> Checked:
    """Compare what the charts of a component need with its section of images.txt.

    Equality is that of whole references: ``v0.2.1`` is not ``v0.2.10``. Without
    sections there is no list to compare with. What a chart needs on the row's
    Kubernetes version and not on the tree's own (``own_images`` of charts) is
    only told: the lists of a release for that version have it.
    """
    try:
        lists = builder.build({component: tuple(charts)})
    except PackError as exc:
        problem = Problem(
            check="image", subject=component, expected="images to list", got=short(exc.message)
        )
        owner = next(iter(charts.values()), None)
        name, version = (owner.name, owner.version) if owner else (owner_of(component), "")
        issue = Issue(problem=problem, chart=name, version=version, rows=(row.name,))
        return Checked(issues=(issue,), needed=frozenset(), is_whole=False)
    found = [_noticed(finding, component, charts, row.name) for finding in lists.findings]
    for each in lists.lists if sections is not None else ():
        section = (sections or {}).get(component)
        for missing, name in _missing(each, section, builder.components, charts):
            is_own = name not in charts or missing.subject in own_images((name,))
            version = charts[name].version if name in charts else ""
            problem = missing if is_own else _elsewhere(missing, row)
            found.append(Issue(problem=problem, chart=name, version=version, rows=(row.name,)))
    needed = frozenset(reference for each in lists.lists for reference in each.references)
    return Checked(issues=tuple(found), needed=needed)


def unneeded(component: str, section: Section, needed: frozenset[str]) -> Iterator[Issue]:
    """Yield the lines of a section that no row needs."""
    for reference in section.references:
        if reference not in needed:
            problem = Problem(
                check="image",
                subject=reference,
                expected="a line that some chart or rule needs",
                got=f"line {section.lines[reference]} of images.txt, which none does",
                severity="warning",
            )
            yield Issue(problem=problem, chart=owner_of(component), version="")


def _missing(
    images: ImageList, section: Section | None, components: Components, charts: Mapping[str, Chart]
) -> Iterator[tuple[Problem, str]]:
    """Yield each image that the list of some architecture lacks, and the chart that needs it."""
    listed = section.references if section else ()
    shipped = (section.platforms or components.platforms) if section else ()
    for image in images.images:
        reference = str(image.reference)
        lacking = [p for p in images.platforms if reference not in listed or p not in shipped]
        if lacking:
            proof = image.proofs[0]
            owner = next((name for name in charts if proof.startswith(f"{name} ")), None)
            problem = Problem(
                check="image",
                subject=reference,
                expected=f"a line of images.txt for {', '.join(lacking)}",
                got=short(f"none, needed by {proof}"),
            )
            yield problem, owner or owner_of(images.component)


def _elsewhere(problem: Problem, row: Row) -> Problem:
    expected = f"a release for Kubernetes {row.kube_version} to list it"
    return replace(problem, severity="info", expected=expected)


def _noticed(finding: Finding, component: str, charts: Mapping[str, Chart], row: str) -> Issue:
    """Turn what the lists' builder saw into an issue of the chart that it concerns."""
    words = f"{finding.subject} {finding.got}"
    owner = next((name for name in charts if f"{name} " in words), None)
    image, _, place = finding.got.partition(" ")
    problem = Problem(
        check=_WORDS.get(finding.check, "image"),
        subject=image if finding.check != "floating-tag" else finding.subject,
        expected=finding.expected,
        got=short(place.strip("()") or finding.got),
        severity=finding.severity,
    )
    version = charts[owner].version if owner else ""
    return Issue(problem=problem, chart=owner or owner_of(component), version=version, rows=(row,))
