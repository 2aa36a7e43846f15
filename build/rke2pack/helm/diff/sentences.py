"""Permissions regrouped into sentences that people read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rke2pack.helm.diff.permission import Grants, Permission

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Who:
    """What the permissions of one sentence share beside verbs and things."""

    subject: str
    scope: str
    via: tuple[str, ...]
    role: str


def sentences(grants: Grants, *, is_gain: bool) -> tuple[str, ...]:
    """Say the permissions in as few sentences as can be, sorted by subject.

    A permission given through no role is one of the subject itself: a role
    that no binding of the chart uses. Without a namespace the whole cluster
    is meant.
    """
    by_who: dict[_Who, list[Permission]] = defaultdict(list)
    for permission, via in grants.items():
        who = _Who(
            subject=permission.subject,
            scope=permission.scope,
            via=tuple(sorted(via)),
            role=permission.role,
        )
        by_who[who].append(permission)
    return tuple(
        _sentence(who, phrase, is_gain=is_gain)
        for who in sorted(by_who)
        for phrase in (("",) if who.role else _phrases(by_who[who]))
    )


def _sentence(who: _Who, phrase: str, *, is_gain: bool) -> str:
    may = "may now" if is_gain else "may no longer"
    where = f" in namespace {who.scope}" if who.scope else ""
    if who.role:
        return f"{who.subject} {may} do what {who.role} allows{where}"
    if not who.via:
        allows = "now allows" if is_gain else "no longer allows"
        return f"{who.subject}, which no binding of the chart uses, {allows}: {phrase}"
    return f"{who.subject} {may} {phrase}{where} through {' and '.join(who.via)}"


def _phrases(permissions: Iterable[Permission]) -> tuple[str, ...]:
    """Join verbs that meet on one thing, then things that share their verbs."""
    verbs: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for p in permissions:
        verbs[p.url, p.group, p.name, p.resource].add(p.verb)
    names: dict[tuple[str, str, str, tuple[str, ...]], set[str]] = defaultdict(set)
    for (url, group, name, resource), found in verbs.items():
        names[url, group, resource, _ordered(found)].add(name)
    urls: dict[tuple[str, ...], set[str]] = defaultdict(set)
    resources: dict[tuple[str, tuple[str, ...], tuple[str, ...]], set[str]] = defaultdict(set)
    for (url, group, resource, said), found in names.items():
        if url:
            urls[said].add(url)
        else:
            named = ("",) if "" in found else tuple(sorted(found))
            resources[group, named, said].add(resource)
    return (
        *(_resource_phrase(*key, resources[key]) for key in sorted(resources)),
        *(f"{_verbs(said)} the URL {', '.join(sorted(urls[said]))}" for said in sorted(urls)),
    )


def _resource_phrase(
    group: str, names: tuple[str, ...], verbs: tuple[str, ...], resources: set[str]
) -> str:
    listed = "everything" if resources == {"*"} else ", ".join(sorted(resources))
    where = {"": "core", "*": "every API group"}.get(group, group)
    named = f" named {', '.join(names)}" if names != ("",) else ""
    return f"{_verbs(verbs)} {listed} ({where}){named}"


def _verbs(verbs: tuple[str, ...]) -> str:
    return "do everything with" if verbs == ("*",) else ", ".join(verbs)


def _ordered(verbs: Iterable[str]) -> tuple[str, ...]:
    rank = {verb: position for position, verb in enumerate(_VERBS)}
    return tuple(sorted(verbs, key=lambda verb: (rank.get(verb, len(_VERBS)), verb)))
