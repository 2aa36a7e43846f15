"""One shard of a mirror: which images are its own, and what only a whole run can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError
from rke2pack.finding import Finding
from rke2pack.oci.mirror.run import Errand
from rke2pack.settings import Settings
from rke2pack.shards.asked import Asked

if TYPE_CHECKING:
    from rke2pack.shards.plan import Plan

_WHOLE = "leave --shard out: a run without it sends nothing that is there"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A shard of a plan; with no shard asked, all of it."""

    asked: Asked | None
    plan: Plan | None

    @classmethod
    def of(cls, settings: Settings, asked: Asked | None, references: tuple[str, ...]) -> Part:
        """Plan, and check the plan; raises ConfigError."""
        if asked is None:
            return cls(asked=None, plan=None)
        from rke2pack.shards import plan as plans  # noqa: PLC0415 - only for shards

        plan = plans.by_image(settings, references, asked.shard.count)
        plans.check(plan, asked.plan)
        return cls(asked=asked, plan=plan)

    def own(self, errands: tuple[Errand, ...]) -> tuple[Errand, ...]:
        """Return the shard's errands, of all of them: names that meet were settled before."""
        if self.asked is None or self.plan is None:
            return errands
        own = self.plan.images(self.plan.share(self.asked.shard))
        return tuple(errand for errand in errands if errand.reference in own)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the plan did not know."""
        return self.plan.findings if self.plan else ()

    def to_json(self) -> Mapping[str, str]:
        """Return what ``--json`` says of the shard."""
        if self.asked is None or self.plan is None:
            return {}
        return {"shard": str(self.asked.shard), "plan": str(self.plan.digest)}


def check(asked: Asked | None, **others: bool) -> None:
    """Raise ConfigError for options of a whole run (name -> whether it was given) in a shard."""
    given = [name for name, is_given in others.items() if is_given]
    if asked is not None and given:
        msg = f"--{given[0].replace('_', '-')} and --shard: one shard does not know all images"
        raise ConfigError(msg, hint=_WHOLE)
