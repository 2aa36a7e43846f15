"""Level kind: for each row a cluster, in it each chart with each set of values."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rke2pack import wording
from rke2pack.errors import ToolError
from rke2pack.finding import Result, Status
from rke2pack.helm.chart import Chart
from rke2pack.kube import Cluster
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.verify.checks import platform_of
from rke2pack.validate.allow import AllowList
from rke2pack.validate.bundle import Bundle
from rke2pack.validate.issue import Issue, Problem
from rke2pack.validate.kind import checks, pods
from rke2pack.validate.kind.checks import problem
from rke2pack.validate.kind.expect import Expectations
from rke2pack.validate.kind.node import Node
from rke2pack.validate.kind.program import IMAGE, Kind, KindCluster
from rke2pack.validate.kind.release import NAMESPACE, Helm
from rke2pack.validate.kind.trying import Trying, Verdict
from rke2pack.validate.matrix import Row
from rke2pack.validate.report import Ran, Report

NAME: Final = "kind"
_READY_SECONDS: Final = 120.0
_CLUSTER: Final = "cluster"
# As a server of RKE2 is labelled; kubeadm leaves the values empty, and charts ask for these.
_SERVER: Final = {
    "node-role.kubernetes.io/control-plane": "true",
    "node-role.kubernetes.io/etcd": "true",
}


@dataclass(frozen=True, kw_only=True)
class Live:
    """What the clusters are made from and given; ``folder`` gets logs and objects.

    ``image`` replaces kindest/node at the row's version. ``helm`` is the program,
    ``patience`` the seconds that a chart has to get as far as it can.
    """

    kind: Kind
    helm: Path
    image: str | None
    archives: Sequence[ArchiveFile]
    bundle: Bundle
    expectations: Expectations
    allow: AllowList
    report: Report
    folder: Path
    keep: bool
    patience: int
    tell: Callable[[str], None]
    say: Callable[[str], None]
    _writing: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self, rows: Sequence[Row], *, jobs: int) -> None:
        """Try all rows, ``jobs`` at a time; every cluster is gone at the end, interrupted too.

        Raises the first row's ToolError after the others have ended.
        """
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="row") as pool:
            try:
                futures = [pool.submit(self._row, row) for row in rows]
                errors = [future.exception() for future in futures]
            except BaseException:
                _only_once()
                self.kind.programs.end()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        failed = next((error for error in errors if error is not None), None)
        if failed is not None:
            raise failed

    def _row(self, row: Row) -> None:
        image = self.image or f"{IMAGE}:{row.kube_version}"
        folder = self.folder / row.name
        self.tell(f"{row.name}: cluster from {image}")
        with (
            self.report.step(f"{row.name} in all"),
            self.kind.cluster(row.name, image, folder, keep=self.keep) as found,
        ):
            if self.keep:
                self.say(f"{row.name}: keeping {found.name}, kubeconfig {found.kubeconfig}")
            cluster = Cluster.connect(found.kubeconfig)
            try:
                self._in_cluster(row, found, cluster)
            finally:
                cluster.close()

    @property
    def _is_ended(self) -> bool:
        return self.kind.programs.is_ended

    def _in_cluster(self, row: Row, found: KindCluster, cluster: Cluster) -> None:
        cluster.wait_ready(seconds=_READY_SECONDS)
        self._check_version(row, cluster)
        self._settle(row, cluster)
        cluster.label(found.node, _SERVER)
        programs = self.kind.programs
        node = Node.find(found.node, programs)
        self._note(row, ("isolated", f"pulls: {'; '.join(node.cut_off())}", ()))
        with self.report.step(f"{row.name} import"):
            imported = self._import(row, node)
        helm = Helm(
            path=self.helm,
            kubeconfig=found.kubeconfig,
            patience=self.patience,
            programs=programs,
        )
        for name in self._names(row):
            if self._is_ended:
                return
            with self.report.step(f"{row.name} charts"):
                self._chart(row, self.bundle.fetch(name), helm, cluster, imported)

    def _settle(self, row: Row, cluster: Cluster) -> None:
        """Wait for the cluster's own pods, which would pass for a chart's; raises ToolError."""
        until = time.monotonic() + _READY_SECONDS
        while True:
            late = [
                str(each["metadata"]["name"])
                for plural in ("deployments", "daemonsets")
                for each in cluster.items(f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}")
                if pods.missing(each)
            ]
            own = cluster.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
            late += [pods.title(each) for each in own if pods.lacks(each, "ready")]
            if not late or self._is_ended:
                return
            if time.monotonic() > until:
                msg = f"{row.name}: the cluster's own pods do not come up: {', '.join(late)}"
                raise ToolError(msg, hint="look at the logs of its node in the output folder")
            time.sleep(1)

    def _check_version(self, row: Row, cluster: Cluster) -> None:
        """Refuse a node image of another Kubernetes: its results would stand in the wrong row."""
        version = cluster.version()
        if version.partition("+")[0] != row.kube_version:
            msg = f"{row.name}: the cluster runs {version}, the row is for {row.kube_version}"
            raise ToolError(msg, hint="choose the row with --row, or another --node-image")

    def _import(self, row: Row, node: Node) -> frozenset[str]:
        """Import every archive for the node's platform; return the names that came."""
        platform, before = node.platform(), node.images()
        taken, wrong = [], []
        for archive in self.archives:
            said_for = platform_of(archive.path.name)
            if said_for is not None and not platform.satisfies(said_for):
                detail = f"{archive.path.name} is for {said_for}, the node for {platform}"
                self._other(row, "import", "skipped", detail)
                continue
            said = node.load(archive, platform)
            taken.append(archive.path.name)
            wrong += [problem("import", archive.path.name, "to be taken", said)] if said else []
        imported = node.images() - before
        detail = f"{wording.count(len(taken), 'archive')}, {wording.count(len(imported), 'name')}"
        self._note(row, ("import", detail, tuple(wrong)))
        return imported

    def _names(self, row: Row) -> Iterator[str]:
        """Yield the asked charts of a row, definitions before what uses them."""
        asked = [name for name in self.bundle.asked if row.covers(name)]
        yield from sorted(asked, key=lambda name: not name.endswith("-crd"))

    def _chart(
        self, row: Row, chart: Chart, helm: Helm, cluster: Cluster, imported: frozenset[str]
    ) -> None:
        expectation = self.expectations.of(chart.name)
        for told in expectation.told:
            self._other(row, "state", "manual", f"{chart.name}: {told}")
        for document in expectation.objects:
            cluster.create(document)
        with self._definitions(row, chart, helm, cluster) as said:
            if said:
                expected = "its definitions to be installed first"
                wrong = _issue(row, chart, problem("install", "", expected, said), "")
                self._ran(row, chart, "install", "", [wrong])
            else:
                self._value_sets(row, chart, helm, cluster, imported)

    @contextlib.contextmanager
    def _definitions(self, row: Row, chart: Chart, helm: Helm, cluster: Cluster) -> Iterator[str]:
        """Install the chart of definitions that goes with a chart, as a node does; say why not."""
        name = f"{chart.name}-crd"
        if name not in self.bundle.every:
            yield ""
            return
        definitions = self.bundle.fetch(name)
        self.tell(f"{row.name}: {name} {definitions.version} for {chart.name}")
        said = helm.install(definitions, {}, has_hooks=True)
        try:
            if not said and not cluster.wait_defined(seconds=self.patience):
                said = "the API server does not serve them"
            yield said and f"{name}: {said}"
        finally:
            helm.uninstall(name, has_hooks=True)

    def _value_sets(
        self, row: Row, chart: Chart, helm: Helm, cluster: Cluster, imported: frozenset[str]
    ) -> None:
        expectation = self.expectations.of(chart.name)
        details: dict[str, list[str]] = {}
        issues: list[Issue] = []
        for name, values in checks.value_sets(chart, uses_ci=expectation.uses_ci):
            if self._is_ended:
                return
            self.tell(f"{row.name}: {chart.name} {chart.version} with {name}")
            trying = Trying(
                chart=chart,
                older=self.bundle.older.get(chart.name),
                values=checks.over(expectation.values, values),
                expectation=expectation,
                helm=helm,
                cluster=cluster,
                imported=imported,
                folder=self.folder / row.name / chart.name / name,
                is_stopped=lambda: self._is_ended,
                patience=self.patience,
            )
            for check, detail, problems in trying.run():
                shown = f"{name}: {detail}" if detail else name
                details.setdefault(check, []).append(shown)
                issues += [_issue(row, chart, each, name) for each in problems]
        for check, found in details.items():
            own = [each for each in issues if each.problem.check == check]
            self._ran(row, chart, check, ", ".join(dict.fromkeys(found)), own)

    def _note(self, row: Row, verdict: Verdict) -> None:
        """Note what was seen of the cluster itself."""
        check, detail, problems = verdict
        issues = [
            Issue(problem=each, chart=_CLUSTER, version="", rows=(row.name,)) for each in problems
        ]
        self._ran(row, None, check, detail, issues)

    def _ran(
        self, row: Row, chart: Chart | None, check: str, detail: str, issues: Sequence[Issue]
    ) -> None:
        name, version = (chart.name, chart.version) if chart else (_CLUSTER, "")
        ran = Ran(row=row.name, chart=name, version=version, check=check, detail=detail)
        with self._writing:
            self.report.ran.append(ran)
            self.report.add(issues, self.allow)

    def _other(self, row: Row, check: str, status: Status, detail: str) -> None:
        with self._writing:
            self.report.other.append(
                Result(subject=row.name, check=check, status=status, detail=detail)
            )


def _only_once() -> None:
    """Heed no further signal in this process: it would end the removal of the clusters."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)


def _issue(row: Row, chart: Chart, found: Problem, values: str) -> Issue:
    return Issue(
        problem=found,
        chart=chart.name,
        version=chart.version,
        rows=(row.name,),
        variants=(values,),
    )
