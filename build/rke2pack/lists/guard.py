"""Guard: images that a command uses, compared with the tree's images.lock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.finding import Finding
from rke2pack.oci.reference import Reference
from rke2pack.settings import Settings

if TYPE_CHECKING:
    from rke2pack.lists.lock import Lock

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Refuses what is not locked; safe for threads.

    Without a lock it lets everything pass. ``findings`` has what was accepted
    all the same: tags that moved, and images without an entry.
    """

    lock: Lock | None
    allows_moved: bool = False
    _moved: dict[Reference, Finding] = field(default_factory=dict, init=False)
    _unknown: set[Reference] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @classmethod
    def of(cls, settings: Settings, *, allows_moved: bool) -> Guard:
        """Make the guard of a tree; a folder that is none has no lock. Raises ConfigError."""
        if not settings.has_lock:
            return cls(lock=None, allows_moved=allows_moved)
        from rke2pack.lists import lock as locks  # noqa: PLC0415 - takes long, most runs have none

        return cls(lock=locks.of(settings), allows_moved=allows_moved)

    def check(self, reference: Reference, got: Digest, *, manifest: Digest | None = None) -> None:
        """Compare what a tag points at with the lock; a reference with digest pins itself.

        Raises IntegrityError for a tag that moved, unless that is allowed.
        """
        if self.lock is None or reference.digest is not None:
            return
        if reference in self.lock.unlocked:
            return
        image = self.lock.get(reference)
        if image is None:
            with self._lock:
                self._unknown.add(reference)
            return
        try:
            self.lock.check(reference, got, manifest=manifest)
        except IntegrityError:
            if not self.allows_moved:
                raise
            from rke2pack.lists.lock import NAME  # noqa: PLC0415 - loaded with the lock

            expected = f"{image.root.digest} of {NAME}"
            with self._lock:
                self._moved[reference] = Finding(
                    severity="warning",
                    check="moved-tag",
                    subject=str(reference),
                    expected=expected,
                    got=str(got),
                )

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was accepted, by reference."""
        found = [self._moved[each] for each in sorted(self._moved, key=str)]
        names = sorted(map(str, self._unknown))
        if names:
            from rke2pack.lists.lock import NAME  # noqa: PLC0415 - loaded with the lock

            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            found.append(
                Finding(
                    severity="info",
                    check="not-locked",
                    subject=NAME,
                    expected=f"an entry for {', '.join(names[:_SHOWN])}{more}",
                    got="none; 'rke2pack images --lock' writes it",
                )
            )
        return tuple(found)
