"""With ``--pull``: images are fetched, and what has come is compressed meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from rke2pack.console import Console
from rke2pack.fetch import report
from rke2pack.fetch import run as runs
from rke2pack.fetch.run import Fetch
from rke2pack.lists.guard import Guard
from rke2pack.oci.model import Manifest
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.store.transfer import Outcome
from rke2pack.oci.wish import Wish
from rke2pack.progress import Meter
from rke2pack.shards.archives import Target
from rke2pack.stages.airgap.work import Work
from rke2pack.wishes import guarded


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """The images of archives on their way into the store."""

    fetch: Fetch
    console: Console
    wishes: tuple[Wish, ...]
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        fetch: Fetch,
        console: Console,
        targets: Iterable[Target],
        guard: Guard,
        *,
        every: Iterable[Target],
    ) -> Arrival:
        """Wish for what ``targets`` hold, of ``every`` archive that there is.

        Raises ConfigError for a pattern that names no image of them.
        """
        runs.check_patterns(fetch.engine_patterns, _wishes(every))
        return cls(fetch=fetch, console=console, wishes=guarded(_wishes(targets), guard))

    def run(self, work: Work) -> None:
        """Fetch everything; `Work.build` finds what has come, and knows what has not."""
        with closing(self._manifests(work.meter)) as manifests:
            if work.request.is_dry_run:
                for _ in manifests:
                    pass
            else:
                work.keep(manifests)
        for outcome in self.outcomes:
            reference = outcome.wish.reference
            if outcome.error is not None:
                work.failed[reference] = outcome.error
            elif outcome.status == "planned":
                work.awaited.add(reference)

    def tell(self) -> dict[str, Any]:
        """Write the sums of what was fetched, and return them for ``--json``."""
        is_dry_run = self.fetch.settings.is_dry_run
        told = report.tell_sums(
            self.console, self.fetch.access, tuple(self.outcomes), is_dry_run=is_dry_run
        )
        return {"pulled": told}

    def _manifests(self, meter: Meter) -> Generator[tuple[Reference, Manifest]]:
        """Yield what an image has for each platform, as soon as it has come.

        What was there before may be in archives that are built already.
        """
        # What ends the work ends the transfer, too, instead of letting it go on.
        with closing(self.fetch.run(self.wishes, meter)) as outcomes:
            for outcome in outcomes:
                report.tell(self.console, outcome)
                self.outcomes.append(outcome)
                if outcome.status != "copied" or outcome.image is None:
                    continue
                for document in outcome.image.documents:
                    if isinstance(document, Manifest):
                        yield outcome.wish.reference, document


def _wishes(targets: Iterable[Target]) -> tuple[Wish, ...]:
    wanted: dict[Reference, dict[Platform, None]] = {}
    for target in targets:
        for reference in target.references:
            wanted.setdefault(reference, {})[target.platform] = None
    return tuple(Wish(reference=r, platforms=tuple(p)) for r, p in wanted.items())
