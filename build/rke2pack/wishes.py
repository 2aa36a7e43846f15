"""Wishes: the images of images.txt, or named ones, each once, with its platforms."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.wish import Wish
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from rke2pack.lists.guard import Guard
    from rke2pack.workspace import Workspace

_ENDINGS = (".tar", ".tgz", ".tzst", ".tar.gz", ".tar.zst", ".part01", ".txt")


def asked(settings: Settings, references: tuple[str, ...], *, is_whole: bool) -> tuple[Wish, ...]:
    """Return every image once, in the order of the list, with the platforms to have.

    The images are ``references``, or those of images.txt. Whole images have no
    platforms: all of them are wished for.
    """
    listed = _named(settings, references, is_whole=is_whole) if references else _listed(settings)
    wanted: dict[Reference, dict[Platform, None]] = {}
    for reference, platforms in listed:
        own = reference.with_registry(settings.registry) if settings.registry else reference
        wanted.setdefault(own, {}).update(dict.fromkeys(platforms))
    return tuple(
        Wish(reference=reference, platforms=() if is_whole else tuple(platforms))
        for reference, platforms in wanted.items()
    )


def guarded(wishes: Iterable[Wish], guard: Guard) -> tuple[Wish, ...]:
    """Return the wishes, each accepting only what the tree's lock lets pass."""
    return tuple(replace(wish, accept=partial(guard.check, wish.reference)) for wish in wishes)


def is_named(reference: Reference, pattern: str) -> bool:
    """Whether a pattern names the image, its repository, or its repository with the registry."""
    names = (str(reference), reference.repository, f"{reference.registry}/{reference.repository}")
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _named(
    settings: Settings, references: tuple[str, ...], *, is_whole: bool
) -> Iterator[tuple[Reference, tuple[Platform, ...]]]:
    platforms = () if is_whole else tuple(map(Platform.parse, _platforms(settings)))
    for each in references:
        _refuse_file(each)
        reference = Reference.parse(each)
        if not reference.tag and reference.digest is None:
            reference = replace(reference, tag="latest")
        yield reference, platforms


def _refuse_file(name: str) -> None:
    """Raise ConfigError for a file where an image belongs; its name could be one, too."""
    if name.endswith(_ENDINGS) and Path(name).is_file():
        msg = f"{name}: a file, not an image"
        hint = "name archives with 'rke2pack mirror TARGET --from-archive FILE'"
        raise ConfigError(msg, hint=hint)


def _platforms(settings: Settings) -> tuple[str, ...]:
    """Return the asked platforms, or the tree's where there is a tree."""
    if settings.platforms or not settings.has_tree:
        return settings.platforms
    return _workspace(settings).tree.components.platforms


def _listed(settings: Settings) -> Iterator[tuple[Reference, tuple[Platform, ...]]]:
    workspace = _workspace(settings)
    try:
        components = workspace.tree.components
    except ConfigError as exc:
        hint = f"{exc.hint}; or name images" if exc.hint else None
        raise ConfigError(exc.message, hint=hint, details=exc.details) from exc
    chosen = workspace.platforms()
    for section in workspace.sections():
        own = [p for p in section.platforms or components.platforms if p in chosen]
        platforms = tuple(map(Platform.parse, components.image_platforms(own)))
        for name in section.references if own else ():
            yield Reference.parse(name), platforms


def _workspace(settings: Settings) -> Workspace:
    from rke2pack.workspace import Workspace  # noqa: PLC0415 - slow, and not for named images

    return Workspace(settings=settings)
