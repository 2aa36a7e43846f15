"""The semantic difference of two versions of one chart.

`diff` renders both versions with the same values and says what changes: values,
objects, permissions, custom resource definitions, images, Kubernetes range and
questions, and what that means for a user's own values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.crds import CrdsDiff, compare_crds
from rke2pack.helm.diff.generated import render_stable
from rke2pack.helm.diff.images import ImagesDiff, compare_images
from rke2pack.helm.diff.metadata import (
    KubeVersionChange,
    QuestionsDiff,
    TextChange,
    compare_kube_versions,
    compare_questions,
)
from rke2pack.helm.diff.objects import ObjectsDiff, compare_objects
from rke2pack.helm.diff.plain import plain_mapping
from rke2pack.helm.diff.rbac import RbacDiff, compare_rbac
from rke2pack.helm.diff.report import ChartDiff
from rke2pack.helm.diff.usersettings import UserFinding, UserValues, judge
from rke2pack.helm.diff.values import (
    ValuesDiff,
    compare_values,
    effective_defaults,
    merge_values,
)
from rke2pack.helm.render import Renderer

__all__ = [
    "ChartDiff",
    "CrdsDiff",
    "ImagesDiff",
    "KubeVersionChange",
    "ObjectsDiff",
    "QuestionsDiff",
    "RbacDiff",
    "TextChange",
    "UserFinding",
    "UserValues",
    "ValuesDiff",
    "diff",
]


def diff(
    old: Chart,
    new: Chart,
    renderer: Renderer,
    *,
    kube_version: str,
    base: Mapping[str, Any],
    user: UserValues | None = None,
) -> ChartDiff:
    """Compare two versions of a chart as they render for ``kube_version``.

    ``base`` is what the chart needs to render at all. With ``user`` the objects
    are also compared under the user's values, laid over ``base``. ``renderer``
    must not answer from a cache (see `generated`). Raises ValidationError where
    a side does not render or holds a file that is not YAML.
    """
    values = plain_mapping(base)
    old_documents, old_objects = render_stable(renderer, old, values, kube_version=kube_version)
    new_documents, new_objects = render_stable(renderer, new, values, kube_version=kube_version)
    with_user_values = None
    if user is not None:
        merged = merge_values(values, user.values)
        with_user_values = compare_objects(
            render_stable(renderer, old, merged, kube_version=kube_version)[1],
            render_stable(renderer, new, merged, kube_version=kube_version)[1],
        )
    return ChartDiff(
        values=compare_values(effective_defaults(old), effective_defaults(new)),
        objects=compare_objects(old_objects, new_objects),
        rbac=compare_rbac(old_objects, new_objects),
        crds=compare_crds(old_documents, new_documents),
        images=compare_images(old_objects, new_objects),
        kube_version=compare_kube_versions(old, new),
        app_version=TextChange(old=old.app_version, new=new.app_version),
        questions=compare_questions(old, new),
        user=() if user is None else judge(user, old, new),
        objects_with_user_values=with_user_values,
    )
