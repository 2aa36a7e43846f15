"""``validate --level kind``: charts installed in clusters that can pull nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from rke2pack import files, process
from rke2pack.engine import Engine
from rke2pack.oci.intake import releasefolder
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.stages.validate.asked import Asked
from rke2pack.stages.validate.importwish import OUTPUT
from rke2pack.stages.validate.levels import FOLDER
from rke2pack.validate.kind import expect, release
from rke2pack.validate.kind.checks import CHECKS
from rke2pack.validate.kind.expect import Expectation, Expectations
from rke2pack.validate.kind.level import NAME, Live
from rke2pack.validate.kind.program import Kind
from rke2pack.validate.report import Report

_LAB: Final = Expectation(reaches="started", reason="the lab's programs answer no probe")


def run(asked: Asked) -> Report:
    """Try the asked charts on the asked rows; raises PackError where that cannot begin."""
    settings, wish = asked.workspace.settings, asked.kind
    Engine.connect(asked.importing.environment).close()  # before anything slow is begun
    process.find("docker")
    kind = Kind.find(wish.program)
    helm = release.find(settings.helm or "helm")
    columns = [row.name for row in asked.rows]
    report = Report(level=NAME, threshold=asked.threshold, checks=CHECKS, columns=columns)
    Live(
        kind=kind,
        helm=helm,
        image=wish.image,
        archives=_archives(asked),
        bundle=asked.bundle(),
        expectations=_expectations(asked),
        allow=asked.allow,
        report=report,
        folder=settings.tree / FOLDER / NAME,
        keep=wish.keep,
        patience=wish.timeout,
        tell=asked.tell,
        say=asked.say or asked.tell,
    ).run(asked.rows, jobs=wish.jobs)
    return report


def _archives(asked: Asked) -> tuple[ArchiveFile, ...]:
    """Return the archives to import, one where there are several forms of it."""
    given = asked.importing.given or (asked.workspace.settings.tree / OUTPUT,)
    every = (each for path in given for each in releasefolder.archives(path))
    found = {_stem(each): each for each in every}
    return tuple(found.values())


def _stem(archive: ArchiveFile) -> Path:
    form = releasefolder.ARCHIVE.match(archive.path.name)
    return archive.path.with_name(form["stem"]) if form else archive.path


def _expectations(asked: Asked) -> Expectations:
    tree, is_lab = asked.workspace.tree, asked.workspace.settings.is_lab
    path = tree.path(expect.NAME)
    if not path.exists():
        return Expectations(default=_LAB if is_lab else Expectation())
    known = [chart for each in tree.components.components for chart in each.charts]
    found = Expectations.parse(files.read_text(path), what=str(path), known=known)
    return replace(found, default=_LAB) if is_lab else found
