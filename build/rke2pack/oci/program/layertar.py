"""Layer tar: what a layer puts where, read from its tar in bounded memory.

A layer is a tar of a root file system (OCI image-spec, layer.md): unlike in an
archive of images there are absolute links, devices, names of any bytes, and
whiteouts. Python's own reader takes headers of any length; here they have a
ceiling. Content is passed over, but for the first bytes of each file.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from rke2pack.errors import IntegrityError
from rke2pack.oci.bytestream import ByteStream
from rke2pack.oci.pack.tarball import BLOCK
from rke2pack.oci.program import executable

Kind = Literal["file", "symlink", "hardlink", "folder", "other"]
MAX_MEMBERS = 1_000_000
MAX_NAME_BYTES = 4096
MAX_HEADER_BYTES = 1024 * 1024
_MAX_SIZE = 2**60
_MAX_EXTRAS = 16
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.LNKTYPE: "hardlink",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "folder",
}
_WITHOUT_CONTENT = {
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE,
    tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
}  # fmt: skip
_LONG_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member: ``name`` without leading and trailing slashes, a link's target as it stands."""

    name: str
    kind: Kind
    mode: int = 0o755
    target: str = ""
    head: bytes = field(default=b"", repr=False)


def entries(chunks: Iterable[bytes], *, what: str) -> Iterator[Entry]:
    """Yield every member of a layer's tar; raises IntegrityError where it is damaged or absurd.

    The caller reads it to the end: the bytes after the last member are read too.
    """
    source = _Source(chunks, what)
    extra: dict[str, str] = {}
    count = extras = 0
    while (block := source.block()) is not None:
        info = source.parsed(block)
        if info.type in _LONG_NAMES or info.type in {tarfile.XHDTYPE, tarfile.XGLTYPE}:
            extras += 1
            if extras > _MAX_EXTRAS:
                raise source.wrong(f"more than {_MAX_EXTRAS} headers for one member")
            extra |= _extra(source, info)
            continue
        count, extras = count + 1, 0
        if count > MAX_MEMBERS:
            raise source.wrong(f"more than {MAX_MEMBERS} members")
        yield _entry(source, info, extra)
        extra = {}
    source.drain()


def clean(name: str) -> str:
    """Write a path from the root, without slashes at its ends; ``..`` stops at the root."""
    return posixpath.normpath(f"/{name}").strip("/")


def _entry(source: _Source, info: tarfile.TarInfo, extra: dict[str, str]) -> Entry:
    size = info.size
    if "size" in extra:
        size = source.number(extra["size"])
    if info.type == tarfile.GNUTYPE_SPARSE or "GNU.sparse" in extra:
        raise source.wrong("a sparse file, which a layer cannot hold")
    kind = _KINDS.get(info.type, "other")
    if info.type in _WITHOUT_CONTENT:
        size = 0
    head = source.content(size, executable.HEAD_BYTES if kind == "file" else 0)
    name, target = extra.get("path", info.name), extra.get("linkpath", info.linkname)
    if max(len(name), len(target)) > MAX_NAME_BYTES:
        raise source.wrong(f"a name is longer than {MAX_NAME_BYTES} bytes: {name[:60]!r}")
    if kind == "file" and name.endswith("/") and not size:
        kind = "folder"  # as tars from before POSIX write folders
    return Entry(name=clean(name), kind=kind, mode=info.mode, target=target, head=head)


def _extra(source: _Source, info: tarfile.TarInfo) -> dict[str, str]:
    """Read what stands before a member about it: pax records, or GNU's long name."""
    if not 0 <= info.size <= MAX_HEADER_BYTES:
        raise source.wrong(f"a header of {info.size} bytes, more than {MAX_HEADER_BYTES}")
    data = source.content(info.size, info.size)
    if info.type == tarfile.XGLTYPE:
        return {}
    if info.type in _LONG_NAMES:
        return {_LONG_NAMES[info.type]: _text(data.partition(b"\0")[0])}
    return _records(source, data)


def _records(source: _Source, data: bytes) -> dict[str, str]:
    """Parse pax records, ``<length> <key>=<value>`` and a line end; the last of a key counts."""
    found: dict[str, str] = {}
    start = 0
    while start < len(data):
        digits = data[start : start + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = data[start + len(digits) + 1 : start + length]
        key, equals, value = record.partition(b"=")
        if not equals or not record.endswith(b"\n") or start + length > len(data):
            raise source.wrong("a pax header is damaged")
        if key in {b"path", b"linkpath", b"size"}:
            found[key.decode()] = _text(value[:-1])
        elif key.startswith(b"GNU.sparse"):
            found["GNU.sparse"] = ""
        start += length
    return found


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


class _Source(ByteStream):
    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        super().__init__(chunks)
        self._what = what

    def wrong(self, why: str) -> IntegrityError:
        return IntegrityError(f"{self._what}: {why}")

    def block(self) -> bytes | None:
        """Return the next header; None at the end, marked or not."""
        block = self.take(BLOCK)
        if not block.strip(b"\0"):
            return None
        if len(block) < BLOCK:
            raise self.wrong("the tar ends in the middle")
        return block

    def parsed(self, block: bytes) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as exc:
            msg = "not a tar, or damaged: a header that is none"
            raise self.wrong(msg) from exc
        if not 0 <= info.size <= _MAX_SIZE:
            raise self.wrong(f"a member of {info.size} bytes")
        return info

    def number(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_SIZE))):
            raise self.wrong(f"a pax header has the size {text[:60]!r}")
        if int(text) > _MAX_SIZE:
            raise self.wrong(f"a member of {text} bytes")
        return int(text)

    def content(self, size: int, wanted: int) -> bytes:
        """Return the first ``wanted`` bytes of content and pass over the rest and its padding."""
        head = self.take(min(wanted, size))
        left = size - len(head)
        padding = -size % BLOCK
        while left + padding > 0:
            piece = self.piece(left + padding)
            if not piece:
                raise self.wrong("the tar ends in the middle of a member")
            taken = min(left, len(piece))
            left, padding = left - taken, padding - (len(piece) - taken)
        return head

    def drain(self) -> None:
        while self.piece(1 << 20):
            pass
