"""``images``: regenerate images.txt and the lists per component, or check them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import click

from rke2pack import journal
from rke2pack.console import Console
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.lists import files, text
from rke2pack.lists.files import Difference
from rke2pack.lists.model import ImageLists
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.options import common_options
from rke2pack.patch import unified_diff
from rke2pack.settings import Settings
from rke2pack.workspace import Workspace


@click.command(
    "images", short_help="Regenerate images.txt and the lists per component, or check them."
)
@common_options
@click.option(
    "--check",
    "is_check",
    is_flag=True,
    help="Write nothing; fail when images.txt is not what the charts need.",
)
@click.option(
    "--explain", metavar="REF", help="Tell why an image is needed: chart, variant, object, field."
)
def command(*, settings: Settings, console: Console, is_check: bool, explain: str | None) -> None:
    """Render every bundled chart in all its variants and list the images that it needs.

    Writes images.txt (one section per component) and, into dist/images/, one
    list per component and platform. With --registry or --prime the lists in
    dist/images/ and the output are for that registry or edition, and images.txt,
    which is the community's list for docker.io, stays as it is.
    """
    workspace = Workspace(settings=settings)
    if explain is not None:
        _explain(workspace, console, explain)
        return
    is_own = not (settings.is_prime or settings.registry)
    if is_check and not is_own:
        msg = "--check compares images.txt, which is not for --registry and --prime"
        raise ConfigError(msg, hint="leave them out, or compare the lists in dist/images/")
    platforms = workspace.platforms()
    kube = workspace.tree.kube_version
    console.step(f"images: rendering the charts of {settings.tree} for {kube}")
    with contextlib.nullcontext() if is_check else workspace.locked():
        lists = build(workspace)
        console.findings(lists.findings)
        differences = _compare(workspace, lists) if is_check else ()
        if not is_check:
            _write(workspace, console, lists, platforms, is_own=is_own)
    _report(workspace, console, lists, differences)
    if differences:
        raise ValidationError(
            f"{workspace.tree.images_path}: "
            f"{len(differences)} lines differ from what the charts need",
            hint="run 'rke2pack images' and commit images.txt",
            details=tuple(str(difference) for difference in differences),
        )


def build(workspace: Workspace) -> ImageLists:
    """Build the lists of the wanted components of the tree."""
    wanted = workspace.component_charts(workspace.settings.components)
    return workspace.builder(workspace.bundled()).build(wanted)


def _compare(workspace: Workspace, lists: ImageLists) -> tuple[Difference, ...]:
    """Return where images.txt differs from ``lists``, each line with its proof."""
    has = files.written(workspace.tree)
    strays = () if workspace.settings.components else files.strays(lists, has)
    return (*files.compare(lists, has), *strays)


def _write(
    workspace: Workspace,
    console: Console,
    lists: ImageLists,
    platforms: tuple[str, ...],
    *,
    is_own: bool,
) -> None:
    """Write the lists, and images.txt where it ``is_own``; with ``--dry-run`` only its diff."""
    tree = workspace.tree
    made = files.sections(tree, lists)
    new = tree.images_text
    if is_own:  # components that were not asked for keep their section
        partial = bool(workspace.settings.components)
        new = text.format_images(files.merged(tree, lists) if partial else made)
    if workspace.settings.is_dry_run:
        console.data(unified_diff(tree.images_text, new, path=tree.images_path.name))
        return
    endings = tuple(f".{platform.replace('/', '-')}.txt" for platform in platforms)
    listed = files.list_files(tree, made)
    changes = {path: data for path, data in listed.items() if path.name.endswith(endings)}
    if is_own:
        changes[tree.images_path] = new.encode()
    changes = {p: d for p, d in changes.items() if not p.is_file() or p.read_bytes() != d}
    if changes:
        journal.apply(tree.root, changes)
    for path in sorted(changes):
        console.line(f"written  {path.relative_to(tree.root)}")


def _report(
    workspace: Workspace, console: Console, lists: ImageLists, differences: tuple[Difference, ...]
) -> None:
    asked = set(workspace.settings.platforms) or set(workspace.tree.components.platforms)
    shown = [each for each in lists.lists if asked & set(each.platforms)]
    for each in lists.lists:
        if each not in shown:
            console.line(f"{each.component:<12} does not ship for {', '.join(sorted(asked))}")
    for each in shown:
        console.line(
            f"{each.component:<12} {len(each.images):>3} images  {', '.join(each.platforms)}"
        )
    document: Mapping[str, Any] = {
        "components": {each.component: list(each.references) for each in shown},
        "differences": [
            {
                "component": d.component,
                "reference": d.reference,
                "missing": d.is_missing,
                "proof": d.proof,
            }
            for d in differences
        ],
        "findings": [finding.to_json() for finding in lists.findings],
    }
    console.document(document)


def _explain(workspace: Workspace, console: Console, wanted: str) -> None:
    """Print every proof of the images that ``wanted`` names: a reference, or a part of one."""
    lists = build(workspace)
    needle = wanted.removeprefix(f"{DOCKER_HUB}/")
    found = {
        (each.component, str(image.reference)): image.proofs
        for each in lists.lists
        for image in each.images
        if _names(str(image.reference), needle)
    }
    if not found:
        msg = f"{wanted}: in no list of this tree"
        raise ConfigError(msg, hint="name it as images.txt does, or by the last part of its path")
    for (component, reference), proofs in found.items():
        console.data(f"{reference} ({component})\n" + "".join(f"  {proof}\n" for proof in proofs))
    console.document(
        {
            "images": [
                {"component": component, "reference": reference, "proofs": list(proofs)}
                for (component, reference), proofs in found.items()
            ]
        }
    )


def _names(reference: str, wanted: str) -> bool:
    """Whether ``wanted`` is the reference, its repository, or the last part of its path."""
    bare = reference.partition("/")[2]
    repository = bare.partition(":")[0]
    return wanted in {
        reference,
        bare,
        repository,
        repository.rpartition("/")[2],
        bare.rpartition("/")[2],
    }
