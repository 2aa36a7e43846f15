"""What the API server checks and its published schema does not say: enumerations and syntax.

Kubernetes' OpenAPI document has no enumerations; they stand as constants in
``k8s.io/api/*/types.go`` and are checked by ``pkg/apis/*/validation``. The
tables here put them into the definitions before these are compiled. A
definition or field that a Kubernetes version lacks is left alone; values are
those of all versions together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from rke2pack.validate import syntax
from rke2pack.validate.syntax import Syntax

_T = TypeVar("_T")
Values = tuple[str, ...]
_API = "io.k8s.api."
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_PROTOCOL: Values = ("TCP", "UDP", "SCTP")
_POLICY: Values = ("Honor", "Ignore")
_TRAFFIC: Values = ("Cluster", "Local")
_TERMINATION: Values = ("File", "FallbackToLogsOnError")
_PULL: Values = ("Always", "IfNotPresent", "Never")
_RESTART: Values = ("Always", "OnFailure", "Never")
_EFFECT: Values = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_WEBHOOK: Mapping[str, Values] = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "sideEffects": ("None", "NoneOnDryRun"),
}
_CONTAINER: Mapping[str, Values] = {
    "imagePullPolicy": _PULL,
    "terminationMessagePolicy": _TERMINATION,
    "restartPolicy": _RESTART,
}
ENUMS: Mapping[str, Mapping[str, Values]] = {
    f"{_API}core.v1.Container": _CONTAINER,
    f"{_API}core.v1.EphemeralContainer": _CONTAINER,
    f"{_API}core.v1.PodSpec": {
        "restartPolicy": _RESTART,
        "dnsPolicy": ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        "preemptionPolicy": ("Never", "PreemptLowerPriority"),
    },
    f"{_API}core.v1.PodOS": {"name": ("linux", "windows")},
    f"{_API}core.v1.ContainerPort": {"protocol": _PROTOCOL},
    f"{_API}core.v1.ServicePort": {"protocol": _PROTOCOL},
    f"{_API}core.v1.EndpointPort": {"protocol": _PROTOCOL},
    f"{_API}core.v1.ServiceSpec": {
        "type": ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        "sessionAffinity": ("ClientIP", "None"),
        "externalTrafficPolicy": _TRAFFIC,
        "internalTrafficPolicy": _TRAFFIC,
        "ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack"),
        "ipFamilies": ("IPv4", "IPv6"),
    },
    f"{_API}core.v1.HTTPGetAction": {"scheme": ("HTTP", "HTTPS")},
    f"{_API}core.v1.Toleration": {
        "effect": _EFFECT,
        "operator": ("Exists", "Equal", "Lt", "Gt"),
    },
    f"{_API}core.v1.Taint": {"effect": _EFFECT},
    f"{_API}core.v1.NodeSelectorRequirement": {
        "operator": ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
    },
    f"{_API}core.v1.TopologySpreadConstraint": {
        "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
        "nodeAffinityPolicy": _POLICY,
        "nodeTaintsPolicy": _POLICY,
    },
    f"{_API}core.v1.HostPathVolumeSource": {
        "type": (
            *("DirectoryOrCreate", "Directory", "FileOrCreate", "File"),
            *("Socket", "CharDevice", "BlockDevice"),
        )
    },
    f"{_API}core.v1.VolumeMount": {
        "mountPropagation": ("None", "HostToContainer", "Bidirectional"),
        "recursiveReadOnly": ("Disabled", "IfPossible", "Enabled"),
    },
    f"{_API}core.v1.PersistentVolumeClaimSpec": {
        "accessModes": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
        "volumeMode": ("Filesystem", "Block"),
    },
    f"{_API}core.v1.PersistentVolumeSpec": {
        "accessModes": ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"),
        "persistentVolumeReclaimPolicy": ("Retain", "Recycle", "Delete"),
        "volumeMode": ("Filesystem", "Block"),
    },
    f"{_API}core.v1.SeccompProfile": {"type": ("RuntimeDefault", "Localhost", "Unconfined")},
    f"{_API}core.v1.AppArmorProfile": {"type": ("RuntimeDefault", "Localhost", "Unconfined")},
    f"{_API}core.v1.PodSecurityContext": {
        "fsGroupChangePolicy": ("OnRootMismatch", "Always"),
        "supplementalGroupsPolicy": ("Merge", "Strict"),
    },
    f"{_API}core.v1.SecurityContext": {"procMount": ("Default", "Unmasked")},
    f"{_API}apps.v1.DeploymentStrategy": {"type": ("Recreate", "RollingUpdate")},
    f"{_API}apps.v1.DaemonSetUpdateStrategy": {"type": ("RollingUpdate", "OnDelete")},
    f"{_API}apps.v1.StatefulSetUpdateStrategy": {"type": ("RollingUpdate", "OnDelete")},
    f"{_API}apps.v1.StatefulSetSpec": {"podManagementPolicy": ("OrderedReady", "Parallel")},
    f"{_API}batch.v1.CronJobSpec": {"concurrencyPolicy": ("Allow", "Forbid", "Replace")},
    f"{_API}batch.v1.JobSpec": {
        "completionMode": ("NonIndexed", "Indexed"),
        "podReplacementPolicy": ("TerminatingOrFailed", "Failed"),
    },
    f"{_API}networking.v1.HTTPIngressPath": {
        "pathType": ("Exact", "Prefix", "ImplementationSpecific")
    },
    f"{_API}networking.v1.NetworkPolicySpec": {"policyTypes": ("Ingress", "Egress")},
    f"{_API}networking.v1.NetworkPolicyPort": {"protocol": _PROTOCOL},
    f"{_API}admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    f"{_API}admissionregistration.v1.MutatingWebhook": {
        **_WEBHOOK,
        "reinvocationPolicy": ("Never", "IfNeeded"),
    },
    f"{_API}admissionregistration.v1.RuleWithOperations": {
        "operations": ("*", "CREATE", "UPDATE", "DELETE", "CONNECT"),
        "scope": ("*", "Cluster", "Namespaced"),
    },
    f"{_API}rbac.v1.RoleRef": {
        "kind": ("Role", "ClusterRole"),
        "apiGroup": ("rbac.authorization.k8s.io",),
    },
    f"{_API}rbac.v1.Subject": {"kind": ("ServiceAccount", "User", "Group")},
    f"{_API}storage.v1.StorageClass": {
        "reclaimPolicy": ("Delete", "Retain", "Recycle"),
        "volumeBindingMode": ("Immediate", "WaitForFirstConsumer"),
    },
    f"{_API}storage.v1.CSIDriverSpec": {
        "fsGroupPolicy": ("ReadWriteOnceWithFSType", "File", "None"),
        "volumeLifecycleModes": ("Persistent", "Ephemeral"),
    },
    f"{_API}policy.v1.PodDisruptionBudgetSpec": {
        "unhealthyPodEvictionPolicy": ("IfHealthyBudget", "AlwaysAllow")
    },
    f"{_API}scheduling.v1.PriorityClass": {"preemptionPolicy": ("Never", "PreemptLowerPriority")},
    f"{_API}autoscaling.v2.HPAScalingRules": {"selectPolicy": ("Max", "Min", "Disabled")},
    f"{_EXTENSIONS}CustomResourceDefinitionSpec": {"scope": ("Cluster", "Namespaced")},
    f"{_EXTENSIONS}CustomResourceConversion": {"strategy": ("None", "Webhook")},
    f"{_META}LabelSelectorRequirement": {"operator": ("In", "NotIn", "Exists", "DoesNotExist")},
}
TEXTS: Mapping[str, Mapping[str, Syntax]] = {
    f"{_API}core.v1.Container": {"name": syntax.LABEL},
    f"{_API}core.v1.Volume": {"name": syntax.LABEL},
    f"{_API}core.v1.EnvVar": {"name": syntax.VARIABLE},
    f"{_API}core.v1.ContainerPort": {"name": syntax.PORT_NAME},
    f"{_API}core.v1.ServicePort": {"name": syntax.LABEL},
    f"{_API}core.v1.PodSpec": {"serviceAccountName": syntax.SUBDOMAIN},
    f"{_API}core.v1.LocalObjectReference": {"name": syntax.SUBDOMAIN},
    f"{_META}ObjectMeta": {"namespace": syntax.LABEL},
}
KEYS: Mapping[str, Mapping[str, Syntax]] = {
    f"{_API}core.v1.ConfigMap": {"data": syntax.DATA_KEY, "binaryData": syntax.DATA_KEY},
    f"{_API}core.v1.Secret": {"data": syntax.DATA_KEY, "stringData": syntax.DATA_KEY},
    f"{_API}core.v1.PodSpec": {"nodeSelector": syntax.LABEL_KEY},
    f"{_API}core.v1.ServiceSpec": {"selector": syntax.LABEL_KEY},
    f"{_META}ObjectMeta": {"labels": syntax.LABEL_KEY, "annotations": syntax.ANNOTATION_KEY},
    f"{_META}LabelSelector": {"matchLabels": syntax.LABEL_KEY},
}
LABELS: Mapping[str, Mapping[str, Syntax]] = {
    f"{_API}core.v1.PodSpec": {"nodeSelector": syntax.LABEL_VALUE},
    f"{_API}core.v1.ServiceSpec": {"selector": syntax.LABEL_VALUE},
    f"{_META}ObjectMeta": {"labels": syntax.LABEL_VALUE},
    f"{_META}LabelSelector": {"matchLabels": syntax.LABEL_VALUE},
}
_MAX_PORT = 65_535
PORTS: Mapping[str, Mapping[str, int]] = {
    f"{_API}core.v1.ContainerPort": {"containerPort": _MAX_PORT, "hostPort": _MAX_PORT},
    f"{_API}core.v1.ServicePort": {"port": _MAX_PORT, "nodePort": _MAX_PORT},
    f"{_API}core.v1.GRPCAction": {"port": _MAX_PORT},
    f"{_API}admissionregistration.v1.ServiceReference": {"port": _MAX_PORT},
}
_REPLACED: Mapping[str, Mapping[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "type": ["string", "number", "null"],
        **syntax.QUANTITY.schema,
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer", "null"]},
}
_FORMATS: Mapping[str, Mapping[str, int]] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}


def sharpen(definitions: dict[str, Any]) -> None:
    """Put the tables into Kubernetes' definitions (name -> schema), in place."""
    for name, schema in _REPLACED.items():
        if name in definitions:
            definitions[name] = dict(schema)
    for definition in definitions.values():
        for field in definition.get("properties", {}).values():
            field.update(_FORMATS.get(field.get("format"), {}))
    for field, values, is_optional in _fields(definitions, ENUMS):
        item = _item(field)
        item["enum"] = [*values, None, *([""] if is_optional and item is field else [])]
    for field, rule, is_optional in _fields(definitions, TEXTS):
        field.update(rule.optional_schema if is_optional else rule.schema)
    for field, rule, _ in _fields(definitions, KEYS):
        field["propertyNames"] = rule.schema
    for field, rule, _ in _fields(definitions, LABELS):
        field["additionalProperties"] = {"type": ["string", "null"], **rule.schema}
    for field, most, is_optional in _fields(definitions, PORTS):
        field.update({"minimum": 0 if is_optional else 1, "maximum": most})


def _fields(
    definitions: dict[str, Any], table: Mapping[str, Mapping[str, _T]]
) -> Iterator[tuple[dict[str, Any], _T, bool]]:
    """Yield the schema of each field of a table that the definitions have, and its entry.

    Last comes whether the field may be left out: then its Go type's zero value
    ("" or 0) means that, and the API server fills in the default.
    """
    for name, wanted in table.items():
        definition = definitions.get(name, {})
        known = definition.get("properties", {})
        for field, what in wanted.items():
            if field in known:
                yield known[field], what, field not in definition.get("required", ())


def _item(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list's items, or the field's own where it is no list."""
    if "items" not in field:
        return field
    field["items"] = dict(field["items"])
    items: dict[str, Any] = field["items"]
    return items
