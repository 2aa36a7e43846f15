"""What is served: the image store, the lab's images, or archives; and which charts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.helm.shelf import Shelf
from rke2pack.oci import model
from rke2pack.oci.intake import releasefolder
from rke2pack.oci.intake.take import take_in
from rke2pack.oci.mirror import shape
from rke2pack.oci.model import Descriptor
from rke2pack.oci.store import shortlived
from rke2pack.oci.store.layout import VERSION_FILE, Entry, Layout
from rke2pack.settings import Settings

_TEMPORARY = "serve-"


def shelf(settings: Settings, charts: Path | None) -> Shelf | None:
    """Return the charts to serve: of ``charts``, the lab's, or those that were downloaded."""
    if charts is not None:
        return Shelf(charts)
    folder = settings.lab.charts if settings.lab else settings.cache_dir / "charts"
    return Shelf(folder) if folder.is_dir() else None


@contextlib.contextmanager
def layout(
    settings: Settings, archives: tuple[Path, ...], store: Path | None, console: Console
) -> Iterator[Layout]:
    """Give the layout to serve, filled from the archives where there are any.

    Without ``store`` that layout is a temporary one. It is held in use, so that
    nothing is removed from it meanwhile.
    """
    if not archives:
        own = settings.lab.fill() if settings.lab and not store else settings.store
        with (found := Layout.open(store or own, must_exist=True)).in_use():
            yield found
        return
    with (
        contextlib.nullcontext(store)
        if store
        else shortlived.folder(settings.cache_dir, prefix=_TEMPORARY) as root
    ):
        found = Layout.open(root)
        with found.in_use():
            found.tag(_roots(found, _taken(found, archives, console)))
            yield found


def _taken(found: Layout, given: tuple[Path, ...], console: Console) -> tuple[Entry, ...]:
    """Take in every archive; raises ConfigError where no image of them has a name."""
    named: list[Entry] = []
    for archive in _archives(given):
        console.step(f"serve: reading {archive}")
        for entry in take_in(found, archive):
            if entry.name:
                named.append(entry)
            else:
                digest = entry.descriptor.digest
                console.line(f"left out  {digest} of {archive}: it has no name")
    if not named:
        msg = f"{', '.join(map(str, given))}: holds no image with a name"
        raise ConfigError(msg, hint="name the image when the archive is written")
    return tuple(named)


def _archives(given: Iterable[Path]) -> Iterator[Path]:
    """Yield what is taken in: each once, of a release folder its archives."""
    every: dict[Path, None] = {}
    for path in given:
        if (path / VERSION_FILE).is_file():
            every[path] = None
        else:
            every |= dict.fromkeys(each.path for each in releasefolder.archives(path))
    yield from every


def _roots(found: Layout, entries: Iterable[Entry]) -> Mapping[str, Descriptor]:
    """Return what each name points at: of several archives' parts of an image, an index of all."""
    parts: dict[str, list[Descriptor]] = {}
    for entry in entries:
        parts.setdefault(entry.name, []).append(entry.descriptor)
    return {
        name: own[0] if len(model.unique(own)) == 1 else shape.joined(found, own, what=name)
        for name, own in parts.items()
    }
