"""``charts``: build the HelmChart manifests with chartContent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from rke2pack import completion, files
from rke2pack.console import Console
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.helm import manifest
from rke2pack.helm.manifest import ChartReference
from rke2pack.manual import Manual
from rke2pack.options import chart_options
from rke2pack.settings import Settings
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace

OUTPUT = "dist/charts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One manifest: its path and content; ``is_new`` whether the file was written."""

    chart: str
    path: Path
    content: bytes
    is_new: bool

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return Digest.of(self.content)


@click.command("charts", cls=Manual, short_help="Build the HelmChart manifests with chartContent.")
@chart_options
@click.argument("charts", nargs=-1, metavar="[CHART]...", shell_complete=completion.charts)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder to write to.  [default: {OUTPUT} in the tree]",
)
@click.option(
    "--references",
    "is_reference",
    is_flag=True,
    help="Instead, write the tree's manifests in reference form anew for chart_versions.yaml.",
)
def command(
    *,
    settings: Settings,
    console: Console,
    charts: tuple[str, ...],
    output: Path | None,
    is_reference: bool,
) -> None:
    """Build the manifest of every bundled chart, or of the named ones, as RKE2 ships it.

    The chart stands in it as base64, with a Chart.yaml that binds it to the
    tree's Kubernetes version. Same inputs, same bytes, on every machine.
    """
    workspace = Workspace(settings=settings)
    if is_reference:
        _write_references(workspace, console)
        return
    wanted = [workspace.bundled_chart(name) for name in charts] or workspace.tree.versions.charts
    folder = output or settings.tree / OUTPUT
    built = []
    for entry in wanted:
        one = build(workspace, entry, folder)
        built.append(one)
        state = "built" if one.is_new else "unchanged"
        console.line(f"{one.path.name:<40} {len(one.content):>9}  {one.digest}  {state}")
    console.document(
        {
            "manifests": [
                {
                    "chart": b.chart,
                    "path": str(b.path),
                    "sha256": b.digest.hex,
                    "size": len(b.content),
                    "status": "built" if b.is_new else "unchanged",
                }
                for b in built
            ]
        }
    )


def _write_references(workspace: Workspace, console: Console) -> None:
    changed = workspace.write_references()
    for path in changed:
        console.line(f"written  {path.name}")
    console.document(
        {"manifests": [{"chart": p.stem, "path": str(p), "status": "written"} for p in changed]}
    )


def build(workspace: Workspace, entry: BundledChart, folder: Path) -> Built:
    """Build one manifest into ``folder``; with ``--dry-run`` only in memory."""
    path = folder / f"{entry.name}.yaml"
    content = _content(workspace, entry).encode()
    if workspace.settings.is_dry_run:
        is_new = not path.is_file() or path.read_bytes() != content
    else:
        is_new = files.write_changed(path, content)
    return Built(chart=entry.name, path=path, content=content, is_new=is_new)


def _content(workspace: Workspace, entry: BundledChart) -> str:
    reference = workspace.tree.reference(entry.name)
    if entry.version.is_removed:
        if reference is not None:
            raise _disagrees(workspace, entry, f"it names version {reference.version}")
        return manifest.removed(entry.name)
    if reference is None:
        raise _disagrees(workspace, entry, "it says that the chart was removed")
    _check(workspace, entry, reference)
    chart = workspace.chart(entry.name, entry.version)
    spec = {**workspace.tree.components.helm_chart_spec, **reference.spec}
    return manifest.with_content(
        chart, reference.with_spec(spec), kube_version=workspace.tree.kube_version
    )


def _check(workspace: Workspace, entry: BundledChart, reference: ChartReference) -> None:
    """Raise ConfigError where manifest and chart_versions.yaml tell different things."""
    if reference.name != entry.name:
        raise _disagrees(workspace, entry, f"its name is {reference.name}")
    if reference.version != entry.version.text:
        raise _disagrees(workspace, entry, f"its version is {reference.version}")
    if reference.bootstrap != entry.bootstrap:
        raise _disagrees(workspace, entry, f"its bootstrap is {str(reference.bootstrap).lower()}")
    if dict(reference.spec) != dict(entry.spec):
        raise _disagrees(workspace, entry, f"its spec has {dict(reference.spec)}")


def _disagrees(workspace: Workspace, entry: BundledChart, why: str) -> ConfigError:
    workspace.refuse_change()
    path = workspace.tree.manifest_path(entry.name)
    return ConfigError(
        f"{path}: does not fit {entry.name} {entry.version} of chart_versions.yaml: {why}",
        hint=f"write it anew with 'rke2pack bump {entry.name} VERSION', or correct it by hand",
    )
