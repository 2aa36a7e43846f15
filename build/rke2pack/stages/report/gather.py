"""What a report shows, gathered from the tree, dist/ and the files that the call names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack.errors import ConfigError
from rke2pack.finding import Finding
from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock
from rke2pack.lists.text import Section
from rke2pack.page import archives, changes, history, images, validation
from rke2pack.page.archives import PageArchive
from rke2pack.page.changes import Changes
from rke2pack.page.history import History
from rke2pack.page.images import PageImage
from rke2pack.page.release import PageComponent, PageData
from rke2pack.page.validation import Validation
from rke2pack.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options of the command say; ``tell`` writes what is done now."""

    artifacts: Path
    against: str | None
    validations: tuple[Path, ...]
    history: Path | None
    with_charts: bool
    tell: Callable[[str], None]


@dataclass(kw_only=True)
class _Gathering:
    workspace: Workspace
    asked: Asked
    findings: list[Finding] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def gather(workspace: Workspace, asked: Asked) -> PageData:
    """Read everything that the page shows; raises PackError for what is there and wrong."""
    work = _Gathering(workspace=workspace, asked=asked)
    settings = workspace.settings
    sections = images.read_sections(workspace)
    found_lock = locks.read(workspace.tree.root / locks.NAME)
    lock = found_lock.in_registry(settings.registry) if found_lock else None
    listed = _images(work, sections, lock)
    found = _archives(work)
    if not listed:
        work.missing["images"] = "images.txt lists none yet: run 'rke2pack images'"
    elif lock is None:
        work.missing["digests"] = "no images.lock yet: run 'rke2pack images --lock'"
    return PageData(
        release=workspace.tree.environment["RKE2_VERSION"],
        kubernetes=workspace.tree.kube_version,
        is_lab=settings.is_lab,
        components=_components(workspace),
        images=listed,
        archives=found,
        changes=_changes(work, sections),
        validations=_validations(work),
        history=_history(work, listed, found),
        findings=tuple(work.findings),
        missing=work.missing,
    )


def _components(workspace: Workspace) -> tuple[PageComponent, ...]:
    bundled, rules = workspace.bundled(), workspace.tree.components
    charts = workspace.component_charts(workspace.settings.components)
    return tuple(
        PageComponent(
            name=name,
            charts=tuple((chart, bundled[chart].text) for chart in own),
            platforms=rules.get(name).platforms or rules.platforms,
        )
        for name, own in charts.items()
    )


def _images(
    work: _Gathering, sections: Iterable[Section], lock: Lock | None
) -> tuple[PageImage, ...]:
    workspace = work.workspace
    proofs = None
    if work.asked.with_charts:
        work.asked.tell("reading  the charts")
        proved = images.prove(workspace)
        proofs = proved.by_reference
        work.findings += proved.findings
    else:
        work.missing["proofs"] = (
            "the charts were not read: run 'rke2pack report' without --no-charts"
        )
    return images.collect(
        sections, workspace.platforms(), workspace.tree.components.platforms, lock, proofs
    )


def _archives(work: _Gathering) -> tuple[PageArchive, ...]:
    folder, settings = work.asked.artifacts, work.workspace.settings
    if not archives.has_archives(folder):
        work.missing["archives"] = (
            f"no archives in {_named(folder, work)} yet: run 'rke2pack airgap'"
        )
        return ()
    names = [each.name for each in work.workspace.tree.components.components]
    found = archives.read(folder, names, work.asked.tell)
    for each in found:
        if each.problem:
            work.findings.append(
                Finding(
                    severity="error",
                    check="archive",
                    subject=each.name,
                    expected="an archive that reads to its end",
                    got=each.problem,
                )
            )
    wanted = settings.components
    return tuple(each for each in found if not wanted or each.component in wanted)


def _changes(work: _Gathering, sections: Iterable[Section]) -> Changes | None:
    root = work.workspace.tree.root
    against = work.asked.against
    if against is not None:
        before = changes.read(root, against)
    else:
        from rke2pack.vcs.history import tag_before  # noqa: PLC0415 - git is slow to import

        tag = tag_before(root)
        if tag is None:
            work.missing["changes"] = "no git tag before this tree: name a release with --against"
            return None
        try:
            before = changes.read(root, tag)
        except ConfigError as exc:
            work.missing["changes"] = f"{exc.message}: name a release with --against"
            return None
    work.asked.tell(f"reading  the charts of {before.title}")
    return changes.compare(work.workspace, before, sections, with_charts=work.asked.with_charts)


def _validations(work: _Gathering) -> tuple[Validation, ...]:
    named = work.asked.validations
    if not named:
        path = work.workspace.tree.root / validation.FILE
        if not path.is_file():
            text = f"no {validation.FILE} yet: run 'rke2pack validate'"
            work.missing["validation"] = text
            return ()
        named = (path,)
    return tuple(validation.read(path) for path in named)


def _history(
    work: _Gathering, listed: Iterable[PageImage], found: Iterable[PageArchive]
) -> History | None:
    path = work.asked.history
    if path is None:
        text = "no sizes of earlier releases: keep them in a file and name it with --history"
        work.missing["history"] = text
        return None
    earlier = history.read(path)
    name = work.workspace.tree.environment["RKE2_VERSION"]
    own = history.release_of(name, listed, found)
    if work.workspace.settings.components:
        work.missing["history"] = "a part of a release is not added to it: leave out --component"
    elif not own.archives:
        work.missing["history"] = "this release has no archives yet: run 'rke2pack airgap'"
    else:
        earlier = earlier.with_release(own)
    return earlier


def _named(folder: Path, work: _Gathering) -> str:
    """Name a folder as people see it from the tree, so that the page has no machine's paths."""
    root = work.workspace.tree.root
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.name
