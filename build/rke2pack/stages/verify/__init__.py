"""``verify``: prove archives, release folders and deltas from their own bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import click

from rke2pack import wording
from rke2pack.console import Console
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError, ValidationError
from rke2pack.finding import Finding, Result
from rke2pack.lists import lock as locks
from rke2pack.lists import lockedarchive
from rke2pack.lists.lock import Lock
from rke2pack.manual import Manual
from rke2pack.oci.intake import releasefolder
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.pack import outfolder
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import nodeimport
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.nodeimport import Imported
from rke2pack.oci.verify.scan import Scan
from rke2pack.options import talk_options
from rke2pack.release import sums as checksums
from rke2pack.release.sums import Sums
from rke2pack.settings import Settings
from rke2pack.stages.verify import attested, release
from rke2pack.stages.verify.attested import Attestation, Trust

_FILE = click.Path(path_type=Path)
_AT_A_TIME = 2
INTEGRITY = verifyarchive.INTEGRITY | attested.CHECKS
_UNASKED = ("skipped", "signature")


@click.command(
    "verify", cls=Manual, short_help="Prove archives and release folders from their own bytes."
)
@talk_options
@click.argument("given", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option(
    "--base",
    "bases",
    multiple=True,
    type=_FILE,
    help="The archive that a delta builds upon (repeatable).",
)
@click.option(
    "--against",
    "lock",
    metavar="images.lock",
    type=_FILE,
    help="Compare the images with the pins of an images.lock.",
)
@click.option(
    "--system-default-registry",
    "default_registry",
    metavar="HOST",
    help="Tell also the names under the nodes' system-default-registry.",
)
@click.option(
    "--registry",
    metavar="HOST",
    help="The images were listed with --registry HOST: the lock's names are taken so, too.",
)
@click.option(
    "--key",
    "keys",
    metavar="PUB",
    multiple=True,
    type=_FILE,
    help="A public key or certificate (PEM) that must have signed; of several one (repeatable).",
)
@click.option(
    "--identity",
    metavar="URI",
    help="The workflow that must have signed with sigstore, its address with @refs/tags/TAG.",
)
@click.option(
    "--issuer", metavar="URL", help="Who vouches for that identity, such as GitHub's OIDC issuer."
)
@click.option(
    "--trusted-root",
    type=_FILE,
    help="sigstore's roots of trust.  [default: those that rke2pack carries]",
)
def command(
    *,
    settings: Settings,
    console: Console,
    given: tuple[Path, ...],
    bases: tuple[Path, ...],
    lock: Path | None,
    default_registry: str | None,
    keys: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    trusted_root: Path | None,
) -> None:
    """Prove archives, their parts, release folders and deltas from their own bytes.

    FILE is an archive (.tar, .tar.gz, .tar.zst), a part of one, or a folder of
    them. Each is read once and nothing is unpacked to the disk: digests,
    layers, manifests, platforms, names, lists and checksums, and what a node
    would make of it. Every archive is tried; what failed is listed at the end.

    Of a release, its provenance has to name every file; --key and --identity
    prove who signed it. Any file of a release can then be named alone.
    """
    work = Work(
        console=console,
        registry=default_registry,
        lock=_read_lock(lock, settings.registry),
        trust=Trust.read(keys, identity, issuer, trusted_root),
    )
    with ExitStack() as stack:
        for folder in {path if path.is_dir() else path.parent for path in (*bases, *given)}:
            stack.enter_context(outfolder.reading(folder))
        for base in bases:
            work.add_base(base)
        for path in given:
            work.verify(path)
        console.findings(work.findings)
        console.document(work.document())
        work.fail()


def _read_lock(path: Path | None, registry: str | None) -> Lock | None:
    if path is None:
        return None
    found = locks.read(path)
    if found is None:
        msg = f"{path}: no such file"
        raise ConfigError(msg, hint="write it with 'rke2pack images --lock'")
    return found.in_registry(registry)


@dataclass(kw_only=True)
class Work:
    """Collects the results of every archive."""

    console: Console
    registry: str | None
    lock: Lock | None
    trust: Trust
    bases: list[Scan] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    imports: list[Imported] = field(default_factory=list)
    errors: list[PackError] = field(default_factory=list)
    _digests: dict[Path, Digest] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    def add_base(self, path: Path) -> None:
        """Read a base; raises IntegrityError where it cannot be read to its end."""
        for file in releasefolder.archives(path):
            base = scans.scan(file)
            if base.error is not None:
                raise base.error
            self.bases.append(base)

    def verify(self, given: Path) -> None:
        """Verify what one argument names; an error is a result too."""
        if attested.is_lone(given):
            self._attested(given, (given,))
            return
        try:
            found = releasefolder.archives(given)
            sums = {each.path.parent: checksums.read(each.path.parent) for each in found}
        except PackError as exc:
            self._failed(given.name, exc)
            return
        new = [file for file in found if file.path not in self._seen]
        self._seen |= {file.path for file in new}
        with _scanner() as scanned:
            for start in range(0, len(new), _AT_A_TIME):
                files = new[start : start + _AT_A_TIME]
                for file, scan in zip(files, scanned(files), strict=True):
                    self._archive(file, scan, sums[file.path.parent])
        if given.is_dir():
            parts = {part.name for file in found for part in file.parts}
            self._tell("checksums", tuple(release.check_others(sums[given], parts)))
        self._attested(given, tuple(part for file in found for part in file.parts))

    def _attested(self, given: Path, parts: tuple[Path, ...]) -> None:
        """Verify what vouches for a folder, or for the files of one archive."""
        folder = given if given.is_dir() else given.parent
        if not attested.is_there(folder) and not self.trust.is_asked:
            return
        attestation = Attestation(folder=folder, trust=self.trust)
        try:
            attestation.prove()
            if given.is_dir():
                checked = tuple(attestation.check_folder(self._digests))
            else:
                checked = tuple(attestation.check_files(parts, self._digests))
        except PackError as exc:
            self._failed(given.name, exc)
            return
        self._tell("provenance", (*attestation.results, *checked))

    def _archive(self, file: ArchiveFile, scan: Scan | PackError, sums: Sums) -> None:
        if isinstance(scan, PackError):
            self._failed(file.path.name, scan)
            return
        verified = verifyarchive.verify(scan, self.bases)
        self._digests |= {each.path: each.digest for each in scan.sums}
        results = [*verified.results, *release.check_sums(verified, sums)]
        self.findings += release.unlisted(verified, sums)
        if scan.error is None:
            results.append(release.check_list(verified))
            results += lockedarchive.check(verified, self.lock) if self.lock else ()
            self.imports += nodeimport.imported(verified, self.registry)
            self.findings += nodeimport.findings(verified)
        self.findings += verified.findings
        self._tell(scan.what, results)

    def _failed(self, name: str, error: PackError) -> None:
        self.errors.append(error)
        detail = error.message
        self._tell(name, [Result(subject=name, check="readable", status="failed", detail=detail)])

    def _tell(self, title: str, results: Iterable[Result]) -> None:
        """Write one line an archive, then what is wrong; ``-v`` shows every check and name."""
        found = list(results)
        self.results += found
        if not found:
            return
        count = Counter(each.status for each in found)
        state = ", ".join(f"{count[status]} {status}" for status in sorted(count))
        self.console.line(f"{title:<48} {state}")
        for each in found:
            # That nobody was asked who signed it is no detail.
            is_told = each.status == "failed" or (each.status, each.check) == _UNASKED
            tell = self.console.line if is_told else self.console.detail
            subject = f" {each.subject}:" if each.subject != title else ""
            tell(f"  {each.status:<8} {each.check:<12}{subject} {each.detail}")
        for image in self.imports:
            if image.archive == title:
                self.console.detail(f"  on a node: {' = '.join(image.tags)}")

    def document(self) -> dict[str, Any]:
        """Return the document of ``--json``."""
        return {
            "results": [each.to_json() for each in self.results],
            "findings": [each.to_json() for each in self.findings],
            "imports": [each.to_json() for each in self.imports],
        }

    def fail(self) -> None:
        """Raise what failed: damage before wrong content."""
        failed = [each for each in self.results if each.status == "failed"]
        if not failed:
            return
        if len(failed) == 1 and self.errors:
            raise self.errors[0]
        kind: type[PackError] = ValidationError
        if any(each.check in INTEGRITY for each in failed):
            kind = IntegrityError
        subjects = len({each.subject for each in failed})
        details = tuple(f"{each.subject}: {each.check}: {each.detail}" for each in failed)
        if len(failed) == 1:
            raise kind(f"verify: {details[0]}", hint=_hint(failed))
        files = wording.count(subjects, "file")
        msg = f"verify: {len(failed)} checks of {files} failed"
        raise kind(msg, hint=_hint(failed), details=details)


@contextmanager
def _scanner() -> Iterator[Callable[[Iterable[ArchiveFile]], Iterator[Scan | PackError]]]:
    """Give what scans files side by side; what is under way ends with the block."""
    stop = Event()

    def scanned(file: ArchiveFile) -> Scan | PackError:
        try:
            return scans.scan(file, stop)
        except PackError as exc:
            return exc

    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        yield partial(pool.map, scanned)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _hint(failed: Iterable[Result]) -> str:
    if any(each.check in attested.CHECKS for each in failed):
        return "do not use it; get the files and the key again, from where you trust them to be"
    if any(each.check in {"readable", "digests", "layers", "checksum"} for each in failed):
        return "get the file again from where it was built"
    return "build the archive again; see docs/verify.md for what each check means"
