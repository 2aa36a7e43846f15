"""Publish: a draft, its files, a proof by download, and only then a release.

Nothing that is published is ever changed. What broke off goes on where it was: files
that are there as they should be are kept, half sent ones are removed and sent anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, PackError, ReleaseError
from rke2pack.github.client import GitHub
from rke2pack.github.remote import RemoteAsset, RemoteRelease
from rke2pack.github.wire import TemporaryError
from rke2pack.release.asset import KEYLESS, Asset
from rke2pack.release.uploadplan import UploadPlan, Wanted

MAX_SKEW: Final = timedelta(minutes=5)
_ATTEMPTS: Final = 4
_NEVER: Final = "nothing that is published is changed; release it under another tag"


@dataclass(kw_only=True)
class Publisher:
    """Brings a plan to GitHub; ``tell`` gets a line for every step."""

    github: GitHub
    plan: UploadPlan
    wanted: Wanted
    now: Callable[[], datetime]
    tell: Callable[[str], None]

    def publish(self, *, is_dry_run: bool) -> str:
        """Publish, or go on publishing; returns the address of the release.

        Raises ReleaseError before anything is written where it cannot work, and
        leaves a draft where it breaks off later.
        """
        self.plan.check()
        self._check_clock()
        self._check_tag()
        release = self._find()
        there = {each.name: each for each in self.github.assets(release)} if release else {}
        if release is not None and not release.is_draft:
            return self._confirm(release, there)
        if is_dry_run:
            there.pop(KEYLESS, None)  # nobody can say what it would be
        missing = self._compare(release, there)
        if is_dry_run:
            self.tell(f"would send {len(missing)} of {len(self.plan.assets)} files")
            return release.address if release else ""
        if release is None:
            release = self._create()
        for asset in missing:
            self._send(release, asset, there.get(asset.name))
        self._verify(release)
        return self._finish(release)

    def _check_clock(self) -> None:
        theirs = self.github.clock()
        if theirs is None:
            return
        ours = self.now()
        if abs(ours - theirs) > MAX_SKEW:
            msg = f"the clocks differ: here it is {_told(ours)}, at GitHub {_told(theirs)}"
            raise ReleaseError(msg, hint="set this machine's clock; signatures carry its time")

    def _check_tag(self) -> None:
        commit = self.github.commit_of(self.plan.tag)
        if commit is None:
            msg = f"{self.plan.tag}: {self.github.repository} has no such tag"
            raise ReleaseError(msg, hint="push the tag first")
        if self.wanted.commit is not None and commit != self.wanted.commit:
            msg = (
                f"{self.plan.tag}: is {commit} at {self.github.repository}, "
                f"this release is of {self.wanted.commit}"
            )
            raise ReleaseError(msg, hint="check out the tag, build again, and never move a tag")

    def _find(self) -> RemoteRelease | None:
        found = self.github.releases(self.plan.tag)
        published = [each for each in found if not each.is_draft]
        if not published and len(found) > 1:
            msg = f"{self.plan.tag}: {len(found)} drafts at {self.github.repository}"
            raise ReleaseError(msg, hint="remove all of them but one")
        return next(iter([*published, *found]), None)

    def _create(self) -> RemoteRelease:
        self.tell(f"draft    {self.plan.tag}")
        try:
            return self.github.create_draft(
                self.plan.tag,
                name=self.wanted.name,
                body=self.wanted.body,
                is_prerelease=self.wanted.is_prerelease,
            )
        except TemporaryError:
            # The answer was lost; the draft may be there.
            release = self._find()
            if release is None or not release.is_draft:
                raise
            return release

    def _confirm(self, release: RemoteRelease, there: Mapping[str, RemoteAsset]) -> str:
        """Accept what is published already where it is this release, byte for byte."""
        problems = self._strange(there)
        for asset in self.plan.assets:
            found = there.get(asset.name)
            if found is None:
                problems.append(f"{asset.name}: is not there")
            elif not self._is_same(asset, found):
                problems.append(f"{asset.name}: is there with other bytes")
            else:
                self.plan.set(asset.name, "published")
        if problems:
            raise _several(f"{self.plan.tag}: is published already", problems, _NEVER)
        self.tell(f"{self.plan.tag} is published already, as it is here")
        return release.address

    def _compare(
        self, release: RemoteRelease | None, there: Mapping[str, RemoteAsset]
    ) -> tuple[Asset, ...]:
        """Return what is to be sent; raises ReleaseError for what a draft has otherwise."""
        missing, problems = [], self._strange(there)
        for asset in self.plan.assets:
            found = there.get(asset.name)
            if found is None or not found.is_whole:
                missing.append(asset)
            elif self._is_same(asset, found):
                self.plan.set(asset.name, "present")
            elif asset.kind == "signature":
                # sigstore never signs twice with the same bytes, and a draft has no readers.
                missing.append(asset)
            else:
                problems.append(f"{asset.name}: is there with other bytes")
        if release is not None and problems:
            hint = f"look at {release.address or 'the draft'}; remove it, or what is wrong in it"
            raise _several(f"{self.plan.tag}: the draft is of another build", problems, hint)
        return tuple(missing)

    def _strange(self, there: Mapping[str, RemoteAsset]) -> list[str]:
        own = {asset.name for asset in self.plan.assets}
        return [f"{name}: does not belong to the release" for name in sorted(there.keys() - own)]

    def _is_same(self, asset: Asset, found: RemoteAsset) -> bool:
        if not found.is_whole or found.size != asset.size:
            return False
        digest = found.digest or self.github.digest_of(found)
        return digest == asset.digest

    def _send(self, release: RemoteRelease, asset: Asset, old: RemoteAsset | None) -> None:
        """Send a file; after a failure, look what there is and begin anew."""
        if old is not None:
            self.github.delete(old)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._upload(release, asset)
                break
            except IntegrityError:
                self._clean(release, asset)
                raise
            except TemporaryError:
                if self._clean(release, asset):
                    break
                if attempt == _ATTEMPTS:
                    raise
                self.tell(f"again    {asset.name}")
        self.plan.set(asset.name, "uploaded" if old is None else "replaced")
        self.tell(f"sent     {asset.name}  {asset.size}")

    def _upload(self, release: RemoteRelease, asset: Asset) -> None:
        sent = self.github.upload(release, asset.name, asset.path, asset.digest)
        if not sent.is_whole or sent.size != asset.size:
            msg = f"{asset.name}: {sent.size} of {asset.size} bytes arrived ({sent.state})"
            raise TemporaryError(msg)

    def _clean(self, release: RemoteRelease, asset: Asset) -> bool:
        """Remove what an upload left behind; return whether all of the file arrived after all."""
        for found in self.github.assets(release):
            if found.name == asset.name:
                if self._is_same(asset, found):
                    return True
                self.github.delete(found)
        return False

    def _verify(self, release: RemoteRelease) -> None:
        """Download every file of the draft and compare it with what is here."""
        there = {each.name: each for each in self.github.assets(release)}
        problems = self._strange(there)
        for asset in self.plan.assets:
            found = there.get(asset.name)
            got = self.github.digest_of(found) if found and found.is_whole else None
            if got == asset.digest:
                self.plan.set(asset.name, "verified")
                self.tell(f"proved   {asset.name}")
            else:
                problems.append(f"{asset.name}: {_got(got)}, should be {asset.digest}")
        if problems:
            hint = "remove these files from the draft, then run the same command again"
            error = _several(f"{self.plan.tag}: the draft is not what was sent", problems, hint)
            raise IntegrityError(error.message, hint=error.hint, details=error.details)

    def _finish(self, release: RemoteRelease) -> str:
        if self.wanted.stays_draft:
            self.tell(f"{self.plan.tag} stays a draft")
            return release.address
        try:
            published = self.github.publish(release)
        except TemporaryError:
            # The answer was lost; it may have happened.
            found = self._find()
            if found is None or found.is_draft:
                raise
            published = found
        if published.is_draft:
            msg = f"{self.plan.tag}: GitHub keeps it a draft"
            raise ReleaseError(msg, hint=f"look at {published.address}")
        for asset in self.plan.assets:
            self.plan.set(asset.name, "published")
        self.tell(f"published {self.plan.tag}  {published.address}")
        return published.address


def _several(what: str, problems: list[str], hint: str) -> PackError:
    if len(problems) == 1:
        return ReleaseError(f"{what}: {problems[0]}", hint=hint)
    msg = f"{what}: {len(problems)} files differ"
    return ReleaseError(msg, hint=hint, details=tuple(problems))


def _got(digest: Digest | None) -> str:
    return f"is {digest}" if digest else "is not there, or not whole"


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
