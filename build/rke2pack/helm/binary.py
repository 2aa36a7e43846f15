"""Rendering with a ``helm`` program: the second implementation of `Renderer`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rke2pack import process
from rke2pack.errors import ToolError, ValidationError
from rke2pack.helm import workers
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import NAMESPACE

_SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmBinary:
    """``helm template``, one process per render."""

    path: Path
    identity: str

    @classmethod
    def find(cls, program: str) -> HelmBinary:
        """Look the program up and ask for its version; raises ToolError."""
        path = process.find(program)
        answer = process.run([path, "version", "--template", "{{.Version}}"])
        if answer.returncode != 0:
            msg = f"{path}: does not tell its version"
            raise ToolError(msg, hint="name a helm program of version 3 or 4")
        return cls(path=path, identity=f"helm {answer.stdout.decode().strip()}")

    def template(
        self, chart: Chart, values: Mapping[str, Any], *, kube_version: str
    ) -> Mapping[str, str]:
        """See `Renderer.template`."""
        with tempfile.TemporaryDirectory(prefix="rke2pack-") as folder:
            archive = Path(folder) / f"{chart.name}.tgz"
            archive.write_bytes(chart.data)
            answer = process.feed(
                [
                    self.path,
                    "template",
                    chart.name,
                    archive,
                    "--namespace",
                    NAMESPACE,
                    "--kube-version",
                    kube_version,
                    "--values",
                    "-",
                ],
                [json.dumps(values).encode()],
                max_output=workers.MAX_OUTPUT + 1,
            )
        if len(answer.stdout) > workers.MAX_OUTPUT:
            msg = f"{chart.name} {chart.version}: renders to more than {workers.MAX_OUTPUT} bytes"
            raise ValidationError(msg)
        if answer.returncode != 0:
            reason = " ".join(answer.stderr.decode(errors="replace").split())
            msg = f"{chart.name} {chart.version} does not render: {reason}"
            raise ValidationError(msg)
        return _by_template(answer.stdout.decode())


def _by_template(output: str) -> Mapping[str, str]:
    """Group the documents by the template that their ``# Source:`` comment names."""
    found: dict[str, list[str]] = {}
    for document in re.split(r"^---$", output, flags=re.MULTILINE):
        source = _SOURCE.search(document)
        if source is not None:
            found.setdefault(source[1], []).append(document)
    return {path: "---".join(documents) for path, documents in found.items()}
