from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import deflate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import IntegrityError
from rke2pack.helm import archive
from rke2pack.helm.archive import Member

SEGMENT = st.text(
    st.characters(categories=["L", "N"], include_characters="-_. "), min_size=1
).filter(lambda s: s.strip(".") != "")
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map(lambda parts: "/".join(["demo", *parts]))
MEMBERS = st.dictionaries(PATHS, st.binary(max_size=100), min_size=1, max_size=6).map(
    lambda found: tuple(Member(path, data) for path, data in found.items())
)
FIXED = (
    Member("demo/Chart.yaml", b"apiVersion: v2\nname: demo\nversion: 1.0.000\n"),
    Member("demo/templates/a.yaml", b"kind: ConfigMap\n" * 200),
    Member("demo/" + "long/" * 40 + "file.txt", "é".encode()),
)


def tarball(*infos: tuple[str, bytes | tarfile.TarInfo], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in infos:
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


def refusal(data: bytes) -> str:
    with pytest.raises(IntegrityError) as caught:
        archive.unpack(data, what="demo 1.0.000")
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix("demo 1.0.000: ")


@settings(max_examples=25)
@given(MEMBERS)
def test_pack_and_unpack_are_inverse(members: tuple[Member, ...]) -> None:
    assert archive.unpack(archive.pack(members), what="demo") == members


def test_packed_bytes_never_change() -> None:
    packed = archive.pack(FIXED)
    assert hashlib.sha256(packed).hexdigest() == (
        "7a7b9f24074c8c85c6c3efde334ba5b2b54c70f24cc729cc7a63e0f6e4260015"
    )


def test_packed_bytes_depend_on_nothing_around(tmp_path: Path) -> None:
    script = (
        "import hashlib, os, time; os.umask(0o077)\n"
        "from rke2pack.helm import archive\n"
        "members = [archive.Member('demo/Chart.yaml', b'a: 1\\n')]\n"
        "members += [archive.Member('demo/b', b'x' * 999)]\n"
        "print(hashlib.sha256(archive.pack(members)).hexdigest())\n"
    )
    members = [Member("demo/Chart.yaml", b"a: 1\n"), Member("demo/b", b"x" * 999)]
    environment = {
        **os.environ,
        "TZ": "Pacific/Kiritimati",
        "SOURCE_DATE_EPOCH": "1",
        "LC_ALL": "C",
    }
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert answer.stdout.strip() == hashlib.sha256(archive.pack(members)).hexdigest()


def test_packed_header_has_no_time_name_or_owner() -> None:
    packed = archive.pack(FIXED)
    assert packed[:4] == b"\x1f\x8b\x08\x00"
    assert packed[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for info in tar:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
            assert info.mode == 0o644


def test_order_of_members_is_kept() -> None:
    names = ["demo/z", "demo/a", "demo/m/b", "demo/m/a"]
    packed = archive.pack(Member(name, b"") for name in names)
    assert [member.path for member in archive.unpack(packed, what="demo")] == names


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x1f", b"plain text", b"\x1f\x8c" * 20])
def test_what_is_not_gzip_is_refused(data: bytes) -> None:
    assert refusal(data) == "not gzip"


def test_archive_above_the_ceiling_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive.pack(FIXED)
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", len(packed) - 1)
    assert refusal(packed) == (f"{len(packed)} bytes, the limit for a chart is {len(packed) - 1}")


def test_truncated_gzip_is_refused_at_every_byte() -> None:
    packed = archive.pack(FIXED)
    for end in range(2, len(packed)):
        assert refusal(packed[:end]) == "the gzip stream is cut short"


def test_flipped_bytes_never_change_the_content_unseen() -> None:
    packed = archive.pack(FIXED)
    expected = archive.unpack(packed, what="demo")
    for position in range(0, len(packed), 7):
        damaged = bytearray(packed)
        damaged[position] ^= 0xFF
        try:
            assert archive.unpack(bytes(damaged), what="demo") == expected
        except IntegrityError:
            continue
        assert position in range(3, 10), "only flags, time and system of gzip's header are free"


@pytest.mark.parametrize("garbage", [b"\0", b"\0" * 512, b"x", b"\x1f", b"\n"])
def test_bytes_behind_the_gzip_stream_are_refused(garbage: bytes) -> None:
    told = "1 byte" if len(garbage) == 1 else f"{len(garbage)} bytes"
    assert refusal(archive.pack(FIXED) + garbage) == (
        f"{told} of something else behind the gzip stream"
    )


def test_damaged_checksum_is_refused() -> None:
    packed = bytearray(archive.pack(FIXED))
    packed[-5] ^= 1
    assert refusal(bytes(packed)).startswith("damaged gzip: ")


def test_several_gzip_members_are_one_stream() -> None:
    raw = tarball(("demo/a", b"1"), ("demo/b", b"2"))
    halves = gzip.compress(raw[:700]) + gzip.compress(b"") + gzip.compress(raw[700:])
    assert archive.unpack(halves, what="demo") == (Member("demo/a", b"1"), Member("demo/b", b"2"))


def test_endless_empty_gzip_members_are_refused_early() -> None:
    assert refusal(gzip.compress(b"") * 500_000) == "more than 1000 gzip members"


def bomb(size: int) -> bytes:
    """Return a few bytes that unpack to ``size`` zeros, made without ever holding them."""
    engine = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    return b"".join([*(engine.compress(block) for _ in range(size >> 20)), engine.flush()])


def ten_gigabytes() -> Iterator[bytes]:
    """Return gzip of 10 GB of zeros: one deflated MiB, repeated, each ending at a byte."""
    engine = zlib.compressobj(9, wbits=-15)
    chunk = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    for _ in range(10 << 10):
        yield chunk
    yield b"\x03\x00" + struct.pack("<II", 0, (10 << 30) & 0xFFFFFFFF)


def test_bomb_of_ten_gigabytes_is_refused_early_in_bounded_memory() -> None:
    data = b"".join(ten_gigabytes())
    assert len(data) < archive.MAX_ARCHIVE_BYTES
    tracemalloc.start()
    try:
        assert refusal(data) == "unpacks to more than 134217728 bytes"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * archive.MAX_UNPACKED_BYTES


def test_content_may_be_as_large_as_the_ceiling_and_not_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 4 << 20)
    assert len(archive.gunzip(bomb(4 << 20), what="demo")) == 4 << 20
    assert refusal(bomb(5 << 20)) == "unpacks to more than 4194304 bytes"


@pytest.mark.parametrize(
    "name", ["../demo/x", "demo/../../x", "/etc/passwd", "demo/..", "..", "demo/a\\..\\b", "//x"]
)
def test_path_that_leaves_the_chart_is_refused(name: str) -> None:
    data = gzip.compress(tarball(("demo/Chart.yaml", b""), (name, b"x")))
    assert refusal(data) == f"{name!r} points outside the chart"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "Chart.yaml"),
        (tarfile.LNKTYPE, "demo/Chart.yaml"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (b"Z", ""),
    ],
)
def test_link_device_and_unknown_member_are_refused(kind: bytes, target: str) -> None:
    data = gzip.compress(tarball(("demo/Chart.yaml", b""), ("demo/x", special(kind, target))))
    assert refusal(data) == (
        "'demo/x' is a link, a device or sparse, a chart holds only plain files"
    )


def test_sparse_member_is_refused_whatever_size_it_claims() -> None:
    info = special(tarfile.GNUTYPE_SPARSE)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[:7] = b"demo/x\0"
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = gzip.compress(tarball(("demo/Chart.yaml", b""))[:512] + bytes(header) + bytes(1024))
    assert refusal(data).startswith("'demo/x' is a link, a device or sparse")


def test_pax_sparse_member_is_refused() -> None:
    info = tarfile.TarInfo("demo/x")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**15)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    assert refusal(gzip.compress(buffer.getvalue())).startswith("'demo/x' is a link, a device or")


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read(form: int) -> None:
    name = "demo/" + "folder-é/" * 50 + "values.yaml"
    data = gzip.compress(tarball((name, b"x"), form=form))
    assert archive.unpack(data, what="demo") == (Member(name, b"x"),)


def test_endless_chain_of_extended_headers_is_refused() -> None:
    header = tarfile.TarInfo("demo/x")
    header.type, header.size = tarfile.XHDTYPE, 0
    block = header.tobuf(tarfile.USTAR_FORMAT)
    assert refusal(gzip.compress(block * 5000 + tarball(("demo/a", b"")))).startswith(
        "not a chart archive: "
    )


@pytest.mark.parametrize("second", ["demo/a", "./demo/a", "demo//a", "demo/./a"])
def test_member_that_stands_there_twice_is_refused(second: str) -> None:
    data = gzip.compress(tarball(("demo/a", b"1"), (second, b"2")))
    assert refusal(data) == "demo/a is in the archive twice"


def test_more_members_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    files = [(f"demo/{number}", b"") for number in range(4)]
    assert len(archive.unpack(gzip.compress(tarball(*files[:3])), what="demo")) == 3
    assert refusal(gzip.compress(tarball(*files))) == "more than 3 files"


def test_folders_count_as_members_and_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = special(tarfile.DIRTYPE)
    data = gzip.compress(tarball(("demo", folder), ("demo/a", b"1")))
    assert archive.unpack(data, what="demo") == (Member("demo/a", b"1"),)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    assert refusal(data) == "more than 1 files"


def test_empty_archive_is_refused() -> None:
    assert refusal(gzip.compress(tarball())) == "the archive is empty"
    assert refusal(gzip.compress(tarball(("demo", special(tarfile.DIRTYPE))))) == (
        "the archive is empty"
    )


def test_gzip_of_something_else_is_refused() -> None:
    assert refusal(gzip.compress(b"plain text " * 100)).startswith("not a chart archive: ")


def test_damaged_header_does_not_hide_the_files_behind_it() -> None:
    raw = bytearray(tarball(("demo/a", b"1"), ("demo/b", b"2"), ("demo/c", b"3")))
    raw[1024 + 10] ^= 0xFF
    assert refusal(gzip.compress(bytes(raw))) == (
        "not a chart archive: damaged header at byte 1024"
    )


def test_tar_cut_anywhere_inside_its_members_is_refused() -> None:
    raw = tarball(("demo/a", b"1" * 600), ("demo/b", b"2" * 600))
    for end in (100, 511, 513, 900, 1535, 1537, 1600, 2047, 2100, 2600):
        assert refusal(gzip.compress(raw[:end]))


def test_tar_without_end_blocks_is_read_as_helm_reads_it() -> None:
    raw = tarball(("demo/a", b"1"))[:1024]
    assert archive.unpack(gzip.compress(raw), what="demo") == (Member("demo/a", b"1"),)


def test_other_compressor_gives_the_same_members() -> None:
    raw = tarball(("demo/a", b"1"))
    for data in (gzip.compress(raw, mtime=5), bytes(deflate.gzip_compress(raw, 12))):
        assert archive.unpack(data, what="demo") == (Member("demo/a", b"1"),)
