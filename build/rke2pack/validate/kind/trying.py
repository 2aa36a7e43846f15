"""One chart with one set of values in a cluster: installed, upgraded, removed."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rke2pack import files, safeyaml, wording
from rke2pack.errors import PackError
from rke2pack.helm.chart import Chart
from rke2pack.kube import Cluster, Named
from rke2pack.validate.issue import Problem
from rke2pack.validate.kind import pods
from rke2pack.validate.kind.checks import problem
from rke2pack.validate.kind.expect import Expectation
from rke2pack.validate.kind.release import NAMESPACE, Helm

_STUCK_LOOKS: Final = 20
_REMOVED_WITHIN: Final = 30.0
_LOG_BYTES: Final = 1024 * 1024
_WORKLOADS: Final = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
}
_NAME: Final = re.compile(r"^  name: ['\"]?([a-z0-9.-]+)['\"]?\s*$", re.MULTILINE)
_PAUSE: Final = 1.0
# What the cluster itself makes and removes while charts come and go.
_CLUSTERS_OWN: Final = frozenset(
    {"Event", "Lease", "EndpointSlice", "Endpoints", "Node", "CSINode", "ControllerRevision"}
)

Verdict = tuple[str, str, tuple[Problem, ...]]
"""A check, what it was made on, and what is wrong."""


@dataclass(kw_only=True)
class Trying:
    """A chart, its values, and the cluster; what a failure needs goes to ``folder``.

    ``is_stopped`` says that nobody waits for the rest any more, ``patience`` (seconds) how long
    a look at pods lasts at most; it ends where none of them gets any further.
    """

    chart: Chart
    older: Chart | None
    values: Mapping[str, Any]
    expectation: Expectation
    helm: Helm
    cluster: Cluster
    imported: frozenset[str]
    folder: Path
    is_stopped: Callable[[], bool]
    patience: float
    before: frozenset[Named] = field(init=False, default=frozenset())

    def run(self) -> Iterator[Verdict]:
        """Yield every check as it is made; raises ToolError where the cluster does not answer."""
        if self.expectation.reaches == "accepted":
            yield "install", "a dry run", tuple(self._refused())
            return
        self.before = self.cluster.objects()
        yield from self._installed()
        if self.older is not None and not self.is_stopped():
            yield from self._upgraded(self.older)

    def _installed(self) -> Iterator[Verdict]:
        said = self._install(self.chart)
        yield self._verdict("install", said)
        if not said:
            yield from self._looked()
        yield self._removed()

    def _upgraded(self, older: Chart) -> Iterator[Verdict]:
        has_hooks = self.expectation.has_hooks
        step = f"{older.version} to {self.chart.version}"
        said = self._install(older)
        found: tuple[Problem, ...] = ()
        if said:
            found = (problem("upgrade", older.version, "to be installed first", said),)
        else:
            self._wait()
            said = self.helm.upgrade(self.chart, self.values, has_hooks=has_hooks)
            found = (problem("upgrade", step, "the API server to take it", said),) if said else ()
        yield "upgrade", step, found
        if not found:
            yield from self._looked()
        yield self._removed()

    def _install(self, chart: Chart) -> str:
        return self.helm.install(chart, self.values, has_hooks=self.expectation.has_hooks)

    def _refused(self) -> Iterator[Problem]:
        """Ask the API server about every object; one in a namespace of the chart's own as here."""
        said, text = self.helm.manifest(self.chart, self.values)
        if said:
            yield problem("install", "", "the API server to take it", said)
        loaded = safeyaml.load_all(text, what=f"{self.chart.name} {self.chart.version}")
        documents = [each for each in loaded if isinstance(each, dict)]
        own = {each["metadata"]["name"] for each in documents if each.get("kind") == "Namespace"}
        for document in documents:
            metadata = dict(document["metadata"])
            if metadata.get("namespace") in own:
                metadata["namespace"] = NAMESPACE
            asked = {**document, "metadata": metadata}
            refusal = self.cluster.refusal(asked, namespace=NAMESPACE)
            if refusal:
                name = f"{document['kind']}/{metadata['name']}"
                yield problem("install", name, "the API server to take it", refusal)

    def _verdict(self, check: str, said: str) -> Verdict:
        if not said:
            return check, "", ()
        self._keep(check)
        return check, "", (problem(check, "", "the API server to take it", said),)

    def _looked(self) -> Iterator[Verdict]:
        """Wait for the pods and yield what is to say of them."""
        left = self._wait()
        own = list(self._own("/api/v1", "pods"))
        events = list(self.cluster.items(f"/api/v1/namespaces/{NAMESPACE}/events"))
        goal = f"to be {self.expectation.reaches}"
        found = {
            "image": [p for pod in own for p in pods.image_problems(pod, self.imported)],
            "pull": [p for pod in own for p in pods.pull_problems(pod, events)],
            "state": [problem("state", name, goal, lack) for name, lack in left],
        }
        for check, problems in found.items():
            yield check, wording.count(len(own), "pod"), tuple(dict.fromkeys(problems))
        if any(found.values()):
            self._keep("pods")

    def _wait(self) -> list[tuple[str, str]]:
        """Wait until everything is as far as asked; return what is not, and what it lacks."""
        until = time.monotonic() + self.patience
        looks, before = 0, ""
        while True:
            left = list(self._unfinished())
            reason = self._stuck() if left else ""
            looks = looks + 1 if reason and reason == before else 0
            before = reason
            is_over = time.monotonic() > until or self.is_stopped() or looks >= _STUCK_LOOKS
            if not left or is_over or self._is_hopeless():
                return left
            time.sleep(_PAUSE)

    def _is_hopeless(self) -> bool:
        """Whether a pod waits for an image, which nothing can bring."""
        return any(pods.lacks_image(pod) for pod in self._own("/api/v1", "pods"))

    def _stuck(self) -> str:
        """Say why every pod that lacks something gets no further; empty where one may."""
        events = list(self.cluster.items(f"/api/v1/namespaces/{NAMESPACE}/events"))
        reasons = {
            str(pod["metadata"]["name"]): pods.stuck(pod, events)
            for pod in self._own("/api/v1", "pods")
            if pods.lacks(pod, self.expectation.reaches)
        }
        told = (f"{name}: {reason}" for name, reason in sorted(reasons.items()))
        return "; ".join(told) if all(reasons.values()) else ""

    def _unfinished(self) -> Iterator[tuple[str, str]]:
        for pod in self._own("/api/v1", "pods"):
            lack = pods.lacks(pod, self.expectation.reaches)
            if lack:
                yield pods.title(pod), lack
        for kind, plural in _WORKLOADS.items():
            for each in self._own("/apis/apps/v1", plural):
                lack = pods.missing(each)
                if lack:
                    yield f"{kind}/{each['metadata']['name']}", lack

    def _own(self, path: str, plural: str) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a kind that came since."""
        known = {each.uid for each in self.before}
        for each in self.cluster.items(f"{path}/namespaces/{NAMESPACE}/{plural}"):
            if each["metadata"]["uid"] not in known:
                yield each

    def _removed(self) -> Verdict:
        said = self.helm.uninstall(self.chart.name, has_hooks=self.expectation.has_hooks)
        until = time.monotonic() + _REMOVED_WITHIN
        while True:
            left = self._left()
            if not left or time.monotonic() > until or self.is_stopped():
                break
            time.sleep(_PAUSE)
        found = [problem("remove", "", "helm to remove it", said)] if said else []
        found += [problem("remove", str(each), "to be gone", "still there") for each in left]
        if found:
            self._keep("remove")
        return "remove", "", tuple(found)

    def _left(self) -> list[Named]:
        """Return what is there and was not; definitions in crds/ are Helm's to leave."""
        known = {each.uid for each in self.before}
        kept = self._definitions
        return sorted(
            each
            for each in self.cluster.objects()
            if each.uid not in known
            and each.kind not in _CLUSTERS_OWN
            and not (each.kind == "CustomResourceDefinition" and each.name in kept)
            and str(each) not in self.expectation.leaves
        )

    @property
    def _definitions(self) -> frozenset[str]:
        found = set()
        for chart in (self.chart, *((self.older,) if self.older else ())):
            for path in chart.files:
                if path.startswith("crds/"):
                    found |= set(_NAME.findall(chart.text(path)))
        return frozenset(found)

    def _keep(self, name: str) -> None:
        """Write objects, events and logs of what came since to the folder."""
        for plural in ("pods", "events"):
            items = list(self._own("/api/v1", plural))
            content = json.dumps(items, indent=1).encode()
            files.write(self.folder / f"{name}-{plural}.json", content)
        for pod in self._own("/api/v1", "pods"):
            for each in pod["spec"].get("containers") or ():
                self._keep_log(str(pod["metadata"]["name"]), str(each["name"]))

    def _keep_log(self, pod: str, container: str) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/log"
        with contextlib.suppress(PackError):  # a container that never ran has none
            text = self.cluster.text(f"{path}?container={container}&limitBytes={_LOG_BYTES}")
            files.write(self.folder / f"{pod}-{container}.log", text.encode())
