"""Programs of a few bytes, and layers that hold them."""

from __future__ import annotations

import io
import struct
import tarfile
from functools import partial

from rke2pack.oci.program.layertree import Listing, Tree


def elf(machine: int, *, bits: int = 2, order: str = "<", kind: int = 2) -> bytes:
    """The head of an ELF file; amd64 is machine 62, arm64 183."""
    ident = b"\x7fELF" + bytes([bits, 1 if order == "<" else 2, 1]) + bytes(9)
    return ident + struct.pack(f"{order}HHI", kind, machine, 1) + bytes(40)


def pe(machine: int, *, start: int = 0x80) -> bytes:
    """The head of a PE file; amd64 is machine 0x8664."""
    head = (b"MZ" + bytes(58) + struct.pack("<I", start)).ljust(start, b"\0")
    return head + b"PE\0\0" + struct.pack("<H", machine)


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, 0o755
    for key, value in more.items():
        setattr(info, key, value)
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.LNKTYPE, linkname=target)


def folder(name: str) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE)


def layer(
    *members: tarfile.TarInfo | tuple[str, bytes] | tuple[str, bytes, int],
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    """A layer's tar: files as (name, content[, mode]), anything else as its header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
                continue
            info = member(each[0], mode=each[2] if len(each) > 2 else 0o755, size=len(each[1]))
            tar.addfile(info, io.BytesIO(each[1]))
    return buffer.getvalue()


def listing(tar: bytes, *, folds_case: bool = False, step: int = 1000) -> Listing:
    """Read a layer in small pieces."""
    chunks = (tar[start : start + step] for start in range(0, len(tar), step))
    return Listing.read(chunks, what="layer", folds_case=folds_case)


def tree(*tars: bytes, folds_case: bool = False, read: list[int] | None = None) -> Tree:
    """The root of layers, the lowest first; ``read`` collects the numbers of those looked at."""

    def load(number: int) -> Listing:
        if read is not None and number not in read:
            read.append(number)
        return listing(tars[number], folds_case=folds_case)

    return Tree(layers=[partial(load, number) for number in reversed(range(len(tars)))])
