"""Change rows: the semantic difference of two chart versions as old and new side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from rke2pack.helm.diff import ChartDiff
from rke2pack.helm.diff.crds import CrdsDiff
from rke2pack.helm.diff.objects import ObjectsDiff
from rke2pack.helm.diff.plain import Plain, dotted, shown

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One difference; an empty side has nothing there. ``note`` tells what it means."""

    area: str
    subject: str
    old: str
    new: str
    kind: Kind
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "area": self.area,
            "subject": self.subject,
            "old": self.old,
            "new": self.new,
            "kind": self.kind,
            "note": self.note,
        }


def rows(found: ChartDiff) -> tuple[ChangeRow, ...]:
    """Return every difference, what a cluster notices most first, as ``diff`` orders them."""
    return (
        *_text("app version", "", found.app_version.old, found.app_version.new),
        *_text("Kubernetes", "kubeVersion", found.kube_version.field.old,
               found.kube_version.field.new),
        *_text("Kubernetes", "annotation", found.kube_version.annotation.old,
               found.kube_version.annotation.new),
        *_permissions(found),
        *_crds(found.crds),
        *_values(found),
        *_images(found),
        *_questions(found),
        *_objects(found.objects),
    )  # fmt: skip


def _text(area: str, subject: str, old: str, new: str) -> Iterator[ChangeRow]:
    if old != new:
        yield ChangeRow(area=area, subject=subject, old=old, new=new, kind=_kind(old, new))


def _kind(old: object, new: object) -> Kind:
    if old in ("", None):
        return "added"
    return "removed" if new in ("", None) else "changed"


def _permissions(found: ChartDiff) -> Iterator[ChangeRow]:
    for sentence in found.rbac.gained:
        yield ChangeRow(area="permissions", subject="", old="", new=sentence, kind="added")
    for sentence in found.rbac.lost:
        yield ChangeRow(area="permissions", subject="", old=sentence, new="", kind="removed")


def _crds(found: CrdsDiff) -> Iterator[ChangeRow]:
    area = "definitions"
    for name in found.added:
        yield ChangeRow(area=area, subject=name, old="", new="added", kind="added")
    for name in found.removed:
        yield ChangeRow(area=area, subject=name, old="was there", new="", kind="removed")
    for change in found.changed:
        for fact in change.facts:
            where = " ".join(part for part in (change.name, fact.version, fact.path) if part)
            yield ChangeRow(
                area=area,
                subject=where,
                old=_value(fact.old),
                new=_value(fact.new),
                kind=_kind(fact.old, fact.new) if fact.old != fact.new else "changed",
                note=f"{fact.change}{' (breaking)' if fact.is_breaking else ''}",
            )


def _values(found: ChartDiff) -> Iterator[ChangeRow]:
    for change in found.values.changed:
        path, old, new = dotted(change.path), shown(change.old), shown(change.new)
        yield ChangeRow(area="values", subject=path, old=old, new=new, kind="changed")
    for path_, value in found.values.added:
        subject = dotted(path_)
        yield ChangeRow(area="values", subject=subject, old="", new=shown(value), kind="added")
    for path_, value in found.values.removed:
        subject = dotted(path_)
        yield ChangeRow(area="values", subject=subject, old=shown(value), new="", kind="removed")


def _images(found: ChartDiff) -> Iterator[ChangeRow]:
    """Yield removed beside added, where both are of one repository."""
    proofs = {use.image: f"{use.object} {use.path}" for use in reversed(found.images.uses)}
    for old, new in paired(found.images.removed, found.images.added):
        note, kind = proofs[new or old], _kind(old, new)
        yield ChangeRow(area="images", subject="", old=old, new=new, kind=kind, note=note)


def paired(removed: Iterable[str], added: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield what went beside what came for it: another tag of its repository, or empty text."""
    came = {name.rpartition(":")[0]: name for name in added}
    left = {name: came.pop(name.rpartition(":")[0], "") for name in removed}
    yield from left.items()
    met = set(left.values())
    yield from (("", name) for name in added if name not in met)


def _questions(found: ChartDiff) -> Iterator[ChangeRow]:
    area = "questions"
    for change in found.questions.changed:
        subject, old, new = f"{change.variable}: {change.field}", change.old, change.new
        yield ChangeRow(
            area=area, subject=subject, old=_value(old), new=_value(new), kind=_kind(old, new)
        )
    for question in found.questions.added:
        default = f"default {shown(question.get('default'))}"
        subject = str(question["variable"])
        yield ChangeRow(area=area, subject=subject, old="", new=default, kind="added")
    for question in found.questions.removed:
        subject = str(question["variable"])
        yield ChangeRow(area=area, subject=subject, old="asked", new="", kind="removed")


def _objects(found: ObjectsDiff) -> Iterator[ChangeRow]:
    area = "objects"
    for key in found.added:
        yield ChangeRow(area=area, subject=str(key), old="", new="added", kind="added")
    for key in found.removed:
        yield ChangeRow(area=area, subject=str(key), old="was there", new="", kind="removed")
    labels_only = 0
    for change in found.changed:
        if change.is_version_label_only:
            labels_only += 1
            continue
        note = "its pods are replaced" if change.restarts_pods else ""
        for field in change.fields:
            if not field.is_noise:
                yield ChangeRow(
                    area=area,
                    subject=f"{change.key} {dotted(field.path)}",
                    old=_value(field.old),
                    new=_value(field.new),
                    kind=_kind(field.old, field.new),
                    note=note,
                )
    if labels_only:
        text = f"{labels_only} with new version labels only"
        yield ChangeRow(area=area, subject=text, old="", new="", kind="changed")


def _value(value: Plain) -> str:
    return "" if value is None else shown(value)
