"""Rendered objects: what identifies one, and which were added, removed or changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rke2pack import wording
from rke2pack.helm.diff.fields import FieldChange, compare
from rke2pack.helm.diff.plain import Plain, mapping, mappings, plain_mapping
from rke2pack.helm.render import NAMESPACE, RenderedObject

HIDDEN = "(content not shown)"
SHOWN_FIELDS = 20
POD_TEMPLATE_KINDS = frozenset({"DaemonSet", "Deployment", "StatefulSet"})

# Groups of Kubernetes itself, whose kinds are namespaced unless the next table names them.
_BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
_CLUSTER_KINDS = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "ComponentStatus",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PodSecurityPolicy",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "SubjectAccessReview",
        "TokenReview",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ObjectKey:
    """Kind, namespace (empty for cluster-wide objects) and name; ordered in this order."""

    kind: str
    namespace: str
    name: str

    def to_json(self) -> dict[str, Plain]:
        """Return kind, namespace and name."""
        return {"kind": self.kind, "namespace": self.namespace, "name": self.name}

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind} {self.name}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeObject:
    """One object as plain values with its identity."""

    key: ObjectKey
    body: Mapping[str, Plain]

    @classmethod
    def of(cls, body: dict[str, Plain]) -> KubeObject:
        """Identify an object; a namespaced one that names no namespace gets the release's."""
        metadata = mapping(body.get("metadata"))
        kind = str(body.get("kind") or "")
        namespace = str(metadata.get("namespace") or "")
        group, slash, _ = str(body.get("apiVersion") or "").rpartition("/")
        if (group if slash else "") in _BUILT_IN_GROUPS:
            namespace = "" if kind in _CLUSTER_KINDS else namespace or NAMESPACE
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        return cls(key=ObjectKey(kind=kind, namespace=namespace, name=name), body=body)


Objects: TypeAlias = tuple[KubeObject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One object that exists on both sides and the fields in which it differs."""

    key: ObjectKey
    fields: tuple[FieldChange, ...]

    @property
    def is_version_label_only(self) -> bool:
        """Whether nothing differs but labels that repeat the chart's version."""
        return all(field.is_noise for field in self.fields)

    @property
    def restarts_pods(self) -> bool:
        """Whether the pod template of a workload differs, so that its pods are replaced."""
        return self.key.kind in POD_TEMPLATE_KINDS and any(
            field.path[:2] == ("spec", "template") for field in self.fields
        )

    def to_json(self) -> dict[str, Plain]:
        """Return identity, fields, version_label_only and restarts_pods."""
        return {
            **self.key.to_json(),
            "fields": [field.to_json() for field in self.fields],
            "version_label_only": self.is_version_label_only,
            "restarts_pods": self.restarts_pods,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsDiff:
    """Objects added, removed and changed, each ordered by kind, namespace and name.

    CustomResourceDefinitions are left out; `crds` tells what became of them.
    """

    added: tuple[ObjectKey, ...] = ()
    removed: tuple[ObjectKey, ...] = ()
    changed: tuple[ObjectChange, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no object differs."""
        return not (self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Plain]:
        """Return added, removed and changed."""
        return {
            "added": [key.to_json() for key in self.added],
            "removed": [key.to_json() for key in self.removed],
            "changed": [change.to_json() for change in self.changed],
        }

    def lines(self, area: str = "objects") -> Iterator[str]:
        """Yield a line an object and a line a field, without those that only repeat versions."""
        yield from (f"{area}: added {key}" for key in self.added)
        yield from (f"{area}: removed {key}" for key in self.removed)
        noise = [change for change in self.changed if change.is_version_label_only]
        for change in self.changed:
            if change.is_version_label_only:
                continue
            fields = [field for field in change.fields if not field.is_noise]
            restart = ", its pods are replaced" if change.restarts_pods else ""
            yield f"{area}: changed {change.key} ({wording.count(len(fields), 'field')}{restart})"
            yield from (f"{area}:   {field}" for field in fields[:SHOWN_FIELDS])
            if len(fields) > SHOWN_FIELDS:
                yield f"{area}:   and {wording.count(len(fields) - SHOWN_FIELDS, 'more field')}"
        if noise:
            restarting = sum(change.restarts_pods for change in noise)
            restart = f", pods are replaced in {restarting} of them" if restarting else ""
            objects = wording.count(len(noise), "object")
            yield f"{area}: {objects} with new version labels only{restart}"


def objects_of(rendered: Iterable[RenderedObject]) -> Objects:
    """Parse rendered documents, lists taken apart, CustomResourceDefinitions left out.

    Raises ValidationError where a document is no YAML mapping.
    """
    found: list[KubeObject] = []
    for document in rendered:
        if document.is_crd:
            continue
        body = plain_mapping(document.body)
        if str(body.get("kind") or "").endswith("List") and isinstance(body.get("items"), list):
            found += [KubeObject.of(item) for item in mappings(body.get("items"))]
        else:
            found.append(KubeObject.of(body))
    return tuple(found)


def compare_objects(old: Objects, new: Objects) -> ObjectsDiff:
    """Compare two renders by identity; the content of Secrets is never shown."""
    before, after = _by_identity(old), _by_identity(new)
    changes = (
        _change(before[identity], after[identity])
        for identity in sorted(before.keys() & after.keys())
    )
    return ObjectsDiff(
        added=tuple(identity[0] for identity in sorted(after.keys() - before.keys())),
        removed=tuple(identity[0] for identity in sorted(before.keys() - after.keys())),
        changed=tuple(change for change in changes if change.fields),
    )


def _change(old: KubeObject, new: KubeObject) -> ObjectChange:
    fields = compare(dict(old.body), dict(new.body))
    if new.key.kind == "Secret":
        fields = tuple(_without_content(field) for field in fields)
    return ObjectChange(key=new.key, fields=fields)


def _without_content(field: FieldChange) -> FieldChange:
    if field.path[0] not in {"data", "stringData"}:
        return field
    return FieldChange(
        path=field.path,
        old=None if field.old is None else HIDDEN,
        new=None if field.new is None else HIDDEN,
    )


def _by_identity(objects: Objects) -> dict[tuple[ObjectKey, int], KubeObject]:
    """Index objects; the number tells apart what a chart renders twice under one name."""
    found: dict[tuple[ObjectKey, int], KubeObject] = {}
    for item in objects:
        number = 0
        while (item.key, number) in found:
            number += 1
        found[item.key, number] = item
    return found
