"""Chart archives: reading hostile ones within limits, writing reproducible ones.

A chart archive is a gzipped tar with one top folder, named like the chart
(Helm, ``pkg/chart/loader/archive``). Reading keeps the members' order and
refuses what no chart needs: links, devices, absolute paths and ``..``.
Writing depends on nothing but the members: no time, no user, no file name, and
a compressor (libdeflate) whose output is the same on every machine.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import deflate

from rke2pack import wording
from rke2pack.errors import IntegrityError

MAX_ARCHIVE_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
MAX_MEMBERS = 20_000
MAX_GZIP_MEMBERS = 1_000
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file: its path below the chart's folder included, and its bytes."""

    path: str
    data: bytes


def unpack(data: bytes, *, what: str) -> tuple[Member, ...]:
    """Return the regular files of a ``.tgz`` in their order; raise IntegrityError."""
    raw = gunzip(data, what=what)
    members: dict[str, Member] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            for count, info in enumerate(tar, start=1):
                if count > MAX_MEMBERS:
                    msg = f"{what}: more than {MAX_MEMBERS} files"
                    raise IntegrityError(msg)
                path = _checked_path(info, what=what)
                if info.isdir():
                    continue
                if path in members:
                    msg = f"{what}: {path} is in the archive twice"
                    raise IntegrityError(msg)
                handle = tar.extractfile(info)
                if handle is None:
                    msg = f"{what}: {path} is not a regular file"
                    raise IntegrityError(msg)
                content = handle.read()
                if len(content) != info.size:
                    msg = f"{what}: {path} is cut short"
                    raise IntegrityError(msg)
                members[path] = Member(path, content)
            # tarfile takes a damaged header for the end of the archive.
            if raw[tar.offset :].strip(b"\0"):
                msg = f"{what}: not a chart archive: damaged header at byte {tar.offset}"
                raise IntegrityError(msg)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as exc:
        msg = f"{what}: not a chart archive: {exc}"
        raise IntegrityError(msg) from exc
    if not members:
        msg = f"{what}: the archive is empty"
        raise IntegrityError(msg)
    return tuple(members.values())


def pack(members: Iterable[Member], *, level: int = 9) -> bytes:
    """Return a ``.tgz`` of ``members`` in the given order, the same bytes everywhere.

    Modes are 0644, owner 0:0, times 0; gzip's header carries neither name nor time.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            info = tarfile.TarInfo(member.path)
            info.size = len(member.data)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(member.data))
    return bytes(deflate.gzip_compress(buffer.getvalue(), level))


def gunzip(data: bytes, *, what: str) -> bytes:
    """Decompress gzip bytes of one or more members below MAX_UNPACKED_BYTES.

    Bytes behind the last member are an error, as they are for Helm.
    """
    if len(data) > MAX_ARCHIVE_BYTES:
        msg = f"{what}: {len(data)} bytes, the limit for a chart is {MAX_ARCHIVE_BYTES}"
        raise IntegrityError(msg)
    if not data.startswith(_GZIP_MAGIC):
        msg = f"{what}: not gzip"
        raise IntegrityError(msg)
    raw = bytearray()
    start = 0
    for _ in range(MAX_GZIP_MEMBERS):
        start = _gunzip_member(data, start, raw, what=what)
        if start == len(data):
            return bytes(raw)
        if not data.startswith(_GZIP_MAGIC, start):
            rest = wording.count(len(data) - start, "byte")
            msg = f"{what}: {rest} of something else behind the gzip stream"
            raise IntegrityError(msg)
    msg = f"{what}: more than {MAX_GZIP_MEMBERS} gzip members"
    raise IntegrityError(msg)


def _gunzip_member(data: bytes, start: int, raw: bytearray, *, what: str) -> int:
    """Append one gzip member's content to ``raw``; return where the member ends."""
    member = zlib.decompressobj(wbits=31)
    view = memoryview(data)
    while not member.eof:
        pending = member.unconsumed_tail or view[start : start + _CHUNK]
        if not pending:
            msg = f"{what}: the gzip stream is cut short"
            raise IntegrityError(msg)
        if not member.unconsumed_tail:
            start += len(pending)
        try:
            raw += member.decompress(pending, MAX_UNPACKED_BYTES + 1 - len(raw))
        except zlib.error as exc:
            msg = f"{what}: damaged gzip: {exc}"
            raise IntegrityError(msg) from exc
        if len(raw) > MAX_UNPACKED_BYTES:
            msg = f"{what}: unpacks to more than {MAX_UNPACKED_BYTES} bytes"
            raise IntegrityError(msg)
    return start - len(member.unused_data)


def _checked_path(info: tarfile.TarInfo, *, what: str) -> str:
    """Return the member's path; raise where unpacking it could leave the folder."""
    name = info.name
    # A sparse file's size is what its header claims: any number, for a few bytes.
    if not (info.isreg() or info.isdir()) or info.issparse():
        msg = f"{what}: {name!r} is a link, a device or sparse, a chart holds only plain files"
        raise IntegrityError(msg)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        msg = f"{what}: {name!r} points outside the chart"
        raise IntegrityError(msg)
    return str(path)
