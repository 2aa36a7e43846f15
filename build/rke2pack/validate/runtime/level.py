"""Level import: archives tried in every asked runtime, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rke2pack.finding import Result
from rke2pack.lists.lock import Lock
from rke2pack.validate.allow import AllowList
from rke2pack.validate.issue import Issue, Problem
from rke2pack.validate.report import Ran, Report
from rke2pack.validate.runtime.archive import Archive
from rke2pack.validate.runtime.checks import CHECKS, Checking
from rke2pack.validate.runtime.trial import Runtime

NAME = "import"


@dataclass(frozen=True, kw_only=True)
class Import:
    """Tries archives in runtimes; results go to ``report``, a line for each try to ``tell``."""

    runtimes: Sequence[Runtime]
    registry: str | None
    lock: Lock | None
    report: Report
    tell: Callable[[str], None]
    is_dry_run: bool = False

    def run(self, archives: Iterable[Archive]) -> None:
        """Try every archive; raises ToolError where a runtime fails for another reason."""
        for archive in archives:
            for runtime in self.runtimes:
                self._try(archive, runtime)

    def _try(self, archive: Archive, runtime: Runtime) -> None:
        reason = runtime.passes_over(archive)
        if self.is_dry_run and not reason:
            reason = "not tried, with --dry-run"
        if reason:
            self._skip(archive, runtime, dict.fromkeys(CHECKS, reason))
        elif archive.problem:
            problem = Problem(
                check="import",
                subject="",
                expected="an archive that can be given to a runtime",
                got=archive.problem,
            )
            self._note(archive, runtime, "import", "", (problem,))
            rest = [check for check in CHECKS if check != "import"]
            self._skip(archive, runtime, dict.fromkeys(rest, "the archive was not imported"))
        else:
            self.tell(f"{archive.name} into {runtime.title}")
            with runtime.trial(archive, registry=self.registry, report=self.report) as trial:
                checking = Checking(archive=archive, trial=trial, lock=self.lock)
                for check, detail, problems in checking.run():
                    self._note(archive, runtime, check, detail, problems)
                self._skip(archive, runtime, checking.skipped())

    def _note(
        self,
        archive: Archive,
        runtime: Runtime,
        check: str,
        detail: str,
        problems: Iterable[Problem],
    ) -> None:
        row = runtime.title
        self.report.ran.append(
            Ran(row=row, chart=archive.name, version="", check=check, detail=detail)
        )
        issues = [
            Issue(problem=each, chart=archive.name, version="", rows=(row,)) for each in problems
        ]
        self.report.add(issues, AllowList())

    def _skip(self, archive: Archive, runtime: Runtime, checks: dict[str, str]) -> None:
        self.report.other += [
            Result(
                subject=f"{runtime.title}: {archive.name}",
                check=check,
                status="skipped",
                detail=reason,
            )
            for check, reason in checks.items()
        ]
