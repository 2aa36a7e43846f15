"""Containerd: an archive as a node of RKE2 takes it.

Source: k3s's preloading of ``agent/images``: all platforms, missing ones skipped,
then each image pinned and tagged with its digest and the system default registry.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.oci import model, resolve
from rke2pack.oci.model import Manifest
from rke2pack.oci.pack import images as archives
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.view import SeenImage
from rke2pack.validate.report import Report
from rke2pack.validate.runtime.archive import Archive
from rke2pack.validate.runtime.ctr import PINNED, Ctr
from rke2pack.validate.runtime.trial import Kept, Trial, check_room

_ONE_BY_ONE: Final = "one platform after the other, as its names stand for several"
_WINDOWS: Final = "containerd of Linux unpacks no layers of Windows"


@dataclass(frozen=True, kw_only=True)
class Containerd:
    """A containerd that `Ctr` reaches."""

    ctr: Ctr
    version: str

    @classmethod
    def connect(cls, ctr: Ctr) -> Containerd:
        """Reach the daemon; raises ToolError where that is not possible."""
        return cls(ctr=ctr, version=ctr.version())

    @property
    def title(self) -> str:
        """Its name and version."""
        return f"containerd {self.version}"

    def passes_over(self, archive: Archive) -> str:  # noqa: ARG002 - a Runtime's form
        """Take everything."""
        return ""

    @contextlib.contextmanager
    def trial(self, archive: Archive, *, registry: str | None, report: Report) -> Iterator[Trial]:
        """Import an archive into a namespace of its own, after the base of a delta."""
        ctr = self.ctr.in_namespace()
        try:
            ctr.create()
            yield _Trying(
                ctr=ctr, title=self.title, archive=archive, registry=registry, report=report
            ).run()
        finally:
            with report.step("containerd remove"):
                ctr.clear()


@dataclass(kw_only=True)
class _Trying:
    ctr: Ctr
    title: str
    archive: Archive
    registry: str | None
    report: Report

    def run(self) -> Trial:
        trial = Trial(expected=self.archive.images)
        phases = _phases(self.archive)
        if phases != ("",):
            trial.how = _ONE_BY_ONE
        for platform in phases:
            with self.report.step("containerd import"):
                trial.refused = self._import(platform)
            if trial.refused:
                return trial
            with self.report.step("containerd unpack"):
                self._look(trial, platform)
        if trial.kept and all(each.still_packed is None for each in trial.kept):
            trial.not_made["unpack"] = _WINDOWS
        with self.report.step("containerd checks"):
            self._tag(trial)
        return trial

    def _import(self, platform: str) -> str:
        """Import what the archive builds upon and then itself; return why not, or nothing."""
        base = self.archive.base
        bases = [base] if base else []
        while bases and bases[0].base:
            bases.insert(0, bases[0].base)
        for each in bases:
            for every in _phases(each):
                said = self._load(each, every, "--no-unpack")
                if said:
                    return f"its base {each.name}: {said}"
        return self._load(self.archive, platform, "--no-unpack")

    def _load(self, archive: Archive, platform: str, *options: str) -> str:
        choice = ("--platform", platform) if platform else ("--all-platforms",)
        said = self.ctr.load(archive.file.tar(), *choice, *options)
        check_room(said, title=self.title, archive=archive.name)
        return said

    def _look(self, trial: Trial, platform: str) -> None:
        """Look at every image that was expected (for a platform), and unpack it."""
        rows, contents = self.ctr.images(), self.ctr.contents()
        trial.names = {name: row.digest for name, row in rows.items()}
        done: dict[str, str] = {}
        for reference, images in trial.expected.items():
            target = trial.names.get(str(reference), "")
            for image in images:
                if target and platform in {"", str(image.platform)}:
                    kept = self._kept(image, target, contents)
                    why = self._unpacked(kept, done)
                    check_room(why or "", title=self.title, archive=self.archive.name)
                    trial.kept.append(replace(kept, still_packed=why))

    def _kept(self, image: SeenImage, target: str, contents: frozenset[str]) -> Kept:
        """Read manifest and config back."""
        digest = str(image.descriptor.digest) if image.descriptor else target
        kept = Kept(expected=image, target=target, manifest=digest)
        if digest not in contents:
            return replace(kept, lacks=(digest,), unreadable=f"its manifest {digest} is not there")
        try:
            manifest = model.parse(self.ctr.blob(digest), media_type="", what=digest)
            if not isinstance(manifest, Manifest):
                return replace(kept, unreadable=f"{digest} is no manifest of an image")
            config = str(manifest.config.digest)
            blobs = dict.fromkeys(str(blob.digest) for blob in manifest.blobs)
            kept = replace(
                kept, identity=config, lacks=tuple(each for each in blobs if each not in contents)
            )
            if config not in contents:
                return replace(kept, unreadable=f"config {config} is not there")
            raw = self.ctr.blob(config)
            if Digest.of(raw) != manifest.config.digest:
                return replace(kept, unreadable=f"config {config} has other bytes")
            return replace(
                kept,
                platform=resolve.config_platform(raw, what=config),
                diff_ids=tuple(map(str, archives.diff_ids(raw, what=config))),
            )
        except IntegrityError as exc:
            return replace(kept, unreadable=exc.message)

    def _unpacked(self, kept: Kept, done: dict[str, str]) -> str | None:
        """Unpack an image; return why that failed, nothing, or None where it was not tried."""
        platform = kept.platform or kept.expected.platform
        if platform is not None and platform.os == "windows":
            return None
        if kept.target == kept.manifest:
            if kept.target not in done:
                done[kept.target] = self.ctr.unpack(kept.target, kept.diff_ids)
            return done[kept.target]
        # The client unpacks of an index what is for its own machine, but on import what is asked.
        wish = str(platform or "")
        if wish not in done:
            done[wish] = self._load(self.archive, wish, *self.ctr.snapshots)
        return self.ctr.unpacked(kept.diff_ids) and (done[wish] or "its snapshot is not there")

    def _tag(self, trial: Trial) -> None:
        """Pin and tag as a node does, and read all names back."""
        wanted = {
            reference: _other_names(reference, trial.names[str(reference)], self.registry)
            for reference in trial.expected
            if str(reference) in trial.names
        }
        known = set(trial.names)
        for reference, others in wanted.items():
            self.ctr.tag(str(reference), [name for name in others if name not in known])
            known.update(others)
        rows = self.ctr.images()
        for reference, others in wanted.items():
            found = {name: rows[name].digest for name in others if name in rows}
            trial.tags[reference] = {name: found.get(name, "") for name in others}
            trial.unpinned += [
                name
                for name in (str(reference), *found)
                if name in rows and PINNED not in rows[name].labels
            ]


def _phases(archive: Archive) -> tuple[str, ...]:
    """Return the platforms to import one after the other; an empty text is all at once.

    Unlike a node's importer, the client cannot skip the platforms that an index
    lists and the archive has not; and each import lets go of the other platforms.
    """
    images = archive.verified.images
    if all(image.root == image.descriptor for image in images):
        return ("",)
    found = dict.fromkeys(str(image.platform) for image in images if image.platform)
    return tuple(found) or ("",)


def _other_names(reference: Reference, target: str, registry: str | None) -> tuple[str, ...]:
    names = [str(replace(reference, tag="", digest=Digest.parse(target)))]
    if registry:
        names.append(str(reference.with_registry(registry)))
    return tuple(name for name in dict.fromkeys(names) if name != str(reference))
