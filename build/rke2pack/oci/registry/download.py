"""Download: one blob from a registry, taken up again where it broke off (Range)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from rke2pack import wording
from rke2pack.errors import IntegrityError, NotFoundError, RegistryError
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry import answer, token
from rke2pack.oci.registry.answer import Response
from rke2pack.oci.registry.token import Scope

if TYPE_CHECKING:
    from rke2pack.oci.registry.client import Registry

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")
# Once so many new bytes came, earlier failures are forgotten: a long blob may break often.
PROGRESS = 256 * 1024


class Place(Protocol):
    """How far a blob is."""

    @property
    def offset(self) -> int:
        """How many of its bytes are there already."""

    def restart(self) -> None:
        """Forget all bytes."""


class Sink(Place, Protocol):
    """Where a blob goes."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""


class Reader:
    """How far a reader is that takes no byte twice; a `Place`."""

    def __init__(self, start: int) -> None:
        """Begin at byte ``start``."""
        self.offset = self._done = start

    def restart(self) -> None:
        """Take what was there already once more."""
        self.offset = 0

    def advance(self, chunk: bytes) -> bytes:
        """Go on by a chunk; return what of it the reader does not have."""
        fresh = chunk[max(0, self._done - self.offset) :]
        self.offset += len(chunk)
        self._done += len(fresh)
        return fresh


@dataclass(frozen=True, kw_only=True)
class Download:
    """The bytes of a blob that ``place`` lacks; a body of another length is an IntegrityError."""

    registry: Registry
    repository: str
    blob: Descriptor
    place: Place

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes that ``place`` lacks, from wherever the registry has them."""
        registry, repository, blob = self.registry, self.repository, self.blob
        what = f"{registry.host}/{repository}@{blob.digest}"
        try:
            url = registry.url(repository, "blobs", str(blob.digest))
            yield from self._fetch(url, what, token.pull(repository))
        except NotFoundError:
            # A foreign layer (Windows): elsewhere, without credentials, same digest.
            others = [url for url in blob.urls if url.startswith("https://")]
            if not others:
                raise
            where = f"{what} at {urlsplit(others[0]).hostname}"
            yield from self._fetch(others[0], where, None)

    def _fetch(self, url: str, what: str, scope: Scope | None) -> Iterator[bytes]:
        wire, place = self.registry.wire, self.place
        failures, mark = 0, place.offset
        uses_range = True
        while True:
            if not uses_range and place.offset:
                place.restart()
            error: RegistryError
            try:
                for chunk in self._body(url, what, scope):
                    yield chunk
                    wire.count(len(chunk))
                    wire.pace.check()
            except _RangeRefusedError as exc:
                uses_range, error = False, exc
            except RegistryError as exc:
                error = exc
            else:
                return
            failures = 1 if place.offset - mark >= PROGRESS else failures + 1
            mark = place.offset
            wire.rest(failures, error)

    def _body(self, url: str, what: str, scope: Scope | None) -> Iterator[bytes]:
        """Yield what one answer has; the place is restarted where the server sends all."""
        blob, start = self.blob, self.place.offset
        if start >= blob.size > 0:
            return
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.registry.ask(
            "GET", url, scope=scope, what=what, headers=headers, expected={200, 206, 416}
        ) as response:
            _check_range(response, start, blob, what)
            if start and response.status_code == 200:  # noqa: PLR2004 - Range is a SHOULD
                self.place.restart()
                start = 0
            left = blob.size - start
            for chunk in answer.stream(response, what=what):
                left -= len(chunk)
                if left < 0:
                    msg = f"{what}: longer than the {blob.size} bytes of its descriptor"
                    raise IntegrityError(msg)
                yield chunk
            if left:
                raise _too_short(response, what, left, blob)


class _RangeRefusedError(RegistryError):
    """A part came that was not asked for; the next request is for the whole."""


def _check_range(response: Response, start: int, blob: Descriptor, what: str) -> None:
    """Refuse a part other than the one asked for, and a length other than the descriptor's."""
    if response.status_code == 416:  # noqa: PLR2004 - HTTP's own number
        msg = f"{what}: the registry cannot go on at byte {start}"
        raise _RangeRefusedError(msg, temporary=True)
    if response.status_code == 206:  # noqa: PLR2004 - HTTP's own number
        said = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.match(said)
        whole = str(blob.size)
        fits = match and (match[1], match[2]) == (str(start), str(blob.size - 1))
        if not start or not match or not fits or match[3] not in {whole, "*"}:
            msg = f"{what}: asked for bytes {start}-, got {said[:100]!r}, refused"
            raise _RangeRefusedError(msg, temporary=True)
        return
    length = answer.content_length(response)
    if length is not None and length != blob.size:
        has = wording.count(length, "byte")
        msg = f"{what}: the registry has {has}, its descriptor says {blob.size}"
        raise IntegrityError(msg)


def _too_short(
    response: Response, what: str, left: int, blob: Descriptor
) -> RegistryError | IntegrityError:
    """Tell a body that ends properly, and is wrong, from one that may have been cut."""
    if "Content-Length" in response.headers or "Transfer-Encoding" in response.headers:
        lacking = wording.count(left, "byte")
        msg = f"{what}: {lacking} shorter than the {blob.size} of its descriptor"
        return IntegrityError(msg)
    return RegistryError(f"{what}: the answer broke off", temporary=True)
