"""Fields that differ on every render: certificates, passwords and what is made from them.

A chart whose templates use such a function is rendered a second time; what
differs between the two renders is replaced by a fixed word on both sides of a
comparison. For the second render the clock of the templates is moved, because
two renders within one second would agree on the time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rke2pack.digest import Digest
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff.objects import KubeObject, ObjectKey, Objects, objects_of
from rke2pack.helm.diff.plain import Plain, is_same
from rke2pack.helm.render import RenderedObject, Renderer, render

GENERATED = "(differs on every render)"

_ACTION = re.compile(r"\{\{-?+\s*+(?!/\*)(.*?)\}\}", re.DOTALL)
_UNSTABLE = re.compile(
    r"\b(?:ago|bcrypt|encryptAES|genCA\w*|genPrivateKey|genSelfSignedCert\w*|genSignedCert\w*"
    r"|htpasswd|keys|now|rand[A-Z]\w*|shuffle|uuidv4|values)\b"
)
_LITERAL_OR_NOW = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|(?<![\w.$-])now(?![\w-])')
_PEM_OR_LINE_END = re.compile(
    r"(-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----|\n)", re.DOTALL
)
_LATER = '(now | dateModify "27193h")'


def render_stable(
    renderer: Renderer, chart: Chart, values: Mapping[str, Any], *, kube_version: str
) -> tuple[tuple[RenderedObject, ...], Objects]:
    """Render a chart; return its documents and its objects without generated content.

    ``renderer`` must really render on each call: one that answers from a cache
    hides what is generated. Raises ValidationError like `render`.
    """
    documents = render(renderer, chart, values, kube_version=kube_version)
    objects = objects_of(documents)
    if not is_unstable(chart):
        return documents, objects
    again = render(renderer, with_later_clock(chart), values, kube_version=kube_version)
    return documents, _stabilized(objects, objects_of(again))


def is_unstable(chart: Chart) -> bool:
    """Whether a template calls a function whose result differs from render to render.

    Also true where a subchart is packed, because its templates are not read.
    """
    return any(
        (path.startswith("charts/") and path.endswith(".tgz"))
        or (_is_evaluated(path) and _calls_unstable(data.decode(errors="replace")))
        for path, data in chart.files.items()
    )


def with_later_clock(chart: Chart) -> Chart:
    """Return the chart with templates whose ``now`` lies three years ahead."""
    files = {
        path: _ACTION.sub(_moved, data.decode(errors="surrogateescape")).encode(
            errors="surrogateescape"
        )
        if _is_evaluated(path) and b"now" in data
        else data
        for path, data in chart.files.items()
    }
    if files == chart.files:
        return chart
    data = archive.pack(archive.Member(f"{chart.name}/{path}", files[path]) for path in files)
    return replace(chart, data=data, digest=Digest.of(data), files=files)


def _is_evaluated(path: str) -> bool:
    return "templates/" in path or path.rpartition("/")[2] == "values.yaml"


def _calls_unstable(text: str) -> bool:
    return bool(_UNSTABLE.search(text)) and any(
        _UNSTABLE.search(action) for action in _ACTION.findall(text)
    )


def _moved(action: re.Match[str]) -> str:
    return _LITERAL_OR_NOW.sub(lambda m: _LATER if m[0] == "now" else m[0], action[0])


def _stabilized(first: Objects, second: Objects) -> Objects:
    """Pair the objects of two renders: by identity, then in order within their kind."""
    unpaired = list(second)
    pairs: dict[int, KubeObject] = {}
    for is_match in (_has_same_key, _has_same_kind):
        for index, item in enumerate(first):
            if index in pairs:
                continue
            found = next((i for i, other in enumerate(unpaired) if is_match(item, other)), None)
            if found is not None:
                pairs[index] = unpaired.pop(found)
    return tuple(
        _stable_object(item, pairs[index]) if index in pairs else item
        for index, item in enumerate(first)
    )


def _has_same_key(left: KubeObject, right: KubeObject) -> bool:
    return left.key == right.key


def _has_same_kind(left: KubeObject, right: KubeObject) -> bool:
    return (left.key.kind, left.key.namespace) == (right.key.kind, right.key.namespace)


def _stable_object(first: KubeObject, second: KubeObject) -> KubeObject:
    key = ObjectKey(
        kind=first.key.kind,
        namespace=first.key.namespace,
        name=_stable_name(first.key.name, second.key.name),
    )
    body = stable(dict(first.body), dict(second.body))
    return KubeObject(key=key, body=body if isinstance(body, dict) else first.body)


def stable(first: Plain, second: Plain) -> Plain:
    """Return ``first`` with the word GENERATED wherever ``second`` differs."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {
            key: stable(first[key], second[key]) if key in first and key in second else GENERATED
            for key in {**first, **second}
        }
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        return [stable(left, right) for left, right in zip(first, second, strict=True)]
    if is_same(first, second):
        return first
    if isinstance(first, str) and isinstance(second, str):
        return _stable_text(_PEM_OR_LINE_END.split(first), _PEM_OR_LINE_END.split(second))
    return GENERATED


def _stable_text(first: Sequence[str], second: Sequence[str]) -> str:
    """Replace the lines that differ, so that a real change beside them is still seen."""
    if len(first) != len(second):
        return GENERATED
    return "".join(a if a == b else GENERATED for a, b in zip(first, second, strict=True))


def _stable_name(first: str, second: str) -> str:
    """Return the parts of two names that agree, ``*`` for the others."""
    left, right = first.split("-"), second.split("-")
    if len(left) != len(right):
        return first
    return "-".join(a if a == b else "*" for a, b in zip(left, right, strict=True))
