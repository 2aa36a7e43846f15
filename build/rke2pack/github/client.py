"""One repository at GitHub: its releases with their files, and its pull requests."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from rke2pack import files
from rke2pack.address import redact
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ReleaseError
from rke2pack.github import remote
from rke2pack.github.remote import RemoteAsset, RemoteRelease
from rke2pack.github.wire import (
    FileBody,
    StatusError,
    TemporaryError,
    Wire,
    body_of,
    chunks,
    document_of,
)

if TYPE_CHECKING:
    from datetime import datetime

    import requests

API: Final = "https://api.github.com"
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}\Z")
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}\Z")


class GitHub:
    """The releases of one repository."""

    def __init__(
        self,
        session: requests.Session,
        repository: str,
        *,
        token: str,
        api: str = API,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Use ``session`` for ``repository`` (OWNER/NAME); raises ReleaseError for other names."""
        if not _REPOSITORY.match(repository):
            msg = f"{repository[:200]!r}: not a repository"
            raise ReleaseError(msg, hint="write it as OWNER/NAME")
        parts = urlsplit(api)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username:
            msg = f"{redact(api)}: not an address of GitHub's API"
            raise ReleaseError(msg, hint="write it as https://github.example.com/api/v3")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            msg = f"{redact(api)}: the token would travel in the clear"
            raise ReleaseError(msg, hint="write the address with https")
        self.repository = repository
        self._api = api.rstrip("/")
        self._root = f"{self._api}/repos/{repository}"
        self._wire = Wire(session, token=token, sleep=sleep)

    def clock(self) -> datetime | None:
        """Return what time the server has; None where it does not say."""
        date = self._wire.answer("GET", self._root).headers.get("Date")
        try:
            return parsedate_to_datetime(date) if date else None
        except ValueError:
            return None

    def commit_of(self, tag: str) -> str | None:
        """Return the commit that a tag points at there; None where there is no such tag."""
        url = f"{self._root}/commits/{quote(f'refs/tags/{tag}', safe='')}"
        try:
            answer = self._wire.answer("GET", url, accept="application/vnd.github.sha")
        except StatusError as exc:
            if exc.status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}:
                return None
            raise
        text = answer.body.decode(errors="replace").strip()
        if not _COMMIT.match(text):
            msg = f"{redact(url)}: answers with no commit"
            raise ReleaseError(msg)
        return text

    def releases(self, tag: str) -> tuple[RemoteRelease, ...]:
        """Return the releases and drafts of a tag; only a token that may write sees drafts."""
        found = (
            remote.release(each, self._root) for each in self._wire.pages(f"{self._root}/releases")
        )
        return tuple(each for each in found if each.tag == tag)

    def create_draft(self, tag: str, *, name: str, body: str, is_prerelease: bool) -> RemoteRelease:
        """Make a draft, which nobody but the repository's own people see."""
        document = {
            "tag_name": tag, "name": name, "body": body,
            "draft": True, "prerelease": is_prerelease,
        }  # fmt: skip
        answer = self._wire.answer("POST", f"{self._root}/releases", document=document)
        return remote.release(document_of(answer.body, self._root), self._root)

    def publish(self, release: RemoteRelease) -> RemoteRelease:
        """Make a draft a release; GitHub decides by version and date whether it is the latest."""
        document = {"draft": False, "make_latest": "legacy"}
        url = f"{self._root}/releases/{release.id}"
        answer = self._wire.answer("PATCH", url, document=document)
        return remote.release(document_of(answer.body, url), self._root)

    def assets(self, release: RemoteRelease) -> tuple[RemoteAsset, ...]:
        """Return the files of a release, those half sent too."""
        url = f"{self._root}/releases/{release.id}/assets"
        return tuple(remote.asset(each, url) for each in self._wire.pages(url))

    def delete(self, asset: RemoteAsset) -> None:
        """Remove a file; nothing happens where it is gone already."""
        url = f"{self._root}/releases/assets/{asset.id}"
        try:
            self._wire.answer("DELETE", url)
        except StatusError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise

    def upload(self, release: RemoteRelease, name: str, path: Path, digest: Digest) -> RemoteAsset:
        """Send a file, hashed on its way.

        Raises TemporaryError where it broke off: something half may be there
        then. Raises IntegrityError where the file no longer has ``digest``; what
        is there then is wrong and is the caller's to delete.
        """
        url = f"{self._upload_root(release)}?name={quote(name, safe='')}"
        with files.reported("read", path), path.open("rb") as handle:
            body = FileBody(handle, path.stat().st_size)
            headers = {"Content-Type": "application/octet-stream"}
            with self._wire.once("POST", url, headers=headers, data=body) as answer:
                sent = remote.asset(document_of(body_of(answer, url), url), url)
        if body.sent < len(body):
            msg = f"{name}: GitHub answered when {body.sent} of {len(body)} bytes were sent"
            raise TemporaryError(msg)
        if body.digest != digest:
            msg = f"{path}: changed while it was sent, is {body.digest}, was {digest}"
            raise IntegrityError(msg, hint="find out who writes to it, then run this again")
        return sent

    def digest_of(self, asset: RemoteAsset) -> Digest:
        """Download a file and return its digest; nothing is kept."""
        url = f"{self._root}/releases/assets/{asset.id}"

        def once() -> Digest:
            hashed, size = hashlib.sha256(), 0
            with self._wire.once("GET", url, accept="application/octet-stream") as answer:
                for chunk in chunks(answer, url):
                    hashed.update(chunk)
                    size += len(chunk)
                    if size > asset.size:
                        msg = f"{asset.name}: more than the {asset.size} bytes that it should have"
                        raise IntegrityError(msg)
            if size < asset.size:
                msg = f"{asset.name}: the download broke off"
                raise TemporaryError(msg)
            return Digest(hashed.hexdigest())

        return self._wire.tried(once)

    def pull_request(self, *, head: str, base: str, title: str, body: str) -> str:
        """Open a pull request, or find the open one of the same branches; returns its address.

        ``head`` is ``OWNER:BRANCH``.
        """
        url = f"{self._root}/pulls"
        query = f"state=open&head={quote(head, safe=':')}&base={quote(base, safe='')}"
        found = document_of(self._wire.answer("GET", f"{url}?{query}").body, url)
        if not isinstance(found, list):
            msg = f"{redact(url)}: answers with no list"
            raise ReleaseError(msg)
        if not found:
            document = {"title": title, "head": head, "base": base, "body": body}
            found = [document_of(self._wire.answer("POST", url, document=document).body, url)]
        address = found[0].get("html_url") if isinstance(found[0], dict) else None
        if not isinstance(address, str):
            msg = f"{redact(url)}: answers with no pull request"
            raise ReleaseError(msg)
        return address

    def _upload_root(self, release: RemoteRelease) -> str:
        """Return where files go; raises ReleaseError for a host that the token is not for."""
        url = release.uploads.partition("{")[0]
        theirs, ours = urlsplit(url), urlsplit(self._api)
        uploads = f"uploads.{(ours.hostname or '').removeprefix('api.')}"
        is_same = (theirs.hostname, theirs.port) == (ours.hostname, ours.port)
        is_known = is_same or (theirs.hostname == uploads and theirs.port == ours.port)
        if theirs.scheme != ours.scheme or not is_known or theirs.username:
            msg = f"{redact(url)}: not where {ours.hostname} takes files, the token stays here"
            raise ReleaseError(msg)
        return url
