"""The step from an older chart version to the bundled one, as ``helm upgrade`` would take it.

The API server refuses changes of immutable fields (``Validate*Update`` of
``pkg/apis/*/validation``); Helm deletes definitions that left the chart, and
with them every resource; an object that became a hook is no longer the release's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rke2pack.helm.diff.crds import compare_crds
from rke2pack.helm.diff.objects import KubeObject, ObjectKey, objects_of
from rke2pack.helm.diff.plain import is_same
from rke2pack.helm.render import RenderedObject
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.names import HOOK, words
from rke2pack.validate.schemas import Kind

Fields = tuple[tuple[str, ...], ...]
_SELECTOR: Fields = (("spec", "selector"),)
_STATEFUL_MUTABLE = frozenset(
    {
        *("replicas", "template", "updateStrategy", "minReadySeconds", "ordinals"),
        *("persistentVolumeClaimRetentionPolicy", "revisionHistoryLimit"),
    }
)
_CLAIM_MUTABLE = frozenset({"resources", "volumeAttributesClassName", "volumeName"})
_JOB = ("selector", "template", "completionMode", "completions", "podFailurePolicy")
IMMUTABLE: Mapping[tuple[str, str], Fields] = {
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("batch", "Job"): tuple(("spec", name) for name in _JOB),
    ("storage.k8s.io", "StorageClass"): (
        *(("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    ),
    ("storage.k8s.io", "CSIDriver"): (("spec", "attachRequired"), ("spec", "volumeLifecycleModes")),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("networking.k8s.io", "IngressClass"): (("spec", "controller"),),
    ("node.k8s.io", "RuntimeClass"): (("handler",),),
    ("scheduling.k8s.io", "PriorityClass"): (("value",), ("preemptionPolicy",)),
    ("discovery.k8s.io", "EndpointSlice"): (("addressType",),),
    ("", "Secret"): (("type",),),
}
_FIXED_FACTS = frozenset({"group", "scope"})  # of a definition, for as long as it exists
_SHOWN = 3
_DEFAULTS: Mapping[tuple[str, ...], object] = {
    ("reclaimPolicy",): "Delete",
    ("volumeBindingMode",): "Immediate",
    ("type",): "Opaque",
    ("preemptionPolicy",): "PreemptLowerPriority",
    ("spec", "attachRequired"): True,
    ("spec", "volumeLifecycleModes"): ["Persistent"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What both versions render; ``old`` and ``new`` are the chart versions."""

    old: str
    new: str
    before: tuple[RenderedObject, ...]
    after: tuple[RenderedObject, ...]


def problems(sides: Sides, *, defined: Collection[str], used: Collection[str]) -> Iterator[Problem]:
    """Yield what the step breaks.

    ``defined`` are the ``group/Kind`` that any bundled chart defines now,
    ``used`` those of which any bundled chart makes a resource.
    """
    before = {each.key: each for each in objects_of(sides.before)}
    after = {each.key: each for each in objects_of(sides.after)}
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            continue
        yield from _hook_change(key, old, new)
        if not _hooks(old) and not _hooks(new):  # Helm makes hooks anew and never changes one
            yield from _immutable(key, old, new)
    yield from _definitions(sides, defined, used)


def _immutable(key: ObjectKey, old: KubeObject, new: KubeObject) -> Iterator[Problem]:
    group = Kind.of(new.body).group
    fields = IMMUTABLE.get((group, key.kind), ())
    changed = [path for path in fields if not is_same(_get(old, path), _get(new, path))]
    special = _SPECIAL.get((group, key.kind))
    changed += special(old, new) if special else ()
    for path in changed:
        yield Problem(
            check="upgrade",
            subject=str(key).replace(" ", "/", 1),
            expected="no change of an immutable field",
            got=short(f"{'.'.join(path)}: {_shown(old, path)} -> {_shown(new, path)}"),
        )


def _stateful(old: KubeObject, new: KubeObject) -> list[tuple[str, ...]]:
    return _spec_but(old, new, _STATEFUL_MUTABLE)


def _claim(old: KubeObject, new: KubeObject) -> list[tuple[str, ...]]:
    return _spec_but(old, new, _CLAIM_MUTABLE)


def _spec_but(old: KubeObject, new: KubeObject, mutable: Collection[str]) -> list[tuple[str, ...]]:
    keys = {*_mapping(_get(old, ("spec",))), *_mapping(_get(new, ("spec",)))}
    paths = [("spec", key) for key in sorted(keys) if key not in mutable]
    return [path for path in paths if not is_same(_get(old, path), _get(new, path))]


def _service(old: KubeObject, new: KubeObject) -> list[tuple[str, ...]]:
    """Compare the cluster IP, which stays for life; one that is not set is the cluster's own."""
    path = ("spec", "clusterIP")
    was, now = _get(old, path), _get(new, path)
    is_external = "ExternalName" in (_get(old, ("spec", "type")), _get(new, ("spec", "type")))
    is_moved = not is_same(was, now) and (now not in (None, "") or was == "None")
    return [path] if is_moved and not is_external else []


def _frozen_data(old: KubeObject, new: KubeObject) -> list[tuple[str, ...]]:
    """Compare the data that ``immutable: true`` of a ConfigMap or Secret freezes."""
    if _get(old, ("immutable",)) is not True:
        return []
    paths = [("data",), ("stringData",), ("binaryData",), ("immutable",)]
    return [path for path in paths if not is_same(_get(old, path), _get(new, path))]


_SPECIAL: Mapping[tuple[str, str], Callable[[KubeObject, KubeObject], list[tuple[str, ...]]]] = {
    ("apps", "StatefulSet"): _stateful,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "ConfigMap"): _frozen_data,
    ("", "Secret"): _frozen_data,
}


def _hook_change(key: ObjectKey, old: KubeObject, new: KubeObject) -> Iterator[Problem]:
    was, now = bool(_hooks(old)), bool(_hooks(new))
    if was != now:
        became = "became a hook, Helm forgets it" if now else "was a hook, Helm does not own it"
        yield Problem(
            check="upgrade",
            subject=str(key).replace(" ", "/", 1),
            expected="an object that stays a hook or stays none",
            got=became,
            severity="warning",
        )


def _hooks(item: KubeObject) -> tuple[str, ...]:
    return words(_mapping(_get(item, ("metadata", "annotations"))).get(HOOK))


def _definitions(
    sides: Sides, defined: Collection[str], used: Collection[str]
) -> Iterator[Problem]:
    diff = compare_crds(sides.before, sides.after)
    kinds = {each.name: _defined_kind(each) for each in sides.before if each.is_crd}
    for name in diff.removed:
        kind = kinds.get(name, "")
        if kind in defined:
            continue
        reason = (
            "no bundled chart has it any more, one still makes resources of it"
            if kind in used
            else "no bundled chart has it any more; users' resources go with it"
        )
        yield Problem(
            check="upgrade",
            subject=f"CustomResourceDefinition/{name}",
            expected=f"the definition that {sides.old} had",
            got=reason,
            severity="error" if kind in used else "warning",
        )
    for change in diff.changed:
        facts = [fact for fact in change.facts if fact.is_breaking]
        if facts:
            more = f" and {len(facts) - _SHOWN} more" if len(facts) > _SHOWN else ""
            is_refused = any(fact.change in _FIXED_FACTS for fact in facts)
            yield Problem(
                check="upgrade",
                subject=f"CustomResourceDefinition/{change.name}",
                expected="every resource that was valid to stay so",
                got=short(f"{'; '.join(map(str, facts[:_SHOWN]))}{more}"),
                severity="error" if is_refused else "warning",
            )


def _defined_kind(document: RenderedObject) -> str:
    spec = _mapping(document.body.get("spec"))
    return f"{spec.get('group')}/{_mapping(spec.get('names')).get('kind')}"


def _get(item: KubeObject, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any field
    node: object = item.body
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return _DEFAULTS.get(path) if node is None else node


def _shown(item: KubeObject, path: tuple[str, ...]) -> str:
    """Show a field's value, but nothing that a Secret holds."""
    if item.key.kind == "Secret" and path != ("type",):
        return "(hidden)"
    return short(_get(item, path))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
