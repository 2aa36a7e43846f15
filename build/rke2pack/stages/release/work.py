"""The work of a release: files collected, described, vouched for, and put into one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rke2pack import files, wording
from rke2pack.console import Console
from rke2pack.errors import PackError, ReleaseError
from rke2pack.files import Cache
from rke2pack.finding import Finding
from rke2pack.lists import lock as locks
from rke2pack.release import bill as bills
from rke2pack.release import changes as differences
from rke2pack.release import keyless, provenance, sums, trees, validation
from rke2pack.release.asset import (
    CYCLONEDX,
    KEYLESS,
    NOTES,
    PROVENANCE,
    SPDX,
    Asset,
    in_order,
)
from rke2pack.release.bill import Bill
from rke2pack.release.changes import Changes
from rke2pack.release.collect import Collector
from rke2pack.release.digests import Digests
from rke2pack.release.folder import Folder, Made
from rke2pack.release.provenance import Origin
from rke2pack.release.validation import Validation
from rke2pack.shards import archives
from rke2pack.stages.release.notes import Notes
from rke2pack.stages.release.source import Source
from rke2pack.tree.versions import BundledChart
from rke2pack.workspace import Workspace


class Signer(Protocol):
    """Signs a statement."""

    def sign(self, payload: bytes) -> bytes:
        """Return the signature's file."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What this command's own options say; ``signers`` are by the name of their file."""

    artifacts: Path
    charts: Path
    validations: tuple[Path, ...]
    output: Path
    bundles: Mapping[str, tuple[str, ...]] | None
    since: str | None
    intro: Path | None
    attached: tuple[Path, ...]
    has_spdx: bool
    signers: Mapping[str, Signer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What was made: the files in the order in which they are sent, and the notes."""

    assets: tuple[Asset, ...]
    findings: tuple[Finding, ...]
    notes: str


@dataclass(kw_only=True)
class Work:
    """Makes one release; with ``--dry-run`` nothing is written, and sigstore not asked."""

    workspace: Workspace
    request: Request
    source: Source
    origin: Origin
    console: Console

    @property
    def folder(self) -> Folder:
        """The release's folder."""
        digests = Digests(cache=Cache(self.workspace.settings.cache_dir))
        output = self.request.output
        return Folder(path=output, plan=plan_path(output), digests=digests)

    def release(self) -> Released:
        """Make the release's folder; raises ReleaseError where something does not belong."""
        bundled = self._bundled()
        digests = self.folder.digests
        planned = archives.find(self.workspace, self.request.bundles)
        collector = Collector(
            artifacts=self.request.artifacts, charts=self.request.charts, digests=digests
        )
        collected = collector.collect(
            planned,
            self.workspace.tree,
            bundled,
            is_whole=not self.workspace.settings.components,
        )
        assets = (*collected.assets, *self._attached(digests))
        sources = bills.Sources(
            tree=self.workspace.tree,
            bundled=bundled,
            plan=planned,
            lock=self._lock(),
            assets=assets,
            shipped=collected.shipped,
        )
        bill = bills.make(self.source.tag, self.source.moment, sources)
        notes = self._notes(assets)
        described = self._described(bill, notes)
        made = [*described, *self._checksums(assets, described)]
        statement = self._statement(bill, assets, made)
        return Released(
            assets=self._write(assets, [*made, statement], statement),
            findings=(*self.source.findings, *_unlocked(bill)),
            notes=notes.decode(),
        )

    def _bundled(self) -> tuple[BundledChart, ...]:
        components = self.workspace.settings.components
        charts = self.workspace.tree.versions.charts
        if not components:
            return charts
        own = {c for cs in self.workspace.component_charts(components).values() for c in cs}
        return tuple(each for each in charts if each.name in own)

    def _lock(self) -> locks.Lock | None:
        lock = locks.read(self.workspace.tree.root / locks.NAME)
        return lock.in_registry(self.workspace.settings.registry) if lock else None

    def _attached(self, digests: Digests) -> tuple[Asset, ...]:
        found = []
        for path in self.request.attached:
            if not path.is_file():
                msg = f"{path}: no such file"
                raise ReleaseError(msg, hint="check the path that --attach has")
            size, digest = digests.of(path)
            found.append(
                Asset(name=path.name, kind="attached", path=path, size=size, digest=digest)
            )
        return tuple(found)

    def _notes(self, assets: tuple[Asset, ...]) -> bytes:
        return Notes(
            tag=self.source.tag,
            intro=files.read_text(self.request.intro) if self.request.intro else "",
            changes=self._changes(),
            validations=self._validations(),
            assets=in_order(assets),
        ).markdown()

    def _validations(self) -> tuple[Validation, ...]:
        bundled = {name: version.text for name, version in self.workspace.bundled().items()}
        return tuple(validation.read(path, bundled) for path in self.request.validations)

    def _changes(self) -> Changes | None:
        name = self.request.since or self.source.previous()
        if name is None:
            self.console.detail("no release before this one is known")
            return None
        self.console.detail(f"compared with {name}")
        with trees.opened(self.workspace.settings, name) as old:
            names = (Path(name).name if Path(name).is_dir() else name, self.source.tag)
            return differences.compare(old, self.workspace, names=names)

    def _described(self, bill: Bill, notes: bytes) -> list[Made]:
        from rke2pack.release import sbom  # noqa: PLC0415 - slow

        made = [
            Made(name=CYCLONEDX, kind="sbom", content=sbom.cyclonedx(bill)),
            Made(name=NOTES, kind="notes", content=notes),
        ]
        if self.request.has_spdx:
            from rke2pack.release import spdx  # noqa: PLC0415 - slow, and rarely asked for

            made.append(Made(name=SPDX, kind="sbom", content=spdx.spdx(bill)))
        return made

    def _checksums(self, assets: tuple[Asset, ...], described: list[Made]) -> list[Made]:
        own = {each.architecture for each in assets if each.architecture}
        every = (*assets, *(each.asset(self.request.output) for each in described))
        lists = sums.lists_of(every, own)
        return [Made(name=n, kind="checksums", content=text) for n, text in lists.items()]

    def _statement(self, bill: Bill, assets: tuple[Asset, ...], made: list[Made]) -> Made:
        every = (*assets, *(each.asset(self.request.output) for each in made))
        names = [each.name for each in every]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"{twice[0]}: two files of the release have this name"
            raise ReleaseError(msg, hint="rename what --attach names")
        content = provenance.build(bill, every, self.origin)
        return Made(name=PROVENANCE, kind="provenance", content=content)

    def _write(
        self, assets: tuple[Asset, ...], made: list[Made], statement: Made
    ) -> tuple[Asset, ...]:
        output, folder = self.request.output, self.folder
        signed = [*self.request.signers]
        left = folder.check([*(a.name for a in assets), *(m.name for m in made), *signed])
        is_dry_run = self.workspace.settings.is_dry_run
        signers = [name for name in signed if name != KEYLESS or not is_dry_run]
        made = [*made, *(self._sign(name, statement.content) for name in signers)]
        if is_dry_run:
            return in_order((*assets, *(each.asset(output) for each in made)))
        folder.remove(left)
        taken = tuple(folder.take(each) for each in assets)
        for each in made:
            folder.write(each)
        return in_order((*taken, *(each.asset(output) for each in made)))

    def _sign(self, name: str, payload: bytes) -> Made:
        """Sign the statement; sigstore's signature of an earlier run that is of it stays."""
        path = self.request.output / name
        content = None
        if name == KEYLESS and path.is_file():
            raw = files.read_text(path).encode()
            try:
                content = raw if keyless.payload(raw, what=str(path)) == payload else None
            except PackError as exc:
                self.console.detail(f"{exc.message}: signed anew")
        content = content or self.request.signers[name].sign(payload)
        return Made(name=name, kind="signature", content=content)


def plan_path(output: Path) -> Path:
    """Return where the upload plan of a release's folder is: beside it, it is not published."""
    return output.with_name(f"{output.name}-plan.json")


def _unlocked(bill: Bill) -> tuple[Finding, ...]:
    missing = [str(image.reference) for image in bill.images if image.locked is None]
    if not missing:
        return ()
    return (
        Finding(
            severity="warning",
            check="not-locked",
            subject=locks.NAME,
            expected="an entry for every image, so that the SBOM has its digest",
            got=f"none for {wording.count(len(missing), 'image')}, the first is {missing[0]}",
        ),
    )
