from __future__ import annotations

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import IntegrityError
from rke2pack.oci.program import layertar
from rke2pack.oci.program.layertar import Entry
from tests.unit.oci.programs import folder, hard, layer, link, member


def entries(data: bytes, step: int = 700) -> list[Entry]:
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    return list(layertar.entries(chunks, what="layer"))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_member(form: int) -> None:
    tar = layer(
        folder("./bin"),
        ("bin/a", b"content", 0o644),
        link("bin/sh", "/bin/a"),
        hard("b", "bin/a"),
        member("dev/null", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        form=form,
    )
    assert entries(tar) == [
        Entry(name="bin", kind="folder"),
        Entry(name="bin/a", kind="file", mode=0o644, head=b"content"),
        Entry(name="bin/sh", kind="symlink", target="/bin/a"),
        Entry(name="b", kind="hardlink", target="bin/a"),
        Entry(name="dev/null", kind="other"),
        Entry(name="pipe", kind="other"),
    ]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_targets(form: int) -> None:
    name, target = "/".join(["folder"] * 40) + "/ü", "x" * 300
    (file, symlink) = entries(layer((name, b"1"), link("l", target), form=form))
    assert (file.name, symlink.target) == (name, target)


def test_only_the_first_4_kib_of_a_file_are_kept() -> None:
    (one, two) = entries(layer(("a", b"a" * 1_000_000), ("b", b"b")))
    assert (one.head, two.head) == (b"a" * 4096, b"b")


def test_names_stay_below_the_root() -> None:
    tar = layer(("../../etc/passwd", b""), ("/abs", b""), ("a/../../b", b""))
    assert [each.name for each in entries(tar)] == ["etc/passwd", "abs", "b"]


def test_names_of_any_bytes() -> None:
    tar = bytearray(layer(("name", b""), form=tarfile.USTAR_FORMAT))
    tar[0:4] = b"n\xff\xfee"
    tar[148:156] = b" " * 8
    tar[148:156] = f"{sum(tar[:512]):06o}\0 ".encode()
    assert entries(bytes(tar))[0].name.encode(errors="surrogateescape") == b"n\xff\xfee"


def test_a_tar_without_its_end_marks_is_read() -> None:
    tar = layer(("a", b"1"))
    assert len(entries(tar[:1024])) == 1
    assert entries(b"") == []


@pytest.mark.parametrize(
    ("tar", "message"),
    [
        (layer(("a", b"12345"))[:514], "layer: the tar ends in the middle of a member"),
        (layer(("a", b""))[:300], "layer: the tar ends in the middle"),
        (b"x" * 512, "layer: not a tar, or damaged: a header that is none"),
        (b"plain text" * 100, "layer: not a tar, or damaged: a header that is none"),
    ],
)
def test_damaged(tar: bytes, message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        entries(tar)
    assert caught.value.message == message


def header(kind: bytes, size: int) -> bytes:
    info = member("x", kind, size=size)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_huge_header_is_refused_before_it_is_read(kind: bytes) -> None:
    with pytest.raises(IntegrityError, match="more than 1048576"):
        entries(header(kind, 2**33))


def test_a_huge_member_is_refused() -> None:
    with pytest.raises(IntegrityError, match="a member of"):
        entries(header(b"0", 2**62))


def test_headers_without_a_member_are_counted() -> None:
    with pytest.raises(IntegrityError, match="more than 16 headers for one member"):
        entries(header(b"g", 0) * 17)


@pytest.mark.parametrize(
    "records",
    [b"99 path=x\n", b"9 path=xx", b"0 path=x\n", b"x path=x\n", b"10 pathxx\n\n", b"5 ab\n"],
)
def test_damaged_pax_records(records: bytes) -> None:
    tar = header(b"x", len(records)) + records.ljust(512, b"\0") + layer(("a", b""))
    with pytest.raises(IntegrityError, match="pax header"):
        entries(tar)


@pytest.mark.parametrize("size", [b"1x", b"-1", b"9" * 30, b"9999999999999999999"])
def test_pax_sizes_that_are_none(size: bytes) -> None:
    record = b" size=" + size + b"\n"
    line = str(len(record) + 2).encode() + record
    tar = header(b"x", len(line)) + line.ljust(512, b"\0") + layer(("a", b""))
    with pytest.raises(IntegrityError, match=r"size|member of"):
        entries(tar)


def test_a_sparse_file_is_refused() -> None:
    with pytest.raises(IntegrityError, match="a sparse file, which a layer cannot hold"):
        entries(layer(member("a", tarfile.GNUTYPE_SPARSE)))


def test_members_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layertar, "MAX_MEMBERS", 2)
    with pytest.raises(IntegrityError, match="more than 2 members"):
        entries(layer(*((str(number), b"") for number in range(3))))


def refusal(data: bytes) -> str:
    """Why a tar is refused; empty where it is read."""
    try:
        entries(data)
    except IntegrityError as exc:
        return exc.message
    return ""


@given(st.binary(max_size=3000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert refusal(data).startswith("layer: ") or entries(data) is not None


@given(st.integers(0, 2500), st.binary(min_size=1, max_size=20))
def test_a_damaged_tar_is_read_or_refused(place: int, noise: bytes) -> None:
    tar = bytearray(layer(("bin/a" * 30, b"content"), link("l", "x" * 200)))
    tar[place : place + len(noise)] = noise
    assert refusal(bytes(tar)).startswith("layer: ") or entries(bytes(tar))
