"""The lab's chart repository: built from the package's own files, served on loopback.

The result has the form of a Helm repository: ``index.yaml``, written in JSON as
``helm repo index --json`` writes it, and ``assets/<package>/<chart>-<version>.tgz``
with relative urls, where the package is the chart's name without ``-crd``.
Nothing in it depends on the machine or the time: two builds are equal byte for
byte.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from rke2pack import files, safeyaml
from rke2pack.digest import Digest
from rke2pack.helm import archive
from rke2pack.helm.shelf import Shelf
from rke2pack.helm.version import ChartVersion
from rke2pack.serving.server import running

_CREATED = "2025-05-01T00:00:00Z"
_BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of one lab chart: its files, Chart.yaml first, the others sorted."""

    name: str
    version: str
    members: tuple[archive.Member, ...]

    @property
    def url(self) -> str:
        """Where the archive is, relative to the repository."""
        package = self.name.removesuffix("-crd")
        return f"assets/{package}/{self.name}-{self.version}.tgz"


def releases() -> tuple[Release, ...]:
    """Return every version of every lab chart, by name, newest version first."""
    found: list[Release] = []
    charts = importlib.resources.files(__package__) / "charts"
    for chart in sorted(charts.iterdir(), key=lambda entry: entry.name):
        base = _read(chart / _BASE) if (chart / _BASE).is_dir() else {}
        versions = (entry.name for entry in chart.iterdir() if entry.name != _BASE)
        for version in sorted(versions, key=ChartVersion.parse, reverse=True):
            content = base | _read(chart / version)
            paths = sorted(content, key=lambda path: (path != "Chart.yaml", path))
            members = tuple(archive.Member(f"{chart.name}/{path}", content[path]) for path in paths)
            found.append(Release(name=chart.name, version=version, members=members))
    return tuple(found)


def build(folder: Path) -> Path:
    """Write the repository below ``folder`` and return ``folder``.

    Files that are there already and equal are left alone. Each file appears
    whole, ``index.yaml`` last: a reader never meets a name without its archive.
    Raises ToolError.
    """
    entries: dict[str, list[dict[str, Any]]] = {}
    for release in releases():
        data = archive.pack(release.members)
        files.write_changed(folder / release.url, data)
        entries.setdefault(release.name, []).append(_entry(release, Digest.of(data)))
    index = {"apiVersion": "v1", "entries": entries, "generated": _CREATED}
    text = json.dumps(index, indent=2, sort_keys=True)
    files.write_changed(folder / "index.yaml", f"{text}\n".encode())
    return folder


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve ``folder`` read-only over loopback HTTP; yield the address, without a slash.

    Raises ToolError where no port can be opened.
    """
    with running(Shelf(folder).answer) as server:
        yield server.url


def _read(folder: Traversable) -> dict[str, bytes]:
    """Return every file below ``folder`` by its relative path."""
    content: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            content |= {f"{entry.name}/{path}": data for path, data in _read(entry).items()}
        else:
            content[entry.name] = entry.read_bytes()
    return content


def _entry(release: Release, digest: Digest) -> dict[str, Any]:
    """Return the index entry: all of Chart.yaml as text, and where the archive is."""
    what = f"{release.name} {release.version}: Chart.yaml"
    metadata = safeyaml.load(release.members[0].data.decode(), what=what, scalars=False)
    return {**metadata, "created": _CREATED, "digest": digest.hex, "urls": [release.url]}
