"""``--lab``: a scratch copy of the tree with the lab's charts and images behind it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rke2pack import files, journal, wishes
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.lab import registry, repository
from rke2pack.lab.registry import LabImages
from rke2pack.settings import Lab, Settings
from rke2pack.tree.native import FOLDER, IMAGES
from rke2pack.workspace import Workspace

LAB = "dist/lab"


@contextlib.contextmanager
def opened(settings: Settings, console: Console) -> Iterator[Settings]:
    """Make the scratch copy, serve the lab's charts and images, and yield settings for all.

    The copy is ``dist/lab/tree`` of the tree, made anew each time; its
    manifests name the lab's archives. What is pulled and pushed stays in
    ``dist/lab/`` for the next run. Nothing outside of it is written.
    """
    _refuse(settings)
    root = settings.tree / LAB
    console.step(
        f"lab: built-in charts, on a copy of the tree in {root / 'tree'}; nothing else is touched"
    )
    with files.reported("write", root):
        root.mkdir(parents=True, exist_ok=True)
    with journal.locked(root), contextlib.ExitStack() as stack:
        charts = repository.build(root / "charts")
        _copy(settings.tree, root / "tree")
        lab_settings = replace(
            settings,
            tree=root / "tree",
            charts_repo=stack.enter_context(repository.serve(charts)),
            cache_dir=root / "cache",
            is_offline=False,
        )
        Workspace(settings=replace(lab_settings, is_dry_run=False)).write_references()
        made = _images(root / "registry", lab_settings)
        lab = Lab(
            charts=charts, registry=stack.enter_context(registry.serve(made)), fill=made.filled
        )
        yield replace(lab_settings, lab=lab)


def _images(root: Path, settings: Settings) -> LabImages:
    """Return the images of the whole list, whichever part of it a command asks for."""
    whole = replace(settings, platforms=(), components=())
    return LabImages(
        root,
        lambda: wishes.asked(whole, (), is_whole=False),
        sources=(settings.tree / IMAGES, settings.tree / FOLDER / "components.yaml"),
    )


def _refuse(settings: Settings) -> None:
    if settings.charts_repo is not None:
        msg = "--lab brings its own chart repository, --charts-repo cannot go with it"
        raise ConfigError(msg, hint="leave out one of the two")
    if not (settings.tree / FOLDER / "chart_versions.yaml").is_file():
        msg = f"{settings.tree.absolute()}: not a tree, it has no {FOLDER}/chart_versions.yaml"
        raise ConfigError(msg, hint="name the folder of the tree with --tree")


def _copy(tree: Path, scratch: Path) -> None:
    """Copy the tree's data files, and nothing else, into an empty folder."""
    with files.reported("copy the tree to", scratch):
        if scratch.exists():
            shutil.rmtree(scratch)
        shutil.copytree(tree / FOLDER, scratch / FOLDER)
        if (tree / IMAGES).is_file():
            shutil.copyfile(tree / IMAGES, scratch / IMAGES)
