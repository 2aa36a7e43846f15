"""Who may do what: RBAC objects taken apart into single permissions and compared.

A permission is (subject, scope, API group, resource, resource name, verb); what
a wildcard on the other side already allows is neither gained nor lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

from rke2pack.helm.diff.objects import KubeObject, ObjectKey, Objects
from rke2pack.helm.diff.permission import Grants, Permission, is_covered
from rke2pack.helm.diff.plain import Plain, mapping, mappings, texts
from rke2pack.helm.diff.sentences import sentences
from rke2pack.helm.render import NAMESPACE

_ROLE_KINDS = frozenset({"ClusterRole", "Role"})
_Rules: TypeAlias = Mapping[ObjectKey, tuple[dict[str, Plain], ...]]
_BINDING_KINDS = frozenset({"ClusterRoleBinding", "RoleBinding"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RbacDiff:
    """What subjects may do now and could not before, and the reverse, in words."""

    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everybody may do what they could before."""
        return not (self.gained or self.lost)

    def to_json(self) -> dict[str, Plain]:
        """Return gained and lost."""
        return {"gained": list(self.gained), "lost": list(self.lost)}

    def lines(self) -> Iterator[str]:
        """Yield one line a sentence."""
        yield from (f"rbac: {sentence}" for sentence in (*self.gained, *self.lost))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rbac:
    """The permissions of one render: per bound subject, and per role as such."""

    bound: Grants
    roles: Grants
    unbound: frozenset[str] = field(default_factory=frozenset)


def compare_rbac(old: Objects, new: Objects) -> RbacDiff:
    """Compare what the RBAC objects of two renders allow.

    Roles that no binding of the chart uses are compared by themselves and
    named as such.
    """
    before, after = _rbac(old), _rbac(new)
    return RbacDiff(
        gained=(
            *sentences(_only_in(after.bound, before.bound), is_gain=True),
            *sentences(_unbound_only_in(after, before), is_gain=True),
        ),
        lost=(
            *sentences(_only_in(before.bound, after.bound), is_gain=False),
            *sentences(_unbound_only_in(before, after), is_gain=False),
        ),
    )


def _only_in(grants: Grants, other: Grants) -> dict[Permission, frozenset[str]]:
    return {p: roles for p, roles in grants.items() if not is_covered(p, other)}


def _unbound_only_in(side: _Rbac, other: _Rbac) -> dict[Permission, frozenset[str]]:
    unbound = {p: roles for p, roles in side.roles.items() if p.subject in side.unbound}
    return {p: frozenset[str]() for p in _only_in(unbound, other.roles)}


def _rbac(objects: Objects) -> _Rbac:
    roles = {o.key: o for o in objects if o.key.kind in _ROLE_KINDS}
    rules = {key: _rules(role, roles.values()) for key, role in roles.items()}
    bound: dict[Permission, set[str]] = defaultdict(set)
    used: set[ObjectKey] = set()
    for binding in (o for o in objects if o.key.kind in _BINDING_KINDS):
        reference = mapping(binding.body.get("roleRef"))
        kind = str(reference.get("kind") or "")
        scope = binding.key.namespace
        key = ObjectKey(
            kind=kind,
            namespace=scope if kind == "Role" else "",
            name=str(reference.get("name") or ""),
        )
        used.add(key)
        for subject in mappings(binding.body.get("subjects")):
            for permission in _granted(_subject(subject, scope), scope, key, rules):
                bound[permission].add(f"{key.kind} {key.name}")
    own = {p for key in rules for p in _granted(_role_name(key), key.namespace, key, rules)}
    return _Rbac(
        bound={p: frozenset(via) for p, via in bound.items()},
        roles={p: frozenset() for p in own},
        unbound=frozenset(_role_name(key) for key in rules if key not in used),
    )


def _granted(
    subject: str,
    scope: str,
    key: ObjectKey,
    rules: _Rules,
) -> Iterator[Permission]:
    if key not in rules:
        yield Permission(subject=subject, scope=scope, role=f"{key.kind} {key.name}")
        return
    for rule in rules[key]:
        verbs = texts(rule.get("verbs"))
        for url, verb in product(texts(rule.get("nonResourceURLs")), verbs):
            yield Permission(subject=subject, scope=scope, url=url, verb=verb)
        things = product(
            texts(rule.get("apiGroups")),
            texts(rule.get("resources")),
            texts(rule.get("resourceNames")) or ("",),
            verbs,
        )
        for group, resource, name, verb in things:
            yield Permission(
                subject=subject, scope=scope, group=group, resource=resource, name=name, verb=verb
            )


def _rules(role: KubeObject, roles: Iterable[KubeObject]) -> tuple[dict[str, Plain], ...]:
    """Return a role's rules; an aggregated one has those of the roles that it selects."""
    own = mappings(role.body.get("rules"))
    aggregation = mapping(role.body.get("aggregationRule"))
    wanted = [
        mapping(s.get("matchLabels")) for s in mappings(aggregation.get("clusterRoleSelectors"))
    ]
    return own + tuple(
        rule
        for other in roles
        if other is not role and any(w and w.items() <= _labels(other).items() for w in wanted)
        for rule in mappings(other.body.get("rules"))
    )


def _labels(item: KubeObject) -> dict[str, str]:
    labels = mapping(mapping(item.body.get("metadata")).get("labels"))
    return {key: str(value) for key, value in labels.items()}


def _subject(subject: Mapping[str, Plain], scope: str) -> str:
    kind, name = str(subject.get("kind") or "subject"), str(subject.get("name") or "")
    if kind != "ServiceAccount":
        return f"{kind} {name}"
    return f"{kind} {subject.get('namespace') or scope or NAMESPACE}/{name}"


def _role_name(key: ObjectKey) -> str:
    return str(key)
