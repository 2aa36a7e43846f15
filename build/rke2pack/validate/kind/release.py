"""Releases: a chart installed, upgraded and removed by the program helm."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rke2pack import process
from rke2pack.errors import ToolError
from rke2pack.helm.chart import Chart
from rke2pack.validate.runtime.trial import line

NAMESPACE: Final = "kube-system"
"""Where RKE2 installs its charts."""
_SECONDS: Final = 600.0
_TIMEOUT: Final = "180s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """The program, and the cluster that it talks to."""

    path: Path
    kubeconfig: Path

    @classmethod
    def find(cls, program: str, kubeconfig: Path) -> Helm:
        """Look the program up; raises ToolError."""
        try:
            return cls(path=process.find(program), kubeconfig=kubeconfig)
        except ToolError as exc:
            raise ToolError(exc.message, hint="install helm, or name it with --helm") from exc

    def install(
        self, chart: Chart, values: Mapping[str, Any], *, has_hooks: bool, only_asks: bool
    ) -> str:
        """Install a chart, or with ``only_asks`` have the API server look at it alone.

        Returns why that failed, or nothing.
        """
        dry = ("--dry-run=server",) if only_asks else ()
        return self._with_chart("install", chart, values, *dry, has_hooks=has_hooks)

    def upgrade(self, chart: Chart, values: Mapping[str, Any], *, has_hooks: bool) -> str:
        """Upgrade the release to another version; return why that failed, or nothing."""
        return self._with_chart("upgrade", chart, values, has_hooks=has_hooks)

    def uninstall(self, name: str, *, has_hooks: bool) -> str:
        """Remove the release and wait until its objects are gone; return why not, or nothing."""
        hooks = () if has_hooks else ("--no-hooks",)
        return self._said("uninstall", name, "--wait", "--ignore-not-found", *hooks)

    def _with_chart(
        self, verb: str, chart: Chart, values: Mapping[str, Any], *more: str, has_hooks: bool
    ) -> str:
        hooks = () if has_hooks else ("--no-hooks",)
        with tempfile.TemporaryDirectory(prefix="rke2pack-") as folder:
            archive = Path(folder) / f"{chart.name}.tgz"
            archive.write_bytes(chart.data)
            given = json.dumps(values).encode()
            options = ("--values", "-", "--description", "rke2pack validate", *hooks, *more)
            return self._said(verb, chart.name, archive, *options, stdin=given)

    def _said(self, verb: str, *arguments: str | Path, stdin: bytes = b"") -> str:
        done = process.run(
            [
                *(self.path, verb, *arguments, "--namespace", NAMESPACE),
                *("--kubeconfig", self.kubeconfig, "--timeout", _TIMEOUT),
            ],
            stdin=stdin,
            timeout=_SECONDS,
        )
        said = line(done.stderr.decode(errors="replace"))
        return (said or f"exit code {done.returncode}") if done.returncode else ""
