"""Permission: one verb on one thing, given to one subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Permission:
    """One verb on one thing; ``scope`` is a namespace, or empty for the whole cluster.

    ``url`` is set for non-resource URLs, ``role`` where a binding refers to a
    role outside the chart: then the permission is whatever that role allows.
    ``name`` is empty where every object of the resource is meant.
    """

    subject: str
    scope: str
    group: str = ""
    resource: str = ""
    name: str = ""
    verb: str = ""
    url: str = ""
    role: str = ""


Grants: TypeAlias = Mapping[Permission, frozenset[str]]
"""Permissions with the roles through which each is given."""


def is_covered(permission: Permission, grants: Grants) -> bool:
    """Whether ``grants`` allow this much, by the same permission or by a wider one."""
    p = permission
    scopes = {p.scope, ""}
    if p.role:
        return any(replace(p, scope=scope) in grants for scope in scopes)
    if p.url:
        return any(
            Permission(subject=p.subject, scope=scope, url=url, verb=verb) in grants
            for scope, url, verb in product(scopes, _wider_urls(p.url), {p.verb, "*"})
        )
    resources = {p.resource, "*", *([f"*/{p.resource.partition('/')[2]}"] * ("/" in p.resource))}
    wider = product(scopes, {p.group, "*"}, resources, {p.name, ""}, {p.verb, "*"})
    return any(
        Permission(subject=p.subject, scope=s, group=g, resource=r, name=n, verb=v) in grants
        for s, g, r, n, v in wider
    )


def _wider_urls(url: str) -> set[str]:
    parts = url.split("/")
    return {url, "*", *("/".join([*parts[:i], "*"]) for i in range(1, len(parts)))}
