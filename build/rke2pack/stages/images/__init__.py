"""``images``: the lists of images, the lock that pins them, and the gate before a release."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from rke2pack import completion, wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.lists.files import Difference
from rke2pack.lists.lockdiff import Change
from rke2pack.manual import Manual
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout
from rke2pack.options import common_options
from rke2pack.registries import registry_options
from rke2pack.settings import Settings
from rke2pack.stages.images import listed, locking, report
from rke2pack.workspace import Workspace


@click.command(
    "images",
    cls=Manual,
    short_help="Lists of images: regenerate, check, lock, and verify in their registries.",
)
@common_options
@registry_options
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Write nothing; fail when images.txt, or images.lock, is not what is needed.",
)
@click.option(
    "--explain",
    metavar="REF",
    help="Tell why an image is needed: chart, variant, object, field.",
    shell_complete=completion.images,
)
@click.option(
    "--lock",
    "is_lock",
    is_flag=True,
    help="Pin every image of images.txt in images.lock; with --check compare with registries.",
)
@click.option(
    "--leave-unlocked",
    "left_out",
    multiple=True,
    metavar="PATTERN",
    help="With --lock: no entry for images like rancher/rke2-runtime, built here (repeatable).  "
    "[default: what the lock leaves out]",
)
@click.option(
    "--lock-all",
    "is_for_all",
    is_flag=True,
    help="With --lock: pin also what the lock has left out so far.",
)
@click.option(
    "--verify-registry",
    "is_gate",
    is_flag=True,
    help="Fail unless every image is there for every platform and its program fits it.",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --verify-registry: write all results, as .json or .md.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    help="Image store to read from first.  [default: store/ in the cache folder]",
)
def command(
    *,
    settings: Settings,
    console: Console,
    access: Access,
    jobs: int,
    is_check: bool,
    explain: str | None,
    is_lock: bool,
    left_out: tuple[str, ...],
    is_for_all: bool,
    is_gate: bool,
    report_file: Path | None,
    store: Path | None,
) -> None:
    """Render every bundled chart in all its variants and list the images that it needs.

    Writes images.txt (one section per component) and, into dist/images/, one
    list per component and platform. With --registry or --prime the lists in
    dist/images/ and the output are for that registry or edition, and images.txt,
    which is the community's list for docker.io, stays as it is.

    --lock and --verify-registry take images.txt as it is and ask the registries.
    """
    _refuse_together(explain=explain, is_lock=is_lock, is_gate=is_gate, is_check=is_check)
    if left_out and not is_lock:
        msg = "--leave-unlocked goes with --lock"
        raise click.UsageError(msg)
    if is_for_all and (left_out or not is_lock):
        msg = "--lock-all goes with --lock, and not with --leave-unlocked"
        raise click.UsageError(msg)
    if report_file is not None:
        report.check_name(report_file, is_gate=is_gate)
    workspace = Workspace(settings=settings)
    if explain is not None:
        listed.explain(workspace, console, explain)
        return
    if not (is_lock or is_gate):
        _lists(workspace, console, is_check=is_check)
        return
    # What reads layers is slow to import, and the lists need none of it.
    from rke2pack.oci.program.images import Images  # noqa: PLC0415
    from rke2pack.stages.images import gate  # noqa: PLC0415

    layout = Layout(store or settings.store)
    images = Images(access=access, layout=layout, is_offline=settings.is_offline)
    if is_lock:
        with contextlib.nullcontext() if is_check else workspace.locked():
            locking.run(
                workspace,
                console,
                images,
                jobs=jobs,
                is_check=is_check,
                left_out=None if is_for_all else left_out,
            )
    else:
        gate.run(workspace, console, images, jobs=jobs, report_file=report_file)


def _refuse_together(*, explain: str | None, is_lock: bool, is_gate: bool, is_check: bool) -> None:
    asked = {"--explain": explain is not None, "--lock": is_lock, "--verify-registry": is_gate}
    names = [name for name, is_asked in asked.items() if is_asked]
    if is_check and (is_gate or explain is not None):
        names.append("--check")
    if len(names) > 1:
        msg = f"{' and '.join(names)} do not go together"
        raise click.UsageError(msg)


def _lists(workspace: Workspace, console: Console, *, is_check: bool) -> None:
    settings = workspace.settings
    is_own = not (settings.is_prime or settings.registry)
    if is_check and not is_own:
        msg = "--check compares images.txt, which is not for --registry and --prime"
        raise ConfigError(msg, hint="leave them out, or compare the lists in dist/images/")
    if is_own:
        locking.read(workspace)  # a damaged one stops it before anything is written
    platforms = workspace.platforms()
    kube = workspace.tree.kube_version
    console.step(f"images: rendering the charts of {settings.tree} for {kube}")
    with contextlib.nullcontext() if is_check else workspace.locked():
        lists = listed.build(workspace)
        console.findings(lists.findings)
        differences = listed.compare(workspace, lists) if is_check else ()
        if not is_check:
            listed.write(workspace, console, lists, platforms, is_own=is_own)
    is_current = is_own and (is_check or not settings.is_dry_run)
    changes = locking.stale(workspace) if is_current else ()
    document = listed.shown(workspace, console, lists)
    document["differences"] = listed.to_json(differences)
    document["lock"] = {"differences": [change.to_json() for change in changes]}
    if changes and not is_check:
        images = wording.count(len(changes), "image")
        console.line(f"{locking.path(workspace).name}: {images} to lock anew")
    console.document(document)
    if is_check:
        _fail(workspace, differences, changes)


def _fail(
    workspace: Workspace, differences: tuple[Difference, ...], changes: tuple[Change, ...]
) -> None:
    """Raise what ``--check`` found; nothing happens where all is as it should be."""
    if differences:
        workspace.refuse_change()
        both = "commit images.txt"
        if changes:
            both = "'rke2pack images --lock', and commit images.txt and images.lock"
        raise ValidationError(
            f"{workspace.tree.images_path}: "
            f"{wording.count(len(differences), 'line differs', 'lines differ')}"
            " from what the charts need",
            hint=f"run 'rke2pack images' and {both}",
            details=(*map(str, differences), *map(str, changes)),
        )
    if changes:
        raise ValidationError(
            f"{locking.path(workspace)}: "
            f"{wording.count(len(changes), 'image differs', 'images differ')} from images.txt",
            hint="run 'rke2pack images --lock' and commit images.lock",
            details=tuple(map(str, changes)),
        )
