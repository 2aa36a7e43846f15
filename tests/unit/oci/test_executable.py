from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.oci.platform import Platform
from rke2pack.oci.program import executable
from tests.unit.oci.programs import elf, pe

MACHINES = {
    "amd64": 62, "arm64": 183, "ppc64le": 21, "riscv64": 243, "loong64": 258, "mips64le": 8
}  # fmt: skip


@pytest.mark.parametrize(("architecture", "machine"), MACHINES.items())
def test_elf_of_64_bits_little_endian(architecture: str, machine: int) -> None:
    found = executable.read(elf(machine))
    assert found is not None
    assert found.is_for(Platform.parse(f"linux/{architecture}"))
    assert str(found) == f"ELF for {architecture}"


def test_byte_order_and_bits_belong_to_the_architecture() -> None:
    s390x, arm = Platform.parse("linux/s390x"), Platform.parse("linux/arm/v7")
    assert executable.read(elf(22, order=">")).is_for(s390x)  # type: ignore[union-attr]
    assert not executable.read(elf(22)).is_for(s390x)  # type: ignore[union-attr]
    assert executable.read(elf(40, bits=1)).is_for(arm)  # type: ignore[union-attr]
    x32 = executable.read(elf(62, bits=1))
    assert x32 is not None
    assert not x32.is_for(Platform.parse("linux/amd64"))
    assert str(x32) == "ELF for machine 62, 32 bits, little endian"


def test_a_program_of_linux_is_none_for_windows_and_the_other_way_round() -> None:
    linux, windows = Platform.parse("linux/amd64"), Platform.parse("windows(10.0.17763)/amd64")
    assert [executable.read(elf(62)).is_for(p) for p in (linux, windows)] == [True, False]  # type: ignore[union-attr]
    assert [executable.read(pe(0x8664)).is_for(p) for p in (linux, windows)] == [False, True]  # type: ignore[union-attr]
    assert str(executable.read(pe(0xAA64))) == "PE for arm64"
    assert str(executable.read(pe(0x1234))) == "PE for machine 0x1234"


@pytest.mark.parametrize("kind", [0, 1, 4])
def test_what_linux_does_not_start_is_no_program(kind: int) -> None:
    assert executable.read(elf(62, kind=kind)) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x7fELF",
        elf(62)[:19],
        b"\x7fELF\x03\x01" + bytes(40),
        b"\x7fELF\x02\x03" + bytes(40),
        b"MZ",
        b"MZ" + bytes(62),
        b"MZ" + bytes(58) + b"\xff\xff\xff\xff" + b"PE\0\0\x64\x86",
        pe(0x8664)[:-1],
        pe(0x8664).replace(b"PE\0\0", b"PE\0\1"),
        b"#!",
        b"#!\n/bin/sh",
        b"#!\xff/bin/sh\n",
        b"#!/bin/\x1b[31m\n",
        b"#include <stdio.h>",
    ],
)
def test_hostile_heads_are_no_program(head: bytes) -> None:
    assert executable.read(head) is None


@pytest.mark.parametrize(
    ("line", "interpreter"),
    [
        (b"#!/bin/sh\necho", "/bin/sh"),
        (b"#! /usr/bin/env python3\n", "/usr/bin/env"),
        (b"#!\t/bin/bash\t-e\r\n", "/bin/bash"),
        (b"#!/bin/sh", "/bin/sh"),
    ],
)
def test_interpreter_of_a_script(line: bytes, interpreter: str) -> None:
    found = executable.read(line)
    assert found is not None
    assert (found.kind, found.interpreter) == ("script", interpreter)
    assert not found.is_for(Platform.parse("linux/amd64"))


def test_an_interpreter_is_looked_for_in_256_bytes() -> None:
    found = executable.read(b"#!/" + b"a" * 1000 + b"\n")
    assert found is not None
    assert len(found.interpreter) == 254


@given(st.sampled_from([b"\x7fELF", b"MZ", b"#!"]), st.binary(max_size=200))
def test_no_bytes_make_it_fail(magic: bytes, rest: bytes) -> None:
    found = executable.read(magic + rest)
    assert found is None or str(found)


@given(st.integers(0, 2**32 - 1))
def test_no_pointer_makes_it_fail(start: int) -> None:
    assert executable.read(b"MZ" + bytes(58) + struct.pack("<I", start) + bytes(4000)) is None
