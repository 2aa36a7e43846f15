"""Tar stream: the members of a tar from outside, one after the other, in bounded memory.

Formats: POSIX ustar and pax, GNU (long names, base-256 sizes), as docker, skopeo,
containerd and GNU tar write them. Python's own reader takes pax headers of any
length; this one has a ceiling for everything that is not content. Content is
data and never unpacked to the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import Literal

from rke2pack.errors import IntegrityError
from rke2pack.oci.bytestream import ByteStream
from rke2pack.oci.intake import archivefile
from rke2pack.oci.pack.tarball import BLOCK

Kind = Literal["file", "link", "folder"]
MAX_MEMBERS = 100_000
MAX_HEADER_BYTES = 1024 * 1024
MAX_NAME_BYTES = 4096
MAX_SIZE = 2**60
_SUM = slice(148, 156)
_KINDS: dict[bytes, Kind] = {
    b"\0": "file",
    b"0": "file",
    b"1": "link",
    b"2": "link",
    b"5": "folder",
}
_SYMLINK = b"2"
_NAMES = {b"L": "path", b"K": "linkpath"}
_PAX = b"x"
_KEPT = frozenset({"path", "linkpath", "size"})
_ZERO = bytes(BLOCK)
_STEP = 1024 * 1024
_MAGIC = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member; its name, and a link's target, are clean paths below the tar's root.

    ``chunks`` is a file's content. It is read before the next member is asked
    for, or passed over.
    """

    name: str
    kind: Kind
    size: int
    target: str = ""
    chunks: Iterator[bytes] = field(repr=False, compare=False)


def read(chunks: Iterable[bytes], *, what: str) -> Iterator[Member]:
    """Yield the members of a tar's bytes.

    Raises IntegrityError where it is cut short, damaged, or holds what no image
    archive holds.
    """
    source = _Source(chunks, what)
    extra: dict[str, str] = {}
    count = 0
    while (header := source.header()) is not None:
        count += 1
        if count > 2 * MAX_MEMBERS:
            raise source.wrong(f"more than {MAX_MEMBERS} members")
        kind = header[156:157]
        if kind in _NAMES or kind == _PAX:
            extra = _joined(extra, _extra(source, header, kind), source)
            continue
        content = _Content(source, _size(header, extra, source))
        member = _member(header, extra, content, source)
        extra = {}
        yield member
        content.finish()
    if extra:
        raise source.wrong("ends after a header that belongs to a next member")
    source.end()


def resolved(name: str, links: dict[str, str], what: str) -> str:
    """Follow links from a name to a file's; raises IntegrityError where they go in a circle."""
    seen = {name}
    while name in links:
        name = links[name]
        if name in seen:
            msg = f"{what}: the link {name!r} points at itself"
            raise IntegrityError(msg, hint=archivefile.HINT)
        seen.add(name)
    return name


class _Source(ByteStream):
    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        super().__init__(chunks)
        self.what = what

    def wrong(self, why: str) -> IntegrityError:
        return IntegrityError(f"{self.what}: {why}", hint=archivefile.HINT)

    def some(self, limit: int) -> bytes:
        return bytes(self.piece(limit))

    def exactly(self, size: int) -> bytes:
        found = self.take(size)
        if len(found) < size:
            raise self.wrong("cut short: the tar ends in the middle")
        return found

    def header(self) -> bytes | None:
        """Return the next header, None at the two empty blocks that end a tar."""
        block = self.exactly(BLOCK)
        if block == _ZERO:
            if self.exactly(BLOCK) != _ZERO:
                raise self.wrong("an empty block in the middle of the tar")
            return None
        unsigned = sum(block) - sum(block[_SUM]) + 8 * 32
        signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])  # noqa: PLR2004
        if self.number(block[_SUM], "checksum") not in {unsigned, signed}:
            raise self.wrong("not a tar, or damaged: a header has a wrong checksum")
        return block

    def number(self, raw: bytes, name: str) -> int:
        """Read a number of a header: octal digits, or GNU's base-256."""
        if raw[0] == 0x80:  # noqa: PLR2004 - the mark of a positive base-256 number
            value = int.from_bytes(raw[1:], "big")
        else:
            digits = raw.strip(b" \0") or b"0"
            if not digits.isdigit() or b"8" in digits or b"9" in digits:
                raise self.wrong(f"a header has no number where its {name} belongs")
            value = int(digits, 8)
        if value > MAX_SIZE:
            raise self.wrong(f"a header has a {name} of {value}")
        return value

    def end(self) -> None:
        """Read what follows the end of the tar; nothing but zeros may."""
        while piece := self.some(_STEP):
            if piece.count(0) != len(piece):
                raise self.wrong("something follows the end of the tar")


class _Content:
    """The content of one member and the padding behind it."""

    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self.size = size
        self._left = size

    def chunks(self) -> Iterator[bytes]:
        """Yield the content; the first piece is long enough to tell what it is."""
        if self._left == self.size:
            start = self._source.exactly(min(self._left, _MAGIC))
            self._left -= len(start)
            yield start
        while self._left:
            piece = self._source.some(min(self._left, _STEP))
            if not piece:
                raise self._source.wrong("cut short: the tar ends in the middle of a member")
            self._left -= len(piece)
            yield piece

    def finish(self) -> None:
        for _ in self.chunks():
            pass
        self._source.exactly(-self.size % BLOCK)


def _member(header: bytes, extra: dict[str, str], content: _Content, source: _Source) -> Member:
    name = _clean(extra.get("path") or _name(header, source), source)
    flag = header[156:157]
    kind = _KINDS.get(flag)
    if kind is None:
        raise source.wrong(f"{name!r} is neither file, link nor folder (type {flag!r})")
    if kind != "file" and content.size:
        raise source.wrong(f"{name!r} is a {kind} and has content")
    target = ""
    if kind == "link":
        target = extra.get("linkpath") or _text(header[157:257], source)
        folder = dirname(name) if flag == _SYMLINK else ""
        target = _clean(target if target.startswith("/") else join(folder, target), source)
    return Member(name=name, kind=kind, size=content.size, target=target, chunks=content.chunks())


def _name(header: bytes, source: _Source) -> str:
    name = _text(header[:100], source)
    # GNU keeps times where ustar has the first part of a long name.
    prefix = _text(header[345:500], source) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(raw: bytes, source: _Source) -> str:
    try:
        return raw.partition(b"\0")[0].decode()
    except UnicodeDecodeError as exc:
        raise source.wrong(f"a name is not UTF-8: {raw[:60]!r}") from exc


def _clean(name: str, source: _Source) -> str:
    clean = normpath(name) if name else ""
    if not clean or clean.startswith(("/", "../")) or clean == ".." or not name.isprintable():
        raise source.wrong(f"{name[:200]!r} is no name below the tar's root")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise source.wrong(f"a name is longer than {MAX_NAME_BYTES} bytes: {name[:60]!r}")
    return clean


def _size(header: bytes, extra: dict[str, str], source: _Source) -> int:
    text = extra.get("size")
    if text is None:
        return source.number(header[124:136], "size")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_SIZE)):
        raise source.wrong(f"a pax header has the size {text[:60]!r}")
    if int(text) > MAX_SIZE:
        raise source.wrong(f"a header has a size of {text}")
    return int(text)


def _extra(source: _Source, header: bytes, kind: bytes) -> dict[str, str]:
    """Read what stands before a member about it: pax records, or a long name of GNU's."""
    size = source.number(header[124:136], "size")
    if size > MAX_HEADER_BYTES:
        raise source.wrong(f"a header of {size} bytes, more than {MAX_HEADER_BYTES}")
    data = source.exactly(size)
    source.exactly(-size % BLOCK)
    return {_NAMES[kind]: _text(data, source)} if kind in _NAMES else _records(data, source)


def _joined(one: dict[str, str], two: dict[str, str], source: _Source) -> dict[str, str]:
    if one.keys() & two.keys():
        raise source.wrong("a member has two headers that say the same")
    return one | two


def _records(data: bytes, source: _Source) -> dict[str, str]:
    """Parse pax records, ``<length> <key>=<value>`` and a line end; the last of a key counts."""
    found: dict[str, str] = {}
    rest = memoryview(data)
    while rest:
        start, space, _ = bytes(rest[:8]).partition(b" ")
        length = int(start) if space and start.isdigit() else 0
        record = bytes(rest[len(start) + 1 : length])
        key, equals, value = record.partition(b"=")
        if not record.endswith(b"\n") or length > len(rest) or not equals:
            raise source.wrong("a pax header is damaged")
        if key.startswith(b"GNU.sparse"):
            raise source.wrong("a sparse file, which no image archive holds")
        name = key.decode(errors="replace")
        if name in _KEPT and b"\0" not in value:
            found[name] = _text(value[:-1], source)
        rest = rest[length:]
    return found
