"""Names of objects, and what metadata may hold (``pkg/apis/core/validation``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rke2pack.validate import syntax
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.schemas import Kind
from rke2pack.validate.syntax import Syntax

MAX_ANNOTATIONS = 256 * 1024
MAX_DATA = 1024 * 1024
_RBAC = "rbac.authorization.k8s.io"
_RULES: Mapping[tuple[str, str], Syntax] = {
    ("", "Service"): syntax.SERVICE_NAME,
    ("", "Namespace"): syntax.LABEL,
    **{
        (_RBAC, kind): syntax.PATH_SEGMENT
        for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
    },
    ("apiregistration.k8s.io", "APIService"): syntax.SUBDOMAIN,
}
HOOKS = frozenset(
    {
        *("pre-install", "post-install", "pre-delete", "post-delete", "pre-upgrade"),
        *("post-upgrade", "pre-rollback", "post-rollback", "test", "test-success"),
        "crd-install",
    }
)
HOOK = "helm.sh/hook"
POLICY = "helm.sh/hook-delete-policy"
_POLICIES = frozenset({"before-hook-creation", "hook-succeeded", "hook-failed"})


def problems(kind: Kind, body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    """Yield what is wrong with the name, annotations and size of an object."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        yield _problem(subject, "metadata", "none")
        return
    rule = _RULES.get((kind.group, kind.kind), syntax.SUBDOMAIN)
    name = metadata.get("name")
    is_generated = name is None and "generateName" in metadata
    if not is_generated and not (isinstance(name, str) and rule.allows(name)):
        yield _problem(subject, f"a name that is {rule.title}", short(repr(name)))
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        yield from _annotations(annotations, subject)
    yield from _size(kind, body, subject)


def _annotations(annotations: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    size = sum(len(str(key).encode()) + len(str(v).encode()) for key, v in annotations.items())
    if size > MAX_ANNOTATIONS:
        yield _problem(subject, f"at most {MAX_ANNOTATIONS} bytes of annotations", f"{size} bytes")
    for key, known in ((HOOK, HOOKS), (POLICY, _POLICIES)):
        for word in words(annotations.get(key)):
            if word not in known:
                yield _problem(subject, f"a word that Helm knows in {key}", short(word))


def words(value: object) -> tuple[str, ...]:
    """Return the words of an annotation that Helm splits at commas."""
    text = value if isinstance(value, str) else ""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _size(kind: Kind, body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    if kind.group or kind.kind not in {"ConfigMap", "Secret"}:
        return
    size = 0
    for key in ("data", "stringData", "binaryData"):
        data = body.get(key)
        if isinstance(data, dict):
            size += sum(len(str(value).encode()) for value in data.values())
    if size > MAX_DATA:
        yield _problem(subject, f"at most {MAX_DATA} bytes of data", f"{size} bytes")


def _problem(subject: str, expected: str, got: str) -> Problem:
    return Problem(check="value", subject=subject, expected=expected, got=got)
