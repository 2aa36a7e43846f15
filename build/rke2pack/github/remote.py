"""Releases and their files as GitHub tells of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rke2pack.address import redact
from rke2pack.digest import Digest
from rke2pack.errors import ReleaseError

_MAX_SHOWN: Final = 300
_SHA256: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAsset:
    """A file of a release as GitHub has it; a half sent one has another state than uploaded.

    ``digest`` is None where the server does not tell one (older GitHub Enterprise).
    """

    id: int
    name: str
    size: int
    state: str
    digest: Digest | None

    @property
    def is_whole(self) -> bool:
        """Whether it was sent to its end."""
        return self.state == "uploaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteRelease:
    """A release, or a draft of one; ``address`` is where people look at it."""

    id: int
    tag: str
    is_draft: bool
    address: str
    uploads: str


def release(found: object, url: str) -> RemoteRelease:
    """Read a release of an answer from ``url``; raises ReleaseError."""
    match found:
        case {"id": int(number), "tag_name": str(tag), "draft": bool(is_draft), **rest}:
            return RemoteRelease(
                id=number,
                tag=tag,
                is_draft=is_draft,
                address=_shown(redact(str(rest.get("html_url", "")))),
                uploads=str(rest.get("upload_url", "")),
            )
    msg = f"{redact(url)}: answers with no release"
    raise ReleaseError(msg, hint="check --api")


def asset(found: object, url: str) -> RemoteAsset:
    """Read a file of a release of an answer from ``url``; raises ReleaseError."""
    match found:
        case {"id": int(number), "name": str(name), "size": int(size), "state": str(state), **rest}:
            digest = rest.get("digest")
            is_sha = isinstance(digest, str) and _SHA256.match(digest)
            return RemoteAsset(
                id=number,
                name=_shown(name),
                size=size,
                state=_shown(state),
                digest=Digest.parse(str(digest)) if is_sha else None,
            )
    msg = f"{redact(url)}: answers with no asset"
    raise ReleaseError(msg, hint="check --api")


def _shown(text: str) -> str:
    """Return a server's text as it may stand in a line; what does not print is quoted.

    So it is no name of a file of ours either.
    """
    return text if text.isprintable() and len(text) <= _MAX_SHOWN else ascii(text[:_MAX_SHOWN])
