"""``validate --level import``: archives into docker and containerd themselves."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rke2pack.errors import ConfigError, ToolError
from rke2pack.finding import Finding
from rke2pack.lists import lock as locks
from rke2pack.oci.intake import releasefolder
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.stages.validate.asked import Asked
from rke2pack.stages.validate.importwish import DEFAULT_ADDRESS, OUTPUT, RUNTIMES, Importing
from rke2pack.validate.report import Report
from rke2pack.validate.runtime import archive as archives
from rke2pack.validate.runtime.checks import CHECKS
from rke2pack.validate.runtime.containerd import Containerd
from rke2pack.validate.runtime.ctr import Ctr
from rke2pack.validate.runtime.level import NAME, Import
from rke2pack.validate.runtime.trial import Runtime


def run(asked: Asked) -> Report:
    """Try the asked archives; raises ToolError where no runtime, or not an asked one, answers."""
    wish, settings = asked.importing, asked.workspace.settings
    report = Report(level=NAME, threshold=asked.threshold, checks=CHECKS)
    files = _files(wish.given or (_built(settings.tree / OUTPUT),))
    with ExitStack() as stack:
        runtimes = _connect(wish, report, stack)
        report.columns += [each.title for each in runtimes]
        with report.step("read"):
            found = archives.read(files, _files(wish.bases))
        level = Import(
            runtimes=runtimes,
            registry=wish.registry,
            lock=locks.of(settings),
            report=report,
            tell=asked.tell,
            is_dry_run=settings.is_dry_run,
        )
        level.run(found)
    return report


def _built(folder: Path) -> Path:
    if not folder.is_dir():
        msg = f"{folder}: no such folder"
        raise ConfigError(msg, hint="build the archives with 'rke2pack airgap', or name them")
    return folder


def _files(given: tuple[Path, ...]) -> tuple[ArchiveFile, ...]:
    """Return the named archives, each once, in the order of their names as nodes read them."""
    every = {each.path: each for path in given for each in releasefolder.archives(path)}
    return tuple(every.values())


def _connect(wish: Importing, report: Report, stack: ExitStack) -> list[Runtime]:
    """Reach the asked runtimes, all of them; or those that are there, and tell which are not."""
    found: list[Runtime] = []
    missing: list[ToolError] = []
    for name in wish.runtimes or RUNTIMES:
        try:
            found.append(_runtime(name, wish, stack))
        except ToolError as exc:
            if wish.runtimes:
                raise
            missing.append(exc)
            report.notes.append(_absent(name, exc))
    if not found:
        msg = "validate: neither docker nor containerd can be reached"
        hint = "start one of them, or name it with DOCKER_HOST or --containerd-address"
        raise ToolError(msg, hint=hint, details=tuple(each.message for each in missing))
    return found


def _runtime(name: str, wish: Importing, stack: ExitStack) -> Runtime:
    if name == "docker":
        from rke2pack.validate.runtime.dockerd import Docker  # noqa: PLC0415 - slow to import

        docker = Docker.connect(wish.environment)
        stack.callback(docker.engine.close)
        return docker
    address = wish.address or wish.environment.get("CONTAINERD_ADDRESS") or DEFAULT_ADDRESS
    ctr = Ctr(
        program=wish.ctr, address=address.removeprefix("unix://"), snapshotter=wish.snapshotter
    )
    return Containerd.connect(ctr)


def _absent(name: str, error: ToolError) -> Finding:
    return Finding(
        severity="info",
        check="runtime",
        subject=name,
        expected="to be reached",
        got=f"{error.message}; nothing was tried in it",
    )
