"""Trees of other times: a folder as it is, or a tag of the tree's repository."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rke2pack.errors import ConfigError
from rke2pack.helm.version import Rke2Version
from rke2pack.settings import Settings
from rke2pack.vcs.history import History
from rke2pack.workspace import Workspace

# The data files of both layouts; what a revision lacks is left out.
FILES = ("charts-manifest", "images.txt", "images.lock", "charts", "scripts")
MARKERS = ("charts-manifest/chart_versions.yaml", "charts/chart_versions.yaml")


@contextlib.contextmanager
def opened(settings: Settings, name: str) -> Iterator[Workspace]:
    """Open the tree in a folder, or as it was at a tag, a branch or a commit.

    Raises ConfigError for what is neither.
    """
    folder = Path(name)
    if name and _is_tree(folder):
        yield Workspace(settings=replace(settings, tree=folder))
        return
    try:
        history = History(settings.tree)
        found = history.revision(name)
    except ConfigError as exc:
        msg = f"{name}: no folder of a tree, and {exc.message}"
        raise ConfigError(msg, hint="name the folder of a tree") from exc
    if found is None:
        msg = f"{name}: neither the folder of a tree nor a revision of {settings.tree.absolute()}"
        hint = "name a folder, or a tag, branch or commit; 'git fetch --tags' brings tags"
        raise ConfigError(msg, hint=hint)
    with tempfile.TemporaryDirectory(prefix="rke2pack-") as temporary:
        root = Path(temporary) / "tree"
        history.export(found.commit, FILES, root)
        if not _is_tree(root):
            msg = f"{name}: {settings.tree.absolute()} was no tree then"
            raise ConfigError(msg, hint="name another tag")
        yield Workspace(settings=replace(settings, tree=root))


def previous(history: History, tag: str) -> str | None:
    """Return the newest release's tag before ``tag`` on the way to it; None for the first."""
    revision = tag if history.revision(f"refs/tags/{tag}") else "HEAD"
    found = []
    for name in history.tags(revision):
        try:
            found.append(Rke2Version.parse(name))
        except ConfigError:
            continue
    own = Rke2Version.parse(tag)
    before = sorted(each for each in found if each < own)
    return before[-1].text if before else None


def _is_tree(folder: Path) -> bool:
    return any((folder / name).is_file() for name in MARKERS)
