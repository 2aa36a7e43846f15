"""What pull is to bring: every image once, with its platforms."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import replace

from rke2pack.errors import ConfigError
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.transfer import Wish
from rke2pack.settings import Settings
from rke2pack.tree.native import FOLDER
from rke2pack.workspace import Workspace


def wishes(settings: Settings, references: tuple[str, ...], *, is_whole: bool) -> tuple[Wish, ...]:
    """Return every image once, in the order of the list, with the platforms to have.

    The images are ``references``, or those of images.txt.
    """
    listed = _named(settings, references) if references else _listed(settings)
    wanted: dict[Reference, dict[Platform, None]] = {}
    for reference, platforms in listed:
        own = reference.with_registry(settings.registry) if settings.registry else reference
        wanted.setdefault(own, {}).update(dict.fromkeys(platforms))
    return tuple(
        Wish(reference=reference, platforms=() if is_whole else tuple(platforms))
        for reference, platforms in wanted.items()
    )


def _named(
    settings: Settings, references: tuple[str, ...]
) -> Iterator[tuple[Reference, tuple[Platform, ...]]]:
    names = settings.platforms
    if not names and (settings.tree / FOLDER).is_dir():
        names = Workspace(settings=settings).tree.components.platforms
    platforms = tuple(map(Platform.parse, names))
    for each in references:
        reference = Reference.parse(each)
        if not reference.tag and reference.digest is None:
            reference = replace(reference, tag="latest")
        yield reference, platforms


def _listed(settings: Settings) -> Iterator[tuple[Reference, tuple[Platform, ...]]]:
    workspace = Workspace(settings=settings)
    known, asked = workspace.tree.components.platforms, workspace.platforms()
    for section in workspace.sections():
        own = [p for p in section.platforms or known if p in asked]
        for name in section.references if own else ():
            yield Reference.parse(name), tuple(map(Platform.parse, own))


def is_local(wish: Wish, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the image, its repository, or its repository with the registry."""
    reference = wish.reference
    names = (str(reference), reference.repository, f"{reference.registry}/{reference.repository}")
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in names)


def check_patterns(patterns: tuple[str, ...], local: Iterable[Wish]) -> None:
    """Raise ConfigError for a pattern that names none of the images."""
    for pattern in patterns:
        if not any(is_local(wish, (pattern,)) for wish in local):
            msg = f"--from-engine {pattern}: no image is called so"
            raise ConfigError(msg, hint="name a repository of the list, like rancher/rke2-runtime")
