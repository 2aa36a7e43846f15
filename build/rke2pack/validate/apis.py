"""API versions that a Kubernetes version no longer serves, or not by default.

From 1.25 on the schemas themselves tell: a kind that one version has and the
next has not was removed there. What went before stands in a table (source: the
Deprecated API Migration Guide of kubernetes.io). No package carries such data
for Python; Pluto and kubepug keep it in Go programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rke2pack.validate.issue import Problem
from rke2pack.validate.schemas import Kind, KubeSchemas, minors_with

_UNSTABLE = re.compile(r"v\d+(alpha|beta)\d+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A kind that Kubernetes 1.``minor`` no longer has, and what stands in its place."""

    kind: Kind
    minor: int
    instead: str


def _gone(minor: int, api_version: str, kinds: str, instead: str) -> Iterator[Gone]:
    for kind in kinds.split():
        found = Kind.of({"apiVersion": api_version, "kind": kind})
        yield Gone(kind=found, minor=minor, instead=instead)


GONE: tuple[Gone, ...] = (
    *_gone(16, "extensions/v1beta1", "DaemonSet Deployment ReplicaSet", "apps/v1"),
    *_gone(16, "extensions/v1beta1", "NetworkPolicy", "networking.k8s.io/v1"),
    *_gone(16, "extensions/v1beta1", "PodSecurityPolicy", "Pod Security Admission"),
    *_gone(16, "apps/v1beta1", "Deployment StatefulSet", "apps/v1"),
    *_gone(16, "apps/v1beta2", "DaemonSet Deployment ReplicaSet StatefulSet", "apps/v1"),
    *_gone(22, "extensions/v1beta1", "Ingress", "networking.k8s.io/v1"),
    *_gone(22, "networking.k8s.io/v1beta1", "Ingress IngressClass", "networking.k8s.io/v1"),
    *_gone(
        22,
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io/v1",
    ),
    *_gone(
        22,
        "apiextensions.k8s.io/v1beta1",
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
    ),
    *_gone(22, "apiregistration.k8s.io/v1beta1", "APIService", "apiregistration.k8s.io/v1"),
    *_gone(22, "authentication.k8s.io/v1beta1", "TokenReview", "authentication.k8s.io/v1"),
    *_gone(
        22,
        "authorization.k8s.io/v1beta1",
        "LocalSubjectAccessReview SelfSubjectAccessReview SubjectAccessReview",
        "authorization.k8s.io/v1",
    ),
    *_gone(
        22,
        "certificates.k8s.io/v1beta1",
        "CertificateSigningRequest",
        "certificates.k8s.io/v1",
    ),
    *_gone(22, "coordination.k8s.io/v1beta1", "Lease", "coordination.k8s.io/v1"),
    *_gone(
        22,
        "rbac.authorization.k8s.io/v1beta1",
        "ClusterRole ClusterRoleBinding Role RoleBinding",
        "rbac.authorization.k8s.io/v1",
    ),
    *_gone(22, "scheduling.k8s.io/v1beta1", "PriorityClass", "scheduling.k8s.io/v1"),
    *_gone(
        22,
        "storage.k8s.io/v1beta1",
        "CSIDriver CSINode StorageClass VolumeAttachment",
        "storage.k8s.io/v1",
    ),
    *_gone(25, "batch/v1beta1", "CronJob", "batch/v1"),
    *_gone(25, "discovery.k8s.io/v1beta1", "EndpointSlice", "discovery.k8s.io/v1"),
    *_gone(25, "events.k8s.io/v1beta1", "Event", "events.k8s.io/v1"),
    *_gone(25, "autoscaling/v2beta1", "HorizontalPodAutoscaler", "autoscaling/v2"),
    *_gone(25, "policy/v1beta1", "PodDisruptionBudget", "policy/v1"),
    *_gone(25, "policy/v1beta1", "PodSecurityPolicy", "Pod Security Admission"),
    *_gone(25, "node.k8s.io/v1beta1", "RuntimeClass", "node.k8s.io/v1"),
)
_BEFORE_SCHEMAS = {each.kind: each for each in GONE}


def problems(schemas: KubeSchemas, kind: Kind, subject: str) -> Iterator[Problem]:
    """Yield what is wrong with the API version of a built-in kind."""
    if not schemas.knows(kind):
        yield Problem(
            check="api-version",
            subject=subject,
            expected=f"a kind that Kubernetes 1.{schemas.minor} has",
            got=f"{kind}, {_history(kind)}",
        )
        return
    last = max(minors_with(kind), default=schemas.minor)
    if last < _newest():
        yield Problem(
            check="api-version",
            subject=subject,
            expected="an API version that stays",
            got=f"{kind}, removed in 1.{last + 1}",
            severity="warning",
        )
    elif _UNSTABLE.match(kind.version):
        yield Problem(
            check="api-version",
            subject=subject,
            expected="an API version that every cluster serves",
            got=f"{kind}, which an API server serves only where it is turned on",
            severity="warning",
        )


def _history(kind: Kind) -> str:
    """Say when a kind that is not there was, or will be."""
    known = _BEFORE_SCHEMAS.get(kind)
    if known is not None:
        return f"removed in 1.{known.minor}, use {known.instead}"
    minors = minors_with(kind)
    if not minors:
        return "which no version of Kubernetes from 1.25 on has"
    return f"which only 1.{minors[0]} to 1.{minors[-1]} have"


def _newest() -> int:
    """Return the newest minor version with schemas: the one that has any Pod."""
    return max(minors_with(Kind("", "v1", "Pod")))
