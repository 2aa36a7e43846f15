"""ChartDiff: everything that one version of a chart changes, as data and as lines."""

from __future__ import annotations

from dataclasses import dataclass

from rke2pack.helm.diff.crds import CrdsDiff
from rke2pack.helm.diff.images import ImagesDiff
from rke2pack.helm.diff.metadata import KubeVersionChange, QuestionsDiff, TextChange
from rke2pack.helm.diff.objects import ObjectsDiff
from rke2pack.helm.diff.plain import Plain
from rke2pack.helm.diff.rbac import RbacDiff
from rke2pack.helm.diff.usersettings import UserFinding
from rke2pack.helm.diff.values import ValuesDiff


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartDiff:
    """The difference of two versions of a chart.

    ``objects_with_user_values`` is None where no user's values were given.
    """

    values: ValuesDiff
    objects: ObjectsDiff
    rbac: RbacDiff
    crds: CrdsDiff
    images: ImagesDiff
    kube_version: KubeVersionChange
    app_version: TextChange
    questions: QuestionsDiff
    user: tuple[UserFinding, ...] = ()
    objects_with_user_values: ObjectsDiff | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the two versions mean the same."""
        parts = (
            self.values,
            self.objects,
            self.rbac,
            self.crds,
            self.images,
            self.kube_version,
            self.app_version,
            self.questions,
            self.objects_with_user_values or ObjectsDiff(),
        )
        return all(part.is_empty for part in parts) and not self.user

    def to_json(self) -> dict[str, Plain]:
        """Return plain JSON types; every list has a stable order."""
        with_user = self.objects_with_user_values
        return {
            "values": self.values.to_json(),
            "rbac": self.rbac.to_json(),
            "objects": self.objects.to_json(),
            "crds": self.crds.to_json(),
            "images": self.images.to_json(),
            "kube_version": self.kube_version.to_json(),
            "app_version": self.app_version.to_json(),
            "questions": self.questions.to_json(),
            "user": [finding.to_json() for finding in self.user],
            "objects_with_user_values": None if with_user is None else with_user.to_json(),
        }

    def summary(self) -> tuple[str, ...]:
        """Return plain lines, each begun by its area, what a cluster notices most first."""
        with_user = self.objects_with_user_values
        return (
            *([] if self.app_version.is_empty else [f"app version: {self.app_version}"]),
            *self.kube_version.lines(),
            *self.rbac.lines(),
            *self.crds.lines(),
            *self.values.lines(),
            *self.images.lines(),
            *self.questions.lines(),
            *self.objects.lines(),
            *(f"your values: {finding}" for finding in self.user),
            *([] if with_user is None else with_user.lines("objects with your values")),
        )
