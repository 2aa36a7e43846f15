"""``delta``: archives with only what changed, for nodes that have the old ones."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from rke2pack import files, wording
from rke2pack.console import Console
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError
from rke2pack.files import Cache
from rke2pack.finding import Finding
from rke2pack.manual import Manual
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.pack import delta, outfolder
from rke2pack.oci.pack.buildrecord import BuildRecord
from rke2pack.oci.pack.delta import Base, DeltaMaker, Made
from rke2pack.oci.pack.outfile import Written
from rke2pack.oci.pack.recipes import Format
from rke2pack.options import max_size_option, store_options
from rke2pack.settings import Settings
from rke2pack.stages.delta import pairs
from rke2pack.stages.delta.pairs import Pair

OUTPUT = Path("dist/deltas")
# Counted up when the same inputs begin to give other bytes.
_FORMAT = 1
_DAY = 86_400.0
_ANY = click.Path(path_type=Path)


@click.command("delta", cls=Manual, short_help="Make an archive with only what changed.")
@store_options
@click.argument("old", type=_ANY)
@click.argument("new", type=_ANY)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=OUTPUT,
    show_default=True,
    help="Folder to write to.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["zst", "gz"]),
    default="zst",
    show_default=True,
    help="Write .tar.zst or .tar.gz.",
)
@max_size_option
def command(
    *,
    settings: Settings,
    console: Console,
    old: Path,
    new: Path,
    output: Path,
    form: Format,
    max_size: int | None,
) -> None:
    """Make an archive with only what NEW has and OLD has not.

    OLD and NEW are archives, or folders of them that are paired by name. A node
    that has imported OLD imports the delta and has NEW. Beside it stands a
    .json that tells what it needs of OLD; verify --base proves it.
    """
    found, alone = pairs.find(old, new)
    maker = DeltaMaker(output=output, cache=Cache(settings.cache_dir), form=form, max_size=max_size)
    work = Work(console=console, maker=maker, is_dry_run=settings.is_dry_run)
    work.findings += alone
    console.step(f"delta: {wording.count(len(found), 'archive')} from {old} to {new}")
    with nullcontext() if settings.is_dry_run else outfolder.writing(output):
        for pair in found:
            work.make(pair)
    console.findings(work.findings)
    console.document(work.document())
    work.fail()


@dataclass(kw_only=True)
class Work:
    """Collects what was made and what is wrong."""

    console: Console
    maker: DeltaMaker
    is_dry_run: bool
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problems: list[PackError] = field(default_factory=list)

    def make(self, pair: Pair) -> None:
        """Make one delta, unless it is there; an error is told at the end."""
        try:
            record = self._record(pair)
            known = record.files()
            if known or self.is_dry_run:
                self._add(known, "unchanged", pair)
                return
            base = delta.read_base(pair.old)
            with _scratch(self.maker.cache.folder / "deltas") as scratch:
                made = self.maker.make(base, pair.new, scratch)
            record.keep(made.files)
        except PackError as exc:
            self.problems.append(exc)
            return
        self._add(made.files, "built", pair)
        self._tell(made, base, pair)

    def _record(self, pair: Pair) -> BuildRecord:
        """Name what decides the bytes: as `airgap` does, a file's size and time stand for it."""
        maker, recipe = self.maker, delta.recipe(self.maker.form)
        inputs = {
            "format": _FORMAT,
            "codings": [recipe.plain.name, recipe.packed.name],
            "max_size": maker.max_size,
            "old": _state(pair.old),
            "new": _state(pair.new),
        }
        return BuildRecord(
            cache=maker.cache,
            folder=maker.output,
            subject=f"delta {maker.output.absolute()} {maker.form} {pair.new.path.name}",
            inputs=str(Digest.of(json.dumps(inputs, sort_keys=True).encode())),
        )

    def _add(self, written: Iterable[Written], status: str, pair: Pair) -> None:
        if not written:
            self.artifacts.append(
                {"path": pair.new.path.name, "size": None, "sha256": None, "status": "planned"}
            )
            self.console.line(f"{pair.new.path.name:<44} planned")
        for each in written:
            self.artifacts.append(
                {
                    "path": str(each.path),
                    "size": each.size,
                    "sha256": each.digest.hex,
                    "status": status,
                }
            )
            self.console.line(f"{each.path.name:<60} {each.size:>12}  {each.digest}  {status}")

    def _tell(self, made: Made, base: Base, pair: Pair) -> None:
        if made.layers and not made.left_out:
            self.findings.append(
                Finding(
                    severity="warning",
                    check="nothing-saved",
                    subject=pair.new.path.name,
                    expected=f"layers that {base.whole.name} has too",
                    got=f"none of {made.layers}; build both with the same profile",
                )
            )

    def document(self) -> dict[str, Any]:
        """Return the document of ``--json``."""
        return {
            "artifacts": self.artifacts,
            "findings": [each.to_json() for each in self.findings],
            "failed": [each.message for each in self.problems],
        }

    def fail(self) -> None:
        """Raise what went wrong: one error, or one that lists all."""
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            msg = f"delta: {len(self.problems)} deltas were not made"
            kinds = [type(each) for each in self.problems]
            kind = IntegrityError if IntegrityError in kinds else kinds[0]
            raise kind(msg, details=tuple(each.message for each in self.problems))


def _state(file: ArchiveFile) -> list[list[object]]:
    with files.reported("read", file.path):
        return [
            [str(part.absolute()), part.stat().st_size, part.stat().st_mtime_ns]
            for part in file.parts
        ]


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Give a folder for blobs on their way; what a killed run has left is removed after a day."""
    with files.reported("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            with suppress(FileNotFoundError):  # another run has just removed its own
                if time.time() - left.stat().st_mtime > _DAY:
                    shutil.rmtree(left, ignore_errors=True)
        name = tempfile.mkdtemp(dir=folder)
    try:
        yield Path(name)
    finally:
        shutil.rmtree(name, ignore_errors=True)
