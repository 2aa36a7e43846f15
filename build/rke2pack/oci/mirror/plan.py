"""Plan: which image goes where, settled before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.oci.mirror import shape
from rke2pack.oci.mirror.names import Rules
from rke2pack.oci.mirror.run import Errand, root_digest
from rke2pack.oci.mirror.sources import LayoutSource, ReferrersApis, RegistrySource, Source
from rke2pack.oci.model import Descriptor
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Entry, Layout
from rke2pack.oci.wish import Wish


def from_registries(
    wishes: Iterable[Wish], rules: Rules, access: Access, apis: ReferrersApis
) -> tuple[Errand, ...]:
    """Plan to read registries; raises as `settled`."""
    sources: dict[tuple[str, str], RegistrySource] = {}

    def source_of(reference: Reference) -> Source:
        key = reference.registry, reference.repository
        if key not in sources:
            registry = access.registry(reference.registry)
            sources[key] = RegistrySource(registry=registry, repository=key[1], apis=apis)
        return sources[key]

    return settled(_errand(wish, source_of(wish.reference), rules) for wish in wishes)


def from_layout(
    wishes: Iterable[Wish], rules: Rules, layout: Layout, names: Mapping[str, Descriptor]
) -> tuple[Errand, ...]:
    """Plan to read a layout in which images have ``names``; raises as `settled`."""
    return settled(
        _errand(wish, LayoutSource(layout=layout, names=names, reference=wish.reference), rules)
        for wish in wishes
    )


def _errand(wish: Wish, source: Source, rules: Rules) -> Errand:
    return Errand(
        source=source,
        reference=wish.reference,
        target=rules.target(wish.reference),
        platforms=wish.platforms,
        accept=wish.accept,
    )


def joined(layout: Layout, entries: Iterable[Entry]) -> tuple[Mapping[str, Descriptor], list[str]]:
    """Give each name of archives one root, made where several have parts of it.

    Returns the roots by full name, and the names of those that were made.
    Raises ConfigError for an image without a full name.
    """
    roots: dict[str, list[Descriptor]] = {}
    for entry in entries:
        roots.setdefault(_full_name(entry), []).append(entry.descriptor)
    found = {name: shape.joined(layout, each, what=name) for name, each in sorted(roots.items())}
    made = [
        name for name, root in found.items() if root.digest not in {r.digest for r in roots[name]}
    ]
    return found, made


def _full_name(entry: Entry) -> str:
    name = entry.name
    if not name or "/" not in name:
        msg = f"archive: {name or entry.descriptor.digest}: has no full name"
        raise ConfigError(msg, hint="give its image a name like docker.io/rancher/pause:3.6")
    reference = Reference.parse(name)
    return str(reference if reference.tag or reference.digest else replace(reference, tag="latest"))


def settled(errands: Iterable[Errand]) -> tuple[Errand, ...]:
    """Return the errands, one for each name at the target.

    Several sources may have the same name there where they are the same image;
    raises ConfigError where they are not.
    """
    places: dict[tuple[str, str | Digest], list[Errand]] = {}
    for errand in errands:
        target = errand.target
        name = target.tag or target.digest or "latest"
        places.setdefault((target.repository, name), []).append(errand)
    issues: list[str] = []
    for several in places.values():
        if len(several) > 1 and len({(root_digest(e), e.platforms) for e in several}) > 1:
            names = " and ".join(str(errand.reference) for errand in several)
            issues.append(f"{several[0].target}: {names}")
    if issues:
        msg = f"mirror: {wording.count(len(issues), 'name')} at the target would be several images"
        hint = "keep them apart with --map, like --map quay.io/=quay/"
        raise ConfigError(msg, hint=hint, details=tuple(issues))
    return tuple(several[0] for several in places.values())
