"""Plan: which shard does what; the same tree, lock and options make the same one in every job.

Archives cannot be split: `by_archive` gives whole ones to shards, and with them
the images that they need, so an image may be in several shards. `by_image`
gives each image to one shard. A plan's digest is that of everything it was
made of and of its outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rke2pack import files, strictjson, wishes
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.finding import Finding
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.wish import Wish
from rke2pack.settings import Settings
from rke2pack.shards import balance
from rke2pack.shards.archives import Target
from rke2pack.shards.asked import By
from rke2pack.shards.balance import Item, Share
from rke2pack.shards.shard import Shard
from rke2pack.shards.weights import Unit, Weights

# Counted up when the same inputs begin to give another plan.
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The shares of all shards, in order; ``references`` are the images of each name."""

    by: By
    unit: Unit
    shares: tuple[Share, ...]
    references: Mapping[str, tuple[Reference, ...]]
    inputs: Digest
    findings: tuple[Finding, ...] = ()

    @cached_property
    def digest(self) -> Digest:
        """What tells plans apart."""
        document = {
            "version": _VERSION,
            "by": self.by,
            "inputs": str(self.inputs),
            "shares": [each.names for each in self.shares],
        }
        return Digest.of(strictjson.dump(document))

    def share(self, shard: Shard) -> Share:
        """Return what a shard does."""
        return self.shares[shard.number - 1]

    def images(self, share: Share) -> frozenset[Reference]:
        """Return the images of a share."""
        return frozenset(each for name in share.names for each in self.references[name])

    def shards(self) -> tuple[tuple[Shard, Share], ...]:
        """Return the shards that have something to do."""
        count = len(self.shares)
        every = (Shard(number=n, count=count) for n in range(1, count + 1))
        return tuple(pair for pair in zip(every, self.shares, strict=True) if pair[1].names)

    def to_json(self) -> dict[str, Any]:
        """Return the document of a plan; ``include`` is a matrix of GitHub Actions."""
        return {
            "plan": str(self.digest),
            "by": self.by,
            "unit": self.unit,
            "total": sum(each.weight for each in self.shares),
            "include": [self._job(shard, share) for shard, share in self.shards()],
            "findings": [each.to_json() for each in self.findings],
        }

    def matrix(self) -> dict[str, Any]:
        """Return the matrix of GitHub Actions alone, short enough for a job's output."""
        keys = ("shard", "name", "plan", self.unit)
        return {"include": [{k: job[k] for k in keys} for job in self.to_json()["include"]]}

    def _job(self, shard: Shard, share: Share) -> dict[str, Any]:
        names = [str(each) for each in sorted(self.images(share), key=str)]
        return {
            "shard": str(shard),
            "name": f"{shard.number}-of-{shard.count}",
            "plan": str(self.digest),
            **({"archives": list(share.names)} if self.by == "archives" else {}),
            "references": names,
            **({"bytes": share.weight} if self.unit == "bytes" else {}),
            "images": len(names),
        }


def by_archive(settings: Settings, count: int, targets: Iterable[Target]) -> Plan:
    """Split the archives of a tree; raises ConfigError."""
    images = {t.name: dict.fromkeys(t.references, (t.platform,)) for t in targets}
    return _made("archives", Weights.of(settings), images, count)


def by_image(settings: Settings, references: tuple[str, ...], count: int) -> Plan:
    """Split the images of images.txt, or the named ones; raises ConfigError.

    Without ``--platform`` images are whole, for whichever command asks.
    """
    asked = wishes.asked(settings, references, is_whole=not settings.platforms)
    images = {str(each.reference): {each.reference: each.platforms} for each in asked}
    return _made("images", Weights.of(settings), images, count)


def own_wishes(
    plan: Plan, shard: Shard, every: Iterable[Wish], targets: Iterable[Target]
) -> tuple[Wish, ...]:
    """Return the wishes of a shard, in their order; by archive only for their platforms."""
    share = plan.share(shard)
    own = plan.images(share)
    if plan.by == "images":
        return tuple(wish for wish in every if wish.reference in own)
    needed: dict[Reference, set[Platform]] = {}
    for target in targets:
        for reference in target.references if target.name in share.names else ():
            needed.setdefault(reference, set()).add(target.platform)
    return tuple(
        replace(wish, platforms=tuple(p for p in wish.platforms if p in needed[wish.reference]))
        for wish in every
        if wish.reference in needed
    )


def check(plan: Plan, expected: Path | Digest | None) -> None:
    """Raise ConfigError unless a plan is the expected one: a digest, or a file that names it."""
    if expected is None:
        return
    digest = expected if isinstance(expected, Digest) else _written(expected)
    if digest != plan.digest:
        msg = f"--plan: expected {digest}, this tree and these options make {plan.digest}"
        hint = "use the commit, images.lock, options and number of shards that were planned with"
        raise ConfigError(msg, hint=hint)


def _written(path: Path) -> Digest:
    """Read the digest of a plan that was written to a file."""
    text = files.read_text(path)
    try:
        document = strictjson.load_object(text.encode(), what=str(path), max_bytes=len(text) * 4)
        return Digest.parse(str(document.get("plan")))
    except IntegrityError as exc:
        msg = f"{path}: no plan: {exc.message}"
        raise ConfigError(msg, hint="write it with 'rke2pack plan --output FILE'") from exc


def _made(
    by: By,
    weights: Weights,
    images: Mapping[str, Mapping[Reference, tuple[Platform, ...]]],
    count: int,
) -> Plan:
    items = [
        Item(name=name, parts=_joined(weights.parts(r, p) for r, p in own.items()))
        for name, own in images.items()
    ]
    inputs = [
        [
            item.name,
            [[str(r), *map(str, p), weights.pin(r)] for r, p in images[item.name].items()],
            sorted(item.parts.items()),
        ]
        for item in sorted(items, key=lambda item: item.name)
    ]
    return Plan(
        by=by,
        unit=weights.unit,
        shares=balance.split(items, count),
        references={name: tuple(own) for name, own in images.items()},
        inputs=Digest.of(strictjson.dump(inputs)),
        findings=weights.findings,
    )


def _joined(parts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    return {name: weight for each in parts for name, weight in each.items()}
