"""Executable: for which machine a program is, told by its first bytes.

Sources: the ELF gABI, "ELF Header"; Microsoft's PE format, "MS-DOS stub" and
"COFF file header"; Linux' binfmt_script (``#!``, 256 bytes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from rke2pack.oci.platform import Platform

# As much of a file as is looked at; Windows' own tools write the PE header far before.
HEAD_BYTES = 4096
_SCRIPT_BYTES = 256
_ELF_BYTES, _EM_OFFSET = 20, 16
_EXECUTABLE_TYPES = {2, 3}  # ET_EXEC, ET_DYN
_PE_POINTER = slice(0x3C, 0x40)
_BITS = {1: 32, 2: 64}
_ORDERS: dict[int, Literal["<", ">"]] = {1: "<", 2: ">"}
# architecture -> (bits, byte order, e_machine)
_ELF = {
    "386": (32, "<", 3),
    "amd64": (64, "<", 62),
    "arm": (32, "<", 40),
    "arm64": (64, "<", 183),
    "loong64": (64, "<", 258),
    "mips64le": (64, "<", 8),
    "ppc64le": (64, "<", 21),
    "riscv64": (64, "<", 243),
    "s390x": (64, ">", 22),
}
_PE = {"386": 0x14C, "amd64": 0x8664, "arm": 0x1C4, "arm64": 0xAA64}
_ELF_NAMES = {value: name for name, value in _ELF.items()}
_PE_NAMES = {value: name for name, value in _PE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """A program as its file tells of it.

    A ``script`` has an interpreter. ``architecture`` is empty where the header
    names a machine that is unknown; ``machine`` tells of it in words.
    """

    kind: Literal["elf", "pe", "script"]
    architecture: str = ""
    machine: str = ""
    interpreter: str = ""

    def is_for(self, platform: Platform) -> bool:
        """Whether a machine of this platform runs it; a script is for none by itself."""
        form = "pe" if platform.os == "windows" else "elf"
        return self.kind == form and self.architecture == platform.architecture

    def __str__(self) -> str:
        if self.kind == "script":
            return f"a script for {self.interpreter}"
        return f"{self.kind.upper()} for {self.architecture or self.machine}"


def read(head: bytes) -> Executable | None:
    """Tell what a file is from its first 4 KiB; None for anything that is no program.

    Never raises: what is cut short or makes no sense is no program.
    """
    if head.startswith(b"\x7fELF"):
        return _elf(head)
    if head.startswith(b"MZ"):
        return _pe(head)
    return _script(head) if head.startswith(b"#!") else None


def _elf(head: bytes) -> Executable | None:
    if len(head) < _ELF_BYTES:
        return None
    bits, order = _BITS.get(head[4]), _ORDERS.get(head[5])
    if bits is None or order is None:
        return None
    kind, machine = struct.unpack_from(f"{order}HH", head, _EM_OFFSET)
    if kind not in _EXECUTABLE_TYPES:
        return None
    endian = "little" if order == "<" else "big"
    return Executable(
        kind="elf",
        architecture=_ELF_NAMES.get((bits, order, machine), ""),
        machine=f"machine {machine}, {bits} bits, {endian} endian",
    )


def _pe(head: bytes) -> Executable | None:
    start = int.from_bytes(head[_PE_POINTER], "little")
    header = head[start : start + 6]
    if len(header) < 6 or not header.startswith(b"PE\0\0"):  # noqa: PLR2004 - signature and machine
        return None
    machine = int.from_bytes(header[4:], "little")
    return Executable(
        kind="pe", architecture=_PE_NAMES.get(machine, ""), machine=f"machine {machine:#x}"
    )


def _script(head: bytes) -> Executable | None:
    line = head[2:_SCRIPT_BYTES].partition(b"\n")[0].strip(b" \t\r")
    words = line.replace(b"\t", b" ").split(b" ")
    try:
        interpreter = words[0].decode()
    except UnicodeDecodeError:
        return None
    if not interpreter or not interpreter.isprintable():
        return None
    return Executable(kind="script", interpreter=interpreter)
