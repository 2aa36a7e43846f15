"""One shard of the archives: which ones, and the record of what was made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rke2pack import files
from rke2pack.console import Console
from rke2pack.oci.pack import recipes
from rke2pack.settings import Settings
from rke2pack.shards import plan as plans
from rke2pack.shards import record as records
from rke2pack.shards.archives import Archives
from rke2pack.shards.asked import Asked
from rke2pack.shards.plan import Plan
from rke2pack.shards.record import Made, RecipeNote, Record
from rke2pack.shards.shard import Shard
from rke2pack.stages.airgap.work import Product, Request, Work


@dataclass(frozen=True, kw_only=True)
class Part:
    """A shard of a plan; what concerns all archives is `merge`'s."""

    shard: Shard
    plan: Plan

    @classmethod
    def of(cls, settings: Settings, asked: Asked, found: Archives) -> Part:
        """Plan, and check the plan; raises ConfigError."""
        plan = plans.by_archive(settings, asked.shard.count, found.targets)
        plans.check(plan, asked.plan)
        return cls(shard=asked.shard, plan=plan)

    def archives(self, found: Archives) -> Archives:
        """Return the shard's own archives."""
        names = self.plan.share(self.shard).names
        own = tuple(target for target in found.targets if target.name in names)
        return replace(found, targets=own, lists=())

    def begin(self, request: Request, console: Console) -> None:
        """Remove the record of an earlier run: it tells of other files soon."""
        console.line(f"shard {self.shard} of plan {self.plan.digest}")
        place = records.path(request.output, self.shard)
        with files.reported("remove", place):
            if not request.is_dry_run:
                place.unlink(missing_ok=True)

    def end(self, work: Work) -> None:
        """Write what was made, where all was; tell what the plan did not know."""
        work.findings |= {str(each): each for each in self.plan.findings}
        if work.request.is_dry_run or work.problems:
            return
        lists = [each for each in work.products if each.path.suffix == ".txt"]
        record = Record(
            shard=self.shard,
            plan=self.plan.digest,
            recipe=_note(work.request),
            archives=tuple(work.packed),
            lists=tuple(made for each in lists for made in _made(each)),
        )
        place = records.path(work.request.output, self.shard)
        files.write(place, str(record).encode())
        work.console.line(f"record  {place}")

    def to_json(self) -> dict[str, str]:
        """Return what ``--json`` says of the shard."""
        return {"shard": str(self.shard), "plan": str(self.plan.digest)}


def _note(request: Request) -> RecipeNote:
    used = [recipes.recipe(request.profile, form) for form in request.formats]
    return RecipeNote(
        profile=request.profile,
        formats=request.formats,
        max_size=request.max_size,
        codings=tuple(c.name for each in used for c in (each.plain, each.packed)),
    )


def _made(product: Product) -> tuple[Made, ...]:
    written = product.written
    if written is None:
        return ()
    return (Made(name=product.path.name, size=written.size, digest=written.digest),)
