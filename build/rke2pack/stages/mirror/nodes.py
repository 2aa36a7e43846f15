"""Nodes: ``registries.yaml``, with which RKE2's nodes find the images at the mirror.

Source: RKE2's and k3s's documentation, "Containerd Registry Configuration".
Rewrites are a mapping without order, so that no image may fit two of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rke2pack.oci.mirror.names import Rule, Rules
from rke2pack.oci.reference import Reference

_HEAD = """\
# /etc/rancher/rke2/registries.yaml: nodes look for images at {target} first.
# Written by 'rke2pack mirror'; restart rke2-server or rke2-agent after a change.
mirrors:
"""
_CONFIGS = """\
# Where the registry has a private CA or asks who you are, on each node (mode 0600):
#configs:
#  "{host}":
#    tls:
#      ca_file: /etc/rancher/rke2/registry-ca.crt
#    auth:
#      username: ...
#      password: ...
"""


def registries_yaml(rules: Rules, references: Iterable[Reference], *, address: str) -> str:
    """Return the configuration for the registries of ``references``.

    ``address`` is where nodes reach the target. The same images give the same
    text, in any order; it holds no secret.
    """
    repositories: dict[str, set[str]] = {}
    for reference in references:
        repositories.setdefault(reference.registry, set()).add(reference.repository)
    text = _HEAD.format(target=rules)
    for registry in sorted(repositories):
        text += f'  "{registry}":\n    endpoint:\n      - "{address}"\n'
        rewrites = _rewrites(rules, registry, repositories[registry])
        text += "    rewrite:\n" if rewrites else ""
        text += "".join(f"      '{old}': '{rewrites[old]}'\n" for old in sorted(rewrites))
    return text + _CONFIGS.format(host=rules.host)


def _rewrites(rules: Rules, registry: str, repositories: Iterable[str]) -> Mapping[str, str]:
    """Return pattern -> replacement; a repository each where patterns would overlap."""
    own = [rule for rule in rules.rules if rule.registry in {"", registry}]
    if not own:
        return {"^(.*)$": f"{rules.prefix}$1"} if rules.prefix else {}
    pairs = [(a, b) for number, a in enumerate(own) for b in own[:number]]
    if not rules.prefix and not any(a.overlaps(b) for a, b in pairs):
        return dict(map(_pattern, own))
    targets = {name: _target(rules, registry, name) for name in repositories}
    return {f"^{re.escape(old)}$": new for old, new in targets.items() if new != old}


def _pattern(rule: Rule) -> tuple[str, str]:
    old = re.escape(rule.old)
    return (f"^{old}(.*)$", f"{rule.new}$1") if rule.is_path else (f"^{old}$", rule.new)


def _target(rules: Rules, registry: str, repository: str) -> str:
    return rules.target(Reference(registry=registry, repository=repository)).repository
