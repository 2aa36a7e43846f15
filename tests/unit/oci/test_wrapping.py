from __future__ import annotations

import gzip
import hashlib
import itertools
import sys
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.oci import coding, frameheader
from rke2pack.oci.coding import FRAME_BYTES
from rke2pack.oci.pack import frames
from rke2pack.oci.wrapping import GZIP, PIECE_BYTES, ZSTD, Wrapping

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WRAPPINGS = (ZSTD, GZIP)


def compressed(size: int) -> bytes:
    """Return bytes that do not become smaller."""
    return hashlib.shake_256(b"").digest(size)


def wrapped(using: Wrapping, data: bytes, *, step: int = PIECE_BYTES) -> bytes:
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    vectors = using.wrap(frames.split(chunks, size=PIECE_BYTES), len(data))
    return b"".join(itertools.chain.from_iterable(vectors))


def unwrapped(using: Wrapping, data: bytes) -> bytes:
    decode = coding.gunzipped if using is GZIP else coding.unzstd
    return b"".join(decode([data], what="layer"))


@pytest.mark.parametrize("using", WRAPPINGS, ids=lambda each: each.name)
@given(size=st.integers(0, 3 * PIECE_BYTES), step=st.integers(1000, 2 * PIECE_BYTES))
def test_wrapped_bytes_come_back_and_do_not_depend_on_how_they_were_read(
    using: Wrapping, size: int, step: int
) -> None:
    data = compressed(size)
    found = wrapped(using, data, step=step)
    assert found == wrapped(using, data)
    assert unwrapped(using, found or wrapped(using, b"x")) == (data or b"x")


@pytest.mark.parametrize("using", WRAPPINGS, ids=lambda each: each.name)
@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, FRAME_BYTES, FRAME_BYTES + 1])
def test_wrapping_adds_next_to_nothing(using: Wrapping, size: int) -> None:
    assert len(wrapped(using, compressed(size))) <= size * 1.0002 + 40


def test_zstd_frames_have_size_checksum_and_a_small_window() -> None:
    found = wrapped(ZSTD, compressed(FRAME_BYTES + 1000))
    info = zstd.get_frame_info(found)
    assert info.decompressed_size == FRAME_BYTES
    assert found[4] & 0x04, "checksum"
    assert frameheader.window(found[:18]) == 128 * 1024
    assert frameheader.decoded(found[:18], found[-4:]) == FRAME_BYTES
    sizes: list[int] = []
    assert (
        sum(map(len, coding.unzstd([found], what="x", on_frame=sizes.append))) == FRAME_BYTES + 1000
    )
    assert len(sizes) == 2, "a second frame for what is more"


def test_gzip_members_are_plain_gzip() -> None:
    data = compressed(FRAME_BYTES + 1000)
    found = wrapped(GZIP, data)
    assert gzip.decompress(found) == data
    assert found[3:8] == bytes(5), "no name, no time"
    assert found.endswith((1000).to_bytes(4, "little")), "a second member for what is more"


@pytest.mark.parametrize("using", WRAPPINGS, ids=lambda each: each.name)
def test_wrapping_copies_nothing(using: Wrapping) -> None:
    piece = compressed(PIECE_BYTES)

    def pieces() -> Iterator[bytes]:
        for _ in range(FRAME_BYTES // PIECE_BYTES):
            yield piece

    tracemalloc.start()
    try:
        vectors = using.wrap(pieces(), FRAME_BYTES)
        assert sum(len(each) for vector in vectors for each in vector) >= FRAME_BYTES
        assert tracemalloc.get_traced_memory()[1] < PIECE_BYTES / 4, "nothing is copied"
    finally:
        tracemalloc.stop()


def test_names_tell_what_decides_the_bytes() -> None:
    assert ZSTD.name == "zstd-wrap-131072"
    assert GZIP.name == "gzip-wrap-32768"
