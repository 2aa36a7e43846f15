"""Tars from outside: read as others read them, and refused where they are not whole or hostile."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import ConfigError, IntegrityError, ValidationError
from rke2pack.oci.coding import Zstd
from rke2pack.oci.intake import archivefile, tarstream
from tests.unit.oci import archives
from tests.unit.oci.archives import tar, write, zstd_with_window

FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
FILES = [("oci-layout", b"x" * 30), ("empty", b""), ("blobs/sha256/a", b"y" * 5000)]
LONG = "/".join(["a-folder-with-a-long-name"] * 12) + "/file"


def chunked(data: bytes, step: int = 700) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def contents(data: bytes, step: int = 700) -> list[tuple[str, bytes]]:
    return [
        (each.name, b"".join(each.chunks)) for each in tarstream.read(chunked(data, step), what="t")
    ]


def raw(kind: bytes, *, name: str = "m", link: str = "", size: int = 0) -> bytes:
    """One header of any kind."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info.tobuf(tarfile.GNU_FORMAT)


def with_extra(kind: bytes, data: bytes, rest: bytes) -> bytes:
    return raw(kind, size=len(data)) + data + bytes(-len(data) % 512) + rest


def pax(*records: tuple[bytes, bytes]) -> bytes:
    found = b""
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body) + len(str(len(body)))
        length = len(body) + len(str(length))
        found += str(length).encode() + body
    return found


END = bytes(1024)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [1, 511, 512, 513, 100_000])
def test_every_form_is_read_in_any_pieces(form: int, step: int) -> None:
    assert contents(tar(FILES, form=form), step) == FILES


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_of_gnu_and_pax_are_read(form: int) -> None:
    files = [(LONG, b"1"), ("short", b"2"), ("umläut-日本", b"3")]
    assert contents(tar(files, form=form)) == files


def test_long_names_of_ustar_have_a_prefix() -> None:
    name = "/".join(["folder"] * 30) + "/file"
    assert contents(tar([(name, b"1")])) == [(name, b"1")]


@given(
    files=st.lists(
        st.tuples(st.text("abc./_-", min_size=1, max_size=300), st.binary(max_size=2000))
    ),
    form=st.sampled_from(FORMS),
    step=st.integers(1, 3000),
)
def test_reads_what_python_writes_or_refuses_its_names(
    files: list[tuple[str, bytes]], form: int, step: int
) -> None:
    try:
        data = tar(files, form=form)
    except ValueError:  # a name that ustar cannot hold
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        names = [normpath(each.name) for each in opened]
    if any(name.startswith(("/", "../")) or name in {"", ".."} for name in names):
        with pytest.raises(IntegrityError, match="no name below the tar's root"):
            contents(data, step)
    else:
        assert contents(data, step) == [
            (name, content) for name, (_, content) in zip(names, files, strict=True)
        ]


def test_members_that_are_not_read_are_passed_over() -> None:
    found = list(tarstream.read(chunked(tar(FILES)), what="t"))
    assert [(each.name, each.size) for each in found] == [(n, len(d)) for n, d in FILES]


def test_links_are_resolved_below_the_root() -> None:
    data = (
        raw(b"2", name="id/layer.tar", link="../blobs/x")
        + raw(b"1", name="id/other", link="blobs/y")
        + raw(b"5", name="./blobs/")
        + END
    )
    found = [(m.kind, m.name, m.target) for m in tarstream.read([data], what="t")]
    assert found == [
        ("link", "id/layer.tar", "blobs/x"),
        ("link", "id/other", "blobs/y"),
        ("folder", "blobs", ""),
    ]


def test_links_in_a_circle_are_an_error() -> None:
    assert tarstream.resolved("a", {"a": "b", "b": "c"}, "t") == "c"
    with pytest.raises(IntegrityError, match="t: the link 'a' points at itself"):
        tarstream.resolved("a", {"a": "b", "b": "a"}, "t")


def test_size_above_8_gib_is_read_from_gnu_and_pax() -> None:
    size = 9 * 1024**3
    for start in (raw(b"0", size=size), with_extra(b"x", pax((b"size", b"%d" % size)), raw(b"0"))):
        (member, *_) = [next(tarstream.read([start], what="t"))]
        assert member.size == size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (END[:512], "cut short"),
        (tar(FILES)[:3000], "cut short: the tar ends in the middle"),
        (b"not a tar" * 100, "a header has no number where its checksum belongs"),
        (END[:512] + tar(FILES), "an empty block in the middle"),
        (tar(FILES) + b"x", "something follows the end of the tar"),
        (raw(b"3", name="dev/null") + END, "'dev/null' is neither file, link nor folder"),
        (raw(b"S", name="sparse") + END, "'sparse' is neither file"),
        (raw(b"5", name="d", size=9) + END, "'d' is a folder and has content"),
        (raw(b"0", name="../evil") + END, "'../evil' is no name below the tar's root"),
        (raw(b"0", name="a/../../evil") + END, "is no name below"),
        (raw(b"0", name="/etc/passwd") + END, "'/etc/passwd' is no name below"),
        (raw(b"2", name="l", link="/etc") + END, "'/etc' is no name below"),
        (raw(b"2", name="l", link="../up") + END, "'../up' is no name below"),
        (raw(b"0", name="a\x1b[2J") + END, "is no name below"),
        (raw(b"0", name="\udcff") + END, "a name is not UTF-8"),
        (raw(b"0", name="") + END, "'' is no name below"),
        (with_extra(b"x", pax((b"path", b"../up")), raw(b"0") + END), "'../up' is no name"),
        (with_extra(b"x", pax((b"size", b"-1")), raw(b"0") + END), "has the size '-1'"),
        (with_extra(b"x", pax((b"size", b"9" * 30)), raw(b"0") + END), "has the size"),
        (with_extra(b"x", pax((b"size", b"9" * 19)), raw(b"0") + END), "has a size of 999"),
        (with_extra(b"x", b"7 path=\n", raw(b"0") + END), "a pax header is damaged"),
        (with_extra(b"x", b"99 path=a\n", raw(b"0") + END), "a pax header is damaged"),
        (with_extra(b"x", b"0 path=a\n", raw(b"0") + END), "a pax header is damaged"),
        (with_extra(b"x", b"\xff", raw(b"0") + END), "a pax header is damaged"),
        (with_extra(b"x", pax((b"GNU.sparse.major", b"1")), raw(b"0") + END), "a sparse file"),
        (with_extra(b"x", b"", END), "ends after a header that belongs to a next member"),
        (raw(b"x", size=2 * 1024**2), "a header of 2097152 bytes, more than 1048576"),
        (raw(b"L", size=2 * 1024**2), "a header of 2097152 bytes"),
        (with_extra(b"L", b"a" * 5000, raw(b"0") + END), "a name is longer than 4096 bytes"),
        (with_extra(b"L", b"a", with_extra(b"L", b"b", raw(b"0") + END)), "two headers that say"),
        (raw(b"g", name="global") + END, "'global' is neither file"),
        (raw(b"0", size=2**61), "a header has a size of"),
    ],
)  # fmt: skip
def test_what_no_image_archive_holds_is_refused(data: bytes, message: str) -> None:
    if message.startswith("ends after"):
        data = with_extra(b"L", b"a", END)
    with pytest.raises(IntegrityError) as caught:
        contents(data)
    assert caught.value.message.startswith("t: ")
    assert message in caught.value.message
    assert "cache verify" not in (caught.value.hint or "")


def test_every_wrong_byte_of_a_header_is_found() -> None:
    good = tar([("name", b"content")])
    for position in range(512):
        wrong = bytearray(good)
        wrong[position] ^= 0x41
        with pytest.raises(IntegrityError):
            contents(bytes(wrong))


@pytest.mark.parametrize("packing", ["", "gz", "zst"])
def test_archive_cut_short_anywhere_is_found(tmp_path: Path, packing: str) -> None:
    path = write(tmp_path / "a.tar", tar(FILES), packing)
    data = path.read_bytes()
    whole = len(tar(FILES).rstrip(b"\0")) + 1024 if not packing else len(data)
    for length in [*range(0, min(len(data), whole - 513), 37), min(len(data) - 1, whole - 600)]:
        path.write_bytes(data[:length])
        with pytest.raises(IntegrityError):
            list(archives.members(path))


def test_number_of_members_has_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarstream, "MAX_MEMBERS", 10)
    data = tar([(str(number), b"") for number in range(30)])
    with pytest.raises(IntegrityError, match="more than 10 members"):
        contents(data)


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packing: str) -> None:
    monkeypatch.setattr(archivefile, "FREE_BYTES", 1_000_000)
    monkeypatch.setattr(archivefile, "MAX_RATIO", 2)
    path = write(tmp_path / "a.tar", tar([("zeros", bytes(3_000_000))]), packing)
    with pytest.raises(IntegrityError, match="bytes unpack to more than 1000000"):
        list(archives.members(path))


def test_memory_does_not_depend_on_what_is_in_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.zst", tar([("zeros", bytes(60_000_000))]))
    tracemalloc.start()
    try:
        sizes = [sum(map(len, each.chunks)) for each in archives.members(path)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes == [60_000_000]
    assert peak < 8_000_000


@pytest.mark.parametrize("name", ["a.tar.zst", "a.tar.zst.part01", "a.tar.zst.part03"])
def test_parts_are_read_as_one(tmp_path: Path, name: str) -> None:
    data = write(tmp_path / "whole", tar(FILES), "zst").read_bytes()
    step = len(data) // 3 + 1
    for number in range(3):
        part = tmp_path / f"a.tar.zst.part{number + 1:02}"
        part.write_bytes(data[number * step : (number + 1) * step])
    (tmp_path / "a.tar.zst.part1").write_bytes(b"no part")
    found = archives.members(tmp_path / name)
    assert [(each.name, b"".join(each.chunks)) for each in found] == FILES
    (tmp_path / "a.tar.zst.part03").unlink()
    with pytest.raises(IntegrityError, match="is damaged"):
        list(archives.members(tmp_path / "a.tar.zst"))
    (tmp_path / "a.tar.zst.part04").write_bytes(b"")
    with pytest.raises(IntegrityError, match="part 03 is missing"):
        list(archives.members(tmp_path / "a.tar.zst"))


def test_what_is_there_under_its_whole_name_comes_before_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", tar(FILES))
    (tmp_path / "a.tar.part02").write_bytes(b"x")
    assert len(list(archives.members(path))) == len(FILES)


def test_what_is_not_there_or_not_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        list(archives.members(tmp_path / "none.tar"))
    with pytest.raises(ConfigError, match="a folder, not an archive"):
        list(archives.members(tmp_path))
    for magic, name in ((b"BZh91AY", "bzip2"), (b"\x04\x22\x4d\x18", "lz4"), (b"\xfd7zXZ", "xz")):
        (tmp_path / "a").write_bytes(magic + bytes(100))
        with pytest.raises(ValidationError, match=f"compressed with {name}, which is not read"):
            list(archives.members(tmp_path / "a"))


def test_packing_is_told_by_the_bytes_and_may_have_several_frames(tmp_path: Path) -> None:
    data = tar(FILES)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00rest"
    for packed in (
        Zstd(level=1).encode(data[:900]) + skippable + Zstd(level=1).encode(data[900:]),
        skippable + Zstd(level=1).encode(data),
        gzip.compress(data[:900]) + gzip.compress(data[900:]),
    ):
        (tmp_path / "a.txt").write_bytes(packed)
        found = [(m.name, b"".join(m.chunks)) for m in archives.members(tmp_path / "a.txt")]
        assert found == FILES


def test_window_of_every_frame_is_told(tmp_path: Path) -> None:
    data = tar(FILES)
    packed = (
        zstd_with_window(data[:900], 26)
        + Zstd(level=1).encode(data[900:])
        + b"\x50\x2a\x4d\x18\x00\x00\x00\x00"
    )
    (tmp_path / "a").write_bytes(packed)
    windows: list[int] = []
    for _ in archivefile.find(tmp_path / "a").tar(on_frame=windows.append):
        pass
    assert windows[0] == 1 << 26
    assert 0 < windows[1] <= 1 << 25
    assert windows[2] == 0


def test_window_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(zstd_with_window(tar(FILES), 28))
    with pytest.raises(IntegrityError, match=r"is damaged: .*memory"):
        list(archives.members(tmp_path / "a"))
