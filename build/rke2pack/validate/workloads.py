"""Whether the parts of a workload and of a Service fit together.

Rules of the API server that concern several fields at once, which no schema
can say (``pkg/apis/apps/validation``, ``pkg/apis/core/validation``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rke2pack.validate.issue import Problem, short
from rke2pack.validate.schemas import Kind
from rke2pack.validate.syntax import amount

_SELECTING = frozenset({"Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"})
_PATHS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "Pod"): (),
    ("", "ReplicationController"): ("spec", "template"),
    ("batch", "Job"): ("spec", "template"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    **{("apps", kind): ("spec", "template") for kind in _SELECTING},
}


def problems(kind: Kind, body: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    """Yield what does not fit together in an object; nothing for kinds without pods or ports."""
    if (kind.group, kind.kind) == ("", "Service"):
        yield from _service(_at(body, "spec"), subject)
    path = _PATHS.get((kind.group, kind.kind))
    if path is None:
        return
    template = _at(body, *path)
    if kind.kind in _SELECTING:
        yield from _selector(body, template, subject)
    spec = _at(template, "spec")
    claims = _mappings(_at(body, "spec").get("volumeClaimTemplates"))
    yield from _restart(kind, spec, subject)
    yield from _pod(spec, claims, subject)


def _selector(
    body: Mapping[str, Any], template: Mapping[str, Any], subject: str
) -> Iterator[Problem]:
    selector = _at(body, "spec", "selector")
    labels = _at(template, "metadata", "labels")
    wanted = _at(selector, "matchLabels")
    if not wanted and not _mappings(selector.get("matchExpressions")):
        yield _problem(subject, "a selector", "none, or an empty one")
    wrong = {key: value for key, value in wanted.items() if labels.get(key) != value}
    for key, value in wrong.items():
        got = f"{labels[key]!r}" if key in labels else "no such label"
        yield _problem(
            subject, f"template label {short(key)} to be {value!r}, as the selector wants", got
        )
    for expression in _mappings(selector.get("matchExpressions")):
        if not _holds(expression, labels):
            yield _problem(
                subject, "template labels that the selector matches", short(dict(expression))
            )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return True  # an operator that the schema refuses


def _restart(kind: Kind, spec: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    policy = spec.get("restartPolicy")
    if kind.kind in {"Job", "CronJob"}:
        allowed: tuple[object, ...] = ("OnFailure", "Never")
    elif kind.kind == "Pod":
        return
    else:
        allowed = ("Always", None)
    if policy not in allowed:
        words = " or ".join(str(word) for word in allowed if word)
        yield _problem(subject, f"restartPolicy {words}", short(policy))


def _pod(
    spec: Mapping[str, Any], claims: Iterable[Mapping[str, Any]], subject: str
) -> Iterator[Problem]:
    containers = [
        each for key in ("initContainers", "containers") for each in _mappings(spec.get(key))
    ]
    volumes = _mappings(spec.get("volumes"))
    yield from _unique("container", containers, subject)
    yield from _unique("volume", volumes, subject)
    known = {each.get("name") for each in volumes}
    known |= {_at(claim, "metadata").get("name") for claim in claims}
    for container in containers:
        name = short(container.get("name"))
        for mount in _mappings(container.get("volumeMounts")):
            if mount.get("name") not in known:
                expected = f"a volume for the mount of container {name}"
                yield _problem(subject, expected, f"no volume {short(mount.get('name'))}")
        paths = [mount.get("mountPath") for mount in _mappings(container.get("volumeMounts"))]
        for path, count in Counter(map(str, paths)).items():
            if count > 1:
                yield _problem(
                    subject, "each mountPath of a container once", f"{name}: {short(path)}"
                )
        yield from _container(container, subject, on_host=spec.get("hostNetwork") is True)


def _container(container: Mapping[str, Any], subject: str, *, on_host: bool) -> Iterator[Problem]:
    name = short(container.get("name"))
    ports = _mappings(container.get("ports"))
    yield from _unique(f"port of container {name}", ports, subject, is_optional=True)
    for port in ports:
        inside, outside = port.get("containerPort"), port.get("hostPort")
        if on_host and outside is not None and outside != inside:
            expected = f"hostPort {inside} of container {name}, which has the host's network"
            yield _problem(subject, expected, short(outside))
    limits = _at(container, "resources", "limits")
    for key, request in _at(container, "resources", "requests").items():
        most, least = amount(limits.get(key)), amount(request)
        if most is not None and least is not None and least > most:
            expected = f"container {name} to request no more {short(key)} than its limit"
            yield _problem(subject, expected, f"{request}, limit {limits[key]}")


def _service(spec: Mapping[str, Any], subject: str) -> Iterator[Problem]:
    ports = _mappings(spec.get("ports"))
    is_headless = spec.get("clusterIP") == "None"
    if not ports and spec.get("type") != "ExternalName" and not is_headless:
        yield _problem(subject, "a port", "none")
    if len(ports) > 1:
        yield from _unique("port", ports, subject)
        if any(not port.get("name") for port in ports):
            yield _problem(subject, "a name for each of several ports", "a port without a name")
    same = Counter((port.get("port"), port.get("protocol") or "TCP") for port in ports)
    for (number, protocol), count in same.items():
        if count > 1:
            yield _problem(subject, "each port once", f"{protocol} {number}")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield _problem(subject, "externalName", "none")


def _unique(
    what: str, items: Iterable[Mapping[str, Any]], subject: str, *, is_optional: bool = False
) -> Iterator[Problem]:
    names = Counter(str(item.get("name")) for item in items if item.get("name") or not is_optional)
    for name, count in names.items():
        if count > 1 and name != "None":
            yield _problem(subject, f"each {what} with a name of its own", f"{short(name)} twice")


def _at(node: object, *path: str) -> Mapping[str, Any]:
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _problem(subject: str, expected: str, got: str) -> Problem:
    return Problem(check="workload", subject=subject, expected=expected, got=got)
