"""Which archives there are to build: components, bundles, platforms and their names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rke2pack.errors import ConfigError, choice
from rke2pack.lists import text
from rke2pack.lists.text import Section
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.workspace import Workspace

# RKE2's own archive without a component's name: what a default installation needs.
BUNDLES: Mapping[str, tuple[str, ...]] = {"rke2-images": ("core", "canal")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One archive or list: its name without the ending, and its images.

    Those of Windows have one list in common instead of one each (``has_list``).
    """

    name: str
    platform: Platform
    references: tuple[Reference, ...]
    has_list: bool = True

    @property
    def list_bytes(self) -> bytes:
        """The list: a reference a line."""
        return "".join(f"{reference}\n" for reference in self.references).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Archives:
    """The archives in order, and what is a list alone, such as the images of all components."""

    targets: tuple[Target, ...]
    lists: tuple[Target, ...]


def find(workspace: Workspace, bundles: Mapping[str, tuple[str, ...]] | None = None) -> Archives:
    """Return the archives of the asked components and platforms.

    A bundle (None: RKE2's own) is built where all its components are. Raises
    ConfigError for a platform or a component that the tree does not have.
    """
    bundles = BUNDLES if bundles is None else bundles
    sections = {section.component: section for section in workspace.sections()}
    targets: list[Target] = []
    lists: list[Target] = []
    components = workspace.tree.components
    _check_bundles(workspace, sections, bundles)
    for name in workspace.platforms():
        platform = Platform.parse(name)
        own = {c: s for c, s in sections.items() if name in (s.platforms or components.platforms)}
        releases = components.per_release(name)
        if releases:
            targets += _windows(workspace, own.values(), releases)
            lists += _windows_list(workspace, own.values(), name)
            continue
        groups: dict[str, tuple[str, ...]] = {f"rke2-images-{c}": (c,) for c in own}
        groups |= {n: parts for n, parts in bundles.items() if all(p in own for p in parts)}
        suffix = name.replace("/", "-")
        targets += [
            Target(
                name=f"{group}.{suffix}",
                platform=platform,
                references=_references(workspace, (own[part] for part in parts)),
            )
            for group, parts in groups.items()
        ]
        if not workspace.settings.components:
            every = _references(workspace, own.values())
            lists.append(
                Target(name=f"rke2-images-all.{suffix}", platform=platform, references=every)
            )
    return Archives(targets=tuple(targets), lists=tuple(lists))


def _windows(
    workspace: Workspace, sections: Iterable[Section], releases: Mapping[str, str]
) -> Iterator[Target]:
    """Yield an archive of all components for each release of Windows Server."""
    references = _references(workspace, sections)
    for release, platform in releases.items() if references else ():
        parsed = Platform.parse(platform)
        name = f"rke2-windows-{release}-{parsed.architecture}-images"
        yield Target(name=name, platform=parsed, references=references, has_list=False)


def _windows_list(
    workspace: Workspace, sections: Iterable[Section], platform: str
) -> Iterator[Target]:
    references = _references(workspace, sections)
    if references:
        name = text.list_name("", platform)
        yield Target(name=name, platform=Platform.parse(platform), references=references)


def _references(workspace: Workspace, sections: Iterable[Section]) -> tuple[Reference, ...]:
    """Return the images of several components, each once."""
    return tuple(dict.fromkeys(_named(workspace, sections)))


def _named(workspace: Workspace, sections: Iterable[Section]) -> Iterator[Reference]:
    registry = workspace.settings.registry
    for section in sections:
        for name in section.references:
            reference = Reference.parse(name)
            yield reference.with_registry(registry) if registry else reference


def _check_bundles(
    workspace: Workspace, sections: Iterable[str], bundles: Mapping[str, tuple[str, ...]]
) -> None:
    known = [*(c.name for c in workspace.tree.components.components), *sections]
    for name in dict.fromkeys(part for parts in bundles.values() for part in parts):
        # A tree without the components of RKE2's own bundles has no such archives.
        if bundles is not BUNDLES and name not in known:
            msg = f"{name}: no such component"
            raise ConfigError(msg, hint=choice(name, known))
