"""Release folder: exactly the files of a release, side by side, as they will be published."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rke2pack import filelock, files
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ReleaseError
from rke2pack.oci.hashing import digest_of
from rke2pack.release.asset import Asset, Kind
from rke2pack.release.digests import Digests

# Where a second name for the same bytes is not to be had.
_CANNOT_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file that the release itself makes."""

    name: str
    kind: Kind
    content: bytes

    def asset(self, folder: Path) -> Asset:
        """Return it as a file of the release."""
        return Asset(
            name=self.name,
            kind=self.kind,
            path=folder / self.name,
            size=len(self.content),
            digest=Digest.of(self.content),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The folder; ``plan`` is the upload plan's file, which tells what is ours in it."""

    path: Path
    plan: Path
    digests: Digests

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder for a release; raises ToolError while another makes one there."""
        busy = f"{self.path}: another rke2pack is making a release there"
        with filelock.held(self.path.with_name(f".{self.path.name}.lock"), busy=busy):
            yield

    def check(self, names: Iterable[str]) -> tuple[Path, ...]:
        """Return what an earlier release left; raises ReleaseError for what nobody here wrote."""
        if not self.path.exists():
            return ()
        with files.reported("read", self.path):
            there = {p for p in self.path.iterdir() if not p.name.startswith(".")}
        left = {path for path in there if path.name not in {*names}}
        strange = sorted(path.name for path in left if path.name not in self._known())
        if strange:
            msg = f"{self.path}: {strange[0]} does not belong to the release"
            raise ReleaseError(
                msg,
                hint="remove it, or choose another folder with --output",
                details=tuple(strange[1:]),
            )
        return tuple(sorted(left))

    def _known(self) -> frozenset[str]:
        try:
            plan = json.loads(files.read_text(self.plan)) if self.plan.is_file() else {}
            return frozenset(str(each["name"]) for each in plan.get("assets", ()))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return frozenset()

    def remove(self, left: Iterable[Path]) -> None:
        """Remove what an earlier release left."""
        for path in left:
            with files.reported("remove", path):
                path.unlink(missing_ok=True)

    def take(self, asset: Asset) -> Asset:
        """Put a file of another folder into this one: the same bytes under a second name.

        Where the file system has no second names it is copied, and hashed on the way.
        """
        target = self.path / asset.name
        taken = replace(asset, path=target)
        with files.reported("write", target):
            self.path.mkdir(parents=True, exist_ok=True)
            if _is_there(asset, target):
                return taken
            temporary = self._temporary(asset.name)
            try:
                try:
                    os.link(asset.path.resolve(), temporary)
                except OSError as exc:
                    if exc.errno not in _CANNOT_LINK:
                        raise
                    _copy(asset, temporary)
                self._refuse_change(asset)
                temporary.replace(target)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
        return taken

    def write(self, made: Made) -> None:
        """Write a file that the release makes."""
        files.write_changed(self.path / made.name, made.content)

    def _refuse_change(self, asset: Asset) -> None:
        """Raise IntegrityError where the file is no longer the one that was looked at."""
        _, got = self.digests.of(asset.path)
        if got != asset.digest:
            raise _changed(asset, got)

    def _temporary(self, name: str) -> Path:
        with tempfile.NamedTemporaryFile(dir=self.path, prefix=f".{name}.", suffix=".tmp") as own:
            return Path(own.name)


def _is_there(asset: Asset, target: Path) -> bool:
    """Whether the folder has the file already: itself, or an earlier copy of the same bytes."""
    if target.is_symlink() or not target.is_file():
        return False
    if target.samefile(asset.path):
        return True
    return target.stat().st_size == asset.size and digest_of(target) == asset.digest


def _copy(asset: Asset, target: Path) -> None:
    shutil.copyfile(asset.path, target)
    got = digest_of(target)
    if got != asset.digest:
        raise _changed(asset, got)


def _changed(asset: Asset, got: Digest) -> IntegrityError:
    msg = f"{asset.path}: changed while the release was made, is {got}, was {asset.digest}"
    return IntegrityError(msg, hint="find out who writes to it, then run this again")
