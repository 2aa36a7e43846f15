"""Releases: a chart installed, upgraded and removed by the program helm."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rke2pack import process
from rke2pack.errors import ToolError
from rke2pack.helm.chart import Chart
from rke2pack.process import Programs
from rke2pack.validate.runtime.trial import line

NAMESPACE: Final = "kube-system"
"""Where RKE2 installs its charts."""
_SPARE: Final = 420.0


def find(program: str) -> Path:
    """Look the program up; raises ToolError."""
    try:
        return process.find(program)
    except ToolError as exc:
        raise ToolError(exc.message, hint="install helm, or name it with --helm") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, and its cluster; each hook and removal gets ``patience`` seconds."""

    path: Path
    kubeconfig: Path
    patience: int
    programs: Programs = field(default_factory=Programs)

    def install(self, chart: Chart, values: Mapping[str, Any], *, has_hooks: bool) -> str:
        """Install a chart; return why that failed, or nothing."""
        return self._with_chart("install", chart, values, *_hooks(has_hooks))[0]

    def manifest(self, chart: Chart, values: Mapping[str, Any]) -> tuple[str, str]:
        """Return why a chart could not be installed, or nothing; and its objects as YAML."""
        dry = ("--dry-run=server", "--output", "json")
        said, out = self._with_chart("install", chart, values, *dry)
        if said:
            return said, ""
        release = json.loads(out)
        hooks = [str(each.get("manifest") or "") for each in release.get("hooks") or ()]
        return "", "\n---\n".join((str(release.get("manifest") or ""), *hooks))

    def upgrade(self, chart: Chart, values: Mapping[str, Any], *, has_hooks: bool) -> str:
        """Upgrade the release to another version; return why that failed, or nothing."""
        return self._with_chart("upgrade", chart, values, *_hooks(has_hooks))[0]

    def uninstall(self, name: str, *, has_hooks: bool) -> str:
        """Remove the release and wait until its objects are gone; return why not, or nothing."""
        more = ("--wait", "--ignore-not-found", *_hooks(has_hooks))
        return self._said("uninstall", name, *more)[0]

    def _with_chart(
        self, verb: str, chart: Chart, values: Mapping[str, Any], *more: str
    ) -> tuple[str, bytes]:
        with tempfile.TemporaryDirectory(prefix="rke2pack-") as folder:
            archive = Path(folder) / f"{chart.name}.tgz"
            archive.write_bytes(chart.data)
            given = json.dumps(values).encode()
            options = ("--values", "-", "--description", "rke2pack validate", *more)
            return self._said(verb, chart.name, archive, *options, stdin=given)

    def _said(self, verb: str, *arguments: str | Path, stdin: bytes = b"") -> tuple[str, bytes]:
        done = process.run(
            [
                *(self.path, verb, *arguments, "--namespace", NAMESPACE),
                *("--kubeconfig", self.kubeconfig, "--timeout", f"{self.patience}s"),
            ],
            stdin=stdin,
            timeout=self.patience + _SPARE,
            among=self.programs,
        )
        said = line(done.stderr.decode(errors="replace"))
        failure = (said or f"exit code {done.returncode}") if done.returncode else ""
        return failure, done.stdout


def _hooks(has_hooks: bool) -> tuple[str, ...]:  # noqa: FBT001 - the name says it
    return () if has_hooks else ("--no-hooks",)
