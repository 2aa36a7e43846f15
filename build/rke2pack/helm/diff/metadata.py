"""What Chart.yaml and the questions file say about a chart, and how that changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rke2pack import safeyaml
from rke2pack.helm.chart import KUBE_VERSION_ANNOTATION, Chart
from rke2pack.helm.diff.plain import Plain, is_same, mappings, plain_mapping, shown

QUESTION_FILES = ("questions.yaml", "questions.yml")
QUESTION_FIELDS = (
    "default",
    "max",
    "max_length",
    "min",
    "min_length",
    "options",
    "required",
    "type",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """One text of Chart.yaml on both sides, empty where it is absent."""

    old: str
    new: str

    @property
    def is_empty(self) -> bool:
        """Whether both sides agree."""
        return self.old == self.new

    def to_json(self) -> dict[str, Plain]:
        """Return old and new."""
        return {"old": self.old, "new": self.new}

    def __str__(self) -> str:
        return f"{shown(self.old or None)} -> {shown(self.new or None)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeVersionChange:
    """The two ranges of Kubernetes versions: Helm's ``kubeVersion`` and Rancher's annotation."""

    field: TextChange
    annotation: TextChange

    @property
    def is_empty(self) -> bool:
        """Whether neither range changed."""
        return self.field.is_empty and self.annotation.is_empty

    def to_json(self) -> dict[str, Plain]:
        """Return old, new, annotation_old and annotation_new."""
        return {
            "old": self.field.old,
            "new": self.field.new,
            "annotation_old": self.annotation.old,
            "annotation_new": self.annotation.new,
        }

    def lines(self) -> Iterator[str]:
        """Yield a line for each range that changed."""
        if not self.field.is_empty:
            yield f"kube version: {self.field}"
        if not self.annotation.is_empty:
            yield f"kube version: annotation {KUBE_VERSION_ANNOTATION}: {self.annotation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionChange:
    """One field of a question that exists on both sides."""

    variable: str
    field: str
    old: Plain
    new: Plain

    def to_json(self) -> dict[str, Plain]:
        """Return variable, field, old and new."""
        return {
            "variable": self.variable,
            "field": self.field,
            "old": self.old,
            "new": self.new,
        }

    def __str__(self) -> str:
        return f"{self.variable}: {self.field} {shown(self.old)} -> {shown(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionsDiff:
    """Questions of the installation form, sorted by the value that they set."""

    changed: tuple[QuestionChange, ...] = ()
    added: tuple[dict[str, Plain], ...] = field(default=())
    removed: tuple[dict[str, Plain], ...] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether the form asks the same."""
        return not (self.changed or self.added or self.removed)

    def to_json(self) -> dict[str, Plain]:
        """Return changed, added and removed; a question is variable and what it constrains."""
        return {
            "changed": [change.to_json() for change in self.changed],
            "added": list(self.added),
            "removed": list(self.removed),
        }

    def lines(self) -> Iterator[str]:
        """Yield one line a question."""
        yield from (f"questions: {change}" for change in self.changed)
        for question in self.added:
            default = shown(question.get("default"))
            yield f"questions: added {question['variable']} (default {default})"
        yield from (f"questions: removed {question['variable']}" for question in self.removed)


def compare_kube_versions(old: Chart, new: Chart) -> KubeVersionChange:
    """Compare both ranges of Kubernetes versions."""
    return KubeVersionChange(
        field=TextChange(old=old.kube_version, new=new.kube_version),
        annotation=TextChange(
            old=str(old.annotations.get(KUBE_VERSION_ANNOTATION) or ""),
            new=str(new.annotations.get(KUBE_VERSION_ANNOTATION) or ""),
        ),
    )


def compare_questions(old: Chart, new: Chart) -> QuestionsDiff:
    """Compare the questions files; labels, descriptions and groups do not count."""
    before, after = _questions(old), _questions(new)
    changed = (
        QuestionChange(variable=variable, field=name, old=left.get(name), new=right.get(name))
        for variable, left, right in (
            (v, before[v], after[v]) for v in sorted(before.keys() & after.keys())
        )
        for name in QUESTION_FIELDS
        if not is_same(left.get(name), right.get(name))
    )
    return QuestionsDiff(
        changed=tuple(changed),
        added=tuple(after[v] for v in sorted(after.keys() - before.keys())),
        removed=tuple(before[v] for v in sorted(before.keys() - after.keys())),
    )


def _questions(chart: Chart) -> dict[str, dict[str, Plain]]:
    found: dict[str, dict[str, Plain]] = {}
    for path in QUESTION_FILES:
        if path in chart.files:
            what = f"{chart.name} {chart.version}: {path}"
            document = plain_mapping(safeyaml.load(chart.text(path), what=what))
            for question in _with_subquestions(document.get("questions")):
                variable = str(question.get("variable") or "")
                kept = {key: question[key] for key in QUESTION_FIELDS if key in question}
                found[variable] = {"variable": variable, **kept}
    return found


def _with_subquestions(questions: Plain) -> Iterator[dict[str, Plain]]:
    for question in mappings(questions):
        yield question
        yield from _with_subquestions(question.get("subquestions"))
