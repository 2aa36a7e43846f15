"""``mirror``: images from registries, the image store or archives into another registry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rke2pack import completion, files, wishes, wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError
from rke2pack.lists.guard import Guard
from rke2pack.manual import Manual
from rke2pack.oci.mirror import plan
from rke2pack.oci.mirror.names import Rules
from rke2pack.oci.mirror.run import Errand, Mirror, Outcome
from rke2pack.oci.mirror.sources import ReferrersApis
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store import shortlived
from rke2pack.oci.store.layout import VERSION_FILE, Layout
from rke2pack.oci.store.names import Store
from rke2pack.oci.wish import Wish
from rke2pack.options import allow_moved_tags, image_options, store_option
from rke2pack.progress import Meter
from rke2pack.registries import open_store, registry_options
from rke2pack.settings import Settings
from rke2pack.shards.asked import Asked, shard_options
from rke2pack.stages.mirror import nodes, report, sharding
from rke2pack.stages.mirror.sharding import Part

if TYPE_CHECKING:
    from rke2pack.oci.mirror.prune import Removal

_TEMPORARY = "mirror-"
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One run of the command."""

    settings: Settings
    console: Console
    access: Access
    rules: Rules
    store: Path
    references: tuple[str, ...]
    archives: tuple[Path, ...]
    reads_store: bool
    apis: ReferrersApis
    guard: Guard

    @contextlib.contextmanager
    def errands(self) -> Iterator[tuple[Errand, ...]]:
        """Give what is to be mirrored; a layout that it is read from is held meanwhile."""
        if self.archives:
            with self._layout_for_archives() as layout, layout.in_use():
                yield self._from_archives(layout)
        elif self.reads_store:
            layout = Layout.open(self.store, must_exist=True)
            with layout.in_use():
                names = Store(layout=layout).names
                yield plan.from_layout(self._wishes(), self.rules, layout, names)
        else:
            yield plan.from_registries(self._wishes(), self.rules, self.access, self.apis)

    def mirror(self, jobs: int, meter: Meter, *, has_companions: bool) -> Mirror:
        """Return what does the errands."""
        return Mirror(
            access=self.access,
            host=self.rules.host,
            jobs=jobs,
            is_dry_run=self.settings.is_dry_run,
            has_companions=has_companions,
            meter=meter,
            apis=self.apis,
        )

    @contextlib.contextmanager
    def _layout_for_archives(self) -> Iterator[Layout]:
        if not self.settings.is_dry_run:
            yield open_store(self.settings, self.store)
            return
        with shortlived.folder(self.settings.cache_dir, prefix=_TEMPORARY) as root:
            yield Layout.open(root)

    def _from_archives(self, layout: Layout) -> tuple[Errand, ...]:
        from rke2pack.oci.intake import take as intake  # noqa: PLC0415 - only for archives

        paths = [path for each in self.archives for path in _archives(each)]
        entries = [entry for path in paths for entry in intake.take_in(layout, path)]
        names, made = plan.joined(layout, entries)
        for name in made:
            self.console.line(f"{name}: an index was made of the parts in the archives")
        wanted = self._wishes() if self.references else self._every(names)
        return plan.from_layout(wanted, self.rules, layout, names)

    def _every(self, names: Iterable[str]) -> tuple[Wish, ...]:
        platforms = tuple(map(Platform.parse, self.settings.platforms))
        return tuple(Wish(reference=Reference.parse(n), platforms=platforms) for n in names)

    def _wishes(self) -> tuple[Wish, ...]:
        is_whole = not self.settings.platforms
        asked = wishes.asked(self.settings, self.references, is_whole=is_whole)
        # The digests of an archive may be its own; 'verify --against' knows which ones.
        return asked if self.archives else wishes.guarded(asked, self.guard)


def _archives(given: Path) -> tuple[Path, ...]:
    """Return an archive or a layout as it is, of a release folder its archives."""
    from rke2pack.oci.intake import releasefolder  # noqa: PLC0415 - only for archives

    if not given.is_dir() or (given / VERSION_FILE).is_file():
        return (given,)
    return tuple(archive.path for archive in releasefolder.archives(given))


@click.command("mirror", cls=Manual, short_help="Copy images into another registry, digests kept.")
@image_options
@registry_options
@click.argument("target", metavar="TARGET")
@click.argument("references", nargs=-1, metavar="[IMAGE]...", shell_complete=completion.images)
@click.option("--from-store", "reads_store", is_flag=True, help="Read the image store alone.")
@click.option(
    "--from-archive",
    "archives",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the images of an archive or a release folder, through the image store (repeatable).",
)
@store_option
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OLD=NEW",
    help="Rename below the target: rancher/=team/rancher/ (repeatable).",
)
@click.option(
    "--no-referrers", "leaves_companions", is_flag=True, help="Leave signatures and SBOMs out."
)
@click.option(
    "--prune",
    "prune_file",
    type=_FILE,
    metavar="FILE",
    help="Then remove the references of FILE from the target.",
)
@click.option(
    "--write-registries-yaml",
    "nodes_file",
    type=_FILE,
    metavar="FILE",
    help="Write the configuration for RKE2's nodes, where no image failed.",
)
@shard_options
@allow_moved_tags
def command(
    *,
    settings: Settings,
    console: Console,
    access: Access,
    jobs: int,
    target: str,
    references: tuple[str, ...],
    reads_store: bool,
    archives: tuple[Path, ...],
    store: Path | None,
    maps: tuple[str, ...],
    leaves_companions: bool,
    prune_file: Path | None,
    nodes_file: Path | None,
    asked: Asked | None,
    allows_moved: bool,
) -> None:
    """Copy the images of images.txt, or the named ones, to TARGET = HOST[:PORT][/PREFIX].

    Whole, so that digests stay, with signatures; docker.io/rancher/x becomes
    TARGET/rancher/x. What is there is not sent again. Every image is tried; the
    command fails at the end with the list of what is missing.
    """
    _check_sources(archives, reads_store=reads_store)
    files_given = {"prune": prune_file is not None, "write_registries_yaml": nodes_file is not None}
    sharding.check(asked, from_archive=bool(archives), **files_given)
    part = Part.of(settings, asked, references)
    call = Call(
        settings=settings,
        console=console,
        access=access,
        rules=Rules.parse(target, maps),
        store=store or settings.store,
        references=references,
        archives=archives,
        reads_store=reads_store or settings.is_offline,
        apis=ReferrersApis(),
        guard=Guard.of(settings, allows_moved=allows_moved),
    )
    with call.errands() as every, console.progress("mirror") as meter:
        errands = part.own(every)
        mirror = call.mirror(jobs, meter, has_companions=not leaves_companions)
        removing = _removing(prune_file, call.rules, errands)
        console.step(f"mirror: {wording.count(len(errands), 'image')} to {call.rules}")
        outcomes = _outcomes(console, mirror, errands)
        removals = _prune(call, outcomes, removing)
    if nodes_file is not None:
        _write_nodes(call, nodes_file, outcomes)
    planned = mirror.planned if settings.is_dry_run else None
    findings = (*call.guard.findings, *part.findings)
    told = report.Told(planned=planned, findings=findings, more=part.to_json())
    report.report(console, access, outcomes, removals, told)
    report.fail(outcomes, removals)


def _check_sources(archives: tuple[Path, ...], *, reads_store: bool) -> None:
    if archives and reads_store:
        msg = "--from-store and --from-archive: two sources"
        raise ConfigError(msg, hint="choose one of them")


def _outcomes(console: Console, mirror: Mirror, errands: tuple[Errand, ...]) -> tuple[Outcome, ...]:
    found = []
    for outcome in mirror.run(errands):
        report.tell(console, outcome)
        found.append(outcome)
    return tuple(found)


def _removing(
    path: Path | None, rules: Rules, errands: tuple[Errand, ...]
) -> tuple[Reference, ...]:
    if path is None:
        return ()
    kept = [errand.target for errand in errands]
    from rke2pack.oci.mirror import prune  # noqa: PLC0415 - rarely asked for

    return prune.parse(files.read_text(path), rules, kept, what=str(path))


def _prune(
    call: Call, outcomes: tuple[Outcome, ...], removing: tuple[Reference, ...]
) -> tuple[Removal, ...]:
    """Remove what was asked, unless an image failed."""
    if not removing:
        return ()
    if any(outcome.error for outcome in outcomes):
        call.console.line("nothing is removed: images failed")
        return ()
    kept: dict[str, set[str]] = {}
    for outcome in outcomes:
        place = outcome.errand.target
        kept.setdefault(place.repository, set()).add(place.tag or str(outcome.digest))
    registry = call.access.registry(call.rules.host)
    names = {repository: frozenset(each) for repository, each in kept.items()}
    from rke2pack.oci.mirror.prune import Pruner  # noqa: PLC0415 - rarely asked for

    pruner = Pruner(registry=registry, kept=names, is_dry_run=call.settings.is_dry_run)
    removals = pruner.run(removing)
    for removal in removals:
        report.tell_removal(call.console, removal)
    return removals


def _write_nodes(call: Call, path: Path, outcomes: tuple[Outcome, ...]) -> None:
    """Write the nodes' file, in a dry run to stdout; not where they would not find an image."""
    if any(outcome.error for outcome in outcomes):
        call.console.line(f"{path} is not written: images failed")
        return
    registry, host = call.access.registry(call.rules.host), call.rules.host
    # Another address of the target is this machine's matter.
    address = f"https://{host}" if host in call.access.endpoints else registry.base
    errands = [outcome.errand for outcome in outcomes]
    sources = [replace(errand.reference, tag="", digest=None) for errand in errands]
    text = nodes.registries_yaml(call.rules, sources, address=address)
    if call.settings.is_dry_run:
        call.console.data(text)
        return
    is_new = files.write_changed(path, text.encode())
    call.console.line(f"{'written' if is_new else 'unchanged'}  {path}")
