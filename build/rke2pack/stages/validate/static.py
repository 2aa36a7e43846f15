"""``validate --level static``: the checks that need neither docker nor a cluster."""

from __future__ import annotations

from rke2pack.finding import Finding
from rke2pack.stages.validate.asked import Asked
from rke2pack.validate import allow
from rke2pack.validate.collection import Collection
from rke2pack.validate.examine import Examiner
from rke2pack.validate.once import OnceRenderer
from rke2pack.validate.report import Report
from rke2pack.validate.static import NAME, Static


def run(asked: Asked) -> Report:
    """Validate the asked charts on the asked rows; raises PackError where that cannot begin."""
    workspace = asked.workspace
    columns = [row.name for row in asked.rows]
    report = Report(level=NAME, threshold=asked.threshold, columns=columns)
    bundle = asked.bundle()
    renderer = OnceRenderer(workspace.renderer) if bundle.older else workspace.renderer
    examiner = Examiner(renderer=renderer, cache=workspace.cache)
    collection = Collection(bundle=bundle, examiner=examiner)
    Static(collection=collection, allow=asked.allow, report=report).run(asked.rows)
    if asked.is_whole and not workspace.settings.is_lab:  # the lab's charts are others
        versions = {name: version.text for name, version in workspace.bundled().items()}
        used = [each.entry for each in report.explained]
        report.notes += [
            Finding(
                severity="info",
                check="unused-exception",
                subject=allow.NAME,
                expected="every entry to explain something",
                got=f"{entry} explains nothing on these rows",
            )
            for entry in asked.allow.unused(used, versions)
        ]
    return report
