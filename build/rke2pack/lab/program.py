"""The one program of the lab's images: it waits until it is stopped, ``once`` ends it at once.

Static files of our own, a few hundred bytes each. On Linux the program blocks
SIGINT and SIGTERM and waits for them (rt_sigtimedwait), so that it also ends
as the first process of a container; on Windows it ends at once.

Sources: System V ABI (ELF-64, x86-64 and AArch64 supplements), Linux's
asm-generic/unistd.h and syscall_64.tbl, Microsoft's PE format.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from rke2pack.errors import ConfigError
from rke2pack.oci.platform import Platform

_BASE = 0x400000
_ELF_HEADER, _PROGRAM_HEADER = 64, 56
_EM_X86_64, _EM_AARCH64 = 62, 183

_AMD64 = bytes.fromhex(
    "48833c2402"  # cmp qword [rsp], 2        how many arguments
    "7c13"  # jl wait
    "488b742410"  # mov rsi, [rsp+16]         the first one
    "813e6f6e6365"  # cmp dword [rsi], "once"
    "7506"  # jne wait
    "807e0400"  # cmp byte [rsi+4], 0
    "7431"  # je end
    "6802400000"  # wait: push 0x4002         SIGINT and SIGTERM
    "31ff"  # xor edi, edi                    SIG_BLOCK
    "4889e6"  # mov rsi, rsp
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "b80e000000"  # mov eax, 14               rt_sigprocmask
    "0f05"  # syscall
    "4889e7"  # again: mov rdi, rsp
    "31f6"  # xor esi, esi
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "b880000000"  # mov eax, 128              rt_sigtimedwait
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "78e8"  # js again
    "31ff"  # end: xor edi, edi
    "b83c000000"  # mov eax, 60               exit
    "0f05"  # syscall
)
_ARM64 = struct.pack(
    "<31I",
    0xF94003E0,  # ldr x0, [sp]               how many arguments
    0xF100081F,  # cmp x0, #2
    0x5400012B,  # b.lt wait
    0xF9400BE1,  # ldr x1, [sp, #16]          the first one
    0xB9400022,  # ldr w2, [x1]
    0x528DCDE3,  # mov w3, "on"
    0x72ACAC63,  # movk w3, "ce", lsl #16
    0x6B03005F,  # cmp w2, w3
    0x54000061,  # b.ne wait
    0x39401022,  # ldrb w2, [x1, #4]
    0x34000242,  # cbz w2, end
    0xD10043FF,  # wait: sub sp, sp, #16
    0xD2880043,  # mov x3, #0x4002            SIGINT and SIGTERM
    0xF90003E3,  # str x3, [sp]
    0xD2800000,  # mov x0, #0                 SIG_BLOCK
    0x910003E1,  # mov x1, sp
    0xD2800002,  # mov x2, #0
    0xD2800103,  # mov x3, #8
    0xD28010E8,  # mov x8, #135               rt_sigprocmask
    0xD4000001,  # svc #0
    0x910003E0,  # again: mov x0, sp
    0xD2800001,  # mov x1, #0
    0xD2800002,  # mov x2, #0
    0xD2800103,  # mov x3, #8
    0xD2801128,  # mov x8, #137               rt_sigtimedwait
    0xD4000001,  # svc #0
    0xF100001F,  # cmp x0, #0
    0x54FFFF2B,  # b.lt again
    0xD2800000,  # end: mov x0, #0
    0xD2800BA8,  # mov x8, #93                exit
    0xD4000001,  # svc #0
)
_CODE: Mapping[str, tuple[int, bytes]] = {
    "amd64": (_EM_X86_64, _AMD64),
    "arm64": (_EM_AARCH64, _ARM64),
}
# xor eax, eax; ret
_WINDOWS_CODE = bytes.fromhex("31c0c3")


def build(platform: Platform) -> bytes:
    """Return the program for a platform; raises ConfigError for one that the lab has none for."""
    if platform.os == "windows" and platform.architecture == "amd64":
        return _portable_executable()
    if platform.os == "linux" and platform.architecture in _CODE:
        return _elf(*_CODE[platform.architecture])
    msg = f"{platform}: the lab has no program for this platform"
    raise ConfigError(msg, hint="use linux/amd64, linux/arm64 or windows/amd64 with --lab")


def _elf(machine: int, code: bytes) -> bytes:
    start = _ELF_HEADER + _PROGRAM_HEADER
    size = start + len(code)
    header = struct.pack(
        "<4s5B7xHHIQQQIHHHHHH",
        *(b"\x7fELF", 2, 1, 1, 0, 0),  # 64 bits, little endian, version 1, System V
        *(2, machine, 1),  # an executable
        *(_BASE + start, _ELF_HEADER, 0, 0),
        *(_ELF_HEADER, _PROGRAM_HEADER, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def _portable_executable() -> bytes:
    dos = struct.pack("<2s58xI", b"MZ", 64)
    file = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, 1, 0, 0, 0, 240, 0x22)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII128x",
        *(0x20B, 14, 0, 512, 0, 0, 0x1000, 0x1000),
        *(0x140000000, 0x1000, 512, 6, 0, 0, 0, 6, 0, 0),
        *(0x2000, 512, 0, 3, 0x8160),
        *(0x100000, 0x1000, 0x100000, 0x1000, 0, 16),
    )
    section = struct.pack(
        "<8sIIIIIIHHI",
        *(b".text", len(_WINDOWS_CODE), 0x1000, 512, 512, 0, 0, 0, 0, 0x60000020),
    )
    head = dos + file + optional + section
    return head.ljust(512, b"\0") + _WINDOWS_CODE.ljust(512, b"\0")
