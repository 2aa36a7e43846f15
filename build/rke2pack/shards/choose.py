"""Choose: the part of a list of images that one shard is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rke2pack.errors import ConfigError
from rke2pack.finding import Finding
from rke2pack.oci.wish import Wish
from rke2pack.settings import Settings
from rke2pack.shards import archives
from rke2pack.shards import plan as plans
from rke2pack.shards.archives import Target
from rke2pack.shards.asked import Asked, Bundles, By
from rke2pack.shards.plan import Plan
from rke2pack.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A shard's wishes of a plan."""

    asked: Asked
    plan: Plan
    wishes: tuple[Wish, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan did not know."""
        return self.plan.findings

    def to_json(self) -> dict[str, Any]:
        """Return what ``--json`` says of the shard."""
        return {"shard": str(self.asked.shard), "plan": str(self.plan.digest)}

    def __str__(self) -> str:
        return f"shard {self.asked.shard} of plan {self.plan.digest}"


def make(
    settings: Settings,
    references: tuple[str, ...],
    count: int,
    *,
    by: By | None,
    bundles: Bundles = None,
) -> tuple[Plan, tuple[Target, ...]]:
    """Plan archives, or images where they are named or asked for; raises ConfigError.

    Returns the archives, too, where they are what is planned.
    """
    if references and by == "archives":
        msg = "--shard-by archives: archives are of images.txt, not of named images"
        raise ConfigError(msg, hint="leave out the images, or use --shard-by images")
    if references or by == "images":
        return plans.by_image(settings, references, count), ()
    targets = archives.find(Workspace(settings=settings), bundles).targets
    return plans.by_archive(settings, count, targets), targets


def choose(
    settings: Settings,
    asked: Asked,
    every: tuple[Wish, ...],
    references: tuple[str, ...],
    *,
    by: By | None,
    bundles: Bundles = None,
) -> Chosen:
    """Return the wishes of ``every`` that a shard has; raises ConfigError."""
    plan, targets = make(settings, references, asked.shard.count, by=by, bundles=bundles)
    plans.check(plan, asked.plan)
    own = plans.own_wishes(plan, asked.shard, every, targets)
    return Chosen(asked=asked, plan=plan, wishes=own)
