"""Bill: the charts and images of a release, each with the digests that are known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from rke2pack.digest import Digest
from rke2pack.lists.lock import Lock
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.release.asset import Asset
from rke2pack.release.collect import Shipped
from rke2pack.shards.archives import Archives
from rke2pack.tree.native import NativeTree
from rke2pack.tree.versions import BundledChart


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledChart:
    """A bundled chart; ``digest`` is its archive's, ``manifest`` that of the released file."""

    name: str
    version: str
    upstream: str
    url: str
    digest: Digest
    manifest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledImage:
    """An image; ``locked`` is what its tag points at, None where images.lock does not have it.

    ``manifests`` are those in the archives: with the profiles ``default`` and ``small`` not
    the registry's. ``archives`` name the files that hold it.
    """

    reference: Reference
    locked: Digest | None
    manifests: Mapping[Platform, Digest]
    archives: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """All of a release; ``moment`` is the time that is written everywhere."""

    tag: str
    moment: datetime
    charts: tuple[BilledChart, ...]
    images: tuple[BilledImage, ...]
    archives: tuple[Asset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a bill is made of."""

    tree: NativeTree
    bundled: tuple[BundledChart, ...]
    plan: Archives
    lock: Lock | None
    assets: tuple[Asset, ...]
    shipped: Shipped


def make(tag: str, moment: datetime, sources: Sources) -> Bill:
    """Make the bill; charts and images are sorted by name."""
    archives = tuple(each for each in sources.assets if each.kind == "archive")
    return Bill(
        tag=tag,
        moment=moment,
        charts=tuple(_charts(sources)),
        images=tuple(_images(sources, archives)),
        archives=tuple(sorted(archives, key=lambda each: each.name)),
    )


def _charts(sources: Sources) -> Iterable[BilledChart]:
    files = {each.name: each.digest for each in sources.assets if each.kind == "chart"}
    for chart in sorted(sources.bundled, key=lambda each: each.name):
        reference = sources.tree.reference(chart.name) if not chart.version.is_removed else None
        if reference is not None:
            yield BilledChart(
                name=chart.name,
                version=chart.version.text,
                upstream=chart.version.upstream,
                url=reference.url,
                digest=reference.digest,
                manifest=files[f"{chart.name}.yaml"],
            )


def _images(sources: Sources, archives: Iterable[Asset]) -> Iterable[BilledImage]:
    held: dict[Reference, set[str]] = {}
    for target in sources.plan.targets:
        stem = f"{target.name}.tar."
        names = {each.name for each in archives if each.name.startswith(stem)}
        for reference in target.references:
            held.setdefault(reference, set()).update(names)
    for reference in sorted(held, key=str):
        locked = sources.lock.get(reference) if sources.lock else None
        manifests = {
            platform: digest
            for (other, platform), digest in sources.shipped.items()
            if other == reference
        }
        yield BilledImage(
            reference=reference,
            locked=locked.root.digest if locked else None,
            manifests=dict(sorted(manifests.items(), key=lambda each: str(each[0]))),
            archives=tuple(sorted(held[reference])),
        )
