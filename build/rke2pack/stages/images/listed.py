"""The lists of a tree: made, written, compared with images.txt, explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rke2pack import journal, wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.lists import files, text
from rke2pack.lists.files import Difference
from rke2pack.lists.model import ImageLists
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.patch import unified_diff
from rke2pack.workspace import Workspace


def build(workspace: Workspace) -> ImageLists:
    """Build the lists of the wanted components of the tree."""
    wanted = workspace.component_charts(workspace.settings.components)
    return workspace.builder(workspace.bundled()).build(wanted)


def compare(workspace: Workspace, lists: ImageLists) -> tuple[Difference, ...]:
    """Return where images.txt differs from ``lists``, each line with its proof."""
    has = files.written(workspace.tree)
    strays = () if workspace.settings.components else files.strays(lists, has)
    return (*files.compare(lists, has), *strays)


def write(
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


def shown(workspace: Workspace, console: Console, lists: ImageLists) -> dict[str, Any]:
    """Tell of each list; return the keys ``components`` and ``findings`` of ``--json``."""
    asked = set(workspace.platforms())
    own = [each for each in lists.lists if asked & set(each.platforms)]
    for each in lists.lists:
        if each not in own:
            console.line(f"{each.component:<12} does not ship for {', '.join(sorted(asked))}")
    for each in own:
        images = wording.count(len(each.images), "image ", "images")
        console.line(f"{each.component:<12} {images:>10}  {', '.join(each.platforms)}")
    return {
        "components": {each.component: list(each.references) for each in own},
        "findings": [finding.to_json() for finding in lists.findings],
    }


def to_json(differences: Iterable[Difference]) -> list[Mapping[str, Any]]:
    """Return the key ``differences`` of ``--json``."""
    return [
        {
            "component": each.component,
            "reference": each.reference,
            "missing": each.is_missing,
            "proof": each.proof,
        }
        for each in differences
    ]


def explain(workspace: Workspace, console: Console, wanted: str) -> None:
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
