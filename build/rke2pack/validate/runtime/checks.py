"""Checks: what a runtime has of an archive, compared with what the archive holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from rke2pack import wording
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.lists import lockedarchive
from rke2pack.lists.lock import Lock
from rke2pack.oci.reference import Reference
from rke2pack.oci.verify.view import SeenImage
from rke2pack.validate.issue import Problem, short
from rke2pack.validate.runtime.archive import Archive
from rke2pack.validate.runtime.trial import Kept, Trial

CHECKS: Final[Mapping[str, str]] = {
    "import": "the runtime takes the archive",
    "name": "every image is there under its full name",
    "digest": "names point at what the archive says",
    "lock": "images and digests as in images.lock",
    "platform": "the platform of the config and of the archive's name",
    "config": "the config is readable and names the archive's layers",
    "layers": "every blob of every image is there",
    "unpack": "the runtime unpacks every image",
    "tags": "pinned, name@digest and the system-default-registry's name",
}
"""The checks of level import: word -> what it claims."""


@dataclass(frozen=True, kw_only=True)
class Checking:
    """One trial of one archive; ``lock`` is None where there is none."""

    archive: Archive
    trial: Trial
    lock: Lock | None

    def run(self) -> Iterator[tuple[str, str, tuple[Problem, ...]]]:
        """Yield check, what it was made on, and what is wrong, for each that could be made."""
        if self.trial.refused:
            taken = _problem("import", "", "the archive to be taken", self.trial.refused)
            yield "import", "", (taken,)
            return
        yield "import", self.trial.how, ()
        count = wording.count(len(self.trial.expected), "image")
        checks: Mapping[str, Callable[[], Iterator[Problem]]] = {
            "name": self._names,
            "digest": self._digests,
            "lock": self._locked,
            "platform": self._platforms,
            "config": self._configs,
            "layers": self._layers,
            "unpack": self._unpacked,
            "tags": self._tags,
        }
        for check, problems in checks.items():
            if check not in self.skipped():
                yield check, count, tuple(problems())

    def skipped(self) -> dict[str, str]:
        """Return the checks that could not be made, and why."""
        if self.trial.refused:
            rest = [check for check in CHECKS if check != "import"]
            return dict.fromkeys(rest, "the archive was not imported")
        found = dict(self.trial.not_made)
        if self.lock is None:
            found["lock"] = "there is no images.lock"
        else:
            left = [str(ref) for ref in self.trial.expected if ref in self.lock.unlocked]
            if left:
                found["lock of unlocked images"] = f"{self.lock.what} leaves out {', '.join(left)}"
        if self.archive.platform is None:
            found["platform of the name"] = "the archive's name carries no platform"
        return found

    def _names(self) -> Iterator[Problem]:
        for title in self.archive.nameless:
            got = "none, nodes pass over it"
            yield _problem("name", title, "a full name with a tag", got)
        for reference in self.trial.expected:
            if str(reference) not in self.trial.names:
                yield _problem(
                    "name", str(reference), "to be there after the import", "no such image"
                )

    def _digests(self) -> Iterator[Problem]:
        for name, kept in self._kept():
            root = kept.expected.root
            if root is not None and kept.target and kept.target != str(root.digest):
                yield _problem("digest", name, str(root.digest), kept.target)

    def _locked(self) -> Iterator[Problem]:
        lock = self.lock
        for name, kept in self._kept() if lock else ():
            if lock is None or kept.expected.reference in lock.unlocked or kept.unreadable:
                continue
            got = lockedarchive.wrong(_as_kept(kept), lock)
            if got:
                yield _problem("lock", name, f"as {lock.what} has it", got)

    def _platforms(self) -> Iterator[Problem]:
        want = self.archive.platform
        for name, kept in self._kept():
            if kept.platform is None:
                continue
            own = kept.expected.platform
            if own is not None and not (
                kept.platform.satisfies(own) or own.satisfies(kept.platform)
            ):
                yield _problem("platform", name, str(own), str(kept.platform))
            elif want is not None and not kept.platform.satisfies(want):
                expected = f"{want}, as {self.archive.name} is called"
                yield _problem("platform", name, expected, str(kept.platform))

    def _configs(self) -> Iterator[Problem]:
        for name, kept in self._kept():
            layers = tuple(str(each.diff_id) for each in kept.expected.layers if each.diff_id)
            if kept.unreadable:
                yield _problem("config", name, "a readable config", kept.unreadable)
            elif kept.identity != str(kept.expected.config):
                yield _problem("config", name, str(kept.expected.config), kept.identity)
            elif kept.diff_ids != layers:
                got = f"{wording.count(len(kept.diff_ids), 'layer')}, or others"
                expected = f"the archive's {wording.count(len(layers), 'layer')}"
                yield _problem("config", name, expected, got)

    def _layers(self) -> Iterator[Problem]:
        for name, kept in self._kept():
            if kept.lacks:
                yield _problem("layers", name, "all blobs", f"lacks {', '.join(kept.lacks)}")

    def _unpacked(self) -> Iterator[Problem]:
        for name, kept in self._kept():
            if kept.still_packed:
                yield _problem("unpack", name, "an unpacked image", kept.still_packed)

    def _tags(self) -> Iterator[Problem]:
        for reference, others in self.trial.tags.items():
            target = self.trial.names.get(str(reference), "")
            for name, got in others.items():
                if got != target:
                    yield _problem(
                        "tags", name, f"{target}, as {reference}", got or "no such image"
                    )
        for name in self.trial.unpinned:
            yield _problem("tags", name, "a pinned image", "not pinned, a node may remove it")

    def _kept(self) -> Iterator[tuple[str, Kept]]:
        for kept in self.trial.kept:
            yield _title(kept, self.trial.expected), kept


def _title(kept: Kept, expected: Mapping[Reference, tuple[object, ...]]) -> str:
    """Return an image's name, with its platform where the name stands for several."""
    reference = kept.expected.reference
    is_one = reference is None or len(expected.get(reference, ())) <= 1
    place = "" if is_one else f" for {kept.expected.platform}"
    return f"{reference or kept.expected.title}{place}"


def _as_kept(kept: Kept) -> SeenImage:
    """Return the image with what the runtime says in place of what the archive says."""
    try:
        config = Digest.parse(kept.identity)
    except IntegrityError:
        config = kept.expected.config
    return replace(kept.expected, config=config, platform=kept.platform)


def _problem(check: str, subject: str, expected: str, got: str) -> Problem:
    return Problem(check=check, subject=subject, expected=expected, got=short(got))
