"""The gate before a release: images as registries have them, and the programs that they start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rke2pack import wishes, wording
from rke2pack.console import Console
from rke2pack.errors import (
    ConfigError,
    IntegrityError,
    NotFoundError,
    PackError,
    RegistryError,
    ValidationError,
)
from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock
from rke2pack.oci.platform import Platform
from rke2pack.oci.program import find as program
from rke2pack.oci.program.find import Config
from rke2pack.oci.program.images import Images, OpenImage
from rke2pack.oci.program.listings import Listings
from rke2pack.oci.reference import Reference
from rke2pack.oci.wish import Wish
from rke2pack.stages.images import report
from rke2pack.stages.images.report import Examined
from rke2pack.stages.images.side import side_by_side
from rke2pack.workspace import Workspace

_SHOWN = 20


def run(
    workspace: Workspace, console: Console, images: Images, *, jobs: int, report_file: Path | None
) -> None:
    """Examine every asked image for its platforms; raises one error for all that fails."""
    settings = workspace.settings
    wanted = wishes.asked(settings, (), is_whole=False)
    if not wanted:
        msg = "images --verify-registry: no image is listed for this choice"
        raise ConfigError(msg, hint="choose other components or platforms")
    lock = locks.read(workspace.tree.root / locks.NAME)
    gate = Gate(
        images=images,
        listings=Listings(
            access=images.access, layout=images.layout, is_offline=settings.is_offline
        ),
        lock=lock.in_registry(settings.registry) if lock else None,
    )
    wished = wording.count(len(wanted), "image")
    console.step(f"images: verifying {wished} for their platforms")
    results: list[Examined] = []
    for wish, found in side_by_side(images.access, jobs, wanted, gate.examine):
        own = found if isinstance(found, tuple) else _failures(wish, found)
        for result in own:
            report.tell(console, result)
        results += own
    results.sort(key=lambda each: each.subject)
    if report_file is not None and not settings.is_dry_run:
        report.write(report_file, results)
    report.summarize(console, results)
    _fail(results)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Examines images; safe for threads."""

    images: Images
    listings: Listings
    lock: Lock | None

    def examine(self, wish: Wish) -> tuple[Examined, ...]:
        """Return a result for each platform of an image, and one where its tag has moved."""
        image = self.images.open(wish.reference)
        return (*self._moved(image), *(self._platform(image, each) for each in wish.platforms))

    def _moved(self, image: OpenImage) -> Iterator[Examined]:
        try:
            if self.lock is not None:
                self.lock.check(image.reference, image.root.descriptor.digest)
        except IntegrityError as exc:
            yield Examined(
                reference=image.reference,
                platform=None,
                check="lock",
                status="failed",
                detail=exc.message,
            )

    def _platform(self, image: OpenImage, platform: Platform) -> Examined:
        try:
            return self._judged(image, platform)
        except PackError as exc:
            return _failure(image.reference, platform, exc)

    def _judged(self, image: OpenImage, platform: Platform) -> Examined:
        manifest = image.manifest(platform)
        what = f"{image.reference}: config {manifest.config.digest}"
        config = Config.parse(image.source.config(manifest.config), what=what)
        if not config.platform.satisfies(platform):
            return Examined(
                reference=image.reference,
                platform=platform,
                check="config",
                status="failed",
                detail=f"the config says {config.platform}",
            )
        tree = self.listings.tree(image.reference, manifest, folds_case=platform.os == "windows")
        verdict = program.judge(config, tree, platform)
        return Examined(
            reference=image.reference,
            platform=platform,
            check=verdict.check,
            status=verdict.status,
            detail=verdict.detail,
        )


def _failures(wish: Wish, error: PackError) -> tuple[Examined, ...]:
    """Return what an image is that could not be opened: a failure for each platform."""
    return tuple(_failure(wish.reference, platform, error) for platform in wish.platforms)


def _failure(reference: Reference, platform: Platform, error: PackError) -> Examined:
    match error:
        case NotFoundError():
            check = "exists"
        case RegistryError():
            check = "registry"
        case IntegrityError():
            check = "digest"
        case _:
            check = "format"
    detail = error.message.removeprefix(f"{reference}: ")
    return Examined(
        reference=reference, platform=platform, check=check, status="failed", detail=detail
    )


def _fail(results: list[Examined]) -> None:
    failed = [each for each in results if each.status == "failed"]
    if not failed:
        return
    details = tuple(f"{each.subject}: {each.detail} [{each.check}]" for each in failed)
    more = f"and {len(details) - _SHOWN} more" if len(details) > _SHOWN else ""
    shown = (*details[:_SHOWN], *([more] if more else []))
    if all(each.check == "registry" for each in failed):
        msg = f"images --verify-registry: {len(failed)} of {len(results)} could not be verified"
        raise RegistryError(msg, hint="see why the registry does not deliver", details=shown)
    msg = f"images --verify-registry: {len(failed)} of {len(results)} failed"
    raise ValidationError(msg, hint="release nothing before these images are right", details=shown)
