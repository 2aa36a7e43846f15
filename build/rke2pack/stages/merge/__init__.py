"""``merge``: what the shards of airgap have made, as one run would have made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from rke2pack import files, wording
from rke2pack.console import Console
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError
from rke2pack.files import Cache
from rke2pack.manual import Manual
from rke2pack.oci.pack import outfolder
from rke2pack.oci.pack.buildrecord import BuildRecord
from rke2pack.oci.pack.outfile import Written
from rke2pack.options import image_options
from rke2pack.settings import Settings
from rke2pack.shards import archives, checksums
from rke2pack.shards import plan as plans
from rke2pack.shards.archives import Archives, Target
from rke2pack.shards.asked import Bundles, bundle_option
from rke2pack.stages.merge import gather, place
from rke2pack.stages.merge.gather import Found
from rke2pack.stages.merge.place import Piece
from rke2pack.workspace import Workspace

OUTPUT = "dist/artifacts"


@dataclass(frozen=True, kw_only=True)
class Merge:
    """One run of the command, once all shards were found to be there."""

    settings: Settings
    found: tuple[Found, ...]
    wanted: Archives
    output: Path

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Every file of every shard."""
        return tuple(
            Piece(folder=each.folder, made=made)
            for each in self.found
            for made in each.record.files
        )

    def write(self) -> tuple[Written, ...]:
        """Bring the files, then write what concerns all archives; return every file."""
        with outfolder.writing(self.output):
            with place.claimed(self.pieces, self.output):
                brought = place.bring(self.pieces, self.output)
                place.clear((each.path.name for each in brought), self.output)
            made = (*brought, *map(self._write_list, self.wanted.lists))
            places = {each.path.name: each for each in made}
            checksums.write(self.output, self._sums(places))
            self._keep_records(places)
        return made

    def _write_list(self, names: Target) -> Written:
        path, data = self.output / f"{names.name}.txt", names.list_bytes
        files.write_changed(path, data)
        return Written(path=path, size=len(data), digest=Digest.of(data), mtime_ns=0)

    def _sums(self, places: Mapping[str, Written]) -> Mapping[str, Iterable[Written]]:
        """Return architecture -> files."""
        targets = (*self.wanted.targets, *self.wanted.lists)
        architectures = {target.name: target.platform.architecture for target in targets}
        owners = {f"{target.name}.txt": target.name for target in targets if target.has_list}
        for each in self.found:
            for packed in each.record.archives:
                owners |= {made.name: packed.archive for made in packed.files}
        sums: dict[str, list[Written]] = {}
        for name, written in places.items():
            sums.setdefault(architectures[owners[name]], []).append(written)
        return sums

    def _keep_records(self, places: Mapping[str, Written]) -> None:
        """Let a later airgap know that these archives need not be built."""
        cache = Cache(self.settings.cache_dir)
        for packed in (packed for each in self.found for packed in each.record.archives):
            subject = (self.output / f"{packed.archive}.tar.{packed.form}").absolute()
            record = BuildRecord(
                cache=cache, folder=self.output, subject=str(subject), inputs=packed.inputs
            )
            record.keep(places[made.name] for made in packed.files)


@click.command("merge", cls=Manual, short_help="Put together what the shards of airgap have made.")
@image_options
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="DIR...",
    type=click.Path(path_type=Path),
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder to write to.  [default: {OUTPUT} in the tree]",
)
@bundle_option
def command(
    *,
    settings: Settings,
    console: Console,
    folders: tuple[Path, ...],
    output: Path | None,
    bundles: Bundles,
) -> None:
    """Put the shards in DIR... together: the same bytes as of one run of airgap.

    DIR is a folder that a shard has written to, or a folder of such folders.
    All shards of one plan have to be there; a lost one is named with the
    command that makes it again. Every file is hashed before any gets its name.
    """
    wanted = archives.find(Workspace(settings=settings), bundles)
    with ExitStack() as stack:
        for folder in gather.places(folders):
            stack.enter_context(outfolder.reading(folder))
        found = gather.find(folders)
        gather.agree(found)
        count = found[0].record.shard.count
        plan = plans.by_archive(settings, count, wanted.targets)
        _check_plan(found[0], plan)
        gather.complete(found, plan, options=_options(settings, bundles))
        for each in found:
            names = frozenset(plan.share(each.record.shard).names)
            gather.fits(each, wanted.targets, names)
    merge = Merge(
        settings=settings, found=found, wanted=wanted, output=output or settings.tree / OUTPUT
    )
    shards, pieces = wording.count(len(found), "shard"), wording.count(len(merge.pieces), "file")
    console.step(f"merge: {shards}, {pieces} into {merge.output}")
    left = [str(path) for path in gather.left_out(found)]
    for name in left:
        console.line(f"left out  {name}: no shard tells of it")
    document: dict[str, Any] = {"plan": str(plan.digest), "shards": count, "left_out": left}
    console.document({**document, "artifacts": _artifacts(console, merge)})


def _artifacts(console: Console, merge: Merge) -> list[dict[str, Any]]:
    """Write the files, or in a dry run only prove them, and tell of each."""
    if merge.settings.is_dry_run:
        for piece in merge.pieces:
            place.verify(piece)
        console.line("all of them are whole; nothing is written")
        return []
    made = sorted(merge.write(), key=lambda written: written.path.name)
    for each in made:
        console.line(f"{each.path.name:<44} {each.size:>12}  {each.digest}  merged")
    return [
        {"path": str(w.path), "size": w.size, "sha256": w.digest.hex, "status": "merged"}
        for w in made
    ]


def _check_plan(first: Found, plan: plans.Plan) -> None:
    if first.record.plan != plan.digest:
        msg = (
            f"merge: the shards are of plan {first.record.plan}, "
            f"this tree and these options make {plan.digest}"
        )
        hint = "use the commit, images.lock and options that the shards were made with"
        raise ConfigError(msg, hint=hint)


def _options(settings: Settings, bundles: Bundles) -> str:
    """Return the options that a shard needs, each after a space."""
    found = [f"--component {name}" for name in settings.components]
    found += [f"--platform {name}" for name in settings.platforms]
    found += [f"--registry {settings.registry}"] if settings.registry else []
    found += ["--prime"] if settings.is_prime else []
    found += [f"--bundle {name}={','.join(parts)}" for name, parts in (bundles or {}).items()]
    found += ["--lab"] if settings.is_lab else []
    return "".join(f" {each}" for each in found)
