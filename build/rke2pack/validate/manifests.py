"""Whether the HelmChart manifest that a release would bundle holds the chart that was reviewed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack import files, safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import PackError
from rke2pack.files import Cache
from rke2pack.helm import archive, manifest
from rke2pack.helm.chart import Chart
from rke2pack.helm.manifest import ChartReference
from rke2pack.validate.code import code_digest
from rke2pack.validate.issue import Problem, short


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The manifest that was built: its digest (empty where it cannot be), and what is wrong."""

    digest: str
    problems: tuple[Problem, ...]


def check(
    chart: Chart,
    reference: ChartReference | None,
    cache: Cache,
    *,
    kube_version: str,
    spec: Mapping[str, Any],
) -> Made:
    """Build the manifest, decode it, and compare both with the chart.

    ``spec`` are the keys that the release line sets on every chart. The result
    is kept by all of that.
    """
    if reference is None:
        return _refused("the manifest in reference form", "none, or one that says removed")
    if reference.version != chart.version or reference.digest != chart.digest:
        got = f"{reference.version} {reference.digest}"
        return _refused(f"a manifest for {chart.version} {chart.digest}", got)
    bound = reference.with_spec({**spec, **reference.spec})
    inputs = [code_digest(), str(chart.digest), str(bound), dict(bound.spec), kube_version]
    name = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    key = f"validate/manifests/{name}.json"
    kept = _parse(cache.get(key))
    if kept is not None:
        return kept
    made = _made(chart, bound, kube_version=kube_version)
    text = {"digest": made.digest, "problems": [each.to_json() for each in made.problems]}
    cache.put(key, json.dumps(text).encode())
    return made


def _made(chart: Chart, reference: ChartReference, *, kube_version: str) -> Made:
    try:
        text = manifest.with_content(chart, reference, kube_version=kube_version)
    except PackError as exc:
        return _refused("a manifest that can be built", exc.message)
    found = tuple(decoded(text, chart, kube_version=kube_version))
    return Made(digest=str(Digest.of(text.encode())), problems=found)


def _parse(data: bytes | None) -> Made | None:
    if data is None:
        return None
    try:
        item = json.loads(data)
        found = tuple(Problem.from_json(each) for each in item["problems"])
        return Made(digest=str(item["digest"]), problems=found)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def stale(made: Made, built: Path) -> Iterator[Problem]:
    """Yield a problem where ``rke2pack charts`` wrote another manifest than this to ``built``."""
    if made.digest and built.is_file() and made.digest != str(Digest.of(_bytes(built))):
        yield Problem(
            check="manifest",
            subject="HelmChart",
            expected=f"{built.name} in dist/charts as 'rke2pack charts' builds it now",
            got="another one",
            severity="warning",
        )


def _bytes(path: Path) -> bytes:
    with files.reported("read", path):
        return path.read_bytes()


def _refused(expected: str, got: str) -> Made:
    return Made(digest="", problems=(_problem(expected, got),))


def decoded(text: str, chart: Chart, *, kube_version: str) -> Iterator[Problem]:
    """Yield where a manifest in content form differs from the chart it is to hold."""
    try:
        document = safeyaml.load(text, what=chart.name, scalars=False)
        content = document["spec"]["chartContent"]
        name = document["metadata"]["name"]
        data = base64.b64decode(content, validate=True)
        members = archive.unpack(data, what=chart.name)
    except (PackError, KeyError, TypeError, binascii.Error) as exc:
        yield _problem("a HelmChart with chartContent", str(exc))
        return
    if name != chart.name:
        yield _problem(f"the name {chart.name}", str(name))
    prefix = f"{chart.name}/"
    held = {member.path.removeprefix(prefix): member.data for member in members}
    own = dict(chart.files)
    for path in sorted({*held, *own} - {"Chart.yaml"}):
        if held.get(path) != own.get(path):
            yield _problem("the chart's own files", f"{path} differs")
    altered = held.get("Chart.yaml", b"").decode(errors="replace")
    yield from _altered(altered, chart, kube_version)


def _altered(text: str, chart: Chart, kube_version: str) -> Iterator[Problem]:
    """Chart.yaml is bound to the release and otherwise says what the chart's own says."""
    expected = {
        **chart.text_metadata,
        "annotations": {**chart.annotations, manifest.BUNDLE_ANNOTATION: "rke2"},
        "kubeVersion": f">= {kube_version}",
    }
    try:
        found = safeyaml.load(text, what=f"{chart.name}: Chart.yaml", scalars=False)
    except PackError as exc:
        found = exc.message
    if found != expected:
        keys = expected.keys() if not isinstance(found, dict) else {*found, *expected}
        wrong = [
            k
            for k in sorted(keys)
            if not isinstance(found, dict) or found.get(k) != expected.get(k)
        ]
        yield _problem("Chart.yaml bound to the release", f"other {', '.join(map(str, wrong))}")


def _problem(expected: str, got: str) -> Problem:
    return Problem(check="manifest", subject="HelmChart", expected=expected, got=short(got))
