"""images.lock: what registries have now, written or compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import journal, registries, wishes, wording
from rke2pack.console import Console
from rke2pack.errors import ConfigError, PackError, ValidationError
from rke2pack.lists import files, lockdiff
from rke2pack.lists import lock as locks
from rke2pack.lists.lock import Lock, LockedImage, LockedPlatform
from rke2pack.lists.lockdiff import Change
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.wish import Wish
from rke2pack.patch import unified_diff
from rke2pack.stages.images.side import side_by_side
from rke2pack.workspace import Workspace

if TYPE_CHECKING:
    from rke2pack.oci.program.images import Images


def path(workspace: Workspace) -> Path:
    """Return where the tree's lock is or would be."""
    return workspace.tree.root / locks.NAME


def read(workspace: Workspace) -> Lock | None:
    """Read the tree's lock; raises ConfigError for a damaged one."""
    return locks.read(path(workspace))


def stale(workspace: Workspace) -> tuple[Change, ...]:
    """Return where the lock is not for images.txt as it is; nothing where there is no lock.

    Without a request: tags that moved are not seen.
    """
    known = read(workspace)
    if known is None or not workspace.tree.images_text:
        return ()
    return lockdiff.against(known, _asked(workspace), is_whole=not workspace.settings.components)


def run(
    workspace: Workspace,
    console: Console,
    images: Images,
    *,
    jobs: int,
    is_check: bool,
    left_out: tuple[str, ...] | None,
) -> None:
    """Ask for every image of images.txt, then write images.lock, or with ``--check`` compare it.

    Who lets it write holds the tree's lock. Images that a pattern of ``left_out`` names are
    not asked for and get no entry; without a pattern those that images.lock leaves out
    already, with None none.
    """
    settings = workspace.settings
    if settings.is_prime or settings.registry or settings.platforms:
        msg = "--lock is for images.txt as it is, not for --registry, --prime and --platform"
        raise ConfigError(
            msg, hint="leave them out; ask a mirror with --endpoint docker.io=https://..."
        )
    where = path(workspace)
    old = _old(workspace, console, is_check=is_check)
    if is_check and old is None:
        msg = f"{where}: no such file"
        raise ConfigError(msg, hint="write it with 'rke2pack images --lock'")
    workspace.sections()  # refuses what the list does not have
    asked = _asked(workspace)
    unlocked = _unlocked(asked, left_out) if left_out else ()
    if left_out == () and old is not None:
        unlocked = tuple(each for each in old.unlocked if each in asked)
    wanted = [Wish(reference=r, platforms=p) for r, p in asked.items() if r not in unlocked]
    console.step(f"images: asking for {wording.count(len(wanted), 'image')} of images.txt")
    made = _ask(console, images, wanted, None if is_check else old, jobs=jobs)
    new = _joined(workspace, old, Lock(images=tuple(made), unlocked=unlocked, what=str(where)))
    changes = lockdiff.between(old, new)
    for change in changes:
        console.line(str(change))
    written = _written(workspace, console, old, new, is_check=is_check)
    locked = wording.count(len(new.images), "image")
    console.line(f"{where.name}: {locked}, {wording.count(len(changes), 'change')}")
    moved = [change.finding() for change in changes if old and change.kind in {"moved", "changed"}]
    console.findings(moved)
    console.document(
        {
            "lock": {
                "path": str(where),
                "images": len(new.images),
                "changes": [change.to_json() for change in changes],
                "written": written,
            },
            "findings": [finding.to_json() for finding in moved],
        }
    )
    if is_check and changes:
        raise ValidationError(
            f"{where}: {_differing(len(changes))}",
            hint="find out why; run 'rke2pack images --lock' to accept it, and commit images.lock",
            details=tuple(map(str, changes)),
        )


def _differing(number: int) -> str:
    one = "image differs from what its registry has"
    return wording.count(number, one, "images differ from what their registries have")


def _old(workspace: Workspace, console: Console, *, is_check: bool) -> Lock | None:
    """Read the lock; a damaged one that is written anew as a whole is only told of."""
    try:
        return read(workspace)
    except ConfigError as exc:
        if is_check or workspace.settings.components:
            raise
        console.line(f"{exc.message}; it is written anew")
        return None


def _written(
    workspace: Workspace, console: Console, old: Lock | None, new: Lock, *, is_check: bool
) -> bool:
    """Write the lock where it may be and has to; show its diff with ``--dry-run``."""
    where, before, after = path(workspace), str(old) if old else "", str(new)
    if is_check:
        return False
    if workspace.settings.is_dry_run:
        console.data(unified_diff(before, after, path=where.name))
        return False
    if before == after:
        return False
    journal.apply(workspace.tree.root, {where: after.encode()})
    return True


def _ask(
    console: Console, images: Images, wanted: Iterable[Wish], old: Lock | None, *, jobs: int
) -> list[LockedImage]:
    """Return the entry of every image; raises one error that names all that failed.

    What still points where it did keeps its entry of ``old``, for one HEAD.
    """
    made: list[LockedImage] = []
    errors: dict[str, PackError] = {}
    count = 0
    for wish, found in side_by_side(images.access, jobs, wanted, partial(_locked, images, old)):
        count += 1
        name = str(wish.reference)
        if isinstance(found, PackError):
            errors[name] = found
            registries.tell_failed(console, name, found)
        else:
            made.append(found)
            console.detail(f"{name}  {found.root.digest}")
    hint = "run it again when all of them are there; images.lock was not changed"
    registries.fail("images --lock", errors, count, hint=hint)
    return made


def _locked(images: Images, old: Lock | None, wish: Wish) -> LockedImage:
    digest = images.digest(wish.reference)
    known = old.get(wish.reference) if old else None
    is_same = known is not None and known.root.digest == digest and known.is_for(wish.platforms)
    if known is not None and is_same and all(each.layers for each in known.platforms):
        return known
    image = images.open(wish.reference, digest=digest)
    platforms = []
    for platform in wish.platforms:
        manifest = image.manifest(platform)
        platforms.append(
            LockedPlatform(
                platform=platform,
                manifest=manifest.descriptor.digest,
                config=manifest.config.digest,
                blobs=len(manifest.blobs),
                size=sum(blob.size for blob in manifest.blobs),
                layers=tuple(
                    (each.digest, each.size) for each in manifest.blobs if each != manifest.config
                ),
            )
        )
    return locks.locked(wish.reference, image.root.descriptor, platforms)


def _asked(workspace: Workspace) -> dict[Reference, tuple[Platform, ...]]:
    """Return the images of the asked components, each for the platforms of all its sections."""
    asked = workspace.settings.components
    sections = files.written(workspace.tree)
    every = lockdiff.wanted(workspace.tree.components, sections)
    chosen = {name for s in sections if not asked or s.component in asked for name in s.references}
    return {reference: names for reference, names in every.items() if str(reference) in chosen}


def _unlocked(asked: Iterable[Reference], patterns: tuple[str, ...]) -> tuple[Reference, ...]:
    """Return the images that are left out; raises ConfigError for a pattern that names none."""
    found: dict[Reference, None] = {}
    for pattern in patterns:
        own = [each for each in asked if wishes.is_named(each, pattern)]
        if not own:
            msg = f"--leave-unlocked {pattern}: no image is called so"
            raise ConfigError(msg, hint="name a repository of the list, like rancher/rke2-runtime")
        found |= dict.fromkeys(own)
    return tuple(found)


def _joined(workspace: Workspace, old: Lock | None, new: Lock) -> Lock:
    """Return the new lock with the old entries of listed images that were not asked for."""
    if old is None or not workspace.settings.components:
        return new
    every = lockdiff.wanted(workspace.tree.components, files.written(workspace.tree))
    others = every.keys() - _asked(workspace).keys()
    return replace(
        new,
        images=(*new.images, *(image for image in old.images if image.reference in others)),
        unlocked=(*new.unlocked, *(each for each in old.unlocked if each in others)),
    )
